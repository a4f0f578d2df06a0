"""The second seam inside alert: what a person does with a card beyond claiming and closing it.

`services.alert.chat` and `services.alert.console` ask; `services.alert.store` keeps. See also
`services.alert.ports`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.alert.domain.answering import Warned, Way
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Actor, ActResult
from services.contracts.configuration import SavedReply


@dataclass(frozen=True, slots=True)
class Sending:
    """An answer that was written."""

    answer_id: str
    episode_id: str
    text: str
    private: bool
    send_at: datetime | None
    """When it goes out; until then it can be taken back. None: a second person sends it."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an act."""

    result: ActResult
    says: str | None = None
    """In place of the usual sentence for that result."""
    warned: tuple[Warned, ...] = ()
    """With `cautioned`: what to look at before it is sent again."""
    sending: Sending | None = None


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """Everything that a person sees while they write."""

    card: Card
    words: tuple[CardLine, ...]
    """The person's newest messages, unmasked: the form is for one responder's eyes."""
    way: Way
    other: Way | None
    """The other way, public or private, where the platform has it."""
    seen: str
    """What was seen; handed back with the answer."""
    warned: tuple[Warned, ...]
    saved: tuple[SavedReply, ...]
    needs_approval: bool
    text: str = ""
    answer_id: str | None = None
    """Set where a second person edits a trainee's answer."""


@dataclass(frozen=True, slots=True)
class Written:
    """An answer as it comes from a form."""

    request: str
    """The form's own id: sent twice it acts once."""
    episode_id: str
    text: str
    private: bool
    seen: str
    accepted: frozenset[str] = frozenset()
    """Keys of the cautions that the person has looked at."""


@dataclass(frozen=True, slots=True)
class PrivateAnswer:
    """A private message of the brand that may have answered a public question."""

    item_id: str
    at: datetime
    text: str


class Answering(Protocol):
    """Answers that are written in Presence. Everything is audited and idempotent."""

    async def form(
        self, episode_id: str, by: Actor, *, private: bool | None = None
    ) -> AnswerForm | Done:
        """What to show; notes that this person is writing. `private` None: the way it was asked."""
        ...

    async def leave(self, episode_id: str, by: Actor) -> None:
        """The form was closed without sending."""
        ...

    async def send(self, written: Written, by: Actor) -> Done:
        """Goes out after the time to undo it; a trainee's waits for a second person."""
        ...

    async def undo(self, answer_id: str, by: Actor) -> Done:
        """Take it back before it goes out."""
        ...

    async def review(self, answer_id: str, by: Actor) -> AnswerForm | Done:
        """A trainee's answer, to be edited by a second person."""
        ...

    async def approve(self, answer_id: str, by: Actor, written: Written | None = None) -> Done:
        """The second person sends it, as it is or edited."""
        ...

    async def reject(self, answer_id: str, by: Actor, why: str) -> Done:
        """The second person does not."""
        ...

    async def settle(self, answer_id: str, by: Actor, *, there: bool) -> Done:
        """Nobody can tell whether it arrived: a person says so, or has it sent again."""
        ...


class Doing(Protocol):
    """The other acts on an episode. Everything is audited and idempotent."""

    async def snooze(
        self, episode_id: str, by: Actor, until: datetime, *, beyond: bool = False
    ) -> Done:
        """Not before then; past the due time only where the person says so (`beyond`)."""
        ...

    async def hand_over(self, episode_id: str, by: Actor, to: str | None) -> Done:
        """To a person, who is paged; None: to whoever is next in the rota."""
        ...

    async def note(self, episode_id: str, by: Actor, text: str, request: str) -> Done:
        """For the team alone."""
        ...

    async def promise(
        self, episode_id: str, by: Actor, what: str, due_at: datetime, request: str
    ) -> Done:
        """What was promised to the customer, by when; it pages when due."""
        ...

    async def keep(self, promise_id: str, by: Actor) -> Done:
        """The promise was kept."""
        ...

    async def private_answers(self, episode_id: str, by: Actor) -> list[PrivateAnswer]:
        """The brand's private messages to this person since the question, newest first."""
        ...

    async def answered_in_private(self, episode_id: str, by: Actor, item_id: str) -> Done:
        """One of them counts as the answer."""
        ...

    async def reopen(self, episode_id: str, by: Actor) -> Done:
        """Take a closing back."""
        ...
