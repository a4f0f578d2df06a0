"""Answering comments on YouTube: in public, in the thread, by OAuth. The API has no idempotency key and
promises nothing about reads: at most once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
from pydantic import SecretStr

from services.contracts.configuration import Account, YouTubeAccount
from services.contracts.configuration.accounts import YouTubeSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.domain.text import from_html
from services.ingest.sources.youtube import posted_comment
from services.ingest.speaking.http import TIMEOUT, Api, seconds
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent

LIMIT = 10_000
"""Characters of a comment."""
MARGIN = 60.0
"""Seconds before its end from which on a token is renewed."""
USED_UP = frozenset({"quotaExceeded", "dailyLimitExceeded"})
TOO_FAST = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
USED_UP_FOR = 3_600.0
"""Seconds: a day's quota begins anew at midnight in California, or when somebody raises it."""


class YouTubeSpeaker:
    """One channel's mouth."""

    certainty = Certainty.none
    key_lifetime = timedelta(0)

    def __init__(
        self,
        account: OwnAccount,
        settings: YouTubeSettings,
        client: tuple[SecretStr, SecretStr],
        refresh_token: SecretStr,
        clock: Clock,
    ) -> None:
        """`client`: the OAuth client's id and secret."""
        self.account = account
        self._client = client
        self._refresh_token = refresh_token
        self._clock = clock
        self._token_url = str(settings.token_url)
        self._url = str(settings.api_url).rstrip("/")
        self._access: str | None = None
        self._renew_at = 0.0
        http = httpx.AsyncClient(timeout=TIMEOUT)
        self._api = Api(http, _words, _retry_after, _limited)

    async def prepare(self) -> None:
        """Have an access token; Google lets them end after an hour."""
        if self._access is not None and self._clock.monotonic() < self._renew_at:
            return
        client_id, client_secret = (one.get_secret_value() for one in self._client)
        form = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "client_secret": client_secret,
            "refresh_token": self._refresh_token.get_secret_value(),
        }
        try:
            told = await self._api.fetch(self._token_url, data=form)
        except Permanent as error:
            says = f"Google refuses the refresh token: {error.detail}"
            raise Permanent(SpeakReason.credentials, says) from error
        access, lives = told.get("access_token"), told.get("expires_in")
        if not isinstance(access, str):
            raise Permanent(SpeakReason.unexpected, "Google's answer holds no access token")
        self._access = access
        lifetime = float(lives) if isinstance(lives, int | float) else 3_600.0
        self._renew_at = self._clock.monotonic() + max(0.0, lifetime - MARGIN)

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """Public only."""
        if draft.private:
            says = "YouTube has no private answers: answer in public"
            return Refusal(RefusalCause.visibility, says)
        length = len(_text(draft, address))
        if length > LIMIT:
            return Refusal(RefusalCause.too_long, f"{length} of {LIMIT} characters")
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker; YouTube takes no key. 50 units of the quota."""
        await self.prepare()
        thread = address.details["thread"]
        told = await self._api.write(
            f"{self._url}/comments",
            params={"part": "snippet"},
            json={"snippet": {"parentId": thread, "textOriginal": _text(draft, address)}},
            headers={"authorization": f"Bearer {self._access}"},
        )
        try:
            return Posted(posted_comment(told, thread, self.account))
        except ValueError as error:
            raise Ambiguous(SpeakReason.unexpected, "the answer is no comment of ours") from error

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """A new comment may be held for review: that it is not listed tells nothing."""
        raise Permanent(SpeakReason.unexpected, "YouTube can't be asked")

    async def close(self) -> None:
        """See Speaker."""
        await self._api.http.aclose()


def _text(draft: Draft, address: Address) -> str:
    """Threads are flat: an answer to an answer begins with its writer's handle, as in YouTube's own form."""
    handle = address.details.get("handle", "")
    first = draft.text.split(maxsplit=1)[:1]
    named = bool(first) and first[0].rstrip(",:").casefold() == handle.casefold()
    return draft.text if not handle or named else f"{handle} {draft.text}"


def _reason(told: Any) -> str:
    try:
        return str(told["error"]["errors"][0]["reason"])
    except (KeyError, TypeError, IndexError):
        return ""


def _words(told: Any) -> str:
    """The API's message is HTML; the token endpoint's `error_description` is none."""
    if isinstance(told.get("error"), str):
        return str(told.get("error_description") or told["error"])
    return from_html(str(told["error"]["message"]))[0]


def _limited(response: httpx.Response, told: Any) -> bool:
    return response.status_code == 429 or _reason(told) in USED_UP | TOO_FAST


def _retry_after(response: httpx.Response) -> float:
    used_up = any(reason.encode() in response.content for reason in USED_UP)
    return seconds(response.headers, USED_UP_FOR if used_up else 30.0)


def build(account: Account, own: OwnAccount, secrets: Any, clock: Clock) -> YouTubeSpeaker | None:
    """None where no refresh token is configured."""
    if not isinstance(account, YouTubeAccount):
        return None
    settings = account.settings
    if not (settings.refresh_token and settings.client_id and settings.client_secret):
        return None
    client = secrets(settings.client_id), secrets(settings.client_secret)
    return YouTubeSpeaker(own, settings, client, secrets(settings.refresh_token), clock)
