"""A single-node Apache Kafka (KRaft) as a child process, with durable data."""

import base64
import signal
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import ports
from deploy.local.broker import BrokerIdentity, serves
from deploy.local.errors import StartError
from deploy.local.java import Java, find_java
from deploy.local.kafka_jars import kafka_version, provide_jars, read_list
from deploy.local.processes import OwnProcess, last_lines, wait_until, why_not_ready

DEFAULT_PORT = 9092
_STOP_WITHIN = 20.0  # seconds for a controlled shutdown
_ATTEMPTS = 3  # a port found free may be taken a moment later
_OFFSETS_KEPT_MINUTES = 14 * 24 * 60  # as long as the topics that the offsets point into


class LocalKafka:
    """Starts and stops one broker. Its log directory is formatted once and kept.

    `port` is used where it is free, else a random one; None asks for a random one. Everything
    listens on 127.0.0.1 only. `throughput` lets the JVM optimise fully (for benchmarks): half a
    second more to start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = DEFAULT_PORT,
        heap_mb: int = 384,
        start_timeout: float = 60.0,
        throughput: bool = False,
        java: Java | None = None,
    ) -> None:
        self._home = data_dir.absolute()
        self._preferred_port = port
        self._heap_mb = heap_mb
        self._start_timeout = start_timeout
        self._throughput = throughput
        self._java = java
        self._port = 0
        self._process = OwnProcess("Kafka", self._home / "process.json")
        self._server_log = self._home / "server.log"
        self._output = self._home / "output.log"

    @property
    def bootstrap(self) -> str:
        return f"{ports.LOOPBACK}:{self._port}"

    @property
    def identity(self) -> BrokerIdentity:
        return BrokerIdentity("Apache Kafka", kafka_version(read_list()))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def log_files(self) -> tuple[Path, ...]:
        return (self._server_log, self._output)

    def start(self) -> Self:
        """Returns once metadata and consumer groups are served.

        Raises StackError with the log's last lines.
        """
        java, jars = self._java or find_java(), provide_jars()
        self._home.mkdir(parents=True, exist_ok=True)
        self._write_log4j()
        command = self._java_command(java, jars)
        for attempt in range(1, _ATTEMPTS + 1):
            self._write_properties()
            if not (self._home / "data" / "meta.properties").exists():
                self._format(command)
            self._output.write_bytes(b"")
            try:
                self._process.start(
                    [*command, "kafka.Kafka", str(self._properties)], log=self._output
                )
                if wait_until(self._ready, self._process, timeout=self._start_timeout):
                    return self
            except BaseException:
                self._process.stop(within=2.0)
                raise
            why = why_not_ready(self._process, self._start_timeout)
            self._process.stop(within=2.0)
            if attempt == _ATTEMPTS or not self._port_was_taken():
                break
        raise StartError(f"{why}:\n{last_lines(*self.log_files)}")

    def stop(self) -> None:
        self._process.stop(within=_STOP_WITHIN)

    def kill(self) -> None:
        """As a crash would: kill -9."""
        self._process.stop(within=_STOP_WITHIN, first=signal.SIGKILL)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _properties(self) -> Path:
        return self._home / "server.properties"

    def _ready(self) -> bool:
        return ports.is_listening(self._port) and serves(self.bootstrap, self._cluster_id())

    def _cluster_id(self) -> str:
        properties = (self._home / "data" / "meta.properties").read_text().splitlines()
        return next(line.partition("=")[2] for line in properties if line.startswith("cluster.id="))

    def _port_was_taken(self) -> bool:
        return "Address already in use" in last_lines(*self.log_files, lines=60)

    def _java_command(self, java: Java, jars: Sequence[Path]) -> list[str]:
        command = [
            str(java.executable),
            f"-Xmx{self._heap_mb}m",
            "-Xms64m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}",
        ]
        if not self._throughput:
            command.append("-XX:TieredStopAtLevel=1")
        if java.release >= 24:  # Kafka's own use of what these releases warn about
            command += [
                "--sun-misc-unsafe-memory-access=allow",
                "--enable-native-access=ALL-UNNAMED",
            ]
        return [*command, "-cp", ":".join(str(jar) for jar in jars)]

    def _format(self, command: Sequence[str]) -> None:
        # Kafka's form of an id: base64. With a leading "-" the tool would take it for an option.
        cluster_id = "P" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._properties)]
        told = subprocess.run(
            [*command, *tool],
            capture_output=True,
            text=True,
            check=False,
            timeout=self._start_timeout,
            stdin=subprocess.DEVNULL,
        )
        if told.returncode != 0:
            raise StartError(
                f"Kafka's data directory could not be formatted:\n{told.stdout}{told.stderr}"
            )

    def _write_properties(self) -> None:
        self._port = ports.pick(self._preferred_port)
        controller = ports.pick(None, taken=frozenset({self._port}))
        # The quorum has one voter, named by configuration and not stored: its port may change.
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{ports.LOOPBACK}:{controller}",
            "listeners": f"CLIENT://{ports.LOOPBACK}:{self._port},"
            f"CONTROLLER://{ports.LOOPBACK}:{controller}",
            "advertised.listeners": f"CLIENT://{ports.LOOPBACK}:{self._port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self._home / "data",
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": 0,
            # After kill -9 the controller lets the broker back in only when its old session has
            # ended.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "offsets.retention.minutes": _OFFSETS_KEPT_MINUTES,
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            # Small for a small machine: the defaults reserve for thousands of partitions.
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
            "log.index.size.max.bytes": 1024 * 1024,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))

    def _write_log4j(self) -> None:
        (self._home / "log4j2.properties").write_text(_LOG4J.format(log=self._server_log))


_LOG4J = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %-5p %c{{1}} %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""
