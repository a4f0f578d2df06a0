"""One IMAP connection. IMAPClient blocks, so each connection has one thread of its own (decision 0089)."""

from __future__ import annotations

import asyncio
import imaplib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import imapclient
from imapclient.exceptions import LoginError
from imapclient.imapclient import SENT
from pydantic import SecretStr

from services.contracts.configuration.mail import EmailSettings, MailLogin, MailSecurity
from services.ingest.sources.pulled import PullReason
from services.runtime.errors import Permanent, Transient

T = TypeVar("T")
CONNECT, READ = 10.0, 30.0
"""Seconds until a server that says nothing counts as gone."""
_FOR_NOW = (
    "[unavailable]",
    "[inuse]",
    "[limit]",
    "[overquota]",
    "too many",
    "try again",
    "temporar",
)


@dataclass(frozen=True, slots=True)
class Folder:
    """As the server describes it when it is opened."""

    validity: int
    """UIDVALIDITY: with another one, UIDs mean other mails."""
    next_uid: int
    count: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """One mail's beginning."""

    uid: int
    raw: bytes
    arrived_at: datetime | None
    size: int


class ImapConnection:
    """See the module. Every method raises Transient or Permanent with a PullReason.

    Folders are only examined and bodies only peeked at: nothing is ever marked as read.
    """

    def __init__(self, settings: EmailSettings, user: str, secret: Callable[[], SecretStr]) -> None:
        self._settings = settings
        self._user = user
        self._secret = secret
        self._client: Any = None
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="imap")

    @property
    def is_open(self) -> bool:
        """Logged in, as far as we know."""
        return self._client is not None

    async def open(self) -> None:
        """Connect and log in."""
        self._client = await self._on_thread(self._open)

    async def examine(self, folder: str) -> Folder:
        """Open a folder for reading only."""
        return await self._run(lambda client: _examine(client, folder))

    async def newest(self, folder: Folder, count: int) -> list[int]:
        """The UIDs of the last `count` mails."""
        if folder.count == 0:
            return []
        return await self._run(
            lambda client: _search(client, [f"{max(1, folder.count - count + 1)}:{folder.count}"])
        )

    async def after(self, uid: int) -> list[int]:
        """The UIDs above this one, in order. `n:*` always holds the last mail, so it is filtered."""
        found = await self._run(lambda client: _search(client, ["UID", f"{uid + 1}:*"]))
        return [one for one in found if one > uid]

    async def since(self, day: datetime) -> frozenset[int]:
        """The UIDs of what arrived on this day (of the server's calendar) or later."""
        return frozenset(await self._run(lambda client: _search(client, ["SINCE", day.date()])))

    async def fetch(self, uids: Sequence[int], limit: int) -> list[Fetched]:
        """The first `limit` bytes of each, in the order of UIDs; what is gone meanwhile is left out."""
        return await self._run(lambda client: _fetch(client, uids, limit))

    async def sent_folder(self) -> str | None:
        """The folder that the server marks as sent mail, or that has the usual name."""
        found = await self._run(lambda client: client.find_special_folder(SENT))
        return str(found) if found else None

    async def wait_for_change(self, seconds: float) -> None:
        """IDLE for at most so long; returns when the server said anything about the folder."""
        await self._run(lambda client: _idle(client, seconds))

    async def answers_to(self, message_id: str | None, to: str, since: datetime) -> list[int]:
        """The UIDs of what answers this mail (or, without its id, was sent to this person) since then."""
        named = ["HEADER", "In-Reply-To", message_id] if message_id else ["TO", to]
        criteria = ["SINCE", (since - timedelta(days=1)).date(), *named]
        return await self._run(lambda client: _search(client, criteria))

    async def append(self, folder: str, raw: bytes, at: datetime) -> None:
        """File a mail that was sent, as read."""
        await self._run(lambda client: client.append(folder, raw, (imapclient.SEEN,), at))

    def close(self) -> None:
        """At once, also out of an IDLE: the thread ends with its socket."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            # Wakes a thread that waits in poll(); the TLS layer is left to that thread.
            with suppress(OSError):
                socket.socket.shutdown(client.socket(), socket.SHUT_RDWR)
            self._thread.submit(_hang_up, client)
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[Any], T]) -> T:
        client = self._client
        if client is None:
            raise Transient(PullReason.disconnected, "not logged in")
        return await self._on_thread(lambda: call(client))

    async def _on_thread(self, call: Callable[[], T]) -> T:
        if self._closed:
            raise Transient(PullReason.disconnected, "closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, _ours, call)

    def _open(self) -> Any:
        # Its debug log would hold people's mail.
        logging.getLogger("imapclient").setLevel(logging.WARNING)
        server = self._settings.imap
        tls = server.security is MailSecurity.tls
        client = imapclient.IMAPClient(
            server.host,
            port=server.port or (993 if tls else 143),
            ssl=tls,
            timeout=imapclient.SocketTimeout(CONNECT, READ),
        )
        try:
            if server.security is MailSecurity.starttls:
                client.starttls()
            client.normalise_times = False
            secret = self._secret().get_secret_value()
            if self._settings.login is MailLogin.xoauth2:
                client.oauth2_login(self._user, secret)
            else:
                client.login(self._user, secret)
        except BaseException:
            _hang_up(client)
            raise
        if self._closed:
            # Whoever asked for it was cancelled meanwhile: nobody else would close it.
            _hang_up(client)
            raise Transient(PullReason.disconnected, "closed")
        return client


def _examine(client: Any, folder: str) -> Folder:
    try:
        told = client.select_folder(folder, readonly=True)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        says = f"the folder {folder!r} cannot be opened: {_words(error)}"
        raise Permanent(PullReason.unexpected, says) from error
    return Folder(
        int(told.get(b"UIDVALIDITY", 0)), int(told.get(b"UIDNEXT", 1)), int(told[b"EXISTS"])
    )


def _search(client: Any, criteria: list[Any]) -> list[int]:
    return sorted(int(one) for one in client.search(criteria))


def _fetch(client: Any, uids: Sequence[int], limit: int) -> list[Fetched]:
    wanted = ["INTERNALDATE", "RFC822.SIZE", f"BODY.PEEK[]<0.{limit}>"]
    found = client.fetch(list(uids), wanted)
    return [_fetched(uid, found[uid]) for uid in sorted(found) if b"BODY[]<0>" in found[uid]]


def _idle(client: Any, seconds: float) -> None:
    if not client.has_capability("IDLE"):
        client.noop()
        return
    client.idle()
    try:
        client.idle_check(timeout=seconds)
    finally:
        client.idle_done()


def _fetched(uid: int, told: dict[bytes, Any]) -> Fetched:
    raw, arrived = told[b"BODY[]<0>"] or b"", told.get(b"INTERNALDATE")
    return Fetched(
        uid=uid,
        raw=bytes(raw),
        arrived_at=arrived.astimezone(UTC) if isinstance(arrived, datetime) else None,
        size=int(told.get(b"RFC822.SIZE") or len(raw)),
    )


def _hang_up(client: Any) -> None:
    with suppress(OSError, imaplib.IMAP4.error):
        client.shutdown()


def _words(error: BaseException) -> str:
    said = error.args[0] if error.args else type(error).__name__
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return "".join(char if char.isprintable() else " " for char in text)[:200]


def _ours(call: Callable[[], T]) -> T:
    """Run in the connection's thread, with what libraries raise in our words."""
    try:
        return call()
    except LoginError as error:
        says = f"the server refuses the login: {_words(error)}"
        if any(mark in says.lower() for mark in _FOR_NOW):
            raise Transient(PullReason.rate_limited, says, retry_after=60.0) from error
        raise Permanent(PullReason.credentials, says) from error
    except imaplib.IMAP4.abort as error:
        raise Transient(PullReason.disconnected, _words(error)) from error
    except imaplib.IMAP4.error as error:
        raise Transient(PullReason.server_error, _words(error)) from error
    except ssl.SSLCertVerificationError as error:
        says = f"the server's certificate is not valid: {error.verify_message}"
        raise Permanent(PullReason.unexpected, says) from error
    except TimeoutError as error:
        raise Transient(PullReason.timeout, "no answer") from error
    except (OSError, EOFError) as error:
        raise Transient(PullReason.unreachable, type(error).__name__) from error
    except ValueError as error:
        # An answer that is no IMAP.
        raise Transient(PullReason.unexpected, type(error).__name__) from error
