"""A Slack channel as a destination: post, update in place, thread, page by direct message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.alert.chat import slack_blocks, slack_boards
from services.alert.chat.links import Links
from services.alert.chat.slack_client import SlackClient, SlackRefusal
from services.alert.domain.boards.board import Board
from services.alert.domain.card import Card, CardLine
from services.alert.ports import Delivery, DeliveryReason, MessageRef, PersonRef, Purpose, Shown
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

METADATA_EVENT = "presence_delivery"
# Our clock and Slack's may differ; looking at a little more costs nothing.
_CLOCK_DIFFERENCE = timedelta(minutes=2)
_HISTORY_PAGES = 5
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_CANNOT_DM = frozenset({"cannot_dm_bot", "user_disabled", "user_not_visible", "restricted_action"})

log = get_logger(__name__)


class SlackDestination:
    """Cards in one Slack channel.

    Invariants: a message carries its delivery's id as metadata, so that an attempt whose answer was
    lost is found instead of repeated; nothing is unfurled; outside text is never markup.
    """

    kind = "slack"
    updates_in_place = True
    threads = True

    def __init__(
        self, destination_id: str, channel: str, client: SlackClient, links: Links | None = None
    ) -> None:
        self.id = destination_id
        self.channel = channel
        self._client = client
        self._links = links
        self._direct: dict[str, str] = {}

    async def post(self, card: Shown, delivery_id: str) -> MessageRef:
        """Post the card or the board."""
        text, blocks = _drawn(card)
        ref = await self._send(self.channel, text, blocks, delivery_id)
        return MessageRef(ref.channel, ref.id, await self._permalink(ref))

    async def update(self, ref: MessageRef, card: Shown) -> MessageRef:
        """Bring what is posted up to date; where somebody deleted it, post it anew."""
        text, blocks = _drawn(card)
        try:
            await self._client.call(
                "chat.update",
                channel=ref.channel,
                ts=ref.id,
                text=text,
                blocks=blocks,
            )
        except SlackRefusal as refusal:
            if refusal.code not in _GONE:
                raise
            about = card.id if isinstance(card, Board) else card.episode_id
            log.info("card_gone_reposted", destination=self.id, about=about)
            return await self.post(card, f"{about}:repost:{ref.id}")
        return ref

    async def thread(
        self, ref: MessageRef, line: CardLine, card: Card, delivery_id: str
    ) -> MessageRef:
        """Post a later message beneath the card."""
        blocks = slack_blocks.line_blocks(line, card)
        text = slack_blocks.line_text(line, card)
        return await self._send(ref.channel, text, blocks, delivery_id, thread_ts=ref.id)

    async def change_line(self, ref: MessageRef, line: CardLine, card: Card) -> MessageRef:
        """Bring a posted line up to date; one that somebody deleted stays away."""
        try:
            await self._client.call(
                "chat.update",
                channel=ref.channel,
                ts=ref.id,
                text=slack_blocks.line_text(line, card),
                blocks=slack_blocks.line_blocks(line, card),
            )
        except SlackRefusal as refusal:
            if refusal.code not in _GONE:
                raise
            log.info("line_gone", destination=self.id, episode_id=card.episode_id)
        return ref

    async def update_view(self, view_id: str, view: slack_blocks.Block) -> None:
        """Show something else in an open modal."""
        await self._client.call("views.update", view_id=view_id, view=view)

    async def page(
        self, person: PersonRef, card: Shown, ref: MessageRef | None, delivery_id: str
    ) -> MessageRef:
        """Wake this person by a direct message, or where Slack allows none by a mention in the thread."""
        member = self._member(person)
        headline = card.content.headline if isinstance(card, Board) else card.headline
        text = slack_blocks.notification_text(headline)
        try:
            channel = await self.direct_channel(member)
        except SlackRefusal as refusal:
            if refusal.code not in _CANNOT_DM or ref is None:
                raise
            # The mention is ours; the rest is escaped.
            mention = f"<@{member}> {text}"
            return await self._send(ref.channel, mention, None, delivery_id, thread_ts=ref.id)
        blocks = self._page_blocks(person, card, ref.url if ref else None)
        return await self._send(channel, text, blocks, delivery_id)

    def _page_blocks(
        self, person: PersonRef, card: Shown, posted_at: str | None
    ) -> list[slack_blocks.Block]:
        if isinstance(card, Board):
            personal = self._links.board(card.id, person.id) if self._links else None
            return slack_boards.page_blocks(card, posted_at, personal)
        personal = self._links.episode(card.episode_id, person.id) if self._links else None
        return slack_blocks.page_blocks(card, posted_at, personal)

    async def tell(self, text: str, delivery_id: str) -> MessageRef:
        """Post a plain line."""
        return await self._send(
            self.channel, slack_blocks.notification_text(text), None, delivery_id
        )

    async def send_sign_in(self, person: PersonRef, url: str) -> None:
        """Send a personal sign-in link to the person it is for, and to nobody else."""
        channel = await self.direct_channel(self._member(person))
        text = "Sign in to Presence with this link. It is yours alone; it ends in 15 minutes."
        link = slack_blocks.link_buttons("Sign in", url)
        blocks = [slack_blocks.section(text), {"type": "actions", "elements": link}]
        await self._send(channel, text, blocks, None)

    async def whisper(self, channel: str, member: str, text: str, words: str = "") -> None:
        """Say something to one member in a channel; nobody else sees it. `words`: their own, whole."""
        shown = slack_blocks.notification_text(text)
        blocks = _with_words(text, words)
        await self._client.call(
            "chat.postEphemeral", channel=channel, user=member, text=shown, blocks=blocks
        )

    async def say_directly(self, member: str, text: str, words: str = "") -> None:
        """Say something to one member where there is no channel: a press in the Home tab."""
        channel = await self.direct_channel(member)
        shown = slack_blocks.notification_text(text)
        await self._send(channel, shown, _with_words(text, words), None)

    async def answer_later(self, response_url: str, answer: slack_blocks.Block) -> None:
        """Answer a slash command whose acknowledgement has gone out."""
        await self._client.answer_later(response_url, answer)

    async def publish_home(self, member: str, view: slack_blocks.Block) -> None:
        """Show this in the member's Home tab of the app."""
        await self._client.call("views.publish", user_id=member, view=view)

    async def open_view(self, trigger_id: str, view: slack_blocks.Block) -> None:
        """Open a modal for the member who pressed; a trigger lives about three seconds."""
        await self._client.call("views.open", trigger_id=trigger_id, view=view)

    async def direct_channel(self, member: str) -> str:
        """The channel of direct messages with this member; it never changes, so it is asked for once."""
        if known := self._direct.get(member):
            return known
        opened = await self._client.call("conversations.open", users=member)
        channel = opened.get("channel", {}).get("id")
        if not isinstance(channel, str):
            raise Transient(DeliveryReason.unavailable, "Slack conversations.open: no channel")
        self._direct[member] = channel
        return channel

    async def find(self, delivery: Delivery) -> MessageRef | None:
        """The message that carries this delivery's id, looked for where it would stand."""
        channel, thread = self.channel, None
        if delivery.purpose is Purpose.page and delivery.person:
            channel = await self.direct_channel(self._member(delivery.person))
        elif delivery.purpose is Purpose.thread and delivery.card_ref:
            channel, thread = delivery.card_ref.channel, delivery.card_ref.id
        found = await self._look(channel, thread, delivery)
        if found is None or delivery.purpose is not Purpose.card:
            return found
        return MessageRef(found.channel, found.id, await self._permalink(found))

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    async def _look(
        self, channel: str, thread: str | None, delivery: Delivery
    ) -> MessageRef | None:
        cursor: str | None = None
        for _ in range(_HISTORY_PAGES):
            page = await self._client.read(
                "conversations.replies" if thread else "conversations.history",
                channel=channel,
                ts=thread,
                oldest=_oldest(delivery.first_tried_at),
                include_all_metadata=True,
                limit=200,
                cursor=cursor,
            )
            for message in page.get("messages", ()):
                if _delivery_id(message) == delivery.id:
                    return MessageRef(channel, str(message["ts"]))
            cursor = page.get("response_metadata", {}).get("next_cursor") or None
            if cursor is None:
                break
        return None

    async def _send(
        self,
        channel: str,
        text: str,
        blocks: list[slack_blocks.Block] | None,
        delivery_id: str | None,
        thread_ts: str | None = None,
    ) -> MessageRef:
        payload = {"delivery_id": delivery_id}
        metadata = {"event_type": METADATA_EVENT, "event_payload": payload} if delivery_id else None
        sent = await self._client.call(
            "chat.postMessage",
            channel=channel,
            text=text,
            blocks=blocks,
            thread_ts=thread_ts,
            metadata=metadata,
            unfurl_links=False,
            unfurl_media=False,
            link_names=False,
        )
        return MessageRef(str(sent.get("channel", channel)), str(sent["ts"]))

    async def _permalink(self, ref: MessageRef) -> str | None:
        # The card stands; a page without the way to it is better than a card posted twice.
        try:
            return await self._client.permalink(ref.channel, ref.id)
        except (Transient, Permanent) as error:
            log.info("no_permalink", destination=self.id, error=str(error))
            return None

    @staticmethod
    def _member(person: PersonRef) -> str:
        if person.chat_id is None or not slack_blocks.MEMBER_ID.fullmatch(person.chat_id):
            raise Permanent(
                DeliveryReason.not_found, f"{person.id} has no Slack member id in presence.yaml"
            )
        return person.chat_id


def _with_words(text: str, words: str) -> list[slack_blocks.Block] | None:
    if not words:
        return None
    return [slack_blocks.section(text), slack_blocks.quote(words, slack_blocks.SECTION_LIMIT)]


def _drawn(card: Shown) -> tuple[str, list[slack_blocks.Block]]:
    if isinstance(card, Board):
        return slack_boards.board_text(card), slack_boards.board_blocks(card)
    return slack_blocks.card_text(card), slack_blocks.card_blocks(card)


def _oldest(first_tried_at: datetime | None) -> str | None:
    if first_tried_at is None:
        return None
    return f"{(first_tried_at - _CLOCK_DIFFERENCE).timestamp():.6f}"


def _delivery_id(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != METADATA_EVENT:
        return None
    found = (metadata.get("event_payload") or {}).get("delivery_id")
    return found if isinstance(found, str) else None
