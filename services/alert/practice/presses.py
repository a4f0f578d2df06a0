"""Presses that come from Slack and Teams: the practice's to the practice, all others to the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.alert.chat.practice import slack, teams
from services.alert.chat.practice.heading import headed, is_marked, unmarked
from services.alert.chat.presses import Answer, SlackPresses, TeamsPresses
from services.alert.practice.practice import OVER, Practice
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)


class PractisedSlack:
    """`SlackPresses` in front of the real one."""

    def __init__(self, practice: Practice, real: SlackPresses | None) -> None:
        self._practice = practice
        self._real = real

    async def handle(self, payload: dict[str, Any]) -> Answer:
        """See SlackPresses."""
        if not is_marked(payload):
            return await self._real.handle(payload) if self._real else None
        world = await self._practice.world()
        if world is None or world.slack is None:
            return await self._over(payload)
        return slack.answered(await world.slack.handle(unmarked(payload)))

    async def drain(self) -> None:
        """See SlackPresses."""
        if self._real is not None:
            await self._real.drain()

    async def _over(self, payload: dict[str, Any]) -> Answer:
        """Whoever presses hears it; a form closes."""
        member = str(payload["user"]["id"])
        container = payload.get("container") or {}
        where = str(container.get("channel_id") or (payload.get("channel") or {}).get("id") or "")
        for place in self._practice.channels.values():
            if place.slack is not None and place.slack.channel == where:
                try:
                    await place.slack.whisper(where, member, OVER)
                except (Transient, Permanent) as error:
                    log.info("practice_over_not_told", error=str(error))
        return {"response_action": "clear"} if payload.get("type") == "view_submission" else None


class PractisedTeams:
    """`TeamsPresses` in front of the real one."""

    def __init__(self, practice: Practice, real: TeamsPresses | None) -> None:
        self._practice = practice
        self._real = real

    async def handle(self, activity: Mapping[str, Any], app_id: str) -> Answer:
        """See TeamsPresses."""
        if not teams.is_marked(activity):
            return await self._real.handle(activity, app_id) if self._real else None
        world = await self._practice.world()
        if world is None or world.teams is None:
            return _told(activity)
        return teams.answered(await world.teams.handle(teams.unmarked(dict(activity)), app_id))


def _told(activity: Mapping[str, Any]) -> Answer:
    says = headed(OVER, 200)
    if activity.get("name") == "adaptiveCard/action":
        kind = "application/vnd.microsoft.activity.message"
        return {"statusCode": 200, "type": kind, "value": says}
    return {"task": {"type": "message", "value": says}}
