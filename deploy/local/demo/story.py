"""The whole story as deliveries: pure, and the same bytes for the same start.

`python -m deploy.local.demo.story FOLDER` writes it as JSONL, one file a platform, to look at or to
send with `presence replay`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from deploy.local.demo import script
from deploy.local.demo.delivery import Delivery, Envelope
from deploy.local.demo.payloads import mastodon, meta, trouble, webhook, x
from deploy.local.demo.script import Line
from deploy.local.demo.world import Placed, World

ENVELOPES = {
    "shop": Envelope.standard,
    "helpdesk": Envelope.structured,
    "newswire": Envelope.binary,
}
WRITTEN = datetime(2026, 1, 18, 15, 0, tzinfo=UTC)
"""The start in the written files; a replay brings its own."""


def _first(world: World, batch: list[Placed]) -> Delivery:
    line = batch[0].line
    body: object
    envelope = Envelope.standard
    source = line.platform
    if line.platform == "x":
        body = x.payload(world, batch[0])
    elif line.platform in ("facebook", "instagram"):
        source, body = "meta", meta.payload(world, batch)
    elif line.platform == "mastodon":
        body = mastodon.payload(world, batch[0])
    else:
        envelope = ENVELOPES[line.platform]
        body = webhook.payload(world, batch[0], envelope)
    return Delivery(
        at=max(placed.line.delivered for placed in batch),
        source=source,
        body=body,
        note=line.shows,
        items=tuple(placed.line.key for placed in batch),
        envelope=envelope,
        delivery_id=f"msg_{world.token(line.key)}" if line.platform in ENVELOPES else "",
    )


def _again(line: Line, first: Delivery) -> Delivery:
    return Delivery(
        at=line.delivered,
        source=first.source,
        body=first.body,
        note=line.shows,
        items=first.items,
        envelope=first.envelope,
        delivery_id=first.delivery_id,
        again=True,
    )


def _is_sent(line: Line) -> bool:
    # Instagram has no event for a post of one's own.
    return not (line.platform == "instagram" and line.form == "post")


def _batches(lines: Iterable[Line], world: World) -> Iterator[list[Placed]]:
    batches: dict[str, list[Placed]] = {}
    for line in lines:
        if _is_sent(line) and line.act not in ("again", "trouble"):
            batches.setdefault(line.batch or line.key, []).append(world.placed[line.key])
    yield from batches.values()


def expand(start: datetime, *, pace: float = 1.0) -> tuple[Delivery, ...]:
    """Every request and streamed event of the story, in the order of sending.

    The payloads' times lie as close together as `pace` sends them; `at` stays as it is written.
    """
    lines = script.read()
    world = World.of(lines, start, pace)
    deliveries = [_first(world, batch) for batch in _batches(lines, world)]
    by_item = {key: delivery for delivery in deliveries for key in delivery.items}
    deliveries += [_again(line, by_item[str(line.re)]) for line in lines if line.act == "again"]
    deliveries += [
        trouble.delivery(world, world.placed[line.key]) for line in lines if line.act == "trouble"
    ]
    return tuple(sorted(deliveries, key=lambda one: (one.at, one.items)))


class Contents(NamedTuple):
    """What the story holds."""

    items: int
    """Everything that happens, trouble and repetitions included."""
    events: int
    """Events that a correct intake publishes, each once."""
    duplicates: int
    """Events that it drops because it has had them."""
    trouble: int
    by_platform: dict[str, int]
    by_form: dict[str, int]
    languages: dict[str, int]
    answers: int
    """The brand's own words to a person, machines left out."""


def contents() -> Contents:
    """Count what the story holds."""
    deliveries = expand(WRITTEN)
    lines = {line.key: line for line in script.read()}
    sent = [lines[key] for one in deliveries if not one.again for key in one.items]
    events = [line for line in sent if line.act != "trouble"]
    duplicates = sum(len(one.items) for one in deliveries if one.again)
    said = [line for line in events if line.act == "say"]
    return Contents(
        items=len(sent) + duplicates,
        events=len(events),
        duplicates=duplicates,
        trouble=len(sent) - len(events),
        by_platform=dict(Counter(line.platform for line in events)),
        by_form=dict(Counter(line.form for line in events)),
        languages=dict(Counter(line.language for line in said if not line.who.is_brand)),
        answers=sum(1 for one in said if one.who.is_brand and one.re and not one.app),
    )


def write(folder: Path, start: datetime = WRITTEN) -> list[Path]:
    """Write the story as JSONL, one file a platform."""
    folder.mkdir(parents=True, exist_ok=True)
    by_source: dict[str, list[bytes]] = {}
    for delivery in expand(start):
        by_source.setdefault(delivery.source, []).append(delivery.to_line())
    paths = []
    for source, lines in sorted(by_source.items()):
        path = folder / f"{source}.jsonl"
        path.write_bytes(b"".join(lines))
        paths.append(path)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python -m deploy.local.demo.story FOLDER")
    for written in write(Path(sys.argv[1])):
        sys.stdout.write(f"{written}\n")
