"""Reads the word lists that ship with the service.

services/classify/words/<language>.yaml holds the cues, words/sensitive/<language>.yaml the flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import yaml
from pydantic import BaseModel, ConfigDict

from services.classify.domain.cues import Cue, Meaning
from services.classify.domain.lexicon import Lexicon, WordList
from services.contracts.events import Sensitive

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Cues(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    spaced: bool = True
    cues: dict[Cue, tuple[str, ...]]
    idioms: dict[Cue, tuple[str, ...]] = {}
    """Each takes one hit back: "thanks for your help" asks for none."""


class _Flags(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    spaced: bool = True
    sensitive: dict[Sensitive, tuple[str, ...]]
    idioms: dict[Sensitive, tuple[str, ...]] = {}


def _cues(content: object) -> WordList:
    file = _Cues.model_validate(content)
    found: dict[Meaning, Sequence[str]] = {cue: words for cue, words in file.cues.items()}  # noqa: C416 - widens the keys
    idioms: dict[Meaning, Sequence[str]] = {cue: words for cue, words in file.idioms.items()}  # noqa: C416 - widens the keys
    return WordList(file.language, file.spaced, found, idioms)


def _flags(content: object) -> WordList:
    file = _Flags.model_validate(content)
    found: dict[Meaning, Sequence[str]] = {flag: words for flag, words in file.sensitive.items()}  # noqa: C416 - widens the keys
    idioms: dict[Meaning, Sequence[str]] = {flag: words for flag, words in file.idioms.items()}  # noqa: C416 - widens the keys
    return WordList(file.language, file.spaced, found, idioms)


def _files(folder: Traversable) -> Iterator[object]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            yield yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader


@cache
def built_in() -> Lexicon:
    """The word lists of every language, compiled once per process."""
    words = files("services.classify") / "words"
    return Lexicon(
        [
            *(_cues(content) for content in _files(words)),
            *(_flags(content) for content in _files(words / "sensitive")),
        ]
    )
