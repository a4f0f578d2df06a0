"""Load presence.yaml and say the line of every mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from services.contracts.configuration import Configuration, Problem, Where, problems
from services.runtime.errors import WrongConfiguration

_SAYS = {
    "extra_forbidden": "unknown key",
    "missing": "missing",
}


Check = Callable[[Configuration], Iterable[Problem]]
"""Finds mistakes in a configuration whose form is good."""


@dataclass(frozen=True, slots=True)
class LoadedConfiguration:
    """An accepted file."""

    configuration: Configuration
    text: str
    sha256: str
    """Of the file's bytes: two replicas with the same hash run the same version."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key which occurs twice instead of dropping the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            line = key.start_mark.line + 1
            raise WrongConfiguration(f"line {line}: {key.value} is there twice")
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _locate(node: yaml.Node | None, where: Where) -> tuple[int, Where]:
    """The line (from 1) of the deepest part of `where` that the file has, and the path as written.

    pydantic puts the tag of a union into its path (`accounts, 0, x, settings`): nobody wrote that.
    """
    line = node.start_mark.line + 1 if node else 1
    written: list[str | int] = []
    for place, part in enumerate(where):
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                if place == len(where) - 1:
                    written.append(part)
                continue
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line + 1
        written.append(part)
    return line, tuple(written)


def _shown(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _mistakes(error: ValidationError) -> list[tuple[Where, str]]:
    found = error.errors(include_url=False)
    inside = {one["loc"][0] for one in found if len(one["loc"]) > 1}
    return [
        (one["loc"], _SAYS.get(one["type"], one["msg"].removeprefix("Value error, ")))
        for one in found
        # A list whose every element is wrong is also "too short": the elements say enough.
        if not (one["type"] == "too_short" and one["loc"][0] in inside)
    ]


def parse(text: str, name: str = "presence.yaml", checks: Sequence[Check] = ()) -> Configuration:
    """A Configuration from the file's text.

    `checks`: what a service asks of it beyond its form. Raises WrongConfiguration with every mistake,
    a line each: `presence.yaml:12: routes[0].policy: …`.
    """
    try:
        loader = _Loader(text)
        try:
            tree = loader.get_single_node()
            raw = loader.construct_document(tree) if tree else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WrongConfiguration(f"{name}:{line}: {error.problem or 'no YAML'}") from error
    except WrongConfiguration as error:
        raise WrongConfiguration(f"{name}: {error}") from None
    try:
        file = Configuration.model_validate(raw)
    except ValidationError as error:
        mistakes = _mistakes(error)
    else:
        found = problems(file) or [one for check in checks for one in check(file)]
        mistakes = [(problem.where, problem.says) for problem in found]
        if not mistakes:
            return file
    lines = sorted(
        ((*_locate(tree, where), says) for where, says in mistakes), key=lambda one: one[0]
    )
    raise WrongConfiguration(
        "\n".join(f"{name}:{line}: {_shown(where)}: {says}" for line, where, says in lines)
    )


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, as LoadedConfiguration has it; raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(path: Path, checks: Sequence[Check] = ()) -> LoadedConfiguration:
    """Read and check the file at `path`; raises WrongConfiguration."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise WrongConfiguration(
            f"cannot read {path}: {error.strerror} (PRESENCE_CONFIG names the file; "
            "start from presence.example.yaml)"
        ) from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongConfiguration(f"{path} is not UTF-8") from error
    return LoadedConfiguration(
        parse(text, path.name, checks), text, hashlib.sha256(raw).hexdigest()
    )
