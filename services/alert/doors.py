"""Alert's doors: the console's pages and API, Slack's and Teams' requests, all onto the same acts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from services.alert.boards import LiveBoards
from services.alert.chat.destinations import bot_tokens, send_sign_in, sign_in_ways
from services.alert.chat.links import Links
from services.alert.chat.presses import TeamsPresses
from services.alert.chat.slack_commands import SlackCommands
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.slack_interactions import SlackInteractions
from services.alert.chat.slack_socket import SlackSocket
from services.alert.chat.teams_interactions import TeamsInteractions
from services.alert.console.app import create_app
from services.alert.deliveries import Deliveries
from services.alert.home_tabs import HomeTabs
from services.alert.practice.part import PracticePart
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.answers import Answers
from services.alert.store.doings import Doings
from services.alert.store.overrides import PostgresRoster
from services.alert.store.shift_starts import PostgresShiftStarts
from services.contracts.configuration import Configuration, Destination, SlackDestination
from services.runtime.asgi import App
from services.runtime.clock import Clock
from services.runtime.postgres import Pool
from services.runtime.settings import optional_secret, secret


@dataclass(frozen=True, slots=True)
class Inside:
    """What lies behind the doors."""

    pool: Pool
    configuration: Callable[[], Configuration]
    """The one in force."""
    clock: Clock
    links: Links
    deliveries: Deliveries
    episodes: PostgresEpisodes
    boards: LiveBoards
    answers: Answers
    doings: Doings
    roster: PostgresRoster
    starts: PostgresShiftStarts
    practice: PracticePart | None


class Doors:
    """Opens what presence.yaml has a use for. The practice stands before each and takes what is its own."""

    def __init__(self, inside: Inside, file: Configuration) -> None:
        """`file`: as it was read at the start. Raises WrongConfiguration for a secret that is not there."""
        self._inside = inside
        # A token that is not there is said before anything starts.
        self._app_tokens = _app_tokens(file)
        self._home: HomeTabs | None = None
        self._slack = self._open_slack()
        self.pages: App = self._open_pages(file)
        """Everything that is reached by HTTP."""

    def workers(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What goes on behind them, by name."""
        if self._home is not None:
            yield "home tabs", self._home.keep()
        if self._slack is not None:
            for name, token, base_url in self._app_tokens:
                socket = SlackSocket(token, base_url, self._slack, self._inside.clock)
                yield f"Slack socket {name}", socket.run()

    async def drain(self) -> None:
        """Wait for acts that outlived their request."""
        if self._slack is not None:
            await self._slack.drain()

    def _open_pages(self, file: Configuration) -> App:
        inside, practice = self._inside, self._inside.practice
        channels = inside.deliveries.channels
        console = create_app(
            episodes=inside.episodes,
            configuration=inside.configuration,
            links=inside.links,
            answers=inside.answers,
            doings=inside.doings,
            slack=self._slack,
            slack_signing_secrets=_signing_secrets(file),
            send_sign_in=self._send_sign_in,
            may_sign_in=lambda one: bool(sign_in_ways(channels, inside.configuration(), one.id)),
            api_token=optional_secret("PRESENCE_API_TOKEN"),
            roster=inside.roster,
            clock=inside.clock,
            boards=inside.boards,
            teams=self._open_teams(),
            teams_tokens=tuple(bot_tokens(file, inside.clock)),
        )
        return practice.pages(console, self._send_sign_in) if practice else console

    async def _send_sign_in(self, person_id: str, url: str) -> None:
        team = self._inside.configuration()
        await send_sign_in(self._inside.deliveries.channels, team, person_id, url)

    def _open_teams(self) -> TeamsPresses | None:
        inside = self._inside
        real = None
        if inside.deliveries.teams:
            real = TeamsInteractions(
                inside.episodes,
                inside.configuration,
                inside.deliveries.teams,
                inside.clock,
                inside.boards,
                inside.answers,
                inside.doings,
                inside.links,
            )
        return inside.practice.teams(real) if inside.practice else real

    def _open_slack(self) -> SlackInbound | None:
        """The same handlers, whichever way Slack's requests come."""
        inside, slack = self._inside, self._inside.deliveries.slack
        if not slack:
            return inside.practice.slack_alone(inside.clock) if inside.practice else None
        interactions = SlackInteractions(
            inside.episodes,
            inside.configuration,
            slack,
            inside.clock,
            boards=inside.boards,
            answers=inside.answers,
            doings=inside.doings,
        )
        # By the first destination as it is then: it may be another one by the time.
        home = HomeTabs(
            inside.pool,
            inside.episodes,
            inside.roster,
            inside.configuration,
            inside.clock,
            lambda member, view: slack[0].publish_home(member, view),
        )
        commands = SlackCommands(
            inside.episodes,
            inside.roster,
            inside.configuration,
            inside.clock,
            incidents=inside.boards,
            changed=home.changed,
            starts=inside.starts,
        )
        self._home = home
        return SlackInbound(
            inside.practice.slack(interactions) if inside.practice else interactions,
            inside.clock,
            command=commands.answer,
            home=home.opened,
            later=lambda url, answer: slack[0].answer_later(url, answer),
            changed=home.changed,
        )


def _every_destination(configuration: Configuration) -> tuple[Destination, ...]:
    """Whatever is pressed there comes in by one door."""
    return (*configuration.destinations, *configuration.practice.destinations)


def _signing_secrets(configuration: Configuration) -> tuple[SecretStr, ...]:
    names = [
        section.signing_secret
        for section in _every_destination(configuration)
        if isinstance(section, SlackDestination)
    ]
    return tuple(secret(name) for name in dict.fromkeys(names))


def _app_tokens(configuration: Configuration) -> list[tuple[str, SecretStr, str]]:
    """One connection for each app: its token, by name, and where to ask for an address."""
    named = {
        section.app_token: str(section.base_url)
        for section in _every_destination(configuration)
        if isinstance(section, SlackDestination) and section.app_token is not None
    }
    return [(name, secret(name), base_url) for name, base_url in named.items()]
