"""Checks of what every service stands on: Kafka, its topics, PostgreSQL, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from services.runtime import kafka_settings, topic_administration
from services.runtime.checks import Check, Finding, good, in_thread, unknown, wrong
from services.runtime.settings import ServiceSettings
from services.runtime.topic_administration import TopicState

AREA = "system"
WITHIN = 4.0
"""Seconds for a client's own limit: just below the check's."""
SKEW = timedelta(seconds=5)
"""Clocks further apart than this shift every response time; signatures fail at 5 minutes."""
_SCHEMAS = {"ingest", "alert"}
_DATABASE_SAYS = (
    ("password authentication failed", "PostgreSQL refuses the password"),
    ("no pg_hba.conf entry", "PostgreSQL does not let this machine in (pg_hba.conf)"),
    ("does not exist", "no such database or user"),
    ("connection refused", "nothing listens at that address"),
    ("could not translate host name", "no such host"),
    ("failed to resolve", "no such host"),
    ("timeout", "PostgreSQL does not answer"),
    ("ssl", "PostgreSQL and we do not agree on TLS"),
)
"""What a failed connection is called. libpq's own text may quote the URL, with the password in it."""


def system_checks(kafka: ServiceSettings | None, database_url: SecretStr | None) -> Iterator[Check]:
    """Without settings nothing is asked: that they are missing is said elsewhere."""
    if kafka is not None:
        settings = kafka
        yield Check(AREA, "Kafka", lambda: in_thread(lambda: _kafka(settings)))
        yield Check(AREA, "topics", lambda: in_thread(lambda: _topics(settings)))
    if database_url is not None:
        url = database_url.get_secret_value()
        yield Check(AREA, "PostgreSQL", lambda: _postgres(url))
        yield Check(AREA, "clock", lambda: _clock(url, lambda: datetime.now(UTC)))


def _cluster(settings: ServiceSettings) -> Any:
    client = AdminClient(
        {
            "bootstrap.servers": settings.kafka,
            # Its own complaints come on standard error, beside a table that says it in a line.
            "log_level": 0,
            **kafka_settings.security(settings),
        }
    )
    return client.list_topics(timeout=WITHIN)


def _kafka(settings: ServiceSettings) -> Finding:
    try:
        cluster = _cluster(settings)
    except KafkaException as error:
        says = f"no broker answers at {settings.kafka}: {error.args[0].str()}"
        mend = "is it up, and are PRESENCE_KAFKA and PRESENCE_KAFKA_SECURITY_PROTOCOL right?"
        return wrong(says, mend)
    brokers = len(cluster.brokers)
    return good(f"{settings.kafka}, {brokers} broker{'s' if brokers != 1 else ''}")


def _topics(settings: ServiceSettings) -> Finding:
    try:
        _cluster(settings)
    except KafkaException:
        return unknown("Kafka does not answer")
    return judge_topics(topic_administration.status(settings))


def judge_topics(states: Sequence[TopicState]) -> Finding:
    """The registered topics beside the cluster's."""
    missing = [state.name for state in states if not state.exists]
    if missing:
        return wrong(f"missing: {', '.join(missing)}", "presence topics apply")
    differs = [state.name for state in states if state.differs]
    if differs:
        says = f"settings are not as registered: {', '.join(differs)}"
        return wrong(says, "presence topics status shows them, presence topics apply sets them")
    counts = {state.partitions for state in states}
    if len(counts) > 1:
        listed = ", ".join(f"{state.name} {state.partitions}" for state in states)
        mend = "drain and recreate those that differ: keys would move"
        return wrong(f"numbers of partitions differ: {listed}", mend)
    return good(f"{len(states)} as registered, {counts.pop()} partitions each")


async def _connect(url: str) -> psycopg.AsyncConnection[Any] | Finding:
    mend = "see PRESENCE_DATABASE_URL (postgresql://user:password@host/name)"
    try:
        return await psycopg.AsyncConnection.connect(url, connect_timeout=int(WITHIN))
    except psycopg.ProgrammingError:
        return wrong("the URL cannot be read", mend)
    except psycopg.OperationalError as error:
        told = str(error).lower()
        says = next((says for sign, says in _DATABASE_SAYS if sign in told), "cannot connect")
        return wrong(says, mend)


async def _postgres(url: str) -> Finding:
    connection = await _connect(url)
    if isinstance(connection, Finding):
        return connection
    async with connection:
        cursor = await connection.execute(
            "select current_setting('server_version'),"
            " array(select nspname::text from pg_namespace where nspname = any(%s))",
            [list(_SCHEMAS)],
        )
        row = await cursor.fetchone()
    assert row is not None
    version, schemas = row
    absent = _SCHEMAS - set(schemas)
    if absent:
        says = f"{version}; no schema {' and '.join(sorted(absent))} yet"
        return unknown(says, "each service makes its own when it starts for the first time")
    return good(version)


async def _clock(url: str, now: Callable[[], datetime]) -> Finding:
    connection = await _connect(url)
    if isinstance(connection, Finding):
        return unknown("compared with PostgreSQL's, which does not answer")
    async with connection:
        before = now()
        row = await (await connection.execute("select clock_timestamp()")).fetchone()
        after = now()
    assert row is not None
    return judge_clock(row[0] - (before + (after - before) / 2))


def judge_clock(apart: timedelta) -> Finding:
    """How far PostgreSQL's clock is from ours."""
    seconds = apart.total_seconds()
    if abs(apart) > SKEW:
        which = "behind" if seconds > 0 else "ahead of"
        says = f"this machine is {abs(seconds):.0f} s {which} PostgreSQL's"
        return wrong(says, "run a time service (chrony, systemd-timesyncd) on both machines")
    return good(f"within {max(abs(seconds), 0.1):.1f} s of PostgreSQL's")
