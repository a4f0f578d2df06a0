"""Who we are to X's API."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Literal, cast

import httpx
from oauthlib.oauth1 import Client
from pydantic import SecretStr

from services.contracts.configuration.accounts import XSettings


class OAuth1(httpx.Auth):
    """OAuth 1.0a, whose tokens do not expire. A JSON body is no part of the signature."""

    def __init__(self, key: str, secret: str, token: str, token_secret: str) -> None:
        self._client = Client(key, secret, token, token_secret)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """See httpx.Auth."""
        _, headers, _ = self._client.sign(
            str(request.url), cast("Literal['GET', 'POST']", request.method)
        )
        request.headers["authorization"] = headers["Authorization"]
        yield request


class _Bearer(httpx.Auth):
    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


def authorisation(settings: XSettings, secrets: Callable[[str], SecretStr]) -> httpx.Auth | None:
    """None where no access token is configured."""
    if settings.access_token is None:
        return None
    token = secrets(settings.access_token)
    if not settings.access_token_secret or not settings.consumer_key:
        return _Bearer(token)
    names = (settings.consumer_key, settings.consumer_secret)
    key, secret = (secrets(name).get_secret_value() for name in names)
    token_secret = secrets(settings.access_token_secret).get_secret_value()
    return OAuth1(key, secret, token.get_secret_value(), token_secret)
