"""Write the requirements*.txt lock files from pyproject.toml, or check that they are current.

`uv pip compile --no-header` pins with hashes and records no registry's address, so the files serve
any mirror. See docs/decisions/0004-no-uv-lock.md.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Lock file → the extras it pins.
BUILD: tuple[str, ...] = ()
"""No extras: what [build-system] requires, and nothing of ours (the images build the wheel with it)."""

LOCKS: dict[str, tuple[str, ...]] = {
    "requirements-build.txt": BUILD,
    "requirements-ingest.txt": ("ingest",),
    "requirements-classify.txt": ("classify",),
    "requirements-alert.txt": ("alert",),
    "requirements-cli.txt": ("ingest", "classify", "alert"),
    "requirements-local.txt": ("local", "build"),
    "requirements-dev.txt": ("local", "train", "dev", "build"),
}


def compile_lock(extras: tuple[str, ...], output: Path, constraint: Path | None = None) -> None:
    """Compile one lock; pins already in `output` are kept where they still fit."""
    command = [
        sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--universal",
        "--python-version", "3.11", "--generate-hashes", "--output-file", str(output),
        *(f"--extra={extra}" for extra in extras),
        *(("--constraint", str(constraint)) if constraint else ()),
        "-" if extras == BUILD else "pyproject.toml",
    ]  # fmt: skip
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    subprocess.run(  # noqa: S603
        command,
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        text=True,
        input="\n".join(pyproject["build-system"]["requires"]),
    )


def pins(text: str) -> list[str]:
    """The lines that decide what is installed (not the comments on why)."""
    return [line.strip() for line in text.splitlines() if line.strip() and "#" not in line]


def is_current(name: str, extras: tuple[str, ...]) -> bool:
    """Whether compiling `name` anew, keeping its pins, would change nothing."""
    kept = (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / name
        copy.write_text(kept, encoding="utf-8")
        compile_lock(extras, copy)
        return pins(copy.read_text(encoding="utf-8")) == pins(kept)


def main(arguments: list[str]) -> int:
    """Write every lock, or with `--check` name the stale ones and return 1."""
    if "--check" in arguments:
        stale = [name for name, extras in LOCKS.items() if not is_current(name, extras)]
        for name in stale:
            sys.stderr.write(f"{name} does not match pyproject.toml: run `make lock`\n")
        return 1 if stale else 0
    # One set of versions everywhere: the development lock is solved first and constrains the rest.
    widest = ROOT / "requirements-dev.txt"
    compile_lock(LOCKS[widest.name], widest)
    for name, extras in LOCKS.items():
        if name != widest.name:
            compile_lock(extras, ROOT / name, constraint=widest)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
