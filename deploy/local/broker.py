"""What the stack and the tests know of a local broker, whichever it is."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from deploy.local.errors import StackError


@dataclass(frozen=True, slots=True)
class BrokerIdentity:
    """What really serves: never the name of another product."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Broker(Protocol):
    """A broker process of ours."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def identity(self) -> BrokerIdentity: ...
    @property
    def pid(self) -> int: ...
    @property
    def running(self) -> bool: ...
    @property
    def log_files(self) -> tuple[Path, ...]: ...
    def start(self) -> Self: ...
    def stop(self) -> None: ...


def answers_metadata(bootstrap: str) -> bool:
    """True when a real metadata request is answered."""
    try:
        with _admin(bootstrap) as admin:
            admin.list_topics()
    except KafkaError:
        return False
    return True


def serves(bootstrap: str, cluster_id: str) -> bool:
    """True when this very cluster (not another that took the port first) serves topics and groups.

    Without asking for a group, the first consumer of all would meet a coordinator that still loads,
    and wait three seconds before it asks again.
    """
    try:
        with _admin(bootstrap) as admin:
            cluster = admin.describe_cluster()
            if cluster["cluster_id"] != cluster_id or not cluster["brokers"]:
                return False
            admin.list_group_offsets("presence.is-ready")
    except KafkaError:
        return False
    return True


def identify(bootstrap: str) -> BrokerIdentity:
    """What can truthfully be said of somebody else's broker: the protocol tells no product.

    For a broker without TLS and passwords. Apache Kafka in KRaft mode reports a feature
    `metadata.version`; its level is the version told.
    """
    try:
        with _admin(bootstrap) as admin:
            features = admin.describe_features()
    except KafkaError as error:
        raise StackError(f"no Kafka answers at {bootstrap}: is PRESENCE_KAFKA right?") from error
    _oldest, newest = features.get("metadata.version", {}).get("supported", (None, "unknown"))
    return BrokerIdentity("Kafka given by PRESENCE_KAFKA", f"metadata.version {newest}")


@contextlib.contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    # Not confluent's: its admin client, made and dropped while a broker starts, ended the process
    # with a segmentation fault now and then.
    admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        yield admin
    finally:
        admin.close()
