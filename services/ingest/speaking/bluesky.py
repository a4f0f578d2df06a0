"""Answering on Bluesky: exactly once, by a record key made of the reply's own.

`putRecord` with `swapRecord: null` writes only where no record stands under the key, and what stands there
can be read back at once from the account's own server. (`createRecord` under a taken key is a 500.)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import regex
from pydantic import SecretStr

from services.contracts.configuration import Account, BlueskyAccount
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.native import instant
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.sources.bluesky import FEED_POST, posted_post
from services.ingest.sources.bluesky_session import Answered, BlueskySession
from services.ingest.sources.bluesky_text import LINK, MENTION
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

GRAPHEMES, BYTES = 300, 3_000
"""The lexicon's limits of a post's text."""
SKEW = timedelta(minutes=2)
_LINK = re.compile(r"(?<![\w@])https?://[^\s<>\"]+")
_MENTION = re.compile(r"(?<![\w@.])@((?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,})")
_ENDS = ".,;:!?'\"…"
_TID = "234567abcdefghijklmnopqrstuvwxyz"
_EPOCH = datetime(2023, 1, 1, tzinfo=UTC)
_SPAN = 366 * 86_400 * 1_000_000
"""Microseconds. Keys look like moments of one past year: no server finds them in the future."""


def record_key(key: str) -> str:
    """A TID (13 characters, base32-sortable) that is the same for every try of one reply."""
    digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
    moment, clock = digest % _SPAN, (digest >> 64) % 1024
    value = ((int(_EPOCH.timestamp()) * 1_000_000 + moment) << 10) | clock
    return "".join(_TID[(value >> shift) & 31] for shift in range(60, -1, -5))


def graphemes(text: str) -> int:
    """What a reader sees as one character counts one."""
    return len(regex.findall(r"\X", text))


def _slice(text: str, start: int, end: int) -> dict[str, int]:
    """Facets count UTF-8 bytes."""
    return {"byteStart": len(text[:start].encode()), "byteEnd": len(text[:end].encode())}


def link_facets(text: str) -> list[dict[str, Any]]:
    """Web links become links; a sentence's end behind one is none of it."""
    found = []
    for match in _LINK.finditer(text):
        uri = match[0].rstrip(_ENDS)
        if uri.endswith(")") and "(" not in uri:
            uri = uri[:-1]
        index = _slice(text, match.start(), match.start() + len(uri))
        found.append({"index": index, "features": [{"$type": LINK, "uri": uri}]})
    return found


class BlueskySpeaker:
    """One account's mouth."""

    certainty = Certainty.by_key
    key_lifetime = timedelta(days=365)
    """A record's key is taken for as long as the record stands."""

    def __init__(self, account: OwnAccount, session: BlueskySession, clock: Clock) -> None:
        self.account = account
        self._session = session
        self._clock = clock

    async def prepare(self) -> None:
        """The limits are the network's: nothing to learn."""

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """Public only; 300 graphemes, 3,000 bytes."""
        if draft.private:
            says = "Presence does not write Bluesky's direct messages: answer in public"
            return Refusal(RefusalCause.visibility, says)
        length, size = graphemes(draft.text), len(draft.text.encode())
        if length > GRAPHEMES:
            return Refusal(RefusalCause.too_long, f"{length} of {GRAPHEMES} characters")
        if size > BYTES:
            return Refusal(RefusalCause.too_long, f"{size} of {BYTES} bytes")
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker."""
        rkey = record_key(key)
        try:
            if posted := await self._standing(rkey, draft, address):
                return posted
            await self._may_answer(address)
            record = await self._record(draft, address)
        except (Transient, Permanent) as error:
            raise _as_spoken(error) from error
        try:
            await self._session.post(
                "com.atproto.repo.putRecord",
                {
                    "repo": self.account.native_id, "collection": FEED_POST, "rkey": rkey,
                    "record": record, "swapRecord": None,
                },
            )  # fmt: skip
        except Answered as answer:
            if answer.code != "InvalidSwap":
                raise _as_spoken(answer) from answer
            # A try of ours that was still under way.
            return await self._certainly_standing(rkey, draft, address)
        except Permanent as error:
            raise _as_spoken(error) from error
        except Transient as error:
            raise _as_written(error) from error
        return Posted(posted_post(self._uri(rkey), record, self.account))

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """In the own feed. It follows the account's server by some seconds."""
        try:
            told = await self._session.get(
                "app.bsky.feed.getAuthorFeed",
                actor=self.account.native_id, filter="posts_with_replies", limit=100,
            )  # fmt: skip
            listed = [one["post"] for one in told["feed"]]
        except (Transient, Permanent) as error:
            raise _as_spoken(error) from error
        except (KeyError, TypeError) as error:
            raise Transient(SpeakReason.unexpected, "a feed without posts") from error
        for one in listed:
            record = one.get("record")
            if _is_answer(record, draft, address):
                at = instant(record.get("createdAt"))
                if at is not None and at >= since - SKEW:
                    return Posted(posted_post(str(one.get("uri")), record, self.account))
        return None

    async def close(self) -> None:
        """See Speaker."""
        await self._session.close()

    def _uri(self, rkey: str) -> str:
        return f"at://{self.account.native_id}/{FEED_POST}/{rkey}"

    async def _standing(self, rkey: str, draft: Draft, address: Address) -> Posted | None:
        """The answer, where an earlier try wrote it. The account's own server knows at once."""
        try:
            told = await self._session.get(
                "com.atproto.repo.getRecord",
                repo=self.account.native_id, collection=FEED_POST, rkey=rkey,
            )  # fmt: skip
        except Answered as answer:
            if answer.code == "RecordNotFound" or answer.says.startswith("Could not locate"):
                return None
            raise
        record = told.get("value") if isinstance(told, dict) else None
        if not isinstance(record, dict) or not _is_answer(record, draft, address):
            raise Permanent(SpeakReason.unexpected, "another record stands under the reply's key")
        return Posted(posted_post(self._uri(rkey), record, self.account))

    async def _certainly_standing(self, rkey: str, draft: Draft, address: Address) -> Posted:
        try:
            posted = await self._standing(rkey, draft, address)
        except (Transient, Permanent) as error:
            if isinstance(error, Permanent):
                raise _as_spoken(error) from error
            raise _as_written(error) from error
        if posted is None:
            raise Ambiguous(SpeakReason.unexpected, "written, and not to be read")
        return posted

    async def _may_answer(self, address: Address) -> None:
        """A person may limit who answers: the network takes the record then and shows it to nobody."""
        uri = address.details["uri"]
        told = await self._session.get("app.bsky.feed.getPosts", uris=uri)
        posts = told.get("posts") if isinstance(told, dict) else None
        if not isinstance(posts, list):
            raise Transient(SpeakReason.unexpected, "no list of posts")
        if not posts:
            raise Permanent(SpeakReason.refused, "the post is no longer there")
        viewer = posts[0].get("viewer") if isinstance(posts[0], dict) else None
        if isinstance(viewer, dict) and viewer.get("replyDisabled"):
            raise Permanent(SpeakReason.refused, "the thread's author does not let us answer")

    async def _record(self, draft: Draft, address: Address) -> dict[str, Any]:
        details = address.details
        facets = [*link_facets(draft.text), *await self._mention_facets(draft.text)]
        record: dict[str, Any] = {
            "$type": FEED_POST,
            "text": draft.text,
            "createdAt": self._clock.now().isoformat(timespec="milliseconds"),
            "reply": {
                "root": {"uri": details["root_uri"], "cid": details["root_cid"]},
                "parent": {"uri": details["uri"], "cid": details["cid"]},
            },
        }
        return record | ({"facets": facets} if facets else {})

    async def _mention_facets(self, text: str) -> list[dict[str, Any]]:
        """A handle that nobody has stays plain text."""
        found = []
        links = [match.span() for match in _LINK.finditer(text)]
        for match in _MENTION.finditer(text):
            if any(start <= match.start() < end for start, end in links):
                continue
            try:
                told = await self._session.get(
                    "com.atproto.identity.resolveHandle", handle=match[1].lower()
                )
            except Answered:
                continue
            did = told.get("did") if isinstance(told, dict) else None
            if isinstance(did, str):
                index = _slice(text, match.start(), match.end())
                found.append({"index": index, "features": [{"$type": MENTION, "did": did}]})
        return found


def _is_answer(record: Any, draft: Draft, address: Address) -> bool:
    """Whether a record of ours is this answer."""
    try:
        parent = record["reply"]["parent"]["uri"]
        return bool(record["text"] == draft.text and parent == address.details["uri"])
    except (KeyError, TypeError):
        return False


def _reason(error: Transient | Permanent) -> SpeakReason:
    """The reader's reasons are the speaker's, but for an account that is not ours."""
    known = {one.value: one for one in SpeakReason}
    return known.get(str(error.reason), SpeakReason.credentials)


def _as_spoken(error: Transient | Permanent) -> Transient | Permanent:
    """Nothing was written."""
    if isinstance(error, Answered):
        return Permanent(SpeakReason.refused, error.says or error.code)
    if isinstance(error, Permanent):
        return Permanent(_reason(error), error.detail)
    return Transient(_reason(error), error.detail, retry_after=error.retry_after)


def _as_written(error: Transient) -> Transient | Ambiguous:
    """The call to write failed: only what never reached the server, or was limited, surely wrote nothing."""
    reason = _reason(error)
    if reason in (SpeakReason.unreachable, SpeakReason.rate_limited):
        return Transient(reason, error.detail, retry_after=error.retry_after)
    return Ambiguous(reason, error.detail)


def build(
    account: Account, own: OwnAccount, secrets: Callable[[str], SecretStr], clock: Clock
) -> BlueskySpeaker | None:
    """The app password that listens also speaks, in a session of its own."""
    if not isinstance(account, BlueskyAccount):
        return None
    password = secrets(account.settings.app_password)
    session = BlueskySession(own.native_id, account.settings, password, clock)
    return BlueskySpeaker(own, session, clock)
