"""The in-memory twin of the chats: for tests of the core, and the model that every chat is held to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Purpose, Shown
from services.runtime.errors import Permanent


@dataclass(frozen=True, slots=True)
class MemoryMessage:
    """What stands in the chat."""

    ref: MessageRef
    delivery_id: str
    purpose: Purpose
    card: Card | None = None
    line: CardLine | None = None
    person: PersonRef | None = None
    text: str | None = None
    beneath: str | None = None
    board: Board | None = None

    def showing(self, shown: Shown) -> MemoryMessage:
        """With this card or board in it."""
        if isinstance(shown, Board):
            return replace(self, board=shown)
        return replace(self, card=shown)


class MemoryDestination:
    """A chat that keeps everything and fails on request."""

    kind = "memory"
    updates_in_place = True
    threads = True

    def __init__(self, destination_id: str = "memory") -> None:
        self.id = destination_id
        self.messages: list[MemoryMessage] = []
        self.failures: deque[Exception] = deque()
        """Raised by the next calls, before anything happens."""
        self.lost_answers: deque[Exception] = deque()
        """Raised by the next calls, after the message arrived."""
        self.closed = False
        self._count = 0

    def cards(self) -> list[MemoryMessage]:
        """The cards that stand."""
        return [one for one in self.messages if one.purpose is Purpose.card]

    def pages(self) -> list[MemoryMessage]:
        """The pages that went out."""
        return [one for one in self.messages if one.purpose is Purpose.page]

    def delete(self, ref: MessageRef) -> None:
        """Somebody deletes a message."""
        self.messages = [one for one in self.messages if one.ref.id != ref.id]

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or the board."""
        return self._add(MemoryMessage(self._next(), delivery_id, Purpose.card).showing(card))

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Bring what is posted up to date; repost it where it is gone."""
        self._fail()
        for index, message in enumerate(self.messages):
            if message.ref.id == ref.id:
                self.messages[index] = message.showing(card)
                self._lose_answer()
                return ref
        return await self.post(card, f"{ref.id}:repost")

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post beneath the card."""
        message = MemoryMessage(
            self._next(), delivery_id, Purpose.thread, card=card, line=line, beneath=ref.id
        )
        return self._add(message)

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Bring a posted line up to date."""
        self._fail()
        for index, message in enumerate(self.messages):
            if message.ref.id == ref.id:
                self.messages[index] = replace(message, line=line, card=card)
        self._lose_answer()
        return ref

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Wake this person."""
        if person.chat_id is None:
            raise Permanent(DeliveryReason.not_found, f"{person.id} has no chat id")
        message = MemoryMessage(self._next(), delivery_id, Purpose.page, person=person)
        return self._add(message.showing(card))

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        return self._add(MemoryMessage(self._next(), delivery_id, Purpose.told, text=text))

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """The post of this delivery."""
        self._fail()
        found = (one.ref for one in self.messages if one.delivery_id == delivery.id)
        return next(found, None)

    async def close(self) -> None:
        """Nothing to release."""
        self.closed = True

    def _next(self) -> MessageRef:
        self._count += 1
        number = str(self._count)
        return MessageRef(self.id, number, f"https://chat.example/{self.id}/{number}")

    def _add(self, message: MemoryMessage) -> MessageRef:
        self._fail()
        self.messages.append(message)
        self._lose_answer()
        return message.ref

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.popleft()

    def _lose_answer(self) -> None:
        if self.lost_answers:
            raise self.lost_answers.popleft()
