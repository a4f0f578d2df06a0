"""What every test may ask for: a real Kafka, fresh PostgreSQL databases, a clean environment."""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from deploy.local.errors import ToolMissingError
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres

FreshDatabase = Callable[[], str]
# Where fetched jars are kept says nothing about Presence's own behaviour.
_KEPT = {"PRESENCE_CACHE_DIR"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in os.environ.keys() - _KEPT:
        if name.startswith("PRESENCE_"):
            monkeypatch.delenv(name)


def _missing(tool: ToolMissingError) -> NoReturn:
    """A developer's machine may lack a tool; in CI that is a failure, never a skipped proof."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(str(tool), pytrace=False)
    pytest.skip(str(tool))


@pytest.fixture(scope="session")
def local_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One Apache Kafka for the whole run, started by the first test that asks."""
    kafka = LocalKafka(tmp_path_factory.mktemp("kafka"), port=None)
    try:
        kafka.start()
    except ToolMissingError as tool:
        _missing(tool)
    try:
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture(scope="session")
def kafka(local_kafka: LocalKafka) -> str:
    """Bootstrap servers of a real Apache Kafka. Use topics and groups of your own in each test."""
    return local_kafka.bootstrap


@pytest.fixture(scope="session")
def local_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """One PostgreSQL for the whole run, without fsync."""
    postgres = LocalPostgres(tmp_path_factory.mktemp("postgres"), port=None, durable=False)
    try:
        postgres.start()
    except ToolMissingError as tool:
        _missing(tool)
    try:
        yield postgres
    finally:
        postgres.stop()


_databases = itertools.count(1)


@pytest.fixture
def postgres(
    local_postgres: LocalPostgres, request: pytest.FixtureRequest
) -> Iterator[FreshDatabase]:
    """`postgres()` is the URL of a fresh database, dropped after the test."""
    made: list[str] = []

    def fresh() -> str:
        test = re.sub(r"\W+", "_", request.node.name).lower()[:40]
        made.append(f"{test}_{next(_databases)}")
        return local_postgres.create_database(made[-1])

    yield fresh
    for database in made:
        local_postgres.drop_database(database)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory for a stack of the test's own."""
    return tmp_path / "data"
