"""Reads the word lists that ship with the service: services/classify/words/<language>.yaml."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict

from services.classify.domain.lexicon import Cue, Lexicon, Meaning, WordList
from services.contracts.events import Sensitive

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    spaced: bool = True
    cues: dict[Cue, tuple[str, ...]]
    sensitive: dict[Sensitive, tuple[str, ...]]


def _read(content: str) -> WordList:
    file = _File.model_validate(yaml.load(content, Loader=_LOADER))  # noqa: S506 - a safe loader
    listed: list[tuple[Meaning, tuple[str, ...]]] = [*file.cues.items(), *file.sensitive.items()]
    return WordList(file.language, file.spaced, dict(listed))


@cache
def built_in() -> Lexicon:
    """The word lists of every language, compiled once per process."""
    folder = files("services.classify") / "words"
    return Lexicon(
        _read(file.read_text(encoding="utf-8"))
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".yaml")
    )
