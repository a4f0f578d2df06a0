"""The story as it is written: scenes of lines in YAML, read into frozen lines with their seconds.

A line is `LANGUAGE HANDLE (NAME): TEXT` or `LANGUAGE brand: TEXT`. In its long form it is a mapping with
`line` and any of

- `key`: a name by which other lines speak of it;
- `re`: the key of what it answers;
- `at`: seconds since the story's start, where it is not simply next in its scene;
- `late`: seconds by which its delivery is behind its time (out-of-order delivery);
- `app: autoreply`: written by a machine;
- `with`: more for one platform (stars of a review, the headline and address of an article).

Other mappings act on an earlier line: `again` (delivered once more, byte for byte), `edit` with `text`,
`delete`, `like` and `repost` with `by`, `follow` with `by`, and `trouble` (what no platform should send).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.local.demo.cast import Person, brand

STORY = Path(__file__).parent / "story"
_LINE = re.compile(
    r"(?P<lang>[a-z]{2,3}) (?P<who>\S+)(?: \((?P<name>[^)]+)\))?: (?P<text>.+)", re.DOTALL
)
_ACTS = ("again", "edit", "delete", "like", "repost", "follow", "trouble")


class StoryError(ValueError):
    """A line that cannot be read, or that speaks of a line that is not there."""


@dataclass(frozen=True)
class Line:
    """One thing that happens, in the words of the one who wrote it."""

    key: str
    scene: str
    shows: str
    platform: str
    """x, facebook, instagram, mastodon, shop, helpdesk or newswire."""
    form: str
    """What it is there: mention, reply, direct, comment, post, review, article …"""
    act: str
    """say, or one of the acts on an earlier line."""
    at: float
    """Seconds since the story's start: the time that the platform gives it."""
    delivered: float
    """Seconds since the story's start: when it is sent to us."""
    who: Person
    text: str = ""
    language: str = "und"
    re: str | None = None
    """The key of what it answers or acts on."""
    app: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    batch: str | None = None
    """Lines of one batch travel in one request."""


def _person(platform: str, who: str, name: str | None, sort: str) -> Person:
    if who == "brand":
        return brand(platform)
    if not name:
        raise StoryError(f"{who} has no name: write `en {who} (Their Name): …`")
    return Person(platform, who, name, sort)


def _by(platform: str, by: str, sort: str) -> Person:
    match = re.fullmatch(r"(\S+) \(([^)]+)\)", by)
    if not match:
        raise StoryError(f"write `by: handle (Name)`, not {by!r}")
    return Person(platform, match[1], match[2], sort)


def _line(scene: Mapping[str, Any], number: int, at: float, entry: Any) -> Line:
    entry = {"line": entry} if isinstance(entry, str) else dict(entry)
    platform, sort = (
        entry.get("platform", scene["platform"]),
        entry.get("sort", scene.get("authors", "ordinary")),
    )
    at = float(entry.get("at", at))
    acts = [act for act in _ACTS if act in entry]
    common: dict[str, Any] = {
        "key": entry.get("key", f"{scene['scene']}-{number}"),
        "scene": scene["scene"],
        "shows": entry.get("shows", scene["shows"]),
        "platform": platform,
        "at": round(at, 3),
        "delivered": round(at + float(entry.get("late", 0)), 3),
        "app": entry.get("app"),
        "extra": entry.get("with", {}),
        "batch": f"{scene['scene']}-{(number - 1) // scene['batch']}" if "batch" in scene else None,
    }
    if acts:
        act = acts[0]
        who = _by(platform, entry["by"], sort) if "by" in entry else brand(platform)
        about = None if act in ("follow", "trouble") else entry[act]
        form = entry[act] if act == "trouble" else act
        return Line(**common, form=form, act=act, who=who, re=about, text=entry.get("text", ""))
    match = _LINE.fullmatch(entry["line"].strip())
    if not match:
        raise StoryError(f"{scene['scene']}, line {number}: cannot read {entry['line']!r}")
    return Line(
        **common,
        form=entry.get("form", scene["form"]),
        act="say",
        who=_person(platform, match["who"], match["name"], sort),
        text=match["text"],
        language=match["lang"],
        re=entry.get("re", scene.get("re")),
    )


def _lines(scene: Mapping[str, Any]) -> Iterator[Line]:
    begin, end, entries = float(scene["from"]), float(scene["to"]), scene["lines"]
    for number, entry in enumerate(entries):
        yield _line(scene, number + 1, begin + (end - begin) * number / max(1, len(entries)), entry)


@cache
def read() -> tuple[Line, ...]:
    """Every line of the story, in the order of delivery."""
    lines: list[Line] = []
    for path in sorted(STORY.glob("*.yaml")):
        for scene in yaml.safe_load(path.read_text(encoding="utf-8"))["scenes"]:
            lines += _lines(scene)
    keys = [line.key for line in lines]
    for line in lines:
        if line.re is not None and line.re not in keys:
            raise StoryError(f"{line.key} speaks of {line.re!r}, which is not in the story")
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise StoryError(f"keys that are there twice: {', '.join(sorted(twice))}")
    return tuple(sorted(lines, key=lambda line: (line.delivered, line.at, line.key)))
