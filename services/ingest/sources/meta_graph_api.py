"""Meta's Graph API as far as Presence reads it: proof, paging, limits, and what its errors mean."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import orjson
from pydantic import SecretStr

from services.ingest.domain.native import instant
from services.ingest.sources.pulled import PullReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

NEARLY = 90
"""Per cent of a limit from which on we wait: Meta blocks the whole app at 100."""
BLOCKED_FOR = 300.0
"""Seconds to wait where Meta does not say how long."""
_LIMITED = frozenset({4, 17, 32, 613, 80000, 80001, 80002, 80006})
_TOKEN = frozenset({102, 190, 463, 467})
_PASSING = frozenset({1, 2})
_USAGE = ("x-app-usage", "x-page-usage", "x-business-use-case-usage")
_SECRET_PARAMETERS = frozenset({"access_token", "appsecret_proof"})
_DEPTH = 4


class GraphApi:
    """One token's view of Graph. Every call raises Transient or Permanent with a PullReason."""

    def __init__(self, url: str, token: SecretStr, app_secret: SecretStr, clock: Clock) -> None:
        written = token.get_secret_value()
        key = app_secret.get_secret_value().encode()
        self._token = token
        self._proof = hmac.new(key, written.encode(), hashlib.sha256).hexdigest()
        self._clock = clock
        self._blocked_until = 0.0
        self.usage = 0.0
        """Of the limit that is nearest, in per cent, as Meta told last."""
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            # In a header, since addresses end up in logs.
            headers={"authorization": f"Bearer {written}"},
            timeout=httpx.Timeout(20.0),
        )

    async def __aenter__(self) -> GraphApi:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def inspect_token(self) -> dict[str, Any]:
        """What Meta tells of our own token; Permanent where it may not look at itself."""
        asked = {"input_token": self._token.get_secret_value()}
        found = (await self.get("/debug_token", asked)).get("data")
        return found if isinstance(found, dict) else {}

    async def get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        """One read."""
        left = self._blocked_until - self._clock.monotonic()
        if left > 0:
            raise Transient(PullReason.rate_limited, "nearly at Meta's limit", retry_after=left)
        query = {**parameters, "appsecret_proof": self._proof}
        try:
            response = await self._http.get(path, params=query)
        except httpx.TimeoutException as error:
            raise Transient(PullReason.timeout, type(error).__name__) from None
        except httpx.HTTPError as error:
            raise Transient(PullReason.unreachable, type(error).__name__) from None
        wait, self.usage = _asked_to_wait(response.headers)
        if wait:
            self._blocked_until = self._clock.monotonic() + wait
        try:
            read = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            read = None
        if response.status_code == 200 and isinstance(read, dict) and "error" not in read:
            return read
        raise _refusal(response.status_code, read, wait)

    async def pages(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[list[Any]]:
        """A list, page by page, as Graph's own `next` leads on."""
        query: dict[str, str] | None = dict(parameters)
        while query is not None:
            found = await self.get(path, query)
            data = found.get("data")
            if not isinstance(data, list):
                raise Transient(PullReason.unexpected, f"{path}: no list")
            yield [one for one in data if isinstance(one, dict)]
            query = following(found)


def token_ends(told: Mapping[str, Any]) -> datetime | None:
    """When the token, or what it may read, ends by debug_token; None for never (Meta writes 0)."""
    ends = (instant(told.get(key) or None) for key in ("expires_at", "data_access_expires_at"))
    return min((one for one in ends if one is not None), default=None)


def following(page: Mapping[str, Any]) -> dict[str, str] | None:
    """The query of the next page. Its address holds the token, and may be on another host: both stay out."""
    paging = page.get("paging")
    following_url = paging.get("next") if isinstance(paging, dict) else None
    if not isinstance(following_url, str):
        return None
    query = dict(parse_qsl(urlsplit(following_url).query))
    return {key: value for key, value in query.items() if key not in _SECRET_PARAMETERS}


def _asked_to_wait(headers: httpx.Headers) -> tuple[float, float]:
    """Seconds to leave Graph alone (0 while there is room), and the usage in per cent. Meta tells minutes."""
    highest, minutes = 0.0, 0.0
    for name in _USAGE:
        try:
            told = orjson.loads(headers.get(name, "{}"))
        except orjson.JSONDecodeError:
            continue
        for key, value in _figures(told):
            if key == "estimated_time_to_regain_access":
                minutes = max(minutes, value)
            else:
                highest = max(highest, value)
    if highest < NEARLY and minutes == 0:
        return 0.0, highest
    return minutes * 60 or BLOCKED_FOR, highest


def _figures(told: Any, depth: int = 0) -> list[tuple[str, float]]:
    if depth > _DEPTH:
        return []
    if isinstance(told, list):
        return [pair for one in told for pair in _figures(one, depth + 1)]
    if not isinstance(told, dict):
        return []
    found = []
    for key, value in told.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((str(key), float(value)))
        else:
            found += _figures(value, depth + 1)
    return found


def _refusal(status: int, read: Any, wait: float) -> Transient | Permanent:
    """Meta's own codes; its `message` is for people and holds no secret."""
    told = read.get("error") if isinstance(read, dict) else None
    error = told if isinstance(told, dict) else {}
    code = error.get("code")
    says = f"{error.get('message') or 'no reason given'} (code {code})"[:300]
    if code in _LIMITED or status == 429:
        return Transient(PullReason.rate_limited, says, retry_after=wait or BLOCKED_FOR)
    if code in _TOKEN:
        return Permanent(PullReason.credentials, f"Meta refuses the token: {says}")
    if code == 10 or (isinstance(code, int) and 200 <= code < 300):
        return Permanent(PullReason.credentials, f"the token lacks a permission: {says}")
    if code in _PASSING or error.get("is_transient") or status >= 500:
        return Transient(PullReason.server_error, f"{status}: {says}")
    if code == 803 or (code == 100 and error.get("error_subcode") == 33):
        return Permanent(PullReason.gone, says)
    return Permanent(PullReason.unexpected, f"{status}: {says}")
