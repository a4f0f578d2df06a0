"""Socket Mode: what Slack has to say comes through a WebSocket that we opened: no public address is needed.

Slack's SDK keeps the connection: it asks for a new address and reconnects when Slack says so
(`disconnect`), when the line is cut and when pings stay without an answer. Here envelopes are acknowledged
and handed to the handlers that HTTP requests reach too.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from services.alert.chat.slack_inbound import Answer, SlackInbound
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.logs import get_logger

PING_SECONDS = 5.0
CUT_OFF_SECONDS = 30.0
"""So long without a connection, and the SDK's client is replaced: it asks an address that no longer answers
again and again, and never for another one."""
_NOT_SLACKS = (KeyError, TypeError, ValueError, IndexError, AttributeError)
_AWAY = (SlackClientError, OSError, TimeoutError)

log = get_logger(__name__)


class _WithoutSecrets(logging.Filter):
    """The SDK's words without their facts: those hold people's messages and one-time addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            says = str(record.msg).split("(")[0].split(":")[0][:80]
            log.warning("slack_socket_trouble", says=says)
        return False


def _quiet_logger() -> logging.Logger:
    logger = logging.Logger("slack_sdk.socket_mode", logging.INFO)
    logger.addFilter(_WithoutSecrets())
    return logger


class SlackSocket:
    """One app's connection.

    Invariants: an envelope is acknowledged once its answer is known or Slack would wait no longer, an event
    before it is acted on; an envelope that is no Slack's is acknowledged too, since telling it again would
    not mend it; a connection that cannot be had is asked for again, for ever.
    """

    def __init__(
        self,
        app_token: SecretStr,
        base_url: str,
        inbound: SlackInbound,
        clock: Clock,
        *,
        ping_seconds: float = PING_SECONDS,
        cut_off_seconds: float = CUT_OFF_SECONDS,
    ) -> None:
        self._app_token = app_token
        self._base_url = base_url
        self._inbound = inbound
        self._clock = clock
        self._ping = ping_seconds
        self._cut_off = cut_off_seconds
        self._client: SocketModeClient | None = None

    async def run(self) -> None:
        """Connect, and stay connected until cancelled."""
        backoff, failures = Backoff(initial=min(1.0, self._ping), cap=60.0), 0
        while True:
            client = self._opened()
            try:
                async with asyncio.timeout(self._cut_off):
                    await client.connect_to_new_endpoint(force=True)
                log.info("slack_socket_connected")
                failures = 0
                await self._until_cut_off(client)
            except SlackApiError as error:
                failures += 1
                code = str(error.response.get("error", ""))
                wait = backoff.delay(failures)
                hint = "the app-level token needs connections:write, and Socket Mode switched on"
                log.error("slack_socket_refused", error=code, hint=hint, again_in=round(wait, 1))
            except _AWAY as error:
                failures += 1
                wait = backoff.delay(failures)
                kind = type(error).__name__
                log.warning("slack_socket_away", error=kind, again_in=round(wait, 1))
            finally:
                self._client = None
                await _close(client)
            await self._clock.sleep(wait)

    async def _until_cut_off(self, client: SocketModeClient) -> None:
        """The SDK reconnects by itself. Raises TimeoutError where it has not managed to for a while."""
        since = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._ping)
            if await client.is_connected():
                since = self._clock.monotonic()
            elif self._clock.monotonic() - since > self._cut_off:
                raise TimeoutError

    async def connected(self) -> bool:
        """Whether envelopes can arrive right now."""
        return self._client is not None and await self._client.is_connected()

    def _opened(self) -> SocketModeClient:
        logger = _quiet_logger()
        web = AsyncWebClient(base_url=self._base_url, logger=logger, retry_handlers=[])
        client = SocketModeClient(
            app_token=self._app_token.get_secret_value(),
            web_client=web,
            logger=logger,
            ping_interval=self._ping,
        )
        client.socket_mode_request_listeners.append(self._envelope)
        self._client = client
        return client

    async def _envelope(
        self, client: AsyncBaseSocketModeClient, request: SocketModeRequest
    ) -> None:
        """Several are handled side by side: each in a task of the SDK's."""
        if request.type == "events_api":
            await self._acknowledge(client, request, None)
            await self._handled(request)
        else:
            await self._acknowledge(client, request, await self._handled(request))

    async def _handled(self, request: SocketModeRequest) -> Answer:
        payload: dict[str, Any] = request.payload
        try:
            match request.type:
                case "interactive":
                    return await self._inbound.interaction(payload)
                case "slash_commands":
                    form = {str(name): str(value) for name, value in payload.items()}
                    return await self._inbound.command(form)
                case "events_api":
                    return await self._inbound.event(payload)
        except _NOT_SLACKS as error:
            log.warning("slack_payload_refused", error=type(error).__name__, says=str(error)[:100])
        except Exception as error:
            # Not acknowledged it would come again, to the same end; the person presses again.
            log.exception("slack_act_failed", error=type(error).__name__)
        return None

    async def _acknowledge(
        self, client: AsyncBaseSocketModeClient, request: SocketModeRequest, answer: Answer
    ) -> None:
        response = SocketModeResponse(envelope_id=request.envelope_id, payload=answer)
        try:
            await client.send_socket_mode_response(response)
        except (*_AWAY, AttributeError) as error:
            # The line was cut meanwhile: Slack tells it again, and acts are idempotent.
            log.warning("slack_acknowledgement_lost", error=type(error).__name__)


async def _close(client: SocketModeClient) -> None:
    """Ends the SDK's tasks too, and waits for them."""
    tasks = [
        task
        for task in (
            client.message_processor,
            client.current_session_monitor,
            client.message_receiver,
        )
        if task is not None
    ]
    await client.close()  # type: ignore[no-untyped-call]
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
