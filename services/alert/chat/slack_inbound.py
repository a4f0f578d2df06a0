"""Everything that comes from Slack, whichever way: over HTTP with a signature, or through Socket Mode.

Both ways in hand the same payloads to the same handlers. A command or a press that takes longer than
Slack waits is answered with an acknowledgement, and its answer follows through `response_url`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from services.alert.chat.presses import SlackPresses
from services.alert.chat.slack_blocks import Block
from services.alert.chat.slack_commands import ephemeral
from services.alert.chat.slack_interactions import ANSWER_WITHIN_SECONDS
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

Answer = dict[str, Any] | None
"""The body of the acknowledgement; None: empty."""
AnswerCommand = Callable[[dict[str, str]], Awaitable[Block]]
OpenedHome = Callable[[str], Awaitable[None]]
AnswerLater = Callable[[str, Block], Awaitable[None]]

NOT_NOW = "Presence cannot answer right now: its database does not. Try again in a minute."
_SEEN_FOR_SECONDS = 3_600.0
"""Slack tells an event again for up to an hour."""
_SEEN_MOST = 10_000

log = get_logger(__name__)


class SlackInbound:
    """Interactions, slash commands and events.

    Invariants: an acknowledgement is never held up for longer than `ANSWER_WITHIN_SECONDS`; an event is
    acted on once per process, and its acts are idempotent beyond that.
    """

    def __init__(
        self,
        interactions: SlackPresses,
        clock: Clock,
        *,
        command: AnswerCommand | None = None,
        home: OpenedHome | None = None,
        later: AnswerLater | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`later` posts to a response_url; `changed` is told after each interaction."""
        self._interactions = interactions
        self._clock = clock
        self._command = command
        self._home = home
        self._later = later
        self._changed = changed
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def interaction(self, payload: dict[str, Any]) -> Answer:
        """A press or a form. Raises KeyError, TypeError or ValueError for what is not Slack's."""
        answer = await self._interactions.handle(payload)
        self._changed()
        return answer

    async def command(self, form: dict[str, str]) -> Answer:
        """A slash command. Raises KeyError for what is not Slack's."""
        if self._command is None:
            return None
        member, url = form["user_id"], form.get("response_url", "")
        task = self._track(self._answered(self._command, {**form, "user_id": member}))
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_SECONDS)
        if done:
            answer: Block = task.result()
            return answer
        self._track(self._follow(task, url))
        return None

    async def event(self, body: dict[str, Any]) -> Answer:
        """An event, or the question whether this address is ours. Raises KeyError or TypeError."""
        if body["type"] == "url_verification":
            return {"challenge": str(body["challenge"])}
        if body["type"] != "event_callback":
            return None
        event, event_id = body["event"], str(body["event_id"])
        kind, member = str(event["type"]), str(event.get("user", ""))
        if self._again(event_id):
            log.info("slack_event_repeated", event_id=event_id)
            return None
        if kind == "app_home_opened" and event.get("tab", "home") == "home" and self._home:
            # Acknowledged first: Slack asks for no answer, and tells it again where one is late.
            self._track(self._opened(self._home, member))
        return None

    async def drain(self) -> None:
        """Wait for what outlived its request."""
        await self._interactions.drain()
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _answered(self, command: AnswerCommand, form: dict[str, str]) -> Block:
        try:
            return await command(form)
        except Exception as error:
            # A person waits in front of the screen: whatever it was, they hear that it did not work.
            log.exception("slack_command_failed", error=type(error).__name__)
            return ephemeral(NOT_NOW)

    async def _follow(self, task: asyncio.Task[Block], url: str) -> None:
        answer = await task
        if self._later is None or not url:
            return
        try:
            await self._later(url, answer)
        except (Transient, Permanent) as error:
            log.warning("slack_late_answer_failed", error=str(error))

    async def _opened(self, home: OpenedHome, member: str) -> None:
        try:
            await home(member)
        except Exception as error:
            log.exception("slack_home_failed", error=type(error).__name__)

    def _track(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _again(self, event_id: str) -> bool:
        now = self._clock.monotonic()
        while self._seen and (
            len(self._seen) > _SEEN_MOST or next(iter(self._seen.values())) < now
        ):
            self._seen.popitem(last=False)
        if event_id in self._seen:
            return True
        self._seen[event_id] = now + _SEEN_FOR_SECONDS
        return False
