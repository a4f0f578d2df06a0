"""Two ways to fetch jars by their coordinates: an installed Maven, and jgo from PyPI."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import escape

_TIMEOUT = 600.0  # seconds without which a fetch counts as failed
_DOWNLOADED = re.compile(r"Downloaded from .*/([^/ ]+\.jar)")


class FetchError(Exception):
    """This fetcher cannot; the next one may."""


class Coordinate(Protocol):
    """What a fetcher has to know of a jar."""

    @property
    def group(self) -> str: ...
    @property
    def artifact(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def file_name(self) -> str: ...


def fetch_with_maven(
    jars: Sequence[Coordinate], into: Path, fetched: Callable[[str], None]
) -> None:
    """All jars by one run of `mvn` on a generated project, none of what they depend on."""
    maven = shutil.which("mvn")
    if maven is None:
        raise FetchError("no mvn installed")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pom.xml").write_text(_project(jars))
        command = [maven, "-B", "dependency:copy-dependencies", f"-DoutputDirectory={into}"]
        try:
            run = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except OSError as error:
            raise FetchError(str(error)) from error
        told = ""
        with run:
            assert run.stdout is not None
            for line in run.stdout:
                if line.startswith("[ERROR]"):
                    told = told or line.removeprefix("[ERROR]").strip()
                elif match := _DOWNLOADED.search(line):
                    names = {jar.file_name for jar in jars}
                    if match[1] in names:
                        fetched(match[1])
    if run.returncode != 0:
        raise FetchError(told or f"mvn ended with {run.returncode}")
    for jar in jars:
        fetched(jar.file_name)


def fetch_with_jgo(
    jars: Sequence[Coordinate],
    into: Path,
    fetched: Callable[[str], None],
    *,
    repositories: dict[str, str] | None = None,
) -> None:
    """Each jar by jgo's resolver in pure Python: no Maven and no Java needed.

    `repositories` are name and URL; None leaves the choice to jgo.
    """
    try:
        from jgo.maven import MavenContext  # an extra; slow to import
    except ImportError as error:
        raise FetchError("jgo is not installed") from error

    def fetch(jar: Coordinate) -> None:
        with tempfile.TemporaryDirectory(dir=into) as repository:
            context = MavenContext(
                repo_cache=Path(repository), remote_repos=repositories, timeout=60
            )
            component = context.project(jar.group, jar.artifact).at_version(jar.version)
            Path(component.artifact().resolve()).replace(into / jar.file_name)
        fetched(jar.file_name)

    def fetch_patiently(jar: Coordinate) -> None:
        try:
            fetch(jar)
        except (OSError, RuntimeError):  # requests' errors are OSErrors; jgo raises RuntimeError
            fetch(jar)

    with ThreadPoolExecutor(max_workers=4) as pool:
        tasks = [(jar, pool.submit(fetch_patiently, jar)) for jar in jars]
        for jar, task in tasks:
            try:
                task.result(_TIMEOUT)
            except (OSError, RuntimeError, TimeoutError) as error:
                pool.shutdown(wait=False, cancel_futures=True)
                why = " ".join(str(error).split())[:300]
                raise FetchError(f"{jar.file_name}: {why}") from error


def _project(jars: Sequence[Coordinate]) -> str:
    everything = "<exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
    dependencies = "".join(
        f"<dependency><groupId>{escape(jar.group)}</groupId>"
        f"<artifactId>{escape(jar.artifact)}</artifactId>"
        f"<version>{escape(jar.version)}</version><exclusions>{everything}</exclusions></dependency>"
        for jar in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>presence</groupId>"
        "<artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
