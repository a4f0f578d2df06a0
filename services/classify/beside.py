"""A digest of what a verdict depends on beside the model: the files that ship with this version.

Two replicas that name the same model in their verdicts say the same of a text; so a word list that was
mended is another model, though its weights are the same. What presence.yaml adds is versioned there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from services.classify.languages import TABLE
from services.classify.need_weights import FILE as NEED

READ: Final = ("words", "signs", NEED, TABLE)
"""Folders and files of this package."""


@cache
def shipped() -> str:
    """The digest of what stands in this package."""
    return digest(files("services.classify"))


def digest(folder: Traversable) -> str:
    """SHA-256 of the names and contents of `READ` in a folder."""
    found = hashlib.sha256()
    for name in READ:
        for path, file in _files(name, folder / name):
            content = file.read_bytes()
            found.update(f"{path} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


def _files(path: str, at: Traversable) -> Iterator[tuple[str, Traversable]]:
    if at.is_file():
        yield path, at
        return
    for inner in sorted(at.iterdir(), key=lambda one: one.name):
        if inner.is_dir() or inner.name.endswith(".yaml"):
            yield from _files(f"{path}/{inner.name}", inner)
