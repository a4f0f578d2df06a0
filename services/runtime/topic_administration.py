"""Topics as registered: create them, compare them, see how far they were read. Never silently change a
partition count.

Offsets of groups come by kafka-python: librdkafka 2.16 crashes now and then while a client is closed that
asked for a group's coordinator.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from confluent_kafka import KafkaException
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError

from services.contracts.topics import MAX_RECORD_BYTES, PARTITIONS, TOPICS, Keeping, Topic
from services.runtime import kafka_settings
from services.runtime.backlog import Backlog, dated
from services.runtime.errors import Transient, WrongConfiguration
from services.runtime.settings import ServiceSettings

LED_WITHIN = 60.0
"""Seconds in which new topics must have leaders."""


class TopicReason(StrEnum):
    """Why topics could not be made as registered."""

    unavailable = "unavailable"
    no_leader = "no_leader"


@dataclass(frozen=True, slots=True)
class TopicState:
    """How a registered topic stands on the cluster."""

    name: str
    exists: bool
    partitions: int = 0
    wanted_partitions: int = 0
    differs: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """Setting → (on the cluster, as registered)."""

    @property
    def as_registered(self) -> bool:
        """Whether nothing is to be done."""
        return self.exists and not self.differs and self.partitions == self.wanted_partitions


def wanted_settings(topic: Topic) -> dict[str, str]:
    """The topic's settings as Kafka names them."""
    found = {
        "cleanup.policy": topic.keeping.value,
        "max.message.bytes": str(MAX_RECORD_BYTES + 100_000),
        "message.timestamp.type": "CreateTime",
    }
    if topic.keeping is Keeping.delete and topic.retention is not None:
        found["retention.ms"] = str(int(topic.retention.total_seconds() * 1000))
    if topic.keeping is Keeping.compact:
        found["min.cleanable.dirty.ratio"] = "0.1"
    return found | topic.settings


@contextmanager
def connect(settings: ServiceSettings) -> Iterator[Any]:
    """kafka-python's admin client. Raises Transient where Kafka does not answer within 10 s, or refuses."""
    try:
        admin = KafkaAdminClient(
            **kafka_settings.admin_settings(settings), client_id="presence-admin"
        )
    except KafkaError as error:
        raise Transient(TopicReason.unavailable, _no_answer(settings)) from error
    with closing(admin):
        try:
            yield admin
        except KafkaError as error:
            says = f"Kafka at {settings.kafka} says {error}"[:300]
            raise Transient(TopicReason.unavailable, says) from error


def _no_answer(settings: ServiceSettings) -> str:
    return f"Kafka does not answer at {settings.kafka} (PRESENCE_KAFKA)"


def _settings_on_cluster(admin: Any, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    described = admin.describe_configs(resources, config_filter="all") if resources else {}
    for name, settings in _topics_of(described).items():
        found[name] = {key: str(about["value"]) for key, about in settings.items()}
    return found


def _topics_of(described: Any) -> dict[str, Any]:
    # kafka-python groups what it describes by the kind of resource.
    for kind, resources in described.items():
        if str(getattr(kind, "name", kind)).lower().endswith("topic"):
            return dict(resources)
    return {}


def _wait_until_led(admin: Any, names: list[str]) -> None:
    """Until every partition of these topics has a leader; a loaded cluster takes its time."""
    give_up = time.monotonic() + LED_WITHIN
    while True:
        there = {one["name"]: one["partitions"] for one in admin.describe_topics(names)}
        late = [
            name
            for name in names
            if not there.get(name) or any(one["leader_id"] < 0 for one in there[name])
        ]
        if not late:
            return
        if time.monotonic() > give_up:
            raise Transient(
                TopicReason.no_leader,
                f"{', '.join(late)} had no leader after {LED_WITHIN:.0f} s: are all brokers up?",
            )
        time.sleep(0.1)


def status(settings: ServiceSettings, *, partitions: int = PARTITIONS) -> list[TopicState]:
    """Every registered topic beside what is on the cluster."""
    with connect(settings) as admin:
        counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
        there = _settings_on_cluster(admin, [t.name for t in TOPICS if t.name in counts])
    states = []
    for topic in TOPICS:
        if topic.name not in counts:
            states.append(TopicState(topic.name, exists=False, wanted_partitions=partitions))
            continue
        on_cluster = there.get(topic.name, {})
        differs = {
            key: (on_cluster.get(key), value)
            for key, value in wanted_settings(topic).items()
            if on_cluster.get(key) != value
        }
        states.append(TopicState(topic.name, True, counts[topic.name], partitions, differs))
    return states


def apply(
    settings: ServiceSettings,
    *,
    partitions: int = PARTITIONS,
    replication: int = -1,
) -> list[TopicState]:
    """Create what is missing and set what differs; returns what was changed.

    Raises WrongConfiguration where a topic has another number of partitions: changing it would send a
    person's next event to another partition than the last, so drain and recreate the topic instead.
    """
    before = status(settings, partitions=partitions)
    wrong = [s for s in before if s.exists and s.partitions != s.wanted_partitions]
    if wrong:
        listed = ", ".join(f"{s.name} has {s.partitions}" for s in wrong)
        raise WrongConfiguration(
            f"{listed}, not {partitions} partitions: keys would move. Pass --partitions to keep the "
            "count, or drain and delete the topic first"
        )
    changes = [state for state in before if not state.as_registered]
    by_name = {topic.name: topic for topic in TOPICS}
    with connect(settings) as admin:
        new = {
            state.name: {
                "num_partitions": partitions,
                "replication_factor": replication,
                "configs": wanted_settings(by_name[state.name]),
            }
            for state in changes
            if not state.exists
        }
        if new:
            admin.create_topics(new)
            _wait_until_led(admin, sorted(new))
        altered = [
            ConfigResource(
                ConfigResourceType.TOPIC, s.name, {k: new for k, (_, new) in s.differs.items()}
            )
            for s in changes
            if s.exists and s.differs
        ]
        if altered:
            admin.alter_configs(altered)
    return changes


def backlogs(settings: ServiceSettings, groups: Iterable[tuple[str, Topic]]) -> list[Backlog]:
    """Every partition of these topics as their groups have read them; none of a topic that is not there.

    Raises Transient where Kafka does not answer.
    """
    with connect(settings) as admin:
        partitions = {
            one["name"]: [int(part["partition_index"]) for part in one["partitions"]]
            for one in admin.describe_topics()
        }
        found = [
            one
            for group, topic in groups
            if topic.name in partitions
            for one in _offsets(admin, group, topic.name, partitions[topic.name])
        ]
    try:
        return dated(settings, found)
    except KafkaException as error:
        raise Transient(TopicReason.unavailable, _no_answer(settings)) from error


def _offsets(admin: Any, group: str, topic: str, partitions: list[int]) -> Iterator[Backlog]:
    places = [TopicPartition(topic, partition) for partition in sorted(partitions)]
    oldest = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    committed = admin.list_group_offsets({group: places}).get(group, {})
    for place in places:
        at = committed[place].offset if place in committed else -1
        first, end = oldest[place].offset, ends[place].offset
        yield Backlog(group, topic, place.partition, at if at >= 0 else None, first, end)
