"""Calls to the Bot Framework's connector, with every failure named as Transient or Permanent.

No message of an error holds a token, an address or a person's words. Source: the Bot Framework's REST
reference (authentication, `/v3/conversations`), Teams' limits for bots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import SecretStr

from services.alert.chat.slack_client import retry_after
from services.alert.ports import DeliveryReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

TIMEOUT_SECONDS = 7.5
SCOPE = "https://api.botframework.com/.default"
_EARLIER = 300.0
"""A token is renewed so many seconds before it ends."""
_MEMBERS_FOR = 600.0
_ANSWER_LIMIT = 1_048_576
_PAGES = 20
_UNAVAILABLE = frozenset({408, 412, 425, 500, 502, 503, 504})
_NOT_THERE = frozenset(
    {
        "BotNotInConversationRoster",
        "ConversationBlockedByUser",
        "ForbiddenOperationException",
        "MessageWritesBlocked",
        "BotDisabledByAdmin",
    }
)
"""A 403 with one of these is about the place, not about our credentials."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a conversation, as Teams knows them."""

    id: str
    """Teams' own id of this person for this bot (29:…)."""
    object_id: str
    principal: str
    """User principal name, in lower case; empty where it is not told."""

    def is_called(self, name: str) -> bool:
        """Whether presence.yaml means this person by `name`."""
        return name.casefold() in (self.principal, self.object_id)


class Connector:
    """One bot's way to Teams over one kept-alive session, opened at the first call."""

    def __init__(
        self,
        *,
        app_id: str,
        password: SecretStr,
        tenant: str,
        service_url: str,
        login_url: str,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.app_id = app_id
        self.tenant = tenant
        self.service_url = service_url.rstrip("/")
        self._password = password
        self._token_url = f"{login_url.rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._token: SecretStr | None = None
        self._token_until = float("-inf")
        self._renewing = asyncio.Lock()
        self._members: dict[str, tuple[float, list[Member]]] = {}

    async def start_thread(self, channel: str, activity: Mapping[str, Any]) -> tuple[str, str]:
        """A new post in a channel: the conversation that it begins, and its own id."""
        body = {
            "isGroup": True,
            "bot": self._bot(),
            "tenantId": self.tenant,
            "channelData": {"channel": {"id": channel}, "tenant": {"id": self.tenant}},
            "activity": self._from_us(activity),
        }
        made = await self._call("POST", "/v3/conversations", body)
        conversation = _text(made, "id")
        return conversation, str(made.get("activityId") or conversation.rpartition("=")[2])

    async def direct(self, member: str) -> str:
        """The conversation with one person; asked for again it is the same one."""
        body = {
            "isGroup": False,
            "bot": self._bot(),
            "members": [{"id": member}],
            "tenantId": self.tenant,
            "channelData": {"tenant": {"id": self.tenant}},
        }
        return _text(await self._call("POST", "/v3/conversations", body), "id")

    async def send(self, conversation: str, activity: Mapping[str, Any]) -> str:
        """A message into a conversation; its id."""
        path = f"/v3/conversations/{quote(conversation, safe='')}/activities"
        return _text(await self._call("POST", path, self._from_us(activity)), "id")

    async def update(
        self, conversation: str, activity_id: str, activity: Mapping[str, Any]
    ) -> None:
        """Change a message in its place. Permanent `not_found` where it is gone."""
        where, what = quote(conversation, safe=""), quote(activity_id, safe="")
        body = {**self._from_us(activity), "id": activity_id}
        await self._call("PUT", f"/v3/conversations/{where}/activities/{what}", body)

    async def members(self, conversation: str) -> list[Member]:
        """Everybody in a conversation; remembered for ten minutes."""
        now = self._clock.monotonic()
        until, known = self._members.get(conversation, (float("-inf"), []))
        if now < until:
            return known
        found: list[Member] = []
        path = f"/v3/conversations/{quote(conversation, safe='')}/pagedmembers?pageSize=500"
        more = ""
        for _ in range(_PAGES):
            page = await self._call("GET", path + more, None)
            found += [_member(one) for one in page.get("members") or () if isinstance(one, dict)]
            token = page.get("continuationToken")
            if not token:
                break
            more = f"&continuationToken={quote(str(token), safe='')}"
        self._members[conversation] = (now + _MEMBERS_FOR, found)
        return found

    async def check(self) -> None:
        """Whether the bot's credentials are taken. Raises what any call raises."""
        await self._bearer()

    async def close(self) -> None:
        """Close the session; a later call opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)

    def _bot(self) -> dict[str, str]:
        return {"id": f"28:{self.app_id}"}

    def _from_us(self, activity: Mapping[str, Any]) -> dict[str, Any]:
        return {**activity, "from": self._bot()}

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        status, answer, wait = await self._once(method, path, body)
        if status == 401:
            # The token may have been taken back before its time: once with a new one.
            self._token = None
            status, answer, wait = await self._once(method, path, body)
        _judge(status, answer, wait)
        return answer

    async def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, dict[str, Any], str | None]:
        token = await self._bearer()
        return await self._request(
            method,
            f"{self.service_url}{path}",
            headers={
                "authorization": f"Bearer {token.get_secret_value()}",
                "content-type": "application/json",
            },
            data=orjson.dumps(body) if body is not None else None,
        )

    async def _bearer(self) -> SecretStr:
        async with self._renewing:
            if self._token is not None and self._clock.monotonic() < self._token_until:
                return self._token
            status, answer, wait = await self._request(
                "POST",
                self._token_url,
                data={
                    "grant_type": "client_credentials",
                    "client_id": self.app_id,
                    "client_secret": self._password.get_secret_value(),
                    "scope": SCOPE,
                },
            )
            if status in (400, 401, 403):
                says = f"Teams: the bot's credentials are refused ({_code(answer) or status})"
                raise Permanent(DeliveryReason.refused_credentials, says)
            _judge(status, answer, wait)
            self._token = SecretStr(_text(answer, "access_token"))
            lasts = max(float(answer.get("expires_in") or 0) - _EARLIER, 60.0)
            self._token_until = self._clock.monotonic() + lasts
            return self._token

    async def _request(
        self, method: str, url: str, **request: Any
    ) -> tuple[int, dict[str, Any], str | None]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._session.request(
                method, url, allow_redirects=False, **request
            ) as response:
                said = await response.content.read(_ANSWER_LIMIT)
                return response.status, _json(said), response.headers.get("retry-after")
        except TimeoutError:
            raise Transient(DeliveryReason.timeout, "Teams: no answer") from None
        except (aiohttp.ClientError, OSError) as error:
            # Only the kind: aiohttp's texts hold addresses.
            kind = type(error).__name__
            raise Transient(DeliveryReason.unavailable, f"Teams: {kind}") from None


def _judge(status: int, answer: Mapping[str, Any], wait: str | None) -> None:
    code = _code(answer)
    shown = f"Teams: {status}{f' {code}' if code else ''}"
    if status < 300:
        return
    if status == 429:
        asked = retry_after({"retry-after": wait} if wait else {})
        raise Transient(DeliveryReason.rate_limited, "Teams: 429", retry_after=asked)
    if status in (404, 410) or (status == 403 and code in _NOT_THERE):
        raise Permanent(DeliveryReason.not_found, shown)
    if status in (401, 403):
        raise Permanent(DeliveryReason.refused_credentials, shown)
    if status in _UNAVAILABLE or status >= 500:
        raise Transient(DeliveryReason.unavailable, shown)
    raise Permanent(DeliveryReason.invalid, shown)


def _code(answer: Mapping[str, Any]) -> str:
    """Microsoft's own error code, where it is one: a word, never a text that repeats the request."""
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else error
    return code if isinstance(code, str) and code.replace("_", "").isalnum() else ""


def _json(said: bytes) -> dict[str, Any]:
    try:
        read = orjson.loads(said) if said else {}
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


def _text(answer: Mapping[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not found:
        raise Transient(DeliveryReason.unavailable, f"Teams: an answer without {name}")
    return found


def _member(told: Mapping[str, Any]) -> Member:
    # The two spellings of two generations of the same interface.
    object_id = str(told.get("aadObjectId") or told.get("objectId") or "")
    principal = str(told.get("userPrincipalName") or told.get("email") or "")
    return Member(str(told.get("id", "")), object_id.casefold(), principal.casefold())
