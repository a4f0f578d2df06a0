"""A recorded stretch of messages as a practice plays it: when each comes, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.contracts.events import (
    ClassifiedNotification,
    Direction,
    Label,
    Origin,
)

FIRST_AFTER = timedelta(seconds=5)
"""Time to look into the channel."""
LONGEST_SILENCE = timedelta(minutes=10)
"""A recorded night is not waited through."""


@dataclass(frozen=True, slots=True)
class Senior:
    """What the team did with the episode when it was real."""

    how: str
    """`answered`, or the reason why it was closed."""
    by: str | None = None
    after: float | None = None
    """Seconds from the first message."""
    said: str | None = None
    """The answer's text, where it was public."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One message and its place in the practice."""

    after: timedelta
    """From the start."""
    event: ClassifiedNotification
    senior: Senior | None = None


class TooLong(ValueError):
    """The script does not fit into the practice's time."""

    def __init__(self, takes: timedelta, fits: timedelta) -> None:
        self.takes, self.fits = takes, fits
        room = max(1, int((fits - FIRST_AFTER).total_seconds()))
        self.speed = max(2, -(-int(takes.total_seconds()) // room))
        super().__init__(f"takes {takes}, has {fits}")


def script(
    events: Iterable[ClassifiedNotification],
    *,
    speed: float,
    within: timedelta,
    seniors: dict[str, Senior] | None = None,
) -> tuple[Cue, ...]:
    """When each message comes, `speed` times as fast as it was recorded.

    The brand's own words are left out: they would answer in the trainee's place. They are told in the
    debrief, as are `seniors` by item id. Raises TooLong where it takes longer than `within`.
    """
    told = sorted(events, key=lambda one: (one.notification.source_time, one.notification.event_id))
    answers = _answers(told)
    cues: list[Cue] = []
    after, before = FIRST_AFTER, None
    for event in told:
        said = event.notification
        if said.direction is Direction.outbound:
            continue
        if before is not None:
            after += min(said.source_time - before, LONGEST_SILENCE) / speed
        before = said.source_time
        senior = (seniors or {}).get(said.item_id) or answers.get(said.item_id)
        cues.append(Cue(after, disarmed(event), senior))
    if cues and cues[-1].after > within:
        raise TooLong((cues[-1].after - FIRST_AFTER) * speed, within)
    return tuple(cues)


def _answers(events: Sequence[ClassifiedNotification]) -> dict[str, Senior]:
    """What the recorded brand answered to each item, the first time."""
    asked = {one.notification.item_id: one.notification for one in events}
    found: dict[str, Senior] = {}
    for one in events:
        said = one.notification
        question = asked.get(said.in_reply_to or "")
        if said.direction is Direction.outbound and question is not None and not said.automated:
            after = (said.source_time - question.source_time).total_seconds()
            text = None if said.private else said.text
            found.setdefault(question.item_id, Senior("answered", None, after, text))
    return found


def disarmed(event: ClassifiedNotification) -> ClassifiedNotification:
    """Without the way to the real message: on its platform an answer would be read by a real customer."""
    said = event.notification.model_copy(
        update={"permalink": None, "origin": Origin.live, "may_page": True, "overheard": None}
    )
    return event.model_copy(update={"notification": said})


def at(event: ClassifiedNotification, now: datetime) -> ClassifiedNotification:
    """The message as if it was written this moment: clocks begin when the trainee can see it."""
    said = event.notification.model_copy(
        update={"source_time": now, "received_at": now, "claimed_time": None}
    )
    return event.model_copy(update={"notification": said, "classified_at": now})


def judged(event: ClassifiedNotification) -> str | None:
    """The classifier's word, for the debrief: `conversation 0.97, urgent, medical`."""
    verdict = event.verdict
    if verdict is None:
        return None
    found = [f"{verdict.label.value} {verdict.scores[Label(verdict.label)]:.2f}"]
    if verdict.urgency.value == "high":
        found.append("urgent")
    return ", ".join([*found, *(one.value.replace("_", " ") for one in sorted(verdict.sensitive))])
