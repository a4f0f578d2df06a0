"""The jars of Apache Kafka: a checked-in list of coordinates and hashes, fetched once per user.

Nothing here names a registry. An installed Maven fetches (it knows the mirrors of its machine);
where there is none, or it fails, jgo does, a resolver in pure Python. Whoever fetched: the hash
decides.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.errors import HashMismatchError, StackError, ToolMissingError
from deploy.local.jar_fetchers import FetchError, fetch_with_jgo, fetch_with_maven

LIST = Path(__file__).with_name("kafka-jars.txt")
BROKER = "org.apache.kafka:kafka_2.13"


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the list."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


Fetch = Callable[[Sequence[Jar], Path, Callable[[str], None]], None]
FETCHERS: tuple[tuple[str, Fetch], ...] = (("Maven", fetch_with_maven), ("jgo", fetch_with_jgo))


def read_list(path: Path = LIST) -> tuple[Jar, ...]:
    jars = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def kafka_version(jars: Sequence[Jar]) -> str:
    return next(jar.version for jar in jars if f"{jar.group}:{jar.artifact}" == BROKER)


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """PRESENCE_CACHE_DIR, else the user's cache directory by the XDG rules."""
    if own := environment.get("PRESENCE_CACHE_DIR"):
        return Path(own)
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence"


def provide_jars(
    jars: Sequence[Jar] | None = None,
    *,
    cache: Path | None = None,
    fetchers: Sequence[tuple[str, Fetch]] = FETCHERS,
) -> tuple[Path, ...]:
    """Paths of all jars, every one verified; fetched first where the cache has no complete set.

    Safe with several processes at once: one fetches, the others wait. A set appears in the cache by
    one rename, so a crash leaves no half of it. Raises HashMismatchError, or ToolMissingError where
    no fetcher can.
    """
    jars = read_list() if jars is None else jars
    cache = cache_dir() if cache is None else cache
    name = hashlib.sha256("".join(sorted(jar.sha256 for jar in jars)).encode()).hexdigest()[:12]
    home = cache / "kafka" / f"{kafka_version(jars)}-{name}"
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _locked(home.parent / "lock"):
            if home.exists() and (damage := _damaged(jars, home)):
                Console(stderr=True).print(
                    f"Kafka's cached {damage} is damaged: fetching the jars again"
                )
                shutil.rmtree(home)
            if not home.exists():
                _fetch(jars, home, fetchers)
    except OSError as error:
        raise StackError(
            f"Kafka's jars cannot be kept in {home.parent} ({error}): set PRESENCE_CACHE_DIR"
        ) from error
    return tuple(home / jar.file_name for jar in jars)


def _fetch(jars: Sequence[Jar], home: Path, fetchers: Sequence[tuple[str, Fetch]]) -> None:
    failures = []
    for leftover in home.parent.glob(".fetching-*"):  # of a crash: we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    for fetcher_name, fetch in fetchers:
        staging = Path(tempfile.mkdtemp(prefix=".fetching-", dir=home.parent))
        try:
            with _progress(len(jars), kafka_version(jars)) as advance:
                fetch(jars, staging, advance)
            if damage := _damaged(jars, staging):
                raise HashMismatchError(
                    f"{damage} as fetched by {fetcher_name} has not the hash in {LIST.name}: "
                    "refused (is a mirror or a proxy changing files?)"
                )
            staging.rename(home)
        except FetchError as failure:
            failures.append(f"{fetcher_name}: {failure}")
        else:
            return
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise ToolMissingError(
        f"the jars of Apache Kafka cannot be fetched ({'; '.join(failures)}): "
        "check the network, or set PRESENCE_KAFKA to a Kafka of yours"
    )


def _damaged(jars: Sequence[Jar], folder: Path) -> str | None:
    """The first jar that is missing or has another hash."""
    for jar in jars:
        path = folder / jar.file_name
        if not path.is_file():
            return jar.file_name
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != jar.sha256:
                return jar.file_name
    return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _progress(total: int, version: str) -> Iterator[Callable[[str], None]]:
    columns = (
        TextColumn(f"Fetching Apache Kafka {version}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("jars"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("jars", total=total)
        seen: set[str] = set()

        def advance(file_name: str) -> None:
            seen.add(file_name)
            progress.update(task, completed=len(seen))

        yield advance
