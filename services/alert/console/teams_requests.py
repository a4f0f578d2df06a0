"""`/teams/messages`: the Bot Framework's requests, verified before anything in them is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from services.alert.chat.presses import TeamsPresses
from services.alert.chat.teams_tokens import BotTokens, KeysUnknown, NotForUs, NotMicrosoft
from services.runtime.asgi import BodyTooLarge, read_body
from services.runtime.logs import get_logger

BODY_LIMIT = 262_144
MESSAGES_PATH = "/teams/messages"
_NOT_TEAMS = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)

log = get_logger(__name__)


def teams_router(interactions: TeamsPresses, tokens: Sequence[BotTokens]) -> APIRouter:
    """The route that Microsoft calls. `tokens`: one for each place that publishes keys."""
    router = APIRouter(include_in_schema=False)

    @router.post(MESSAGES_PATH)
    async def receive(request: Request) -> Response:
        try:
            body = await read_body(request.scope, request.receive, BODY_LIMIT)
        except BodyTooLarge:
            return Response(status_code=413)
        authorization = request.headers.get("authorization", "")
        if not authorization:
            return Response(status_code=401)
        try:
            activity = orjson.loads(body)
        except orjson.JSONDecodeError:
            return Response(status_code=400)
        if not isinstance(activity, dict):
            return Response(status_code=400)
        found = await _verified(tokens, authorization, activity)
        if isinstance(found, int):
            return Response(status_code=found)
        try:
            answer = await interactions.handle(activity, found)
        except _NOT_TEAMS as error:
            log.warning("teams_activity_refused", error=type(error).__name__, says=str(error)[:100])
            return Response(status_code=400)
        return Response(status_code=200) if answer is None else JSONResponse(answer)

    return router


async def _verified(
    tokens: Sequence[BotTokens], authorization: str, activity: Mapping[str, object]
) -> str | int:
    """The app id that the request is for, or the status of its refusal."""
    status = 401
    for one in tokens:
        try:
            return await one.verify(authorization, activity)
        except NotForUs as error:
            status, why = 403, str(error)
        except NotMicrosoft as error:
            why = str(error)
        except KeysUnknown as error:
            status, why = 503, str(error)
        log.warning("teams_request_refused", status=status, why=why)
    return status
