"""One call of a platform's API, and what its failure tells about its effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from services.ingest.speaking.port import Ambiguous, SpeakReason
from services.runtime.errors import Permanent, Transient

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Nothing of the request was sent."""
RetryAfter = Callable[[httpx.Response], float]
Words = Callable[[Any], str]


@dataclass(frozen=True)
class Api:
    """A client with what this platform's failures look like."""

    http: httpx.AsyncClient
    words: Words
    """The platform's own words in the JSON of a refusal; empty where it has none."""
    retry_after: RetryAfter
    """Seconds until its limit allows more."""
    limited: Callable[[httpx.Response, Any], bool] = lambda response, _: response.status_code == 429

    async def read(self, path: str, **request: Any) -> Any:
        """GET; a failure had no effect. Raises Transient or Permanent."""
        try:
            return await self._call("GET", path, **request)
        except Ambiguous as error:
            raise Transient(error.reason, error.detail) from error

    async def fetch(self, path: str, **request: Any) -> dict[str, Any]:
        """POST that changes nothing (a token): a failure had no effect. Raises Transient or Permanent."""
        try:
            told = await self._call("POST", path, **request)
        except Ambiguous as error:
            raise Transient(error.reason, error.detail) from error
        return told if isinstance(told, dict) else {}

    async def write(self, path: str, **request: Any) -> Any:
        """POST. Raises Transient, Ambiguous or Permanent, as Speaker.post does."""
        return await self._call("POST", path, **request)

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = await self.http.request(method, path, **request)
        except _NOT_REACHED as error:
            raise Transient(SpeakReason.unreachable, type(error).__name__) from error
        except httpx.TimeoutException as error:
            raise Ambiguous(SpeakReason.timeout, type(error).__name__) from error
        except httpx.HTTPError as error:
            raise Ambiguous(SpeakReason.disconnected, type(error).__name__) from error
        return self._result(response)

    def _result(self, response: httpx.Response) -> Any:
        status, told = response.status_code, _json(response)
        if self.limited(response, told):
            wait = self.retry_after(response)
            raise Transient(SpeakReason.rate_limited, f"{status}", retry_after=wait)
        if status >= 500:
            # A gateway says so as well when it lost the answer of a server that had done its work.
            raise Ambiguous(SpeakReason.server_error, f"{status}")
        if status >= 400:
            reason = SpeakReason.credentials if status == 401 else SpeakReason.refused
            raise Permanent(reason, self._says(told) or f"refused with status {status}")
        if status >= 300:
            raise Permanent(SpeakReason.unexpected, f"redirected ({status}): is the address right?")
        if told is None:
            raise Ambiguous(SpeakReason.unexpected, f"{status} without JSON")
        return told

    def _says(self, told: Any) -> str:
        try:
            return self.words(told)[:300]
        except (KeyError, TypeError, IndexError, AttributeError):
            return ""


def _json(response: httpx.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return None


def seconds(headers: Mapping[str, str], default: float) -> float:
    """`Retry-After` in seconds, else the default."""
    asked = headers.get("retry-after", "")
    return float(asked) if asked.isascii() and asked.isdigit() else default
