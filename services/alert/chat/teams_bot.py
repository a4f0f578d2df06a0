"""A Microsoft Teams channel through a bot of the team's own: updates in place, threads, direct messages."""

from __future__ import annotations

from urllib.parse import quote

from services.alert.chat import adaptive_card, bot_cards
from services.alert.chat.links import Links
from services.alert.chat.teams_connector import Connector, Member
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Shown
from services.runtime.clock import Clock
from services.runtime.errors import Permanent
from services.runtime.logs import get_logger

log = get_logger(__name__)


class TeamsBotDestination:
    """Cards in one Teams channel.

    The connector cannot be asked for messages, so a send whose answer was lost is sent again: a
    duplicate is better than silence. Outside text stands in TextRuns only, which know no markup.
    """

    kind = "teams_bot"
    updates_in_place = True
    threads = True

    def __init__(
        self, destination_id: str, channel: str, connector: Connector, links: Links, clock: Clock
    ) -> None:
        self.id = destination_id
        self.channel = channel
        self.connector = connector
        self._links = links
        self._clock = clock
        self._direct: dict[str, str] = {}

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or the board."""
        return await self._start(self.drawn(card))

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Bring what is posted up to date; where somebody deleted it, post it anew."""
        try:
            await self.connector.update(ref.channel, ref.id, self.drawn(card))
        except Permanent as error:
            if error.reason is not DeliveryReason.not_found:
                raise
            about = card.id if isinstance(card, Board) else card.episode_id
            log.info("card_gone_reposted", destination=self.id, about=about)
            return await self.post(card, f"{about}:repost:{ref.id}")
        return ref

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post a later message beneath the card."""
        message = bot_cards.line_message(line, card, self._links)
        return MessageRef(ref.channel, await self.connector.send(ref.channel, message))

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Bring a posted line up to date; one that somebody deleted stays away."""
        message = bot_cards.line_message(line, card, self._links)
        try:
            await self.connector.update(ref.channel, ref.id, message)
        except Permanent as error:
            if error.reason is not DeliveryReason.not_found:
                raise
            log.info("line_gone", destination=self.id, episode_id=card.episode_id)
        return ref

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Wake this person by a direct message; by a mention where they have not installed the bot."""
        member = await self._member(person)
        try:
            return await self._to(member, bot_cards.page_message(person, card, ref, self._links))
        except Permanent as error:
            if error.reason is not DeliveryReason.not_found:
                raise
            log.info("no_direct_message_mentioned", destination=self.id, person=person.id)
        mention = bot_cards.mention_message(person, member.id, card, self._links)
        if ref is None or not ref.channel:
            return await self._start(mention)
        return MessageRef(ref.channel, await self.connector.send(ref.channel, mention))

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        return await self._start(adaptive_card.told_message(text))

    async def send_sign_in(self, person: PersonRef, url: str) -> None:
        """Send a personal sign-in link to the person it is for, and to nobody else."""
        await self._to(await self._member(person), bot_cards.sign_in_message(url))

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """Nothing can be read through the connector."""
        return None

    async def close(self) -> None:
        """Release connections."""
        await self.connector.close()

    def drawn(self, card: Shown) -> adaptive_card.Message:
        """The card or board with buttons that come back to us."""
        now = self._clock.now()
        if isinstance(card, Board):
            return bot_cards.board_message(card, self._links, now)
        return bot_cards.card_message(card, self._links, now)

    async def _start(self, message: adaptive_card.Message) -> MessageRef:
        _measure(message)
        conversation, activity = await self.connector.start_thread(self.channel, message)
        return MessageRef(conversation, activity, self._address(activity))

    def _address(self, activity: str) -> str:
        channel, tenant = quote(self.channel, safe=""), quote(self.connector.tenant, safe="")
        message = quote(activity, safe="")
        return f"https://teams.microsoft.com/l/message/{channel}/{message}?tenantId={tenant}"

    async def _to(self, member: Member, message: adaptive_card.Message) -> MessageRef:
        conversation = self._direct.get(member.id)
        if conversation is None:
            conversation = self._direct[member.id] = await self.connector.direct(member.id)
        return MessageRef(conversation, await self.connector.send(conversation, message))

    async def _member(self, person: PersonRef) -> Member:
        if person.chat_id is None:
            raise Permanent(
                DeliveryReason.not_found, f"{person.id} has no teams name in presence.yaml"
            )
        for member in await self.connector.members(self.channel):
            if member.is_called(person.chat_id):
                return member
        raise Permanent(DeliveryReason.not_found, f"{person.id} is not a member of the Teams team")


def _measure(message: adaptive_card.Message) -> None:
    size = len(adaptive_card.encode(message))
    if size > adaptive_card.MESSAGE_LIMIT:
        raise Permanent(DeliveryReason.invalid, f"Teams: a message of {size} bytes")
