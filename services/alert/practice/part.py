"""Practice as alert starts it: the ways in, the pages and the worker, wired in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from services.alert.chat.links import Links, PracticeLinks
from services.alert.chat.practice.destination import open_practice
from services.alert.chat.presses import SlackPresses, TeamsPresses
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.console.sign_in import SendSignIn
from services.alert.practice.database import practice_url
from services.alert.practice.pages import PracticePages
from services.alert.practice.practice import Practice
from services.alert.practice.presses import PractisedSlack, PractisedTeams
from services.contracts.configuration import Configuration, SlackDestination, TeamsBotDestination
from services.runtime.asgi import App
from services.runtime.clock import Clock
from services.runtime.settings import secret


def open_part(
    database_url: str,
    file: Configuration,
    active: Callable[[], Configuration],
    links: Links,
    link_secret: SecretStr,
    clock: Clock,
) -> PracticePart | None:
    """None where presence.yaml has no place to practise. Nothing is connected yet.

    Raises WrongConfiguration for a secret that is not there, or a database that is alert's own.
    """
    if not file.practice.destinations:
        return None
    own = PracticeLinks(links.public_url, link_secret, clock)
    channels = open_practice(file.practice, secret=secret, links=own, clock=clock)
    return PracticePart(Practice(practice_url(database_url), active, channels, own, clock), clock)


class PracticePart:
    """Stands before the real world's handlers and takes what is the practice's."""

    def __init__(self, practice: Practice, clock: Clock) -> None:
        self.practice = practice
        self._clock = clock
        kinds = {type(one.section) for one in practice.channels.values()}
        self._in_slack, self._in_teams = SlackDestination in kinds, TeamsBotDestination in kinds

    async def run(self) -> None:
        """The worker."""
        await self.practice.run()

    def slack(self, real: SlackPresses) -> SlackPresses:
        """Slack's presses."""
        return PractisedSlack(self.practice, real)

    def slack_alone(self, clock: Clock) -> SlackInbound | None:
        """The same, for a team that has only its training there."""
        if not self._in_slack:
            return None
        return SlackInbound(PractisedSlack(self.practice, None), clock)

    def teams(self, real: TeamsPresses | None) -> TeamsPresses | None:
        """A bot's activities."""
        if not self._in_teams:
            return real
        return PractisedTeams(self.practice, real)

    def pages(self, real: Any, send_sign_in: SendSignIn) -> App:
        """The pages behind links."""
        return PracticePages(self.practice, real, send_sign_in, self._clock)

    async def close(self) -> None:
        """Release connections."""
        await self.practice.close()
