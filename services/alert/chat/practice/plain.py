"""A practice's way through Apprise: its own address, every message headed."""

from __future__ import annotations

from pydantic import SecretStr

from services.alert.chat.apprise_chat import AppriseDestination
from services.alert.chat.plain_card import PlainCard
from services.alert.chat.practice.heading import HEADING, NOTE, headed
from services.alert.ports import DeliveryReason
from services.runtime.errors import Permanent

TITLE = 150


class PracticeApprise(AppriseDestination):
    """Anything that Apprise reaches; never a person's own address."""

    async def _send(self, url: SecretStr | None, text: PlainCard) -> None:
        if url is not self._url:
            raise Permanent(DeliveryReason.invalid, "a practice never writes to a person alone")
        await super()._send(url, letter(text))


def letter(text: PlainCard) -> PlainCard:
    """The text beneath the heading."""
    return PlainCard(headed(text.title, TITLE), f"{HEADING} · {NOTE}\n{text.body}")
