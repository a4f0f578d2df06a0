"""Child processes that never outlive us: tied to this process, written down, ended for certain.

Three nets, each for what the one before cannot catch: `stop()` on the way out; the kernel's death
signal when this process is killed (Linux, `leash.py`); a record on disk from which the next start
ends what is provably ours (same pid, same start time, same command line) and nothing else.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from deploy.local.errors import StackError

_LEASH = Path(__file__).with_name("leash.py")
_START_TIME_TOLERANCE = 2.0  # seconds: the clock may be set between two readings


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that a child runs under."""

    uid: int
    gid: int


class OwnProcess:
    """One child: start, look, stop. `record` is the file that remembers it on disk."""

    def __init__(self, name: str, record: Path) -> None:
        self.name = name
        self._record = record
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise StackError(f"{self.name} is not running")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs (or before it was started)."""
        return self._child.poll() if self._child is not None else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def output(self) -> IO[bytes]:
        assert self._child is not None
        assert self._child.stdout is not None
        return self._child.stdout

    def start(
        self,
        command: Sequence[str],
        *,
        log: Path | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Starts `command`; its output is appended to `log`, or is to be read from `output`."""
        end_leftover(self._record)
        uid, gid = (account.uid, account.gid) if account else (-1, -1)
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())]
        leash += [str(int(death_signal)), str(uid), str(gid), "--", *command]
        with contextlib.ExitStack() as stack:
            out: Any = subprocess.PIPE if log is None else stack.enter_context(log.open("ab"))

            def spawn() -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    leash,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=None if environment is None else dict(environment),
                    # Ctrl-C in the terminal reaches us alone: we decide who stops first.
                    start_new_session=True,
                )

            self._child = _spawner.run(spawn)
        self._remember(command)

    def stop(self, *, within: float, first: signal.Signals = signal.SIGTERM) -> None:
        """Asks with `first`, then kills after `within` seconds. Harmless on a stopped process."""
        child = self._child
        if child is not None:
            if child.poll() is None:
                child.send_signal(first)
            try:
                child.wait(within)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._record.unlink(missing_ok=True)

    def wait(self) -> int:
        assert self._child is not None
        return self._child.wait()

    def _remember(self, command: Sequence[str]) -> None:
        try:
            started = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return  # ended at once; whoever waits for it will tell
        entry = {"pid": self.pid, "started": started, "command": list(command)}
        self._record.parent.mkdir(parents=True, exist_ok=True)
        draft = self._record.with_suffix(".new")
        draft.write_text(json.dumps(entry))
        draft.replace(self._record)


def end_leftover(record: Path, *, within: float = 10.0) -> bool:
    """Ends the process that `record` names if it runs and is provably ours; True if it did."""
    try:
        entry = json.loads(record.read_text())
        process = psutil.Process(entry["pid"])
        ours = bool(
            abs(process.create_time() - entry["started"]) < _START_TIME_TOLERANCE
            and process.cmdline()[-len(entry["command"]) :] == entry["command"]
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.Error):
        ours = False
    if ours:
        try:
            process.terminate()
            process.wait(within)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(within)
        except psutil.NoSuchProcess:
            pass
    record.unlink(missing_ok=True)
    return ours


def wait_until(
    ready: Callable[[], bool], process: OwnProcess, *, timeout: float, every: float = 0.03
) -> bool:
    """True once `ready()`; False when the process ended or `timeout` seconds went by before."""
    deadline = time.monotonic() + timeout
    while process.running and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(every)
    return False


def why_not_ready(process: OwnProcess, timeout: float) -> str:
    """The first line of the error after `wait_until` said no."""
    if (code := process.exit_code) is not None:
        return f"{process.name} ended while starting (exit {code})"
    return f"{process.name} did not answer within {timeout:.0f} s"


def last_lines(*logs: Path, lines: int = 15) -> str:
    """The end of each log, for an error that has to show why."""
    shown = []
    for log in logs:
        if log.exists() and (text := log.read_text(errors="replace").strip()):
            tail = "\n".join(f"  {line[:400]}" for line in text.splitlines()[-lines:])
            shown.append(f"{log}:\n{tail}")
    return "\n".join(shown)


class _Spawner:
    """Starts every child from one thread that lives as long as this process.

    The kernel's death signal follows the *thread* that started the child, not the process: a child
    started from a pool thread would be ended when the pool is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._work: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()

    def run(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._owner != os.getpid():
                self._owner = os.getpid()
                threading.Thread(target=self._loop, name="spawner", daemon=True).start()
        done: Future[subprocess.Popen[bytes]] = Future()
        self._work.put((spawn, done))
        return done.result()

    def _loop(self) -> None:
        while True:
            spawn, done = self._work.get()
            try:
                done.set_result(spawn())
            except OSError as error:
                done.set_exception(error)


_spawner = _Spawner()
