"""A mailbox by IMAP: feeds that are read by UID, and IDLE. What a mail means is in email.py.

Invariants
- A position names UIDVALIDITY and UID. With another UIDVALIDITY the folder is read anew, back to the
  day of the last mail that was read: item ids come from Message-IDs, so what was taken in is known.
- One connection reads the feeds; each folder has one more that waits in IDLE. IDLE is begun anew every
  four minutes: RFC 2177 says 29, and firewalls drop silent connections sooner.
- IDLE says only that something changed; what changed is fetched above the last UID, and once a minute
  the feeds are read from their cursors whatever IDLE said.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from pydantic import SecretStr

from services.contracts.configuration.mail import EmailSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed, Rejected, RejectReason
from services.ingest.sources.email import Letter, parse_letter
from services.ingest.sources.imap_connection import Fetched, Folder, ImapConnection
from services.ingest.sources.pulled import Event, Page, PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

REISSUE = 240.0
"""Seconds of one IDLE."""
PAGE = 20
"""Mails that are fetched together: at most PAGE × size_limit bytes in memory."""
RESYNC_MARGIN = timedelta(days=2)
"""SINCE compares days of the server's calendar, and servers may be a day apart."""
MAIL, UNREADABLE = "mail", "unreadable"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a folder was read."""

    validity: int
    uid: int
    newest: int = 0
    """Unix seconds of the newest arrival that was read."""
    resync_to: int = 0
    """While a folder is read anew: up to this UID only what arrived since `newest` is taken."""

    def __str__(self) -> str:
        return f"{self.validity}:{self.uid}:{self.newest}:{self.resync_to}"

    @classmethod
    def read(cls, text: str) -> Position:
        """The inverse. What is none means: from the beginning."""
        try:
            return cls(*(int(part) for part in text.split(":")[:4]))
        except (ValueError, TypeError):
            return cls(0, 0)


class EmailAccountFeed:
    """One mailbox's ears."""

    name = "email"

    def __init__(
        self,
        account: OwnAccount,
        settings: EmailSettings,
        secret: Callable[[], SecretStr],
        clock: Clock,
        *,
        reissue: float = REISSUE,
    ) -> None:
        self.account = account
        self.backfill_limit = settings.backfill_limit
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._reissue = reissue
        self._sent = settings.sent
        self._reader = self._connection()
        self._reading = asyncio.Lock()

    @property
    def feeds(self) -> tuple[str, ...]:
        """Sent mail first: an answer is known before its question could page."""
        return ("sent", *(f"folder:{one}" for one in self._settings.mailboxes))

    def _connection(self) -> ImapConnection:
        user = self._settings.user or self.account.native_id
        return ImapConnection(self._settings, user, self._secret)

    async def identify(self) -> None:
        """Log in anew, and see that every folder is there."""
        async with self._reading:
            self._reader.close()
            self._reader = self._connection()
            await self._reader.open()
            if self._sent is None:
                self._sent = await self._reader.sent_folder()
            if self._sent is None:
                raise Permanent(
                    PullReason.unexpected,
                    "the server marks no folder as sent mail: name it as settings.sent",
                )
            for feed in self.feeds:
                await self._reader.examine(self._folder(feed))

    def _folder(self, feed: str) -> str:
        return (self._sent or "") if feed == "sent" else feed.removeprefix("folder:")

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Every folder watched by a connection of its own."""
        heard: asyncio.Queue[Event | Transient | Permanent] = asyncio.Queue(PAGE)
        watching: list[asyncio.Task[None]] = []
        connections: list[ImapConnection] = []
        try:
            for feed in self.feeds:
                connection = self._connection()
                connections.append(connection)
                await connection.open()
                folder = await connection.examine(self._folder(feed))
                watch = self._watch(connection, feed, folder, heard)
                watching.append(asyncio.create_task(watch, name=f"idle {feed}"))
            yield _events(heard)
        finally:
            for task in watching:
                task.cancel()
            for connection in connections:
                connection.close()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(
        self,
        connection: ImapConnection,
        feed: str,
        folder: Folder,
        heard: asyncio.Queue[Event | Transient | Permanent],
    ) -> None:
        last = folder.next_uid - 1
        try:
            while True:
                await connection.wait_for_change(self._reissue)
                while uids := (await connection.after(last))[:PAGE]:
                    for event in await self._fetched(connection, feed, uids):
                        await heard.put(event)
                    last = uids[-1]
        except (Transient, Permanent) as error:
            await heard.put(error)

    async def page(self, feed: str, after: str | None) -> Page:
        """The next mails above the cursor, in the order of UIDs."""
        async with self._reading:
            if not self._reader.is_open:
                raise Transient(PullReason.disconnected, "not logged in")
            folder = await self._reader.examine(self._folder(feed))
            if after is None:
                uids = await self._reader.newest(folder, PAGE)
                begin = Position(folder.validity, folder.next_uid - 1)
                return await self._page(feed, uids, begin)
            position = _in(folder, Position.read(after))
            uids = await self._reader.after(position.uid)
            if position.uid < position.resync_to:
                uids = await self._not_history(uids, position)
            return await self._page(feed, uids[:PAGE], position)

    async def _not_history(self, uids: Sequence[int], position: Position) -> list[int]:
        since = datetime.fromtimestamp(position.newest, UTC) - RESYNC_MARGIN
        recent = await self._reader.since(since)
        return [uid for uid in uids if uid > position.resync_to or uid in recent]

    async def _page(self, feed: str, uids: Sequence[int], before: Position) -> Page:
        events = await self._fetched(self._reader, feed, uids) if uids else []
        newest = max([before.newest, *(event.payload["arrived"] for event in events)])
        resync_to = before.resync_to if uids and uids[-1] < before.resync_to else 0
        position = Position(
            before.validity,
            uids[-1] if uids else before.uid,
            # While it is read anew the day stays where it was.
            before.newest if resync_to else newest,
            resync_to,
        )
        return Page(events, str(position), orjson.dumps([_kept(event) for event in events]))

    async def _fetched(
        self, connection: ImapConnection, feed: str, uids: Sequence[int]
    ) -> list[Event]:
        try:
            found = await connection.fetch(uids, self._settings.size_limit)
        except Transient as error:
            if error.reason is not PullReason.server_error or len(uids) == 1:
                raise
            # One mail that the server cannot hand out must not hold up those behind it.
            return [one for uid in uids for one in await self._alone(connection, feed, uid)]
        return [_event(one, feed) for one in found]

    async def _alone(self, connection: ImapConnection, feed: str, uid: int) -> list[Event]:
        try:
            return await self._fetched(connection, feed, [uid])
        except Transient as error:
            if error.reason is not PullReason.server_error:
                raise
            says = f"{feed}: the server does not hand out UID {uid}"
            return [Event(UNREADABLE, {"says": says, "arrived": 0}, says.encode())]

    async def parse(self, event: Event, receipt: Receipt) -> Parsed:
        """See PulledSource."""
        if event.name == UNREADABLE:
            return Rejected(RejectReason.malformed, event.payload["says"][:120], self.account.id)
        return parse_letter(event.payload["letter"], self.account, receipt)

    def asks_to_refetch(self, event: Event) -> bool:
        """Never: what IDLE announces is fetched at once."""
        return False

    async def close(self) -> None:
        """See PulledSource."""
        self._reader.close()


def _in(folder: Folder, position: Position) -> Position:
    """The position as it is valid now. Raises nothing: a new UIDVALIDITY begins a resync."""
    if position.validity == folder.validity:
        return position
    if position.validity == 0:
        return Position(folder.validity, 0)
    return Position(folder.validity, 0, position.newest, folder.next_uid - 1)


async def _events(heard: asyncio.Queue[Event | Transient | Permanent]) -> AsyncIterator[Event]:
    while True:
        one = await heard.get()
        if isinstance(one, Transient | Permanent):
            raise one
        yield one


def _event(fetched: Fetched, feed: str) -> Event:
    arrived = int(fetched.arrived_at.timestamp()) if fetched.arrived_at else 0
    letter = Letter(
        fetched.raw,
        fetched.arrived_at,
        sent=feed == "sent",
        whole=len(fetched.raw) >= fetched.size,
    )
    return Event(MAIL, {"letter": letter, "uid": fetched.uid, "arrived": arrived}, fetched.raw)


def _kept(event: Event) -> dict[str, object]:
    """For the store of originals."""
    mail = base64.b64encode(event.body).decode()
    return {"uid": event.payload.get("uid"), "arrived": event.payload["arrived"], "mail": mail}
