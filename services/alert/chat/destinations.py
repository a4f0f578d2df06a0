"""From presence.yaml's `destinations` to things that send. The one place that knows every kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from services.alert.chat.delivery import DeliveryPipeline
from services.alert.chat.links import Links
from services.alert.chat.metrics import DeliveryMetrics
from services.alert.chat.pace import Pace
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.teams import TeamsWorkflowDestination
from services.alert.ports import Destination, Outbox
from services.contracts.configuration import (
    Configuration,
)
from services.contracts.configuration import (
    TeamsWorkflowDestination as TeamsWorkflowSection,
)
from services.runtime.clock import Clock

Secret = Callable[[str], SecretStr]
"""Reads a secret by its name from the environment or a file."""


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
    channels: dict[str, Channel] = {}
    for section in configuration.destinations:
        if isinstance(section, TeamsWorkflowSection):
            teams = TeamsWorkflowDestination(section.id, secret(section.url), links, clock)
            rate = section.posts_per_second
            channels[section.id] = Channel(teams, rate, rate)
            continue
        client = SlackClient(secret(section.bot_token), str(section.base_url))
        slack = SlackDestination(section.id, section.channel, client, links)
        channels[section.id] = Channel(slack, section.posts_per_second, section.updates_per_second)
    return channels


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
