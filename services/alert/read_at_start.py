"""What alert reads of presence.yaml only when it starts: told at once when a changed file touches it.

Where cards go follows the file by itself (`services.alert.deliveries`). How presses come in does not: the
secrets that verify them, Socket Mode's lines and the bots whose requests are taken are opened once.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.alert.store.boards.troubles import Troubles
from services.contracts.configuration import Configuration, SlackDestination, TeamsBotDestination
from services.contracts.events import Notice, NoticeKind
from services.runtime.clock import Clock
from services.runtime.logs import get_logger

log = get_logger(__name__)

FILE = "presence.yaml"


def read_at_start(started: Configuration, now: Configuration) -> Iterator[str]:
    """What of `now` takes a restart of a process that started with `started`; a line each."""
    secrets = {one.signing_secret for one in _slack(started)}
    lines = {one.app_token for one in _slack(started)}
    for slack in _slack(now):
        if slack.signing_secret not in secrets:
            yield f"presses in {slack.id} are verified by {slack.signing_secret}"
        if slack.app_token not in lines and slack.app_token is not None:
            yield f"Socket Mode of {slack.id} uses {slack.app_token}"
    bots = {(one.app_id, one.openid_url) for one in _teams(started)}
    for teams in _teams(now):
        if (teams.app_id, teams.openid_url) not in bots:
            yield f"presses in {teams.id} come through the bot {teams.app_id}"


def _slack(configuration: Configuration) -> list[SlackDestination]:
    return [one for one in configuration.destinations if isinstance(one, SlackDestination)]


def _teams(configuration: Configuration) -> list[TeamsBotDestination]:
    return [one for one in configuration.destinations if isinstance(one, TeamsBotDestination)]


class ReadAtStart:
    """Tells the engineers, and the log, that this process has to be started anew."""

    def __init__(self, started: Configuration, troubles: Troubles, clock: Clock) -> None:
        self._started = started
        self._troubles = troubles
        self._clock = clock
        self._told: tuple[str, ...] | None = None
        """None: nothing yet, and what a process before this one told ends now."""

    async def look(self, now: Configuration) -> bool:
        """Tell it, once for each change of what is needed, and take it back; whether it was told."""
        needed = tuple(read_at_start(self._started, now))
        if needed == self._told:
            return False
        says = f"restart alert: {'; '.join(needed)}" if needed else "nothing waits for a restart"
        if needed:
            log.warning("a changed presence.yaml takes a restart of alert", needed=list(needed))
        kind = NoticeKind.restart_needed if needed else NoticeKind.restarted
        await self._troubles.note(
            Notice(kind=kind, service="alert", source=FILE, says=says, at=self._clock.now())
        )
        self._told = needed
        return bool(needed)
