"""Cards, people and an in-memory core for tests of alert's chat side."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.alert.domain.boards.board import (
    Board,
    BoardAct,
    BoardKey,
    BoardKind,
    BoardLine,
    Content,
    Section,
)
from services.alert.domain.card import Card, CardAct, CardLine, CardState
from services.alert.ports import (
    Actor,
    ActResult,
    Delivery,
    DeliveryReason,
    EpisodeRow,
    MessageRef,
    PersonRef,
    Purpose,
)
from services.contracts.configuration import Configuration
from services.contracts.events import CloseReason, Label
from services.runtime.clock import Clock

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ALL_ACTS = (CardAct.claim, CardAct.no_reply_needed, CardAct.not_for_us)
SECRET = "a link secret that is long enough to be one"


def card(**changes: Any) -> Card:
    """An open card of a public question."""
    made = Card(
        episode_id="ep-1",
        version=1,
        state=CardState.open,
        headline="12 min · Mastodon · Ana (@ana) · My order never arrived",
        brand="air",
        platform="mastodon",
        account="air",
        who="Ana (@ana)",
        words="My order never arrived, can somebody help?",
        masked=None,
        why="A person asks for help and waits for an answer",
        public=True,
        due_at=NOON + timedelta(minutes=15),
        zone="Europe/Berlin",
        permalink="https://social.example/@ana/1",
        acts=ALL_ACTS,
    )
    return replace(made, **changes)


def board(**changes: Any) -> Board:
    """A card of two held messages; `changes` are of its content."""
    acts = (BoardAct("release", "A person", "x:1:7", first=True), BoardAct("confirm", "Right", "i"))
    made = Content(
        headline="Held back: 2, oldest 14 min · Air",
        zone="Europe/Berlin",
        sections=(
            Section(
                "Written to us",
                (
                    BoardLine("Bo (@bo) · X · 12:01", "Did you get my parcel?", acts),
                    BoardLine("Cy (@cy) · Email · 12:03", None, acts, "https://mail.example/2"),
                ),
            ),
        ),
        acts=(BoardAct("release_all", "All 2 are people"),),
        note="A person: becomes a card.",
    )
    key = BoardKey(BoardKind.held_back, "air", "help", "2026-03-02T12:00")
    return Board("b-1", 1, key, replace(made, **changes), NOON, NOON)


def line(words: str | None = "Hello? Anybody?") -> CardLine:
    """A later message."""
    return CardLine(item_id="mastodon:1:2", who="Ana (@ana)", at=NOON, words=words)


def person(chat_id: str | None = "U0MIA1") -> PersonRef:
    """Mia, who is on call."""
    return PersonRef("mia", "Mia", chat_id)


def delivery(purpose: Purpose = Purpose.card, **changes: Any) -> Delivery:
    """A row of the outbox, taken for the first time."""
    made = Delivery(
        id=f"d-{purpose.value}-1",
        episode_id="ep-1",
        destination="memory",
        purpose=purpose,
        attempt=1,
        ambiguous=False,
        first_tried_at=NOON,
        card=card(),
        line=line() if purpose is Purpose.thread else None,
        person=person() if purpose is Purpose.page else None,
        text="Nobody is on call" if purpose is Purpose.told else None,
    )
    return replace(made, **changes)


def configuration() -> Configuration:
    """A team of three with one brand."""
    return Configuration.model_validate(
        {
            "version": 1,
            "brands": [{"id": "air", "name": "Air"}, {"id": "sea", "name": "Sea"}],
            "accounts": [{"id": "1", "brand": "air", "platform": "x", "handle": "air"}],
            "people": [
                {"id": "mia", "name": "Mia", "slack": "U0MIA1", "email": "mia@air.example"},
                {"id": "bo", "name": "Bo", "slack": "U0BO11", "roles": ["lead"]},
                {"id": "kim", "name": "Kim", "brands": ["sea"]},
            ],
            "rotas": [
                {
                    "id": "main",
                    "zone": "Europe/Berlin",
                    "layers": [
                        {"id": "l1", "rotation": {"starts": "2026-01-05", "members": ["mia"]}}
                    ],
                }
            ],
            "policies": [
                {
                    "id": "team",
                    "answer_within": "15m",
                    "steps": [{"at": "0%", "targets": [{"rota": "main"}]}],
                }
            ],
            "routes": [{"id": "all", "policy": "team", "destinations": ["help"]}],
            "destinations": [
                {
                    "id": "help",
                    "kind": "slack",
                    "channel": "C0HELP1",
                    "posts_per_second": 100,
                    "updates_per_second": 100,
                },
                {"id": "teams", "kind": "teams_workflow"},
            ],
        }
    )


@dataclass
class _Row:
    delivery: Delivery
    due: datetime
    state: str = "waiting"
    ref: MessageRef | None = None
    reasons: list[DeliveryReason] = field(default_factory=list)


class MemoryOutbox:
    """The outbox's promises without a database: one suite of the pipeline runs on it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.rows: list[_Row] = []
        self.ended: set[str] = set()
        """Episodes that somebody answered."""
        self.told: list[str] = []
        """What the pipeline said of its destination."""

    def put(self, *deliveries: Delivery) -> None:
        """Rows that are due now."""
        now = self._clock.now()
        for one in deliveries:
            self.rows.append(_Row(replace(one, attempt=0, first_tried_at=None), now))

    def row(self, delivery_id: str) -> _Row:
        """The row of that id."""
        return next(row for row in self.rows if row.delivery.id == delivery_id)

    async def take(self, limit: int, destination: str | None = None) -> list[Delivery]:
        """Lease rows that are due."""
        now = self._clock.now()
        taken: list[Delivery] = []
        for row in self.rows:
            wanted = destination in (None, row.delivery.destination)
            if len(taken) == limit or row.state != "waiting" or row.due > now or not wanted:
                continue
            one = row.delivery
            row.delivery = replace(
                one, attempt=one.attempt + 1, first_tried_at=one.first_tried_at or now
            )
            row.state = "leased"
            taken.append(replace(row.delivery, taken_at=now))
        return taken

    async def still_due(self, delivery: Delivery) -> bool:
        """No page once somebody answered."""
        return delivery.purpose is not Purpose.page or delivery.episode_id not in self.ended

    async def sent(self, delivery: Delivery, ref: MessageRef | None) -> None:
        """It arrived."""
        row = self.row(delivery.id)
        row.state, row.ref = "sent", ref

    async def failed(
        self,
        delivery: Delivery,
        reason: DeliveryReason,
        *,
        retry_at: datetime | None,
        ambiguous: bool,
    ) -> None:
        """It did not."""
        row = self.row(delivery.id)
        row.reasons.append(reason)
        row.delivery = replace(row.delivery, ambiguous=ambiguous)
        row.state = "waiting" if retry_at else "given_up"
        row.due = retry_at or row.due

    async def down(self, destination: str, reason: DeliveryReason) -> int:
        """It stays down."""
        self.told.append(f"down: {reason.value}")
        return sum(row.state == "waiting" for row in self.rows)

    async def up(self, destination: str) -> None:
        """It takes messages."""
        self.told.append("up")


class MemoryEpisodes:
    """What people do to episodes, kept in memory, with the core's answers."""

    def __init__(self, *cards: Card) -> None:
        self.cards = {one.episode_id: one for one in cards}
        self.acts: list[tuple[str, str, str, object]] = []
        """(episode, person, through, what)"""
        self.rows: list[EpisodeRow] = []
        self.readers: list[str | None] = []
        """For whom cards were asked."""
        self.confirmed: list[tuple[str, str]] = []

    def _act(self, episode_id: str, by: Actor, what: object, **changes: Any) -> ActResult:
        found = self.cards.get(episode_id)
        if found is None:
            return ActResult.unknown
        if by.person_id == "kim":
            return ActResult.refused
        if not found.state.live:
            return ActResult.already
        self.acts.append((episode_id, by.person_id, by.through, what))
        self.cards[episode_id] = replace(found, version=found.version + 1, **changes)
        return ActResult.done

    async def claim(self, episode_id: str, by: Actor) -> ActResult:
        """ "Mine." """
        found = self.cards.get(episode_id)
        name = by.person_id.capitalize()
        if found and found.claimed_by:
            return ActResult.already if found.claimed_by == name else ActResult.taken
        return self._act(episode_id, by, "claim", state=CardState.claimed, claimed_by=name)

    async def close(self, episode_id: str, by: Actor, reason: CloseReason) -> ActResult:
        """Closed without an answer."""
        return self._act(episode_id, by, reason, state=CardState.closed, acts=())

    async def relabel(
        self, episode_id: str, by: Actor, to: Label, reason: str | None = None
    ) -> ActResult:
        """A private or sensitive one asks for a reason."""
        found = self.cards.get(episode_id)
        if found and found.masked and to is Label.spam and not reason:
            return ActResult.reason_needed
        return self._act(episode_id, by, (to, reason), state=CardState.relabelled, acts=())

    async def confirm(self, episode_id: str, by: Actor) -> None:
        """They are there."""
        self.confirmed.append((episode_id, by.person_id))

    async def card(self, episode_id: str, reader: str | None = None) -> Card | None:
        """The card as it is now."""
        self.readers.append(reader)
        return self.cards.get(episode_id)

    async def open(self, limit: int = 200) -> list[EpisodeRow]:
        """Open episodes."""
        return self.rows[:limit]


def row(**changes: Any) -> EpisodeRow:
    """A line of the list."""
    made = EpisodeRow(
        episode_id="ep-1",
        state="open",
        platform="mastodon",
        account="air",
        brand="air",
        who="Ana (@ana)",
        words="My order never arrived",
        opened_at=NOON - timedelta(minutes=4),
        due_at=NOON + timedelta(minutes=11),
        claimed_by=None,
        urgent=False,
        sensitive=(),
        brand_id="air",
    )
    return replace(made, **changes)
