"""What every test may ask for: a real Kafka, fresh PostgreSQL databases, a clean environment."""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from deploy.local.errors import ToolMissingError
from tests.servers import Databases, Servers, Shared, shared

FreshDatabase = Callable[[], str]
SHARED = "presence_servers"
"""What a worker is told: the folder where its controller's servers are."""
_SHARED = pytest.StashKey[Shared]()
# Where fetched jars are kept says nothing about Presence's own behaviour.
_KEPT = {"PRESENCE_CACHE_DIR"}

_LONG = ("tests/faults/", "tests/pipeline/", "tests/integration/")

# How long an example takes says how busy the machine is: it is never what a test is about.
hypothesis.settings.register_profile("presence", deadline=None, max_examples=50)
hypothesis.settings.load_profile("presence")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Under pytest-xdist one PostgreSQL serves all workers."""
    if session.config.getoption("numprocesses", None) and not hasattr(
        session.config, "workerinput"
    ):
        started = Shared(Path(tempfile.mkdtemp(prefix="presence-tests-")))
        session.config.stash[_SHARED] = started
        started.start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker where they are."""
    node.workerinput[SHARED] = str(node.config.stash[_SHARED].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The workers have ended."""
    if started := config.stash.get(_SHARED, None):
        started.stop()
        shutil.rmtree(started.folder, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A worker takes a whole file, or all that shares one running system; the longest first."""
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        place = item.nodeid.partition("::")[0]
        group = "pipeline" if place.startswith("tests/pipeline/") else place
        item.add_marker(pytest.mark.xdist_group(group))
    # So that no worker ends alone on a long one; within that the order stays random.
    items.sort(key=lambda item: not item.nodeid.startswith(_LONG))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in os.environ.keys() - _KEPT:
        if name.startswith("PRESENCE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that was printed or logged since it was last asked.

    A service that another test started in this process has sent the logs elsewhere, for good: loggers keep
    what they were configured with at their first use.
    """

    def since() -> str:
        printed = capsys.readouterr()
        everything = printed.out + printed.err + caplog.text
        caplog.clear()
        return everything

    return since


def _missing(tool: ToolMissingError) -> NoReturn:
    """A developer's machine may lack a tool; in CI that is a failure, never a skipped proof."""
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(str(tool), pytrace=False)
    pytest.skip(str(tool))


@pytest.fixture(scope="session")
def start_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Where `kafka` or `postgres` of this run is: the controller's, or started for the first who asks."""
    given: dict[str, str] = getattr(request.config, "workerinput", {})
    servers = Servers(tmp_path_factory.mktemp("servers"))
    starts = {"kafka": servers.start_kafka, "postgres": servers.start_postgres}
    if SHARED in given:
        # Databases have names of their own; the topics and groups of a whole service have not.
        starts["postgres"] = lambda: shared(Path(given[SHARED]), "postgres")
    yield lambda name: starts[name]()
    servers.stop()


@pytest.fixture(scope="session")
def kafka(start_server: Callable[[str], str]) -> str:
    """Bootstrap servers of a real Apache Kafka. Use topics and groups of your own in each test."""
    try:
        return start_server("kafka")
    except ToolMissingError as tool:
        _missing(tool)


@pytest.fixture(scope="session")
def databases(start_server: Callable[[str], str]) -> Databases:
    """One PostgreSQL for the whole run, without fsync."""
    try:
        return Databases(start_server("postgres"))
    except ToolMissingError as tool:
        _missing(tool)


@pytest.fixture
def postgres(databases: Databases, request: pytest.FixtureRequest) -> Iterator[FreshDatabase]:
    """`postgres()` is the URL of a fresh database with all tables, dropped after the test."""
    made: list[str] = []

    def fresh() -> str:
        test = re.sub(r"\W+", "_", request.node.name).lower()[:40]
        made.append(f"{test}_{uuid.uuid4().hex[:12]}")
        return databases.create_database(made[-1], migrated=True)

    yield fresh
    for database in made:
        databases.drop_database(database)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data directory for a stack of the test's own."""
    return tmp_path / "data"
