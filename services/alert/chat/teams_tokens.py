"""Knows Microsoft's requests: a bearer token of the Bot Framework, signed by a key that it publishes.

Source: "Authentication with the Bot Connector API": issuer, audience (our app id), expiry with five
minutes of leeway, RS256 by a key of the OpenID metadata, and the service URL that the token names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt

from services.runtime.clock import Clock

LEEWAY_SECONDS = 300.0
KEYS_FOR = 86_400.0
"""Keys are asked for again after a day, as Microsoft says."""
LOOK_AGAIN_AFTER = 60.0
"""A key that is not known makes us look again, but not more often: anybody can name a key."""
TIMEOUT_SECONDS = 5.0
CHANNEL = "msteams"
SERVICE_HOSTS = ("smba.trafficmanager.net", "botframework.com", "infra.gov.teams.microsoft.us")
"""Where Microsoft's connectors are; a request that names another place is none of Teams'."""


class NotMicrosoft(Exception):
    """Whoever asks is not who they have to be: 401."""


class NotForUs(Exception):
    """Microsoft's own, and meant for another bot or from another place: 403."""


class KeysUnknown(Exception):
    """The keys could not be asked for: 503, so that it comes again."""


@dataclass(slots=True)
class BotTokens:
    """Verifies tokens of requests. The keys are asked for at the first one."""

    openid_url: str
    app_ids: Collection[str]
    clock: Clock
    service_hosts: Collection[str] = SERVICE_HOSTS
    _issuer: str = ""
    _keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    _asked_at: float = float("-inf")
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def verify(self, authorization: str, activity: Mapping[str, Any]) -> str:
        """The app id that it is for. Raises NotMicrosoft, NotForUs or KeysUnknown."""
        scheme, _, token = authorization.partition(" ")
        if scheme.casefold() != "bearer" or not token:
            raise NotMicrosoft("no bearer token")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise NotMicrosoft("no token at all") from error
        key = await self._key(str(header.get("kid", "")))
        claims = self._claims(token, key)
        self._in_time(claims)
        audience = claims.get("aud")
        if audience not in self.app_ids:
            raise NotForUs("for another bot")
        endorsed = key.get("endorsements") or [CHANNEL]
        if activity.get("channelId") != CHANNEL or CHANNEL not in endorsed:
            raise NotForUs("not from Teams")
        self._from_where(claims, activity)
        return str(audience)

    def _claims(self, token: str, key: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                jwt.PyJWK(dict(key), algorithm="RS256"),
                algorithms=["RS256"],
                issuer=self._issuer,
                # Our own clock reads the times, and the audience has an answer of its own.
                options={
                    "require": ["exp", "iss", "aud"],
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise NotMicrosoft(type(error).__name__) from error

    def _in_time(self, claims: Mapping[str, Any]) -> None:
        now = self.clock.now().timestamp()
        try:
            ends, begins = float(claims["exp"]), float(claims.get("nbf") or 0)
        except (TypeError, ValueError) as error:
            raise NotMicrosoft("no time") from error
        if now > ends + LEEWAY_SECONDS or now < begins - LEEWAY_SECONDS:
            raise NotMicrosoft("expired")

    def _from_where(self, claims: Mapping[str, Any], activity: Mapping[str, Any]) -> None:
        told = str(activity.get("serviceUrl", ""))
        signed = claims.get("serviceurl") or claims.get("serviceUrl")
        if not isinstance(signed, str) or signed.rstrip("/") != told.rstrip("/"):
            raise NotForUs("another service URL than the token's")
        host = urlsplit(told).hostname or ""
        if not any(host == one or host.endswith(f".{one}") for one in self.service_hosts):
            raise NotForUs("a service URL that is none of Microsoft's")

    async def _key(self, kid: str) -> dict[str, Any]:
        async with self._asking:
            age = self.clock.monotonic() - self._asked_at
            if age > KEYS_FOR or (kid not in self._keys and age > LOOK_AGAIN_AFTER):
                await self._ask()
        if kid not in self._keys:
            raise NotMicrosoft("signed by no key that Microsoft publishes")
        return self._keys[kid]

    async def _ask(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as http:
                async with http.get(self.openid_url) as response:
                    metadata = await response.json(content_type=None)
                async with http.get(metadata["jwks_uri"]) as response:
                    keys = (await response.json(content_type=None))["keys"]
            found = {str(one["kid"]): one for one in keys if one.get("kty") == "RSA"}
            issuer = str(metadata["issuer"])
        except (
            aiohttp.ClientError,
            OSError,
            TimeoutError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:
            if self._keys:
                return  # those that are known still hold
            raise KeysUnknown(type(error).__name__) from error
        self._issuer, self._keys = issuer, found
        self._asked_at = self.clock.monotonic()
