"""What is wrong with a source or a service, told to the engineers once and taken back. Pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
)
from services.alert.domain.boards.places import at_clock, engineers, zone
from services.alert.domain.contact_ways import chat_id
from services.alert.domain.response_time import span_in_words
from services.contracts.configuration import Configuration, Role
from services.contracts.events import Notice, NoticeKind

SEEN_TO = "seen_to"
AGAIN_WITHIN = timedelta(minutes=30)
"""What comes back so soon is the same trouble: a source that flaps is one card."""
KEPT_FOR = timedelta(hours=1)
"""So long the card of an ended trouble is brought up to date."""
LOUD = 3
"""So often a recovery of one trouble makes a sound; after that it flaps, and the card says so."""

_ENDS: dict[NoticeKind, frozenset[NoticeKind]] = {
    NoticeKind.caught_up: frozenset({NoticeKind.silence, NoticeKind.source_down, NoticeKind.token}),
    NoticeKind.source_up: frozenset({NoticeKind.silence, NoticeKind.source_down, NoticeKind.token}),
    NoticeKind.dead_letter_resumed: frozenset({NoticeKind.dead_letter_limit}),
    NoticeKind.destination_up: frozenset({NoticeKind.destination_down}),
    NoticeKind.restarted: frozenset({NoticeKind.restart_needed}),
}
_NAMES = {
    NoticeKind.silence: "silent",
    NoticeKind.token: "credentials",
    NoticeKind.source_down: "source down",
    NoticeKind.dead_letter_limit: "stopped by its dead letters",
    NoticeKind.offset_out_of_range: "records lost before they were read",
    NoticeKind.classifier_degraded: "classifier degraded",
    NoticeKind.gap: "a gap was not read",
    NoticeKind.destination_down: "takes no messages",
    NoticeKind.restart_needed: "was changed: alert has to be started anew",
}
_PINGS = frozenset(
    {
        NoticeKind.dead_letter_limit,
        NoticeKind.token,
        NoticeKind.offset_out_of_range,
        NoticeKind.destination_down,
    }
)
"""Nothing mends these but a person: they wake the engineers."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is, or was, wrong."""

    id: str
    kind: NoticeKind
    service: str
    source: str
    account: str
    says: str
    since: datetime
    last_at: datetime
    times: int
    until: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """Where the engineers hear of something."""

    destination: str
    channel: bool
    """False: only direct messages go out there, and its channel hears nothing."""
    people: tuple[str, ...]


def ends(kind: NoticeKind) -> frozenset[NoticeKind]:
    """What a notice of this kind takes back; nothing where it is itself a trouble."""
    return _ENDS.get(kind, frozenset())


def is_trouble(kind: NoticeKind) -> bool:
    """Whether something is wrong."""
    return kind in _NAMES


def post_of(configuration: Configuration, down: frozenset[str] = frozenset()) -> Post | None:
    """The engineers' own destination; without one (or while it is `down`) their direct messages.

    None where nobody can be told: presence.yaml names neither a destination nor a person.
    """
    own = configuration.engineers
    staff = engineers(configuration)
    for role in (Role.admin, Role.lead):
        staff = staff or [one for one in configuration.people if role in one.roles]
    reach = {
        place.id: tuple(one.id for one in staff if chat_id(one, place.kind) is not None)
        for place in configuration.destinations
    }
    if own is not None and own not in down:
        return Post(own, True, reach.get(own, ()))
    for place, people in reach.items():
        if people and place not in down and place != own:
            return Post(place, False, people)
    return Post(own, True, reach.get(own, ())) if own is not None else None


def board_for(trouble: Trouble, post: Post, configuration: Configuration) -> Wanted:
    """The card of a trouble."""
    key = BoardKey(BoardKind.notice, "", post.destination, trouble.id)
    name = _named(trouble, configuration)
    at = at_clock(trouble.since, zone(configuration))
    content = Content(
        headline=line_of(f"{name} · since {at}"),
        zone=zone(configuration),
        sections=(Section("", tuple(_lines(trouble, configuration))),),
        acts=(BoardAct(SEEN_TO, "Seen to"),),
        subjects=(trouble.id,),
        urgent=trouble.kind in _PINGS,
    )
    if trouble.ended_at is None:
        wakes = trouble.kind in _PINGS or not post.channel
        pings = tuple(Ping(one) for one in post.people) if wakes else ()
        return Wanted(key, content, pings, posted=post.channel)
    return _over(trouble, name, key, content, post)


def _over(trouble: Trouble, name: str, key: BoardKey, content: Content, post: Post) -> Wanted:
    assert trouble.ended_at is not None
    took = span_in_words(trouble.ended_at - trouble.since)
    by_hand = trouble.ended_by is not None and trouble.ended_by not in NoticeKind.__members__
    says = f"Seen to by {trouble.ended_by}" if by_hand else f"Recovered after {took}"
    line = line_of(f"{says}: {name}")
    if post.channel:
        told = line if not by_hand and trouble.times <= LOUD else None
        return Wanted(key, ended(content, line), told=told)
    # A page of a board that is over is not sent: the recovery is a page of its own, on a living one.
    recovered = Content(line, content.zone, subjects=content.subjects)
    silent = by_hand or trouble.times > LOUD
    pings = () if silent else tuple(Ping(one, trouble.times) for one in post.people)
    return Wanted(key, recovered, pings, posted=False)


def notices(
    troubles: Sequence[Trouble], live: Sequence[Board], post: Post, configuration: Configuration
) -> list[Wanted]:
    """The cards of every trouble that is open or ended lately, and an end to cards of older ones."""
    # What has its card keeps it where it stands, also while another destination takes over.
    homes = {board.key.period: board.key.destination for board in live}
    found = []
    for one in troubles:
        home = homes.get(one.id, post.destination)
        here = post
        if home != post.destination:
            here = Post(home, home == configuration.engineers, ())
        found.append(board_for(one, here, configuration))
    keys = {one.key for one in found}
    for board in live:
        if board.key not in keys:
            over = ended(board.content, board.content.headline)
            posted = board.key.destination == configuration.engineers
            found.append(Wanted(board.key, over, posted=posted))
    return found


def _named(trouble: Trouble, configuration: Configuration) -> str:
    account = next(
        (one.handle for one in configuration.accounts if one.id == trouble.account), None
    )
    about = f"@{account}" if account else trouble.account
    what = _NAMES.get(trouble.kind, trouble.kind.value)
    return " ".join(part for part in (trouble.source or trouble.service, about, what) if part)


def _lines(trouble: Trouble, configuration: Configuration) -> list[BoardLine]:
    lines = [BoardLine(trouble.says)]
    at = at_clock(trouble.last_at, zone(configuration))
    if trouble.times > 1:
        lines.append(BoardLine(f"{trouble.times} times, last at {at}"))
    if trouble.until is not None:
        until = trouble.until.astimezone(UTC)
        lines.append(BoardLine(f"Until {until:%Y-%m-%d %H:%M} UTC"))
    return lines


def same_again(last_ended: datetime | None, notice: Notice) -> bool:
    """Whether a trouble that ended then goes on with this notice."""
    return last_ended is not None and notice.at - last_ended < AGAIN_WITHIN
