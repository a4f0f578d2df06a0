"""Microsoft's side of a Teams bot over real HTTP: login, published keys, connector, signed requests.

Written after the Bot Framework's REST reference and its authentication page.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from services.alert.chat.teams_connector import Connector
from services.runtime.clock import Clock
from tests.alert.chat_servers import Answer

APP, TENANT, CHANNEL = "app-1", "tenant-1", "19:care@thread.tacv2"
PASSWORD, TOKEN = "secret-password-of-the-bot", "secret-token-of-the-connector"
ISSUER = "https://api.botframework.com"
MIA, STRANGER = "aad-mia", "aad-stranger"
MEMBERS = [
    {"id": "29:mia", "aadObjectId": MIA, "userPrincipalName": "Mia@air.example", "name": "Mia"},
    {"id": "29:bo", "aadObjectId": "aad-bo", "userPrincipalName": "bo@air.example"},
    {"id": "29:zed", "aadObjectId": STRANGER, "userPrincipalName": "zed@air.example"},
]


class Key:
    """A signing key as Microsoft publishes it."""

    def __init__(self, kid: str, endorsements: tuple[str, ...] = ("msteams",)) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key()))
        self.public = {**public, "kid": kid, "endorsements": list(endorsements)}


PUBLISHED, UNKNOWN = Key("k1"), Key("k2")
"""Made once: an RSA key costs more than a test."""


class TeamsBotServer:
    """Login at /login, keys at /openid and /keys, the connector below /teams."""

    def __init__(self, members: Sequence[dict[str, str]] = MEMBERS) -> None:
        self.members = list(members)
        self.base_url = ""
        self.answers: deque[Answer | None] = deque()
        """For the next calls of the connector; None: the call's due."""
        self.logins: deque[Answer] = deque()
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        """(conversation, activity) → activity"""
        self.calls: list[str] = []
        self.not_installed: set[str] = set()
        self.published = [PUBLISHED]
        self._ids = itertools.count(1)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/login/{tenant}/oauth2/v2.0/token", self._login)
        app.router.add_get("/openid", self._metadata)
        app.router.add_get("/keys", self._keys)
        app.router.add_route("*", "/teams/v3/conversations", self._conversations)
        app.router.add_route("*", "/teams/v3/conversations/{id}/{what}", self._in_conversation)
        app.router.add_put("/teams/v3/conversations/{id}/activities/{activity}", self._update)
        return app

    def connector(self, clock: Clock, timeout_seconds: float = 0.5) -> Connector:
        return Connector(
            app_id=APP,
            password=SecretStr(PASSWORD),
            tenant=TENANT,
            service_url=f"{self.base_url}/teams/",
            login_url=f"{self.base_url}/login",
            clock=clock,
            timeout_seconds=timeout_seconds,
        )

    def cards(self) -> list[dict[str, Any]]:
        """What stands, in the order in which it was posted."""
        return list(self.messages.values())

    def token(self, now: float, key: Key = PUBLISHED, **claims: Any) -> str:
        """A bearer token as Microsoft makes it."""
        made = {
            "iss": ISSUER,
            "aud": APP,
            "exp": now + 3_600,
            "nbf": now - 60,
            "serviceurl": f"{self.base_url}/teams/",
            **claims,
        }
        return jwt.encode(made, key.private, algorithm="RS256", headers={"kid": key.kid})

    def activity(self, kind: str = "invoke", who: str = MIA, **facts: Any) -> dict[str, Any]:
        """What Teams sends."""
        return {
            "type": kind,
            "id": "f:1",
            "channelId": "msteams",
            "serviceUrl": f"{self.base_url}/teams/",
            "from": {"id": "29:x", "aadObjectId": who},
            "conversation": {"id": f"{CHANNEL};messageid=1", "tenantId": TENANT},
            "recipient": {"id": f"28:{APP}"},
            **facts,
        }

    async def _login(self, request: web.Request) -> web.Response:
        self.calls.append("login")
        if self.logins:
            return self.logins.popleft().response()
        form = await request.post()
        if (form["client_id"], form["client_secret"]) != (APP, PASSWORD):
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"access_token": TOKEN, "expires_in": 3_600})

    async def _metadata(self, _request: web.Request) -> web.Response:
        self.calls.append("openid")
        return web.json_response({"issuer": ISSUER, "jwks_uri": f"{self.base_url}/keys"})

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [one.public for one in self.published]})

    async def _refusal(self, request: web.Request) -> web.Response | None:
        self.calls.append(f"{request.method} {request.path.partition('/v3/')[2]}")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"error": {"code": "Unauthorized"}}, status=401)
        answer = self.answers.popleft() if self.answers else None
        if answer is None:
            return None
        await asyncio.sleep(answer.delay)
        return answer.response()

    def _put(self, conversation: str, activity: dict[str, Any]) -> str:
        number = str(next(self._ids))
        self.messages[(conversation, number)] = activity
        return number

    async def _conversations(self, request: web.Request) -> web.Response:
        if refused := await self._refusal(request):
            return refused
        body = await request.json()
        if body["isGroup"]:
            number = str(next(self._ids))
            conversation = f"{body['channelData']['channel']['id']};messageid={number}"
            self.messages[(conversation, number)] = body["activity"]
            return web.json_response({"id": conversation, "activityId": number}, status=201)
        member = body["members"][0]["id"]
        if member in self.not_installed:
            code = {"error": {"code": "ForbiddenOperationException", "message": "x"}}
            return web.json_response(code, status=403)
        return web.json_response({"id": f"a:{member}"}, status=201)

    async def _in_conversation(self, request: web.Request) -> web.Response:
        if refused := await self._refusal(request):
            return refused
        if request.match_info["what"] == "pagedmembers":
            if "continuationToken" not in request.query:
                return web.json_response({"members": self.members[:1], "continuationToken": "m"})
            return web.json_response({"members": self.members[1:]})
        number = self._put(request.match_info["id"], await request.json())
        return web.json_response({"id": number}, status=201)

    async def _update(self, request: web.Request) -> web.Response:
        if refused := await self._refusal(request):
            return refused
        key = (request.match_info["id"], request.match_info["activity"])
        if key not in self.messages:
            code = {"error": {"code": "ActivityNotFoundInConversation"}}
            return web.json_response(code, status=404)
        self.messages[key] = await request.json()
        return web.json_response({"id": key[1]})
