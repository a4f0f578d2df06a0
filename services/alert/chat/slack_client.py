"""Calls to Slack's Web API, with every failure named as Transient or Permanent.

No message of an error holds the token, the request or a person's words: only Slack's own error code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from services.alert.ports import DeliveryReason
from services.runtime.errors import Permanent, Transient

TIMEOUT_SECONDS = 10.0
_DEFAULT_RETRY_AFTER = 30.0
_LONGEST_RETRY_AFTER = 3_600.0

_CREDENTIALS = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "no_permission",
        "missing_scope",
        "not_allowed_token_type",
        "org_login_required",
        "ekm_access_denied",
        "access_denied",
        "two_factor_setup_required",
        "team_access_not_granted",
    }
)
_NOT_FOUND = frozenset(
    {
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "user_not_found",
        "users_not_found",
        "user_disabled",
        "user_not_visible",
        "cannot_dm_bot",
        "message_not_found",
        "thread_not_found",
        "cant_update_message",
        "edit_window_closed",
    }
)
_UNAVAILABLE = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "team_added_to_org", "request_timeout"}
)


class SlackRefusal(Permanent):
    """Slack's own no, with its error code."""

    def __init__(self, reason: DeliveryReason, code: str, method: str) -> None:
        super().__init__(reason, f"Slack {method}: {code}")
        self.code = code


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds of a `Retry-After` header, within reason; 30 where there is none that can be read."""
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    try:
        return min(max(float(value), 1.0), _LONGEST_RETRY_AFTER)
    except ValueError:
        return _DEFAULT_RETRY_AFTER


def _named(error: SlackApiError, method: str) -> Exception:
    response = error.response
    # Slack's SDK hands over aiohttp's response where the body was no JSON.
    status = int(getattr(response, "status_code", None) or getattr(response, "status", 0) or 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited", "message_limit_exceeded"):
        wait = retry_after(getattr(response, "headers", None) or {})
        return Transient(DeliveryReason.rate_limited, f"Slack {method}: 429", retry_after=wait)
    if code in _CREDENTIALS or status in (401, 403):
        return SlackRefusal(DeliveryReason.refused_credentials, code or str(status), method)
    if code in _NOT_FOUND:
        return SlackRefusal(DeliveryReason.not_found, code, method)
    if status >= 500 or code in _UNAVAILABLE or not code:
        return Transient(DeliveryReason.unavailable, f"Slack {method}: {code or status}")
    return SlackRefusal(DeliveryReason.invalid, code, method)


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if value is not None}


class SlackClient:
    """One workspace's Web API over one kept-alive session, opened at the first call."""

    def __init__(
        self, token: SecretStr, base_url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._token = token
        self._base_url = base_url
        self._timeout = timeout_seconds
        self._web: AsyncWebClient | None = None
        self._session: aiohttp.ClientSession | None = None
        self._workspace: str | None = None

    def _client(self) -> AsyncWebClient:
        if self._web is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout)
            )
            self._web = AsyncWebClient(
                token=self._token.get_secret_value(),
                base_url=self._base_url,
                session=self._session,
                # The pipeline retries, with a deadline and after looking for the first attempt's post.
                retry_handlers=[],
            )
        return self._web

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A writing call. Raises Transient or SlackRefusal with a DeliveryReason."""
        return await self._request(method, json=_given(arguments))

    async def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """A reading call: Slack takes those as a form, not all of them as JSON."""
        return await self._request(method, data=_given(arguments))

    async def permalink(self, channel: str, ts: str) -> str | None:
        """The address of a message: the workspace's own, asked for once, and the message's place in it.

        `chat.getPermalink` answers the same, at the price of a second call for every card.
        """
        if self._workspace is None:
            url = (await self.call("auth.test")).get("url")
            self._workspace = url if isinstance(url, str) and url.startswith("http") else None
        if self._workspace is None:
            return None
        return f"{self._workspace.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"

    async def answer_later(self, response_url: str, answer: dict[str, Any]) -> None:
        """Answer a command after its acknowledgement. Raises Transient or Permanent.

        The address comes in a request that Slack signed; it needs no token, and gets none.
        """
        self._client()
        assert self._session is not None
        try:
            async with self._session.post(response_url, json=answer) as response:
                status = response.status
        except TimeoutError:
            raise Transient(DeliveryReason.timeout, "Slack response_url: no answer") from None
        except (aiohttp.ClientError, ValueError, OSError) as error:
            kind = type(error).__name__
            raise Transient(DeliveryReason.unavailable, f"Slack response_url: {kind}") from None
        if status >= 400:
            raise Permanent(DeliveryReason.invalid, f"Slack response_url: {status}")

    async def identify(self) -> tuple[str, frozenset[str]]:
        """The workspace's name, and what the token may do (Slack says so in a header; empty: not told)."""
        response = await self._respond("auth.test", json={})
        told = next((v for k, v in response.headers.items() if k.lower() == "x-oauth-scopes"), "")
        data = response.data if isinstance(response.data, dict) else {}
        scopes = frozenset(scope.strip() for scope in told.split(",") if scope.strip())
        return str(data.get("team") or data.get("url") or "Slack"), scopes

    async def _request(self, method: str, **body: Any) -> dict[str, Any]:
        data = (await self._respond(method, **body)).data
        return data if isinstance(data, dict) else {}

    async def _respond(self, method: str, **body: Any) -> AsyncSlackResponse:
        try:
            return await self._client().api_call(method, **body)
        except SlackApiError as error:
            raise _named(error, method) from None
        except TimeoutError:
            raise Transient(DeliveryReason.timeout, f"Slack {method}: no answer") from None
        except (aiohttp.ClientError, SlackClientError, OSError) as error:
            # Only the kind: aiohttp's texts hold addresses.
            kind = type(error).__name__
            raise Transient(DeliveryReason.unavailable, f"Slack {method}: {kind}") from None

    async def close(self) -> None:
        """Close the session; a later call opens another."""
        session, self._session, self._web = self._session, None, None
        if session is not None:
            await session.close()
            # aiohttp closes its transports on the next turn of the loop.
            await asyncio.sleep(0)
