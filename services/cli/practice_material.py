"""What a practice replays: a file, a part of the demo's story, or what was really asked on a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from services.alert.domain.practice.script import Senior
from services.alert.practice.recorded import recorded
from services.contracts.configuration import Configuration
from services.contracts.events import ClassifiedNotification, Notification, Verdict
from services.runtime.postgres import create_pool

JUDGED_AT_ONCE = 32


@dataclass(slots=True)
class Material:
    """Messages, what is told of them, and how the team dealt with them when they were real."""

    source: str
    events: list[ClassifiedNotification]
    seniors: dict[str, Senior] = field(default_factory=dict)
    left_out: int = 0
    """Of a real day: sensitive or private ones, which are nobody's training."""


def from_files(paths: Sequence[Path], file: Configuration) -> Material:
    """JSONL of notifications, classified or not. Raises UsageError with the line of a mistake."""
    found: list[ClassifiedNotification] = []
    raw: list[Notification] = []
    for path in paths:
        with click.open_file(str(path), "rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    read = _line(f"{path}:{number}", line)
                    if isinstance(read, Notification):
                        raw.append(read)
                    else:
                        found.append(read)
    return Material(", ".join(path.name for path in paths), [*found, *judged(raw, file)])


def _line(place: str, line: bytes) -> Notification | ClassifiedNotification:
    try:
        read = orjson.loads(line)
        if isinstance(read, dict) and "notification" in read:
            return ClassifiedNotification.model_validate(read)
        return Notification.model_validate(read)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{place}: no JSON ({error.msg})") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "line"
        raise click.UsageError(f"{place}: no notification ({where}: {first['msg']})") from None


def from_demo(file: Configuration) -> Material:
    """A part of the demo's story."""
    from deploy.local.demo.practising import notifications

    return Material(
        "the demo's story", judged(notifications(datetime(2026, 1, 18, 15, tzinfo=UTC)), file)
    )


async def from_day(day: date, zone: str, database_url: str) -> Material:
    """What opened episodes on that day, read from alert's database by a connection that cannot write."""
    begin = datetime.combine(day, time(0), ZoneInfo(zone))
    only_reading = "-c default_transaction_read_only=on"
    async with create_pool(database_url, name="practice-reading", options=only_reading) as pool:
        found = await recorded(pool, begin, begin + timedelta(days=1))
    return Material(f"{day:%d %B %Y}", found.events, found.seniors, found.left_out)


def judged(said: Sequence[Notification], file: Configuration) -> list[ClassifiedNotification]:
    """With the shipped (or configured) classifier's word, as classify would give it."""
    if not said:
        return []
    from services.classify.model import create_classifier

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    found: list[ClassifiedNotification] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("classifying", total=len(said))
        judge: Callable[[Sequence[Notification]], list[Verdict]] = create_classifier(file).judge
        for place in range(0, len(said), JUDGED_AT_ONCE):
            some = said[place : place + JUDGED_AT_ONCE]
            asked = [one for one in some if one.needs_verdict]
            verdicts = dict(
                zip((id(one) for one in asked), judge(asked) if asked else [], strict=True)
            )
            found += [
                ClassifiedNotification(
                    notification=one,
                    verdict=verdicts.get(id(one)),
                    classified_at=one.received_at,
                )
                for one in some
            ]
            bar.advance(task, len(some))
    return found
