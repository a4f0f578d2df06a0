"""What the stack and the tests know of a local broker, whichever it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient

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


def answers_metadata(bootstrap: str, *, timeout: float = 5.0) -> bool:
    """True when a real metadata request lists at least one broker."""
    # A broker that is just starting refuses connections: expected here, no news for the log.
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(client.list_topics(timeout=timeout).brokers)
    except KafkaException:
        return False


def serves_groups(bootstrap: str, *, timeout: float = 5.0) -> bool:
    """True when the group coordinator answers.

    Without this the first consumer meets a coordinator that still loads, and waits three seconds
    before it asks again.
    """
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    asked = [ConsumerGroupTopicPartitions("presence.is-ready")]
    (answer,) = client.list_consumer_group_offsets(asked, request_timeout=timeout).values()
    try:
        answer.result()
    except KafkaException:
        return False
    return True


def identify(bootstrap: str) -> BrokerIdentity:
    """What can truthfully be said of somebody else's broker: the protocol tells no product.

    For a broker without TLS and passwords. Apache Kafka in KRaft mode reports a feature
    `metadata.version`; its level is the version told.
    """
    if not answers_metadata(bootstrap, timeout=10.0):
        raise StackError(f"no Kafka answers at {bootstrap}: is PRESENCE_KAFKA right?")
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        features = admin.describe_features()
    finally:
        admin.close()
    _oldest, newest = features.get("metadata.version", {}).get("supported", (None, "unknown"))
    return BrokerIdentity("Kafka given by PRESENCE_KAFKA", f"metadata.version {newest}")
