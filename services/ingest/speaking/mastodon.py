"""Answering on Mastodon and what speaks its API: exactly once, by its Idempotency-Key."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from services.contracts.configuration import Account, MastodonAccount
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.native import instant
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.domain.text import from_html
from services.ingest.sources.mastodon import posted_status
from services.ingest.speaking.http import TIMEOUT, Api, seconds
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

DEFAULT_LIMIT = 500
LINK_LENGTH = 23
"""What a link counts for, whatever its length."""
_LINK = re.compile(r"https?://\S+")
_FAR_MENTION = re.compile(r"(@\w[\w.-]*)@[\w.-]+\w")
SKEW = timedelta(minutes=2)
"""The server's clock may be behind ours."""


class MastodonSpeaker:
    """One account's mouth on its server."""

    certainty = Certainty.by_key
    key_lifetime = timedelta(hours=1)
    """How long Mastodon keeps an idempotency key (docs.joinmastodon.org, `POST /api/v1/statuses`)."""

    def __init__(self, account: OwnAccount, url: str, token: SecretStr, clock: Clock) -> None:
        self.account = account
        self._limit: int | None = None
        client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"authorization": f"Bearer {token.get_secret_value()}"},
            timeout=TIMEOUT,
        )
        self._api = Api(client, lambda told: str(told["error"]), _retry_after(clock))

    async def prepare(self) -> None:
        """The server's limit; servers choose it themselves."""
        if self._limit is not None:
            return
        for path in ("/api/v2/instance", "/api/v1/instance"):
            try:
                self._limit = _limit(await self._api.read(path))
            except Permanent:
                continue
            return
        self._limit = DEFAULT_LIMIT

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """A private item is answered in private; the mention of the person counts."""
        visibility = address.details["visibility"]
        if not draft.private and visibility not in ("public", "unlisted"):
            whom = "the people it names" if visibility == "direct" else "followers"
            says = f"it was written for {whom} only: answer in private"
            return Refusal(RefusalCause.visibility, says)
        limit = self._limit or DEFAULT_LIMIT
        length = _length(_status(draft, address))
        if length > limit:
            says = f"{length} of {limit} characters, the mention of the person included"
            return Refusal(RefusalCause.too_long, says)
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker."""
        told = await self._api.write(
            "/api/v1/statuses",
            json={
                "status": _status(draft, address),
                "in_reply_to_id": address.details["status"],
                "visibility": "direct" if draft.private else address.details["visibility"],
            },
            headers={"idempotency-key": key},
        )
        return self._posted(told)

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """In the thread itself: a server shows an account its own answers at once."""
        path = f"/api/v1/statuses/{quote(address.details['status'], safe='')}/context"
        told = await self._api.read(path)
        below = told.get("descendants") if isinstance(told, dict) else None
        if not isinstance(below, list):
            raise Transient(SpeakReason.unexpected, "a thread without descendants")
        for one in below:
            if self._is_ours(one, draft, address, since):
                return self._posted(one)
        return None

    def _is_ours(self, one: Any, draft: Draft, address: Address, since: datetime) -> bool:
        try:
            ours = str(one["account"]["id"]) == self.account.native_id
            answers = str(one["in_reply_to_id"]) == address.details["status"]
            at = instant(one["created_at"])
            text, _ = from_html(str(one["content"]))
        except (KeyError, TypeError):
            return False
        recent = at is not None and at >= since - SKEW
        return ours and answers and recent and _letters(draft.text) in _letters(text)

    def _posted(self, told: Any) -> Posted:
        try:
            return Posted(posted_status(told, self.account))
        except ValueError as error:
            raise Ambiguous(SpeakReason.unexpected, "the answer is no status of ours") from error

    async def close(self) -> None:
        """See Speaker."""
        await self._api.http.aclose()


def _status(draft: Draft, address: Address) -> str:
    """With the person's handle: without a mention nobody is told, and `direct` reaches nobody."""
    handle = f"@{address.details['acct']}"
    named = re.search(rf"{re.escape(handle)}(?![\w@.-])", draft.text, re.IGNORECASE)
    return draft.text if named or handle == "@" else f"{handle} {draft.text}"


def _length(text: str) -> int:
    """As Mastodon counts: links as 23, mentions without their server. Never below its count, since we
    count code points where it counts what a reader sees as one character."""
    return len(_FAR_MENTION.sub(r"\1", _LINK.sub("x" * LINK_LENGTH, text)))


def _letters(text: str) -> str:
    """For comparing with what a server made of it: no markup, no spaces."""
    return "".join(char for char in text.casefold() if char.isalnum())


def _limit(told: Any) -> int:
    """From either version of the instance document, or Pleroma's."""
    configured = told.get("configuration") if isinstance(told, dict) else None
    try:
        return int(configured["statuses"]["max_characters"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        found = told.get("max_toot_chars") if isinstance(told, dict) else None
        return found if isinstance(found, int) else DEFAULT_LIMIT


def _retry_after(clock: Clock) -> Any:
    def wait(response: httpx.Response) -> float:
        reset = instant(response.headers.get("x-ratelimit-reset"))
        until = (reset - clock.now()).total_seconds() if reset else 30.0
        return seconds(response.headers, max(until, 1.0))

    return wait


def build(account: Account, own: OwnAccount, secrets: Any, clock: Clock) -> MastodonSpeaker | None:
    """The token that listens also speaks, where it may."""
    if not isinstance(account, MastodonAccount):
        return None
    settings = account.settings
    return MastodonSpeaker(own, str(settings.url), secrets(settings.access_token), clock)
