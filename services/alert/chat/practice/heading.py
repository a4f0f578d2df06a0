"""What stands above everything that a practice shows, and how its buttons are told from real ones.

A practice's buttons and forms carry another name than real ones (`practice:claim`), given on the way out and
taken off on the way in. A handler of the real world does not know the name and does nothing; one of the
practice never sees a real press.
"""

from __future__ import annotations

from typing import Any

from services.alert.chat.text import clip

WORD = "PRACTICE"
HEADING = f"🎓 {WORD}"
NOTE = "Training: nothing is posted to anybody, nobody is paged, nothing counts."
FIRST_LINE = 90
"""Characters of a lock screen's line."""

_REAL, _OURS = "presence", "practice"
_NAMED = ("action_id", "callback_id")


def headed(line: str, limit: int = FIRST_LINE) -> str:
    """A first line that says what it is."""
    return clip(f"{WORD} · {line}", limit)


def marked(value: Any) -> Any:
    """A Slack message or view with the practice's names on its buttons and forms."""
    return _renamed(value, _REAL, _OURS)


def unmarked(value: Any) -> Any:
    """What Slack sent back, with the names that the handlers know."""
    return _renamed(value, _OURS, _REAL)


def is_marked(payload: dict[str, Any]) -> bool:
    """Whether a Slack payload is about something of a practice."""
    view, actions = payload.get("view"), payload.get("actions")
    names = [view.get("callback_id")] if isinstance(view, dict) else []
    if isinstance(actions, list):
        names += [one.get("action_id") for one in actions if isinstance(one, dict)]
    return any(_is(name, _OURS) for name in names)


def _renamed(value: Any, before: str, after: str) -> Any:
    if isinstance(value, list):
        return [_renamed(one, before, after) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, one in value.items():
        if key in _NAMED and _is(one, before):
            one = after + one.removeprefix(before)
        # A form's values come back under the names of its inputs.
        name = after + key.removeprefix(before) if _is(key, before) else key
        found[name] = _renamed(one, before, after)
    return found


def _is(name: Any, whose: str) -> bool:
    return isinstance(name, str) and name.startswith((f"{whose}:", f"{whose}_"))
