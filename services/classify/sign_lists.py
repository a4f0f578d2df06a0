"""Reads the lists of spam signs: those that ship, or a folder of the team's own, and presence.yaml's."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from services.classify.domain.signs import SpamSigns
from services.contracts.configuration import Configuration
from services.runtime.errors import WrongConfiguration

LISTS: Final = ("shorteners", "abused_endings", "open_hosts", "lures")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """Where the entries come from; a list without a source is refused."""
    entries: tuple[str, ...]


def _read(folder: Traversable, name: str) -> frozenset[str] | None:
    file = folder / f"{name}.yaml"
    if not file.is_file():
        return None
    content = _File.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    return _plain(content.entries)


def _plain(entries: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        entry.casefold().strip().lstrip("@.").removeprefix("www.") for entry in entries
    )


def shipped_signs() -> SpamSigns:
    """The lists that ship, for measuring and explaining without a presence.yaml."""
    shipped = files("services.classify") / "signs"
    shorteners, endings, hosts, lures = (_read(shipped, name) or frozenset() for name in LISTS)
    return SpamSigns(shorteners, endings, hosts, lures)


def spam_signs(configuration: Configuration) -> SpamSigns:
    """The lists in use. Raises WrongConfiguration where a file of the team's own is no list."""
    chosen = configuration.classify.signs
    shipped = files("services.classify") / "signs"
    found: dict[str, frozenset[str]] = {}
    for name in LISTS:
        own = None
        if chosen.lists is not None:
            try:
                own = _read(Path(chosen.lists), name)
            except (OSError, ValidationError, yaml.YAMLError) as error:
                first = str(error).splitlines()[0]
                raise WrongConfiguration(
                    f"classify.signs.lists: {chosen.lists}/{name}.yaml is no list: {first}"
                ) from error
        found[name] = own if own is not None else _read(shipped, name) or frozenset()
    domains = [domain for brand in configuration.brands for domain in brand.domains]
    return SpamSigns(
        shorteners=found["shorteners"],
        abused_endings=found["abused_endings"],
        open_hosts=found["open_hosts"],
        lures=found["lures"],
        brand_domains=tuple(sorted(_plain(tuple(domains)))),
        blocked_domains=_plain(chosen.blocked_domains),
        blocked_handles=_plain(chosen.blocked_handles),
        trusted_domains=_plain(chosen.trusted_domains),
    )
