"""From presence.yaml's `destinations` to things that send. The one place that knows every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.teams import TeamsWorkflowDestination
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.chat.teams_connector import Connector
from services.alert.chat.teams_tokens import SERVICE_HOSTS, BotTokens
from services.alert.domain.contact_ways import chat_id, ways_to
from services.alert.ports import DeliveryReason, Destination, Outbox, PersonRef
from services.contracts import configuration as sections
from services.contracts.configuration import Configuration
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient

Secret = Callable[[str], SecretStr]
"""Reads a secret by its name from the environment or a file."""


@runtime_checkable
class SendsSignIns(Protocol):
    """A destination that reaches a person alone."""

    kind: str

    async def send_sign_in(self, person: PersonRef, url: str) -> None:
        """Send a personal sign-in link to the person it is for, and to nobody else."""
        ...


@dataclass(frozen=True, slots=True)
class Channel:
    """A destination and how fast it may be used."""

    destination: Destination
    posts_per_second: float
    updates_per_second: float


def open_destinations(
    configuration: Configuration, *, secret: Secret, links: Links, clock: Clock
) -> dict[str, Channel]:
    """Every destination of presence.yaml by its id. Nothing is connected before the first send.

    Raises WrongConfiguration, through `secret`, for a secret that is not there.
    """
    opening = _Opening(secret, links, clock)
    return {section.id: opening.channel(section) for section in configuration.destinations}


@dataclass(slots=True)
class _Opening:
    secret: Secret
    links: Links
    clock: Clock
    _connectors: dict[tuple[str, ...], Connector] = field(default_factory=dict)

    def channel(self, section: sections.Destination) -> Channel:
        destination, rate = self._destination(section), section.posts_per_second
        updates = getattr(section, "updates_per_second", rate)
        return Channel(destination, rate, updates)

    def _destination(self, section: sections.Destination) -> Destination:
        links, clock = self.links, self.clock
        match section:
            case sections.SlackDestination():
                client = SlackClient(self.secret(section.bot_token), str(section.base_url))
                return SlackDestination(section.id, section.channel, client, links)
            case sections.TeamsWorkflowDestination():
                return TeamsWorkflowDestination(section.id, self.secret(section.url), links, clock)
            case sections.TeamsBotDestination():
                connector = self._connector(section)
                return TeamsBotDestination(section.id, section.channel, connector, links, clock)
            case sections.AppriseDestination() | sections.EmailDestination():
                # Apprise loads a hundred services: only who uses one pays for them.
                from services.alert.chat.apprise_chat import AppriseDestination

                by_email = isinstance(section, sections.EmailDestination)
                url = self.secret(section.url)
                return AppriseDestination(section.id, url, links, self.secret, by_email=by_email)
            case sections.PhoneDestination():
                from services.alert.chat.apprise_chat import PhoneDestination

                return PhoneDestination(section.id, links, self.secret)

    def _connector(self, section: sections.TeamsBotDestination) -> Connector:
        """One a bot: its channels share the token and the connections."""
        where = (section.app_id, section.tenant, str(section.service_url), str(section.login_url))
        if where not in self._connectors:
            self._connectors[where] = Connector(
                app_id=section.app_id,
                password=self.secret(section.app_password),
                tenant=section.tenant,
                service_url=where[2],
                login_url=where[3],
                clock=self.clock,
            )
        return self._connectors[where]


def bot_tokens(configuration: Configuration, clock: Clock) -> list[BotTokens]:
    """What verifies the requests of each bot of presence.yaml, one for each publisher of keys."""
    bots: dict[str, list[sections.TeamsBotDestination]] = {}
    for one in (*configuration.destinations, *configuration.practice.destinations):
        if isinstance(one, sections.TeamsBotDestination):
            bots.setdefault(str(one.openid_url), []).append(one)
    return [
        BotTokens(
            url,
            frozenset(one.app_id for one in ours),
            clock,
            (*SERVICE_HOSTS, *(one.service_url.host or "" for one in ours)),
        )
        for url, ours in bots.items()
    ]


async def send_sign_in(
    channels: Mapping[str, Channel], configuration: Configuration, person_id: str, url: str
) -> None:
    """Send a personal link by the person's own ways, in their order, until one takes it.

    Never into a channel. Raises what the last way raised; Permanent where there is none.
    """
    person = configuration.person(person_id)
    failure: Transient | Permanent = Permanent(
        DeliveryReason.not_found, f"{person_id} can be sent no link"
    )
    for way in sign_in_ways(channels, configuration, person_id):
        destination = channels[way].destination
        assert isinstance(destination, SendsSignIns)
        assert person is not None
        try:
            to = PersonRef(person.id, person.name, chat_id(person, destination.kind))
            await destination.send_sign_in(to, url)
        except (Transient, Permanent) as error:
            failure = error
        else:
            return
    raise failure


def sign_in_ways(
    channels: Mapping[str, Channel], configuration: Configuration, person_id: str
) -> tuple[str, ...]:
    """The destinations that can send this person a link of their own."""
    return tuple(
        one
        for one in ways_to(configuration, person_id, ())
        if one in channels and isinstance(channels[one].destination, SendsSignIns)
    )


def open_pipelines(
    channels: Mapping[str, Channel], outbox: Outbox, *, clock: Clock, metrics: DeliveryMetrics
) -> list[DeliveryPipeline]:
    """One pipeline a destination, so that a slow one never stands before another."""
    return [
        DeliveryPipeline(
            channel.destination,
            outbox,
            clock=clock,
            metrics=metrics,
            posts=Pace(channel.posts_per_second),
            updates=Pace(channel.updates_per_second),
        )
        for channel in channels.values()
    ]
