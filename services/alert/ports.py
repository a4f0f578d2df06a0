"""The seams inside alert: what the chat side asks of the core, and the core of the chat side.

`services.alert.chat` draws and delivers and knows no SQL; `services.alert.store` keeps and knows no
chat. Both meet here, and `services.alert.app` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.alert.domain.boards.board import Board
from services.alert.domain.boards.shift_start import ShiftStart
from services.alert.domain.card import Card, CardLine
from services.contracts.events import CloseReason, Label


class Purpose(StrEnum):
    """Why something is sent. Part of the outbox's unique key."""

    card = "card"
    """Post the card, or bring the posted one up to date."""
    thread = "thread"
    """A new inbound message beneath the card."""
    page = "page"
    """Wake a person: a direct message or a mention."""
    told = "told"
    """A line to a channel: nobody on call, engineers' notice."""


class DeliveryReason(StrEnum):
    """Why a delivery failed; also the metric's label."""

    rate_limited = "rate_limited"
    timeout = "timeout"
    unavailable = "unavailable"
    refused_credentials = "refused_credentials"
    not_found = "not_found"
    invalid = "invalid"
    no_longer_due = "no_longer_due"
    expired = "expired"


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where a message stands in a chat: enough to update it or to post beneath it."""

    channel: str
    id: str
    """Slack's `ts`; empty where the chat returns no id (Teams Workflows)."""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class PersonRef:
    """A person as a chat knows them."""

    id: str
    name: str
    chat_id: str | None
    """Slack member id or Teams principal name; None where presence.yaml has none."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox, taken for sending."""

    id: str
    """Unique and stable over retries: a destination can find its post by it."""
    episode_id: str
    destination: str
    purpose: Purpose
    attempt: int
    """1 for the first."""
    ambiguous: bool
    """An earlier attempt may have arrived: look for it first."""
    first_tried_at: datetime | None
    card: Card | None = None
    """The card as it is now (not as it was when the row was written), for card, thread and page."""
    card_ref: MessageRef | None = None
    """The posted card, where there is one."""
    line: CardLine | None = None
    """For thread."""
    line_ref: MessageRef | None = None
    """The posted line, where there is one: it is changed in its place."""
    person: PersonRef | None = None
    """For page."""
    text: str | None = None
    """For told."""
    board: Board | None = None
    """In the place of the card, where the row is about a board: for card and page."""
    taken_at: datetime | None = None
    """The outbox's own time when it was handed out: its times are by that clock."""
    at_home: bool = True
    """Whether the card belongs there; False: it stands in for a place that took no messages."""

    @property
    def subject(self) -> str:
        """What it is about: deliveries of one subject go in order."""
        return self.episode_id or (self.board.id if self.board else "")

    @property
    def shown(self) -> Shown | None:
        """What is to be drawn."""
        return self.board or self.card


class Outbox(Protocol):
    """The durable queue of effects. Taking a row checks, in the same transaction, that it is still due."""

    async def take(self, limit: int, destination: str | None = None) -> list[Delivery]:
        """Lease rows that are due, in order of sensitivity, urgency and due time.

        With `destination` only its rows: every destination has its own pipeline, so that a slow or
        broken one never stands before another.
        A row whose episode has ended meanwhile (for a page) is cancelled, not returned. Card updates
        of one episode and destination collapse into the latest. Leases expire (database time).
        """
        ...

    async def still_due(self, delivery: Delivery) -> bool:
        """Asked just before the send, which starts with the mark that this commits.

        False once an answer's transaction has committed: for a page the mark is made under the lock
        that every change of its conversation holds until its commit.
        """
        ...

    async def sent(self, delivery: Delivery, ref: MessageRef | None) -> None:
        """It arrived."""
        ...

    async def failed(
        self,
        delivery: Delivery,
        reason: DeliveryReason,
        *,
        retry_at: datetime | None,
        ambiguous: bool,
    ) -> None:
        """It did not, or nobody knows; `retry_at` None gives up for this destination."""
        ...

    async def down(self, destination: str, reason: DeliveryReason) -> int:
        """It stays down: what waits for it goes to its fallback too, and the engineers hear of it.

        Cards stay armed for the destination as well, so that they stand there once it is back. How many
        rows went elsewhere; may be called again and again.
        """
        ...

    async def up(self, destination: str) -> None:
        """It takes messages (again)."""
        ...


Shown = Card | Board
"""What a destination draws."""


class Destination(Protocol):
    """A place in a chat. Errors are `Transient` (try again) or `Permanent`, with a DeliveryReason."""

    id: str
    kind: str
    updates_in_place: bool
    threads: bool

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or the board."""
        ...

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Bring what is posted up to date; reposts where it is gone and returns the new place."""
        ...

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post beneath the card."""
        ...

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Bring a posted line up to date; where that is impossible it stays as it is."""
        ...

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Wake this person."""
        ...

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        ...

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """The post that an ambiguous attempt may have left.

        The whole delivery, because where to look depends on it: the channel, the card's thread or the
        person's direct messages, from `first_tried_at` on.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and through what: goes into the audit record."""

    person_id: str
    through: str
    """`slack`, `link` or `console`."""


class ActResult(StrEnum):
    """What became of an act."""

    done = "done"
    already = "already"
    """It is so already: by the same person, or ended meanwhile."""
    taken = "taken"
    """Somebody else has claimed it."""
    refused = "refused"
    """The person may not."""
    reason_needed = "reason_needed"
    """Relabelling something sensitive or addressed as spam asks for a reason."""
    unknown = "unknown"
    """There is no such episode."""
    cautioned = "cautioned"
    """Something to look at first; it is done when the person asks for it again."""
    impossible = "impossible"
    """It cannot be done, and why is said."""


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """A line of the list of open episodes."""

    episode_id: str
    state: str
    platform: str
    account: str
    brand: str
    """The brand's name."""
    who: str
    words: str | None
    opened_at: datetime
    due_at: datetime | None
    claimed_by: str | None
    urgent: bool
    sensitive: tuple[str, ...]
    holder: str | None = None
    """The id of the person who has claimed it; `claimed_by` is their name."""
    brand_id: str = ""
    """What a person's `brands` name."""

    @property
    def waits(self) -> bool:
        """Whether somebody waits now; what a new source brought with it is only listed."""
        return self.state != "silent"


class Episodes(Protocol):
    """What people do to episodes, and how they are read. Every act is audited and idempotent."""

    async def claim(self, episode_id: str, by: Actor) -> ActResult:
        """ "Mine." A lease, not an answer."""
        ...

    async def close(self, episode_id: str, by: Actor, reason: CloseReason) -> ActResult:
        """Closed without an answer."""
        ...

    async def relabel(
        self, episode_id: str, by: Actor, to: Label, reason: str | None = None
    ) -> ActResult:
        """ "Not for us": final for the item, travels as a correction."""
        ...

    async def confirm(self, episode_id: str, by: Actor) -> None:
        """A press that only opened a form: whoever presses is there, and is not woken by a further way."""
        ...

    async def card(self, episode_id: str, reader: str | None = None) -> Card | None:
        """The card as it is now, as this person may see it.

        None, and who does not answer for the brand: as a shared place may, without private words.
        """
        ...

    async def open(self, limit: int = 200) -> list[EpisodeRow]:
        """Open episodes: sensitive first, then urgent, then by due time; history last."""
        ...


@dataclass(frozen=True, slots=True)
class Pressed:
    """What became of a press on a board."""

    result: ActResult
    says: str | None = None
    """For the one who pressed; None: what every such result says."""
    episode_id: str | None = None
    """The episode that the press gave to whoever pressed: where they go on."""


class Boards(Protocol):
    """Boards as people press and read them. Every act is authorised, audited and idempotent."""

    async def press(self, board_id: str, act: str, target: str, by: Actor) -> Pressed:
        """Do it. `act` and `target` come from a button or a link and are not to be trusted."""
        ...

    async def board(self, board_id: str) -> Board | None:
        """The board as it stands."""
        ...


class Incidents(Protocol):
    """Incidents are declared by people; the system only suggests them."""

    async def declare_incident(self, name: str, by: Actor, brand: str | None = None) -> Pressed:
        """Declare one for a brand: the person's only one where none is given.

        `already` while one is declared. A suggestion that stands becomes the incident. It is ended on
        its card.
        """
        ...


class ShiftStarts(Protocol):
    """Who is asked at a shift's start whether they are there, and who said so: the rota's own."""

    async def asked(self, now: datetime) -> list[ShiftStart]:
        """The shifts whose question stands, and for an hour those that were answered."""
        ...

    async def here(self, rota: str, begin: datetime, by: Actor) -> ActResult:
        """ "I'm here." Authorised and audited; `already` where somebody said so before."""
        ...


class ConfirmsShifts(Protocol):
    """ "I'm here", said without naming the shift."""

    async def confirm_shift(self, by: Actor) -> ActResult:
        """For every shift that this person was asked about; `unknown` where there is none."""
        ...
