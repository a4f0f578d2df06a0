"""Everything that Presence needs on one machine: a broker, a database, ports, the environment.

with LocalStack(Path("presence-data"), warn=print) as stack:
    with Supervisor(stack.services(), stack.home) as supervisor:
        supervisor.wait()
"""

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import ports
from deploy.local.broker import Broker, BrokerIdentity, identify
from deploy.local.data_dir import DataDir
from deploy.local.errors import StackError
from deploy.local.postgres import LocalPostgres
from deploy.local.stand_in import start_broker
from deploy.local.supervisor import Service

SERVICE_PORTS = {"ingest": 8001, "classify": 8002, "alert": 8003}


@dataclass(frozen=True, slots=True)
class GivenKafka:
    """A Kafka that somebody else runs (PRESENCE_KAFKA)."""

    bootstrap: str
    identity: BrokerIdentity


@dataclass(frozen=True, slots=True)
class GivenPostgres:
    """A PostgreSQL that somebody else runs (PRESENCE_DATABASE_URL)."""

    url: str


class LocalStack:
    """Starts what the environment does not already give, under one data directory.

    `config` is handed to the services as PRESENCE_CONFIG. `identify_kafka` asks a given Kafka what
    it is; pass one of your own where it wants TLS or a password.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        warn: Callable[[str], None],
        environment: Mapping[str, str] = os.environ,
        config: Path | None = None,
        durable: bool = True,
        identify_kafka: Callable[[str], BrokerIdentity] = identify,
    ) -> None:
        self._data_dir = DataDir(data_dir)
        self._warn = warn
        self._given = dict(environment)
        self._config = config
        self._durable = durable
        self._identify_kafka = identify_kafka
        self._ours: list[Broker | LocalPostgres] = []
        self._kafka: Broker | GivenKafka | None = None
        self._postgres: LocalPostgres | GivenPostgres | None = None
        self._ports: dict[str, int] = {}

    @property
    def home(self) -> Path:
        return self._data_dir.path

    @property
    def kafka(self) -> Broker | GivenKafka:
        """`.bootstrap` for clients, `.identity` for reports: what really serves."""
        if self._kafka is None:
            raise StackError("the local stack is not started")
        return self._kafka

    @property
    def postgres(self) -> LocalPostgres | GivenPostgres:
        if self._postgres is None:
            raise StackError("the local stack is not started")
        return self._postgres

    def start(self) -> Self:
        """Broker and database at once; returns when both answer. Raises StackError."""
        self._data_dir.take()
        pool = ThreadPoolExecutor(2)
        try:
            self._ports = self._pick_ports()
            kafka = pool.submit(self._start_kafka)
            postgres = pool.submit(self._start_postgres)
            self._kafka, self._postgres = kafka.result(), postgres.result()
        except BaseException:
            pool.shutdown()  # what is half started gets to where it can be stopped
            self.stop()
            raise
        pool.shutdown()
        return self

    def stop(self) -> None:
        """Stops what `start` started, and only that."""
        while self._ours:
            self._ours.pop().stop()
        self._kafka = self._postgres = None
        self._data_dir.release()

    def port(self, service: str) -> int:
        return self._ports[service]

    def url(self, service: str) -> str:
        return f"http://{ports.LOOPBACK}:{self._ports[service]}"

    def service_environment(self) -> dict[str, str]:
        """What the services read, on top of the environment that was given (tokens and so on)."""
        ours = {
            "PRESENCE_KAFKA": self.kafka.bootstrap,
            "PRESENCE_DATABASE_URL": self.postgres.url,
            "PRESENCE_PUBLIC_URL": self.url("alert"),
            "PRESENCE_LINK_SECRET": self._data_dir.secret("link-secret", secrets.token_urlsafe(32)),
            "PRESENCE_LOG_FORMAT": "console",
            "PYTHONUNBUFFERED": "1",  # a log line is shown when it is written
        }
        fixed = {f"PRESENCE_{name.upper()}_PORT": str(port) for name, port in self._ports.items()}
        if self._config is not None:
            fixed["PRESENCE_CONFIG"] = str(self._config.absolute())
        return ours | self._given | fixed

    def services(self) -> tuple[Service, ...]:
        """The three services as children of this interpreter's `presence` command."""
        environment = self.service_environment()
        return tuple(
            Service(name, (str(Path(sys.executable).with_name("presence")), name), environment)
            for name in SERVICE_PORTS
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_kafka(self) -> Broker | GivenKafka:
        if bootstrap := self._given.get("PRESENCE_KAFKA"):
            return GivenKafka(bootstrap, self._identify_kafka(bootstrap))
        broker = start_broker(self.home, self._warn)
        self._ours.append(broker)
        return broker

    def _start_postgres(self) -> LocalPostgres | GivenPostgres:
        if url := self._given.get("PRESENCE_DATABASE_URL"):
            return GivenPostgres(url)
        postgres = LocalPostgres(self.home / "postgres", durable=self._durable).start()
        self._ours.append(postgres)
        return postgres

    def _pick_ports(self) -> dict[str, int]:
        picked: dict[str, int] = {}
        for name, usual in SERVICE_PORTS.items():
            variable = f"PRESENCE_{name.upper()}_PORT"
            asked = self._given.get(variable)
            port = ports.pick(int(asked) if asked else usual, taken=frozenset(picked.values()))
            if asked and port != int(asked):
                raise StackError(f"port {asked} ({variable}) is taken: name another, or unset it")
            picked[name] = port
        return picked
