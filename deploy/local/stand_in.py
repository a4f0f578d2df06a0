"""The small broker that stands in where the jars of Apache Kafka cannot be had. Never a proof.

`noida-db` speaks Kafka's protocol and keeps its data, but is another program: what it does not keep
is said in WARNING, and every report names it by its own name.
"""

import signal
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from deploy.local import ports
from deploy.local.broker import Broker, BrokerIdentity, answers_metadata
from deploy.local.errors import StartError, ToolMissingError
from deploy.local.kafka import DEFAULT_PORT, LocalKafka
from deploy.local.processes import OwnProcess, last_lines, wait_until, why_not_ready

WARNING = (
    "noida-db stands in for Apache Kafka. It is for a look, not for work: when it is killed, about "
    "the last second of acknowledged messages is lost; a consumer that dies is never removed from "
    "its group, so its partitions stay unread; rebalances can stall commits."
)
_START_TIMEOUT = 20.0
_STOP_WITHIN = 10.0


class StandInBroker:
    """`noida-db` with only its Kafka side switched on."""

    def __init__(self, data_dir: Path, *, port: int | None = DEFAULT_PORT) -> None:
        self._home = data_dir.absolute()
        self._preferred_port = port
        self._port = 0
        self._process = OwnProcess("noida-db", self._home / "process.json")
        self._log = self._home / "output.log"

    @property
    def bootstrap(self) -> str:
        return f"{ports.LOOPBACK}:{self._port}"

    @property
    def identity(self) -> BrokerIdentity:
        return BrokerIdentity("noida-db", version("noida-db"))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def log_files(self) -> tuple[Path, ...]:
        return (self._log,)

    def start(self) -> Self:
        program = _find_program()
        self._home.mkdir(parents=True, exist_ok=True)
        self._port = ports.pick(self._preferred_port)
        self._log.write_bytes(b"")
        command = [str(program), "start", "--only", "kafka", "--kafka-port", str(self._port)]
        self._process.start([*command, "--data-dir", str(self._home / "data")], log=self._log)
        if not wait_until(self._ready, self._process, timeout=_START_TIMEOUT):
            why = why_not_ready(self._process, _START_TIMEOUT)
            self._process.stop(within=2.0)
            raise StartError(f"{why}:\n{last_lines(self._log)}")
        return self

    def _ready(self) -> bool:
        return ports.is_listening(self._port) and answers_metadata(self.bootstrap)

    def stop(self) -> None:
        self._process.stop(within=_STOP_WITHIN, first=signal.SIGINT)


def _start_kafka(home: Path, port: int | None) -> Broker:
    return LocalKafka(home, port=port).start()


def start_broker(
    data_dir: Path,
    warn: Callable[[str], None],
    *,
    port: int | None = DEFAULT_PORT,
    start_kafka: Callable[[Path, int | None], Broker] = _start_kafka,
) -> Broker:
    """Apache Kafka; the stand-in, with a warning, only where Kafka's jars or a Java are not to be
    had.

    Each keeps its data in a folder of its own: neither ever reads the other's.
    """
    try:
        return start_kafka(data_dir / "kafka", port)
    except ToolMissingError as missing:
        stand_in = StandInBroker(data_dir / "stand-in", port=port).start()
        warn(f"{WARNING} Why: {missing}")
        return stand_in


def _find_program() -> Path:
    wheel = find_spec("noida_db")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        if (program := Path(folder, "noida-db")).exists():
            return program
    raise ToolMissingError("neither Apache Kafka nor noida-db can run here: set PRESENCE_KAFKA")
