"""A practice's place in a chat: the real one's cards, and a line where the real one would wake somebody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.alert.chat.destinations import Channel, Secret
from services.alert.chat.links import Links
from services.alert.chat.practice.slack import PracticeSlackClient
from services.alert.chat.practice.teams import PracticeConnector, PracticeTeamsWorkflow
from services.alert.chat.slack import SlackDestination
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import (
    Delivery,
    Destination,
    MessageRef,
    PersonRef,
    Purpose,
    Shown,
)
from services.contracts import configuration as sections
from services.runtime.clock import Clock
from services.runtime.errors import WrongConfiguration

NO_TIME = datetime.min.replace(tzinfo=UTC)
"""A line of ours shows none."""


class PracticeDestination:
    """Shows what would have been sent to a person, in the channel; mentions and wakes nobody."""

    def __init__(self, place: Destination) -> None:
        self._place = place
        self.id, self.kind = place.id, place.kind
        self.updates_in_place, self.threads = place.updates_in_place, place.threads

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """See ports.Destination."""
        return await self._place.post(card, delivery_id)

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """See ports.Destination."""
        return await self._place.update(ref, card)

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """See ports.Destination. Without a mention."""
        return await self._place.thread(ref, replace(line, mention=None), card, delivery_id)

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """See ports.Destination. Without a mention."""
        return await self._place.change_line(ref, replace(line, mention=None), card)

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Say beneath the card whom this would have woken."""
        says = f"{person.name} would have been paged now."
        if isinstance(card, Board) or ref is None or not self.threads:
            headline = card.content.headline if isinstance(card, Board) else card.headline
            return await self._place.tell(f"{says} {headline}", delivery_id)
        line = CardLine(delivery_id, "", NO_TIME, None, says=says)
        return await self._place.thread(ref, line, card, delivery_id)

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """See ports.Destination."""
        return await self._place.tell(text, delivery_id)

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """See ports.Destination. A page stands in the channel."""
        if delivery.purpose is not Purpose.page:
            return await self._place.find(delivery)
        beneath = delivery.card_ref is not None and self.threads and delivery.board is None
        stands_as = Purpose.thread if beneath else Purpose.told
        return await self._place.find(replace(delivery, purpose=stands_as, person=None))

    async def close(self) -> None:
        """See ports.Destination."""
        await self._place.close()


@dataclass(frozen=True, slots=True)
class PracticeChannel:
    """A practice destination, opened."""

    section: sections.Destination
    channel: Channel
    slack: SlackDestination | None = None
    """To answer presses through."""
    bot: TeamsBotDestination | None = None


def open_practice(
    practice: sections.Practice, *, secret: Secret, links: Links, clock: Clock
) -> dict[str, PracticeChannel]:
    """Every practice destination by its id. Nothing is connected before the first send.

    Raises WrongConfiguration, through `secret`, for a secret that is not there.
    """
    return {one.id: _opened(one, secret, links, clock) for one in practice.destinations}


def _opened(
    section: sections.Destination, secret: Secret, links: Links, clock: Clock
) -> PracticeChannel:
    slack, bot = None, None
    place: Destination
    match section:
        case sections.SlackDestination():
            client = PracticeSlackClient(
                secret(section.bot_token), str(section.base_url), section.channel
            )
            place = slack = SlackDestination(section.id, section.channel, client)
        case sections.TeamsWorkflowDestination():
            place = PracticeTeamsWorkflow(section.id, secret(section.url), links, clock)
        case sections.TeamsBotDestination():
            connector = PracticeConnector(
                app_id=section.app_id,
                password=secret(section.app_password),
                tenant=section.tenant,
                service_url=str(section.service_url),
                login_url=str(section.login_url),
                clock=clock,
            )
            connector.channel = section.channel
            place = bot = TeamsBotDestination(section.id, section.channel, connector, links, clock)
        case sections.AppriseDestination() | sections.EmailDestination():
            # Apprise loads a hundred services: only who uses one pays for them.
            from services.alert.chat.practice.plain import PracticeApprise

            by_email = isinstance(section, sections.EmailDestination)
            url = secret(section.url)
            place = PracticeApprise(section.id, url, links, secret, by_email=by_email)
        case sections.PhoneDestination():
            raise WrongConfiguration(f"{section.id}: a practice has a channel and calls nobody")
    rate = section.posts_per_second
    updates = getattr(section, "updates_per_second", rate)
    return PracticeChannel(section, Channel(PracticeDestination(place), rate, updates), slack, bot)
