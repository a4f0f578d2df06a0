"""Presence whole on this machine: broker, database, topics, the three services, ready to use.

`presence up`, the demo and the tests of the whole flow all run this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from rich.console import Console

from deploy.local.errors import StackError
from deploy.local.stack import SERVICE_PORTS, LocalStack
from deploy.local.supervisor import Service, Supervisor
from services.contracts.topics import PARTITIONS_SMALL
from services.runtime import configuration, topic_administration
from services.runtime.settings import ServiceSettings, load


class LocalSystem:
    """Starts in the order that each part needs, stops in the reverse; also after a failed start.

    `companions` are further child processes (the demo's chat), started before the services.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        config: Path,
        environment: Mapping[str, str],
        console: Console,
        companions: Callable[[LocalStack], Sequence[Service]] = lambda _stack: (),
        durable: bool = True,
    ) -> None:
        self.console = console
        self._config = config
        self._companions = companions
        self.stack = LocalStack(
            data_dir,
            warn=lambda line: console.print(line, style="yellow"),
            environment=environment,
            config=config,
            durable=durable,
        )
        self._supervisor: Supervisor | None = None

    @property
    def supervisor(self) -> Supervisor:
        """The child processes."""
        if self._supervisor is None:
            raise StackError("the local system is not started")
        return self._supervisor

    def start(self) -> Self:
        """Raises StackError or WrongConfiguration; returns when everything was started (not ready)."""
        configuration.load(self._config)  # a mistake is told before anything is started
        self.console.print("starting Kafka and PostgreSQL …", style="dim")
        began = time.monotonic()
        self.stack.start()
        try:
            identity, seconds = self.stack.kafka.identity, time.monotonic() - began
            self.console.print(f"{identity} and PostgreSQL are up ({seconds:.1f} s)", style="dim")
            settings = load(ServiceSettings, kafka=self.stack.kafka.bootstrap)
            topic_administration.apply(settings, partitions=PARTITIONS_SMALL)
            children = (*self._companions(self.stack), *self.stack.services())
            self._supervisor = Supervisor(children, self.stack.home, console=self.console).start()
        except BaseException:
            self.stop()
            raise
        return self

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Until all three services are ready. Raises StackError with what was still wrong."""
        give_up = time.monotonic() + timeout
        waiting = list(SERVICE_PORTS)
        says = "no answer yet"
        while waiting:
            try:
                answer = httpx.get(f"{self.stack.url(waiting[0])}/health/ready", timeout=3.0)
                says = answer.text
                if answer.status_code == 200:
                    waiting.pop(0)
                    continue
            except httpx.TransportError as error:
                says = str(error)
            if time.monotonic() > give_up:
                raise StackError(f"{waiting[0]} was not ready within {timeout:.0f} s: {says}")
            # Ends the wait where a service has a wrong setting.
            self.supervisor.wait(0.1)

    def stop(self) -> None:
        """Children first, then the broker and the database."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        self.stack.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
