"""Anything that Apprise reaches, as a destination: plain cards with signed links, one way.

Apprise says of a failure no more than that it failed, and writes the reason into its log: the status
is read from there. That log never reaches ours, for its lines may hold addresses.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import apprise
from pydantic import SecretStr

from services.alert.chat import plain_card
from services.alert.chat.links import Links
from services.alert.chat.plain_card import PlainCard
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Shown
from services.runtime.errors import Permanent, Transient, WrongConfiguration

Secret = Callable[[str], SecretStr]
_STATUS = re.compile(r"error=(\d{3})\b")
_RETRY_AFTER = 30.0
"""Apprise does not hand on what a 429 asked for."""


class AppriseDestination:
    """Cards in one place that Apprise knows an address of; people at an address of their own.

    `by_email`: the address is a mailbox, and a page goes through it to the person's email. Otherwise a
    page goes to the address that the person's `notify` names.
    """

    updates_in_place = False
    threads = False

    def __init__(
        self,
        destination_id: str,
        url: SecretStr | None,
        links: Links,
        secret: Secret,
        *,
        by_email: bool = False,
    ) -> None:
        self.id = destination_id
        self.kind = "email" if by_email else "apprise"
        self._url = url
        self._links = links
        self._secret = secret
        self._by_email = by_email

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or board, or only how it ended where nobody waits any more."""
        await self._send(self._url, self._drawn(card))
        return MessageRef(self.id, plain_card.stage(card))

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Say what became of the card, where that is news."""
        if ref.id == plain_card.stage(card):
            return ref
        text = self._drawn(card) if isinstance(card, Board) else plain_card.follow_up(card)
        await self._send(self._url, text)
        return MessageRef(self.id, plain_card.stage(card))

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post the later message as a message of its own."""
        await self._send(self._url, plain_card.line_text(line, card, self._links))
        return MessageRef(self.id, "")

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Nothing that stands can be changed."""
        return ref

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Wake this person at their own address."""
        text = plain_card.page_text(person, card, self._links, alone=True)
        await self._send(self._own(person), text)
        return MessageRef(self.id, "")

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        await self._send(self._url, PlainCard("Presence", plain_card.harmless(text, 1_000)))
        return MessageRef(self.id, "")

    async def send_sign_in(self, person: PersonRef, url: str) -> None:
        """Send a personal sign-in link to the person's own address."""
        await self._send(self._own(person), plain_card.sign_in_text(url))

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """Nothing can be read: a duplicate is better than silence."""
        return None

    async def close(self) -> None:
        """Nothing is kept open."""

    def _drawn(self, shown: Shown) -> PlainCard:
        if isinstance(shown, Board):
            return plain_card.board_text(shown, self._links)
        return plain_card.card_text(shown, self._links)

    def _own(self, person: PersonRef) -> SecretStr:
        if person.chat_id is None:
            lacks = {"apprise": "notify"}.get(self.kind, self.kind)
            raise Permanent(
                DeliveryReason.not_found, f"{person.id} has no {lacks} in presence.yaml"
            )
        if self._by_email and self._url is not None:
            return SecretStr(addressed(self._url.get_secret_value(), person.chat_id))
        try:
            return self._secret(person.chat_id)
        except WrongConfiguration as error:
            raise Permanent(DeliveryReason.not_found, f"{person.id}: {error}") from None

    async def _send(self, url: SecretStr | None, text: PlainCard) -> None:
        if url is None:
            raise Permanent(DeliveryReason.invalid, f"{self.id} has no channel: it pages people")
        arrived, said = await asyncio.to_thread(_notify, url.get_secret_value(), text)
        if arrived:
            return
        _judge(self.id, said)


class PhoneDestination(AppriseDestination):
    """Text messages and calls: pages only, each to the address that the person's `phone` names."""

    def __init__(self, destination_id: str, links: Links, secret: Secret) -> None:
        super().__init__(destination_id, None, links, secret)
        self.kind = "phone"


def addressed(url: str, email: str) -> str:
    """A mailto address of Apprise with this recipient in the place of its own."""
    parts = urlsplit(url)
    asked = [one for one in parse_qsl(parts.query) if one[0] not in ("to", "cc", "bcc")]
    query = urlencode([*asked, ("to", email)])
    return urlunsplit((parts.scheme, parts.netloc, "", query, ""))


def knows_address(url: str) -> bool:
    """Whether Apprise has a service for this address. Sends nothing."""
    logging.getLogger("apprise").propagate = False
    return apprise.Apprise.instantiate(url, suppress_exceptions=True) is not None


class _OfThisThread(logging.Handler):
    """Gathers what Apprise says while this thread sends."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def _notify(url: str, text: PlainCard) -> tuple[bool, str | None]:
    """Send in this thread; whether it arrived, and what was said otherwise (None: no address)."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    gather = _OfThisThread()
    logger.addHandler(gather)
    try:
        # A new one each time: Apprise keeps its own pace within one, and sleeps for it.
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            return False, None
        arrived = service.notify(
            title=text.title, body=text.body, body_format=apprise.NotifyFormat.TEXT
        )
        return bool(arrived), " ".join(gather.said)
    finally:
        logger.removeHandler(gather)


def _judge(name: str, said: str | None) -> None:
    if said is None:
        raise Permanent(DeliveryReason.invalid, f"{name}: Apprise does not know this address")
    found = _STATUS.search(said)
    status = int(found[1]) if found else 0
    shown = f"{name}: Apprise, {status or 'no answer'}"
    if status == 429:
        raise Transient(DeliveryReason.rate_limited, shown, retry_after=_RETRY_AFTER)
    if status in (401, 403):
        raise Permanent(DeliveryReason.refused_credentials, shown)
    if status in (404, 410):
        raise Permanent(DeliveryReason.not_found, shown)
    if 400 <= status < 500 and status != 408:
        raise Permanent(DeliveryReason.invalid, shown)
    raise Transient(DeliveryReason.unavailable, shown)
