"""A session with an AT Protocol server: one sign-in, refreshed for as long as the server lets it be.

A sign-in costs: Bluesky allows 300 a day and account. So a session outlives reconnects, and only a
refresh that is refused leads to another one. What reads and what answers share it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from services.contracts.configuration.accounts import BlueskySettings
from services.ingest.sources.pulled import PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

EXPIRED = frozenset({"ExpiredToken", "InvalidToken"})
REFUSED = frozenset(
    {"AuthenticationRequired", "AuthFactorTokenRequired", "AccountTakedown", "AuthMissing",
     "AccountDeactivated"}
)  # fmt: skip
RATE_LIMIT_WAIT = 60.0
"""Seconds to wait after a 429 that does not say how long."""


class Answered(Permanent):
    """The server understood and said no; `code` is its own word for it (`RecordNotFound`)."""

    def __init__(self, code: str, detail: str, says: str = "") -> None:
        super().__init__(PullReason.unexpected, detail)
        self.code = code
        self.says = says
        """In the server's own words."""


class BlueskySession:
    """Signed-in calls. Every call raises Transient, Permanent, or (of both kinds of no) Answered."""

    def __init__(
        self,
        did: str,
        settings: BlueskySettings,
        password: SecretStr,
        clock: Clock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.did = did
        self._password = password
        self._clock = clock
        self._access: str | None = None
        self._refresh: str | None = None
        self._signing_in = asyncio.Lock()
        self._http = httpx.AsyncClient(
            base_url=f"{str(settings.url).rstrip('/')}/xrpc/",
            timeout=httpx.Timeout(10.0),
            transport=transport,
        )
        self.full_until: datetime | None = None
        """While the server's rate limit is nearly used up: when it begins anew."""

    async def sign_in(self) -> None:
        """Have a session that the server takes. Raises Permanent where the account is another one's."""
        if self._access is None:
            await self._renew(None)
        await self.get("com.atproto.server.getSession")

    async def get(self, method: str, **query: str | int) -> Any:
        """A query; returns its JSON."""
        return await self._signed("GET", method, query, None)

    async def post(self, method: str, body: dict[str, Any]) -> Any:
        """A procedure; returns its JSON."""
        return await self._signed("POST", method, {}, body)

    async def close(self) -> None:
        """Close connections. The session itself is left to expire."""
        await self._http.aclose()

    async def _signed(
        self, verb: str, method: str, query: dict[str, str | int], body: dict[str, Any] | None
    ) -> Any:
        if self._access is None:
            await self._renew(None)
        used = self._access
        try:
            return await self._call(verb, method, query, body, used)
        except Answered as answer:
            if answer.code not in EXPIRED:
                raise
        await self._renew(used)
        return await self._call(verb, method, query, body, self._access)

    async def _renew(self, expired: str | None) -> None:
        """A new access token in place of `expired`, unless somebody else got one meanwhile."""
        async with self._signing_in:
            if self._access is not None and self._access != expired:
                return
            told = await self._refreshed() or await self._created()
            who = told.get("did")
            if who != self.did:
                raise Permanent(
                    PullReason.wrong_account,
                    f"the app password is of {who or 'nobody'}, presence.yaml says {self.did}",
                )
            access, refresh = told.get("accessJwt"), told.get("refreshJwt")
            if not isinstance(access, str) or not isinstance(refresh, str):
                raise Transient(PullReason.unexpected, "a session without tokens")
            self._access, self._refresh = access, refresh

    async def _refreshed(self) -> dict[str, Any] | None:
        """None where there is nothing to refresh, or the server wants a sign-in."""
        if self._refresh is None:
            return None
        try:
            found = await self._call(
                "POST", "com.atproto.server.refreshSession", {}, None, self._refresh
            )
        except Permanent:
            self._refresh = None
            return None
        return found if isinstance(found, dict) else None

    async def _created(self) -> dict[str, Any]:
        body = {"identifier": self.did, "password": self._password.get_secret_value()}
        found = await self._call("POST", "com.atproto.server.createSession", {}, body, None)
        if not isinstance(found, dict):
            raise Transient(PullReason.unexpected, "createSession: no object")
        return found

    async def _call(
        self,
        verb: str,
        method: str,
        query: dict[str, str | int],
        body: dict[str, Any] | None,
        token: str | None,
    ) -> Any:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        try:
            response = await self._http.request(
                verb, method, params=query, json=body, headers=headers
            )
        except httpx.HTTPError as error:
            raise as_ours(error) from error
        self._note_limit(response.headers)
        try:
            found = orjson.loads(response.content) if response.content else {}
        except orjson.JSONDecodeError:
            found = None
        if response.status_code == 200 and found is not None:
            return found
        raise self._failure(response, found if isinstance(found, dict) else {}, method)

    def _failure(
        self, response: httpx.Response, told: dict[str, Any], method: str
    ) -> Transient | Permanent:
        status, code = response.status_code, str(told.get("error") or "")
        if status == 429:
            wait = _asked_to_wait(response.headers, self._clock.now())
            return Transient(PullReason.rate_limited, method, retry_after=wait)
        if status >= 500 or status == 200:
            return Transient(PullReason.server_error, f"{method}: {status} {code}".rstrip())
        if code in EXPIRED:
            return Answered(code, f"{method}: {code}")
        if status in (401, 403) or code in REFUSED:
            hint = "; make an app password" if code == "AuthFactorTokenRequired" else ""
            return Permanent(
                PullReason.credentials, f"the server refuses the app password ({code}{hint})"
            )
        says = str(told.get("message") or "")[:200]
        return Answered(code, f"{method}: {status} {code}: {says}", says)

    def _note_limit(self, headers: httpx.Headers) -> None:
        limit, left, reset = (
            _number(headers.get(f"ratelimit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if limit is None or left is None or reset is None:
            return
        nearly_full = left * 10 < limit
        self.full_until = (
            datetime.fromtimestamp(reset, self._clock.now().tzinfo) if nearly_full else None
        )


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 12 else None


def _asked_to_wait(headers: httpx.Headers, now: datetime) -> float:
    """Seconds, from `Retry-After` in either form or from `RateLimit-Reset` (Unix time)."""
    asked = headers.get("retry-after", "")
    if (seconds := _number(asked)) is not None:
        return float(seconds)
    if (reset := _number(headers.get("ratelimit-reset"))) is not None:
        return max(1.0, reset - now.timestamp())
    try:
        return max(1.0, (parsedate_to_datetime(asked) - now).total_seconds())
    except (ValueError, TypeError):
        return RATE_LIMIT_WAIT


def as_ours(error: httpx.HTTPError) -> Transient:
    """What failed below the protocol."""
    if isinstance(error, httpx.TimeoutException):
        return Transient(PullReason.timeout, type(error).__name__)
    if isinstance(error, httpx.ConnectError):
        return Transient(PullReason.unreachable, type(error).__name__)
    return Transient(PullReason.disconnected, type(error).__name__)
