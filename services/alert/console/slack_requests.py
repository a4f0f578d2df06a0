"""`/slack/interactions`: Slack's requests, verified over their raw bytes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import SecretStr
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from services.alert.chat.slack_inbound import Answer, SlackInbound
from services.alert.chat.slack_interactions import read_payload
from services.runtime.asgi import BodyTooLarge, read_body
from services.runtime.clock import Clock
from services.runtime.logs import get_logger

BODY_LIMIT = 1_048_576
INTERACTIONS_PATH = "/slack/interactions"
COMMANDS_PATH = "/slack/commands"
EVENTS_PATH = "/slack/events"

_DIGITS = 20
_NOT_SLACKS = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
"""What a payload of another shape raises; the last one is JSON's, for thousands of open brackets."""

log = get_logger(__name__)


class _Time(SignatureClock):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> float:
        return self._clock.now().timestamp()


class SlackSignatures:
    """Knows Slack's requests: signed over the raw body, at most 5 minutes old."""

    def __init__(self, secrets: tuple[SecretStr, ...], clock: Clock) -> None:
        if not secrets:
            raise ValueError("Slack's requests cannot be verified without a signing secret")
        self._verifiers = [
            SignatureVerifier(secret.get_secret_value(), _Time(clock)) for secret in secrets
        ]

    def genuine(self, body: bytes, timestamp: str, signature: str) -> bool:
        """Whether one of our apps' secrets made this signature."""
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
            return False
        if not (signature.isascii() and _is_text(body)):
            return False  # Slack's own verifier raises for these
        return any(verifier.is_valid(body, timestamp, signature) for verifier in self._verifiers)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def slack_router(inbound: SlackInbound, secrets: tuple[SecretStr, ...], clock: Clock) -> APIRouter:
    """The routes that Slack calls."""
    router = APIRouter(include_in_schema=False)
    signatures = SlackSignatures(secrets, clock)

    async def press(body: str) -> Answer:
        return await inbound.interaction(read_payload(parse_qs(body)["payload"][0]))

    async def command(body: str) -> Answer:
        form = parse_qs(body, keep_blank_values=True)
        return await inbound.command({name: values[0] for name, values in form.items()})

    async def event(body: str) -> Answer:
        return await inbound.event(read_payload(body))

    def served(
        handle: Callable[[str], Awaitable[Answer]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await _answered(request, signatures, handle)

        return endpoint

    router.add_api_route(INTERACTIONS_PATH, served(press), methods=["POST"])
    router.add_api_route(COMMANDS_PATH, served(command), methods=["POST"])
    router.add_api_route(EVENTS_PATH, served(event), methods=["POST"])
    return router


async def _answered(
    request: Request, signatures: SlackSignatures, handle: Callable[[str], Awaitable[Answer]]
) -> Response:
    """Verified before anything is read from it."""
    try:
        body = await read_body(request.scope, request.receive, BODY_LIMIT)
    except BodyTooLarge:
        return Response(status_code=413)
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if not signatures.genuine(body, timestamp, signature):
        log.warning("slack_signature_refused")
        return Response(status_code=401)
    try:
        answer = await handle(body.decode())
    except _NOT_SLACKS as error:
        log.warning("slack_payload_refused", error=type(error).__name__, says=str(error)[:100])
        return Response(status_code=400)
    return Response(status_code=200) if answer is None else JSONResponse(answer)
