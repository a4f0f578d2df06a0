"""Answering on X: posts and direct messages. X has no idempotency key and its reads lag: at most once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx

from services.contracts.configuration import Account, XAccount
from services.contracts.events import Author, Kind
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.item import Item
from services.ingest.domain.native import instant
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.sources.x_auth import authorisation
from services.ingest.speaking.http import TIMEOUT, Api, seconds
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent

DIRECT_LIMIT = 10_000
POST_LIMIT = 280


class XSpeaker:
    """One account's mouth on X."""

    certainty = Certainty.none
    key_lifetime = timedelta(0)

    def __init__(self, account: OwnAccount, url: str, auth: httpx.Auth, clock: Clock) -> None:
        # X's rules of counting are a large table: only where somebody answers on X.
        from twitter_text import parse_tweet

        self.account = account
        self._counted = parse_tweet
        self._clock = clock
        client = httpx.AsyncClient(base_url=url.rstrip("/"), auth=auth, timeout=TIMEOUT)
        self._api = Api(client, _words, self._retry_after)

    async def identify(self) -> str:
        """The id of the account that the token speaks for. Raises Transient or Permanent."""
        told = await self._api.read("/2/users/me")
        found = told.get("data") if isinstance(told, dict) else None
        return str(found.get("id")) if isinstance(found, dict) else "nobody"

    async def prepare(self) -> None:
        """X's limits are the same for everybody that the API posts for."""

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """280 weighted characters in public, 10,000 in a direct message."""
        if "participant" in address.details and not draft.private:
            says = "a direct message can only be answered in private"
            return Refusal(RefusalCause.visibility, says)
        if draft.private:
            if _participant(address) is None:
                says = "X did not say who wrote it: it can only be answered in public"
                return Refusal(RefusalCause.visibility, says)
            length, limit = len(draft.text), DIRECT_LIMIT
        else:
            length, limit = self._counted(draft.text).weightedLength, POST_LIMIT
        if length > limit:
            return Refusal(RefusalCause.too_long, f"{length} of {limit} characters, as X counts")
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker; X takes no key."""
        if draft.private:
            participant = quote(_participant(address) or "", safe="")
            path = f"/2/dm_conversations/with/{participant}/messages"
            told = await self._api.write(path, json={"text": draft.text})
            return self._posted(told, "dm_event_id", Kind.direct, draft, None)
        answered = address.details["post"]
        body = {"text": draft.text, "reply": {"in_reply_to_tweet_id": answered}}
        told = await self._api.write("/2/tweets", json=body)
        return self._posted(told, "id", Kind.reply, draft, answered)

    def _posted(
        self, told: Any, name: str, kind: Kind, draft: Draft, answered: str | None
    ) -> Posted:
        found = told.get("data") if isinstance(told, dict) else None
        native_id = found.get(name) if isinstance(found, dict) else None
        if not isinstance(native_id, str) or not native_id:
            raise Ambiguous(SpeakReason.unexpected, f"an answer without {name}")
        direct = kind is Kind.direct
        return Posted(
            Item(
                native_id=native_id,
                author=Author(id=self.account.native_id),
                kinds=frozenset({kind}),
                in_reply_to=answered,
                private=direct,
                text=draft.text,
                permalink=None if direct else f"https://x.com/i/status/{native_id}",
                happened_at=self._clock.now(),
            )
        )

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """X's reads lag behind its writes: they tell nothing."""
        raise Permanent(SpeakReason.unexpected, "X can't be asked")

    async def close(self) -> None:
        """See Speaker."""
        await self._api.http.aclose()

    def _retry_after(self, response: httpx.Response) -> float:
        reset = instant(response.headers.get("x-rate-limit-reset"))
        until = (reset - self._clock.now()).total_seconds() if reset else 60.0
        return seconds(response.headers, max(until, 1.0))


def _participant(address: Address) -> str | None:
    return address.details.get("participant") or address.counterpart_id


def _words(told: Any) -> str:
    """`detail` of a problem document, or the first of the older `errors`."""
    if "detail" in told:
        return str(told["detail"])
    return str(told["errors"][0]["message"])


def build(account: Account, own: OwnAccount, secrets: Any, clock: Clock) -> XSpeaker | None:
    """None where no access token is configured."""
    if not isinstance(account, XAccount):
        return None
    auth = authorisation(account.settings, secrets)
    return XSpeaker(own, str(account.settings.api_url), auth, clock) if auth else None
