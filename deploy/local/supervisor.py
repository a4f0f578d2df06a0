"""Runs services as child processes: prefixed logs, restarted when they die, stopped together."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from deploy.local.errors import StackError
from deploy.local.processes import OwnProcess

WRONG_SETTING = 2  # the exit code that a restart cannot mend
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue")


@dataclass(frozen=True, slots=True)
class Service:
    """One child: its name in the logs, its command, its whole environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restarts:
    """How long to wait before a service that died is started again, in seconds."""

    first: float = 0.5
    longest: float = 15.0
    healthy_after: float = 30.0  # having run this long, the next death counts as the first

    def delay(self, deaths: int) -> float:
        return min(self.longest, self.first * 2.0 ** (deaths - 1))


class Supervisor:
    """Invariants: a service runs at most once; after `stop()` none runs and none is started."""

    def __init__(
        self,
        services: Sequence[Service],
        home: Path,
        *,
        console: Console | None = None,
        restarts: Restarts | None = None,
        stop_within: float = 10.0,
    ) -> None:
        self._home = home.absolute()
        self._console = console or Console(stderr=True)
        self._restarts = restarts or Restarts()
        self._stop_within = stop_within
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._failure: str | None = None
        width = max((len(service.name) for service in services), default=0)
        self._children = {
            service.name: _Child(
                service,
                OwnProcess(service.name, self._home / f"{service.name}.process.json"),
                Text(f"{service.name:<{width}} │ ", style=_COLOURS[index % len(_COLOURS)]),
            )
            for index, service in enumerate(services)
        }

    def start(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        for child in self._children.values():
            child.thread = threading.Thread(
                target=self._keep_running, args=(child,), name=child.service.name, daemon=True
            )
            child.thread.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks while all is well: until `stop()`, or `timeout` seconds (then False).

        Raises StackError when a service ended with a wrong setting: starting it again is no help.
        """
        over = self._over.wait(timeout)
        if self._failure is not None:
            raise StackError(self._failure)
        return over

    def stop(self) -> None:
        """SIGTERM to all at once, SIGKILL to what is left after `stop_within` seconds."""
        with self._starting:
            self._stopping.set()
        children = self._children.values()
        if children:
            with ThreadPoolExecutor(len(children)) as pool:
                for child in children:
                    pool.submit(child.process.stop, within=self._stop_within)
        for child in children:
            if child.thread is not None:
                child.thread.join(self._stop_within)
        self._over.set()

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def deaths(self, name: str) -> int:
        """How often this service has ended without being asked to."""
        return self._children[name].deaths

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _keep_running(self, child: "_Child") -> None:
        in_a_row = 0
        while True:
            started = time.monotonic()
            with self._starting:
                if self._stopping.is_set():
                    return
                ended = self._begin(child)
            if ended is None:
                self._pump(child)
                ended = f"ended ({_told(child.process.wait())})"
            if self._stopping.is_set():
                return
            child.deaths += 1
            if child.process.exit_code == WRONG_SETTING:
                self._failure = (
                    f"{child.service.name} has a wrong setting: its last line says which"
                )
                self._over.set()
                return
            healthy = time.monotonic() - started >= self._restarts.healthy_after
            in_a_row = 1 if healthy else in_a_row + 1
            delay = self._restarts.delay(in_a_row)
            self._print(child, Text(f"{ended}, starting again in {delay:.1f} s", style="bold red"))
            if self._stopping.wait(delay):
                return

    def _begin(self, child: "_Child") -> str | None:
        """Starts it; None, or why it could not be started."""
        try:
            child.process.start(child.service.command, environment=child.service.environment)
        except OSError as error:
            return f"could not be started ({error})"
        return None

    def _pump(self, child: "_Child") -> None:
        with child.process.output as lines:
            for line in lines:
                self._print(child, Text.from_ansi(line.decode(errors="replace").rstrip()))

    def _print(self, child: "_Child", line: Text) -> None:
        self._console.print(Text.assemble(child.prefix, line), soft_wrap=True)


@dataclass(slots=True)
class _Child:
    service: Service
    process: OwnProcess
    prefix: Text
    thread: threading.Thread | None = None
    deaths: int = 0


def _told(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


@contextlib.contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal unwind like Ctrl-C, so that everything is stopped on the way
    out.

    For the main thread only.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
