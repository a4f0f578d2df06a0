"""A look-alike of the brand answers our customer: an urgent card beside the victim's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.alert.domain.boards.board import (
    Board,
    BoardAct,
    BoardKey,
    BoardKind,
    BoardLine,
    Content,
    Ping,
    Section,
    Wanted,
    ended,
    line_of,
    shown,
)
from services.alert.domain.boards.places import Home, at_clock
from services.alert.domain.cards import PLATFORMS, cut, who_in_words
from services.alert.domain.items import Item

REPORTED, NOT_ONE = "reported", "not_impostor"
JUDGED = {REPORTED: "Reported to the platform", NOT_ONE: "Not an impostor"}
REPORT = {
    "x": "https://help.x.com/en/forms/authenticity/impersonation",
    "instagram": "https://help.instagram.com/contact/636276399721841",
    "facebook": "https://www.facebook.com/help/contact/295309487309948",
}
"""Where the platform takes reports of impersonation; elsewhere the post's own menu does."""
NOTE = (
    "Warn the customer from your own account, then report. "
    "“Not an impostor” is remembered: this account is not shown again."
)


@dataclass(frozen=True, slots=True)
class Impostor:
    """One message of a look-alike, and whom it answers."""

    item: Item
    victim: str
    """Name and handle of our customer."""
    account: str
    """The brand's account that it looks like, as people know it."""
    card_url: str | None = None
    """Where the victim's own card stands."""


def impersonation(
    home: Home, author: str, found: Sequence[Impostor], live: Board | None, now: datetime
) -> list[Wanted]:
    """The card of one look-alike in one place. `found`: its messages that nobody judged."""
    if not found:
        return []
    content = _content(home, found)
    if live is not None:
        return [Wanted(live.key, content)]
    period = f"{author}:{now.isoformat()}"
    key = BoardKey(BoardKind.impersonation, home.brand, home.destination, period)
    pings = tuple(Ping(person) for person in home.people)
    return [Wanted(key, content, pings, sensitive=any(one.item.sensitive for one in found))]


def over(board: Board, judged: str, by: str) -> Wanted:
    """Judged, or its author took every message back."""
    says = JUDGED.get(judged, "Taken back by its author")
    how = {REPORTED: f" by {by}", NOT_ONE: f", says {by}"}.get(judged, "")
    return Wanted(board.key, ended(board.content, f"{says}{how}"))


def _content(home: Home, found: Sequence[Impostor]) -> Content:
    ordered = sorted(found, key=lambda one: (one.item.source_time, one.item.id))
    last = ordered[-1]
    who = cut(who_in_words(last.item), 28)
    victims = list(dict.fromkeys(one.victim for one in ordered))
    whom = cut(victims[-1], 24) if len(victims) == 1 else f"{len(victims)} customers"
    lines = shown([_line(home, one) for one in ordered], "… and {} more of this account")
    ways = [BoardLine(f"It looks like @{last.account} and is not ours")]
    if address := REPORT.get(last.item.platform):
        ways.append(BoardLine("The platform's form for reports of impersonation", url=address))
    return Content(
        headline=line_of(f"Impostor {who} answers {whom}"),
        zone=home.zone,
        sections=(Section("What it wrote to our customers", lines), Section("", tuple(ways))),
        acts=(
            BoardAct(REPORTED, "I reported it", first=True),
            BoardAct(NOT_ONE, "Not an impostor"),
        ),
        note=NOTE,
        subjects=tuple(one.item.id for one in ordered),
        urgent=True,
    )


def _line(home: Home, one: Impostor) -> BoardLine:
    item = one.item
    hidden = home.shared and (item.private or bool(item.sensitive))
    platform = PLATFORMS.get(item.platform, item.platform)
    parts = [
        who_in_words(item),
        platform,
        at_clock(item.source_time, home.zone),
        f"to {one.victim}",
    ]
    return BoardLine(
        " · ".join(parts), None if hidden else item.shown.text, url=item.shown.permalink
    )
