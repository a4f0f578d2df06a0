"""A system's own payload as Presence's simple form, by the JMESPath expressions of presence.yaml.

What a mapping does not find is told by its name and expression: the person who wrote the mapping reads
the 422 and the dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jmespath

from services.contracts.configuration import WebhookMapping
from services.contracts.events import Action
from services.ingest.domain.outcome import Ignored, IgnoreReason, Rejected, RejectReason
from services.ingest.domain.text import from_html

HEADERS = "_headers"
"""Where a request's headers are for an expression: some systems say only there what happened."""
_NOT_OF_THE_ITEM = frozenset({"when", "html"})
_MAY_RAISE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
"""Of an expression on a hostile payload; the library's own errors are ValueErrors."""


class MappedForm:
    """The expressions of one account, compiled once."""

    def __init__(self, mapping: WebhookMapping) -> None:
        self._written = mapping.expressions()
        self._compiled = {
            name: jmespath.compile(expression) for name, expression in self._written.items()
        }

    def simple(
        self, payload: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any] | Ignored | Rejected:
        """The fields of a SimpleItem. Never raises."""
        seen = {**payload, HEADERS: dict(headers)}
        found: dict[str, Any] = {}
        for name, expression in self._compiled.items():
            try:
                value = expression.search(seen)
            except _MAY_RAISE as error:
                says = f"{name}: `{self._written[name]}` fails here: {type(error).__name__}"
                return Rejected(RejectReason.malformed, says[:300])
            if name == "when" and not _is_true(value):
                return Ignored(IgnoreReason.not_mapped, "when")
            if value is not None:
                found[name] = value
        return self._unknown_action(found) or self._missing(found) or _simple(found)

    def _unknown_action(self, found: Mapping[str, Any]) -> Rejected | None:
        if found.get("action", Action.created) in list(Action):
            return None
        says = f"action: `{self._written['action']}` is none of created, edited, deleted here"
        return Rejected(RejectReason.unsupported, says[:300])

    def _missing(self, found: Mapping[str, Any]) -> Rejected | None:
        deleted = found.get("action") == Action.deleted
        needed = ["id", "kind"] if deleted else ["id", "kind", "author.id"]
        for name in needed:
            if name not in found or found[name] == "":
                return self._nothing_at(name)
        if deleted or "text" in found or isinstance(found.get("html"), str):
            return None
        return self._nothing_at("text" if "text" in self._written else "html")

    def _nothing_at(self, name: str) -> Rejected:
        says = f"{name}: the mapping finds nothing at `{self._written[name]}`"
        return Rejected(RejectReason.malformed, says[:300])


def _simple(found: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names become objects; a lone link a list; HTML text."""
    made: dict[str, Any] = {}
    for name, value in found.items():
        whole, dot, part = name.partition(".")
        if dot:
            made.setdefault(whole, {})[part] = value
        elif name not in _NOT_OF_THE_ITEM:
            made[name] = value
    if isinstance(made.get("links"), str):
        made["links"] = [made["links"]]
    if isinstance(found.get("html"), str):
        text, links = from_html(found["html"])
        made.setdefault("text", text)
        made.setdefault("links", links)
    return made


def _is_true(value: Any) -> bool:
    """As JMESPath counts it: 0 is true, empty strings, lists and objects are false."""
    return value is not None and value is not False and value not in ("", [], {})
