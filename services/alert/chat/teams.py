"""A Microsoft Teams channel through a Workflows webhook: one way, no ids, no updates."""

from __future__ import annotations

import asyncio
import re

import aiohttp
from pydantic import SecretStr

from services.alert.chat import adaptive_boards, adaptive_card
from services.alert.chat.links import Links
from services.alert.chat.plain_card import stage
from services.alert.chat.slack_client import retry_after
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Shown
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

TIMEOUT_SECONDS = 7.5
_TOLD = re.compile(r"returned HTTP error (\d{3})")


class TeamsWorkflowDestination:
    """Cards in one Teams channel.

    A workflow returns no message id, so a posted card says "as of 14:02" and stays; what becomes of
    it is said by a follow-up. What was said last is kept as the reference's id, so that a repeated
    update says nothing twice. The webhook's address is a secret: no error holds it.
    """

    kind = "teams_workflow"
    updates_in_place = False
    threads = False

    def __init__(
        self,
        destination_id: str,
        url: SecretStr,
        links: Links,
        clock: Clock,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.id = destination_id
        self._url = url
        self._links = links
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or board, or only how it ended where nobody waits any more."""
        now = self._clock.now()
        if isinstance(card, Board):
            await self._send(adaptive_boards.board_message(card, self._links, now))
        elif card.state.live:
            await self._send(adaptive_card.card_message(card, self._links, now))
        else:
            await self._send(adaptive_card.follow_up_message(card, now))
        return MessageRef(self.id, stage(card))

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Say what became of the card, where that is news; of a board, that it is over."""
        if ref.id == stage(card):
            return ref
        if isinstance(card, Board):
            now = self._clock.now()
            await self._send(adaptive_boards.board_message(card, self._links, now))
        else:
            await self._send(adaptive_card.follow_up_message(card, self._clock.now()))
        return MessageRef(self.id, stage(card))

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post the later message as a card of its own."""
        await self._send(adaptive_card.line_message(line, card, self._links))
        return MessageRef(self.id, "")

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Nothing that stands can be changed through a webhook."""
        return ref

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Mention the person in the channel."""
        if person.chat_id is None:
            raise Permanent(
                DeliveryReason.not_found, f"{person.id} has no teams name in presence.yaml"
            )
        if isinstance(card, Board):
            await self._send(adaptive_boards.page_message(person, card, self._links))
        else:
            await self._send(adaptive_card.page_message(person, card, self._links))
        return MessageRef(self.id, "")

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        await self._send(adaptive_card.told_message(text))
        return MessageRef(self.id, "")

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """Nothing can be read through a webhook: a duplicate is better than silence."""
        return None

    async def close(self) -> None:
        """Release connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)

    async def _send(self, message: adaptive_card.Message) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        body = adaptive_card.encode(message)
        if len(body) > adaptive_card.MESSAGE_LIMIT:
            raise Permanent(DeliveryReason.invalid, f"Teams: a message of {len(body)} bytes")
        try:
            async with self._session.post(
                self._url.get_secret_value(),
                data=body,
                headers={"content-type": "application/json"},
                allow_redirects=False,
            ) as response:
                said = (await response.content.read(2_000)).decode(errors="replace")
                _judge(response.status, response.headers.get("retry-after"), said)
        except TimeoutError:
            raise Transient(DeliveryReason.timeout, "Teams: no answer") from None
        except aiohttp.InvalidURL:
            raise Permanent(DeliveryReason.not_found, "Teams: the address is no URL") from None
        except (aiohttp.ClientError, OSError) as error:
            kind = type(error).__name__
            raise Transient(DeliveryReason.unavailable, f"Teams: {kind}") from None


def _judge(status: int, wait: str | None, said: str) -> None:
    """Name a workflow's answer. Some say 200 and put into words what Teams answered *them*."""
    if status < 300 and (told := _TOLD.search(said)):
        status = int(told[1])
    if status == 429:
        headers = {"retry-after": wait} if wait else {}
        asked = retry_after(headers)
        raise Transient(DeliveryReason.rate_limited, "Teams: 429", retry_after=asked)
    if status in (401, 403):
        raise Permanent(DeliveryReason.refused_credentials, f"Teams: {status}")
    if status in (404, 410):
        raise Permanent(DeliveryReason.not_found, f"Teams: {status}, the workflow is gone")
    if status >= 500 or status == 408:
        raise Transient(DeliveryReason.unavailable, f"Teams: {status}")
    if status >= 300:
        raise Permanent(DeliveryReason.invalid, f"Teams: {status}")
    if "delivery failed" in said:
        raise Transient(DeliveryReason.unavailable, "Teams: the workflow could not deliver")
