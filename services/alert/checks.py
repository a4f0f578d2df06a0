"""Checks of where cards go: destinations, the people to be woken there, links and the public address."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from services.alert.chat.apprise_chat import knows_address
from services.alert.chat.destinations import Secret, open_destinations
from services.alert.chat.links import SHORTEST_SECRET, Links
from services.alert.chat.slack_client import SlackClient, SlackRefusal
from services.alert.chat.teams_connector import Connector
from services.alert.domain.contact_ways import ways_to
from services.alert.ports import DeliveryReason, Destination
from services.contracts.configuration import (
    AppriseDestination,
    Configuration,
    EmailDestination,
    PhoneDestination,
    SlackDestination,
    TeamsBotDestination,
    TeamsWorkflowDestination,
)
from services.runtime.checks import Check, Finding, answered, good, unknown, wrong
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Permanent, Transient, WrongConfiguration

DESTINATIONS, LINKS, TEST = "destinations", "links", "test line"
SCOPES = frozenset(
    {"chat:write", "channels:history", "groups:history", "im:write", "im:history", "commands"}
)
"""As deploy/slack/manifest.yaml asks for them."""
_RETIRED = ("webhook.office.com", "outlook.office.com")
_WORKFLOWS = ("logic.azure.com", "api.powerplatform.com", "powerautomate.com")
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,20}")


def destination_checks(
    configuration: Configuration, secret: Secret, clock: Clock | None = None
) -> Iterator[Check]:
    """Every destination, those for practice too, and whether each person on call can be woken."""
    clock = clock or SystemClock()
    for one in (*configuration.destinations, *configuration.practice.destinations):
        if isinstance(one, SlackDestination):
            yield Check(DESTINATIONS, f"Slack {one.id}", _slack(one, secret))
            if one.app_token is not None:
                yield Check(
                    DESTINATIONS, f"Slack {one.id}, Socket Mode", _slack_socket(one, secret)
                )
        elif isinstance(one, TeamsBotDestination):
            yield Check(DESTINATIONS, f"Teams bot {one.id}", _teams_bot(one, secret, clock))
        elif isinstance(one, AppriseDestination | EmailDestination):
            yield Check(DESTINATIONS, f"Apprise {one.id}", _apprise(one, secret))
        elif isinstance(one, PhoneDestination):
            yield Check(DESTINATIONS, f"Phones {one.id}", _phones(one, configuration, secret))
        else:
            yield Check(DESTINATIONS, f"Teams {one.id}", _teams(one, secret))
    yield answered(DESTINATIONS, "people on call", judge_people(configuration))


def _slack(one: SlackDestination, secret: Secret) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        token = secret(one.bot_token)
        secret(one.signing_secret)
        client = SlackClient(token, str(one.base_url))
        try:
            return await _ask_slack(client, one)
        finally:
            await client.close()

    return look


async def _ask_slack(client: SlackClient, one: SlackDestination) -> Finding:
    manifest = "add them to the app (deploy/slack/manifest.yaml lists all) and install it again"
    try:
        workspace, scopes = await client.identify()
    except SlackRefusal as refusal:
        mend = f"copy the bot token (xoxb-…) of the installed app into {one.bot_token}"
        return wrong(f"Slack refuses the token: {refusal.code}", mend)
    if scopes and (missing := SCOPES - scopes):
        return wrong(f"the bot lacks {', '.join(sorted(missing))}", manifest)
    if not _CHANNEL.fullmatch(one.channel):
        says = f"channel {one.channel!r} is no channel id"
        return wrong(says, "copy the link of the channel: its last part (C…) is the id")
    invite = "invite the bot: /invite @Presence in the channel"
    try:
        # Reading is what the bot may do only where it is a member, and needs no scope beyond those above.
        await client.read("conversations.history", channel=one.channel, limit=1)
    except SlackRefusal as refusal:
        if refusal.code == "not_in_channel":
            return wrong("the bot is not in the channel", invite)
        if refusal.code == "channel_not_found":
            says = "no such channel, or a private one that the bot is not in"
            return wrong(says, f"{invite}; or mend `channel` in presence.yaml")
        if refusal.code == "missing_scope":
            return wrong("the bot may not read the channel (channels:history)", manifest)
        raise
    told = "" if scopes else "; its scopes are not told"
    return good(f"{workspace}: token holds, the bot is in the channel{told}")


def _slack_socket(one: SlackDestination, secret: Secret) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        assert one.app_token is not None
        client = SlackClient(secret(one.app_token), str(one.base_url))
        try:
            # An address that nobody opens ends by itself.
            await client.call("apps.connections.open")
        except SlackRefusal as refusal:
            mend = (
                f"put an app-level token (xapp-…) with connections:write into {one.app_token}, and"
                " switch on Socket Mode"
            )
            return wrong(f"Slack gives no address for the socket: {refusal.code}", mend)
        finally:
            await client.close()
        return good("Slack gives an address: presses and commands come through the socket")

    return look


def _teams(one: TeamsWorkflowDestination, secret: Secret) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        return judge_workflow_url(secret(one.url).get_secret_value(), one.url)

    return look


def _teams_bot(
    one: TeamsBotDestination, secret: Secret, clock: Clock
) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        connector = Connector(
            app_id=one.app_id,
            password=secret(one.app_password),
            tenant=one.tenant,
            service_url=str(one.service_url),
            login_url=str(one.login_url),
            clock=clock,
        )
        mend = f"make a new client secret for the app, put it into {one.app_password}; is tenant right?"
        try:
            await connector.check()
            people = await connector.members(one.channel)
        except Permanent as error:
            if error.reason is DeliveryReason.refused_credentials:
                return wrong(str(error), mend)
            return wrong(str(error), "add the app to the team; is `channel` the channel's id?")
        except Transient as error:
            return unknown(str(error), "try again")
        finally:
            await connector.close()
        return good(f"the bot is in the team, which has {len(people)} members")

    return look


def _apprise(
    one: AppriseDestination | EmailDestination, secret: Secret
) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        known = await asyncio.to_thread(knows_address, secret(one.url).get_secret_value())
        if not known:
            return wrong("Apprise does not know this address", f"mend {one.url}: see its wiki")
        return good("the address has a form that Apprise knows; --send-test shows whether it works")

    return look


def _phones(
    one: PhoneDestination, configuration: Configuration, secret: Secret
) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        named = {person.id: person.phone for person in configuration.people if person.phone}
        if not named:
            return wrong("nobody has a `phone`", f"add one to somebody, or take {one.id} out")
        for person, name in named.items():
            address = secret(name).get_secret_value()
            if not await asyncio.to_thread(knows_address, address):
                return wrong(f"Apprise does not know {person}'s address", f"mend {name}")
        return good(f"{len(named)} people have an address of a form that Apprise knows")

    return look


def judge_workflow_url(url: str, name: str) -> Finding:
    """The form of a Workflows address. Whether it still works shows only by posting to it."""
    mend = (
        "in Teams: channel → Workflows → “Post to a channel when a webhook request is received”; "
        f"put its address into {name}"
    )
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return wrong("the address is no URL", mend)
    if host.endswith(_RETIRED):
        return wrong("that is an Office 365 connector, which Microsoft has retired", mend)
    if parts.scheme != "https" or not host:
        return wrong("the address is no https URL", mend)
    if not host.endswith(_WORKFLOWS):
        return unknown("the address is none of Microsoft's workflow hosts", mend)
    if "sig=" not in parts.query:
        return wrong("the address has lost its signature (sig=…): it was cut when copied", mend)
    return good("the address has the form of a workflow; --send-test shows whether it works")


def _on_call(configuration: Configuration) -> set[str]:
    members = {
        member
        for rota in configuration.rotas
        for layer in rota.layers
        for member in layer.rotation.members
    }
    overriding = {one.person for rota in configuration.rotas for one in rota.overrides}
    return members | overriding | {one.person for rota in configuration.rotas for one in rota.swaps}


def judge_people(configuration: Configuration) -> Finding:
    """Whether everybody on a rota has an address in at least one of the chats that are used."""
    on_call = _on_call(configuration)
    people = [person for person in configuration.people if person.id in on_call]
    lost = [one.id for one in people if not ways_to(configuration, one.id, ())]
    if lost:
        says = f"nothing can wake {', '.join(lost)}: no id in any chat that is used"
        return wrong(
            says, "add `slack` (profile → copy member ID), `teams`, `email` or `notify` to them"
        )
    return good(f"all {len(people)} have an id in a chat that is used")


def link_checks(public_url: str | None, link_secret: SecretStr | None) -> Iterator[Check]:
    """The secret that signs links, and the address that they begin with."""
    yield answered(LINKS, "PRESENCE_LINK_SECRET", judge_link_secret(link_secret))
    if not public_url:
        mend = "set it to the address under which your team's phones reach alert"
        yield answered(LINKS, "PRESENCE_PUBLIC_URL", wrong("not set", mend))
        return
    yield Check(LINKS, "PRESENCE_PUBLIC_URL", lambda: _public_url(public_url))


def judge_link_secret(link_secret: SecretStr | None) -> Finding:
    """Long enough not to be guessed."""
    mend = "make one with: openssl rand -hex 32"
    if link_secret is None:
        return wrong("not set", mend)
    length = len(link_secret.get_secret_value())
    if length < SHORTEST_SECRET:
        return wrong(f"{length} characters, of at least {SHORTEST_SECRET}", mend)
    if len(set(link_secret.get_secret_value())) < 8:
        return wrong("long, but made of a few characters only", mend)
    return good(f"{length} characters")


async def _public_url(public_url: str) -> Finding:
    mend = "set it to the address under which your team's phones reach alert, with https"
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return wrong("no http(s) address", mend)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1"):
        return wrong(f"{public_url} is not https: links in it can be read on the way", mend)
    try:
        address = await _resolved(parts.hostname)
    except OSError:
        return wrong(f"{parts.hostname} has no address", "is the name right, and is it in DNS?")
    if address.is_loopback:
        says = f"{public_url} is this machine itself: nobody else's phone reaches it"
        return unknown(says, f"fine for a look; for a team {mend}")
    failure = await _answers(public_url)
    if failure is not None:
        return wrong(
            f"{public_url} {failure}", "does the proxy lead to alert (port 8003), and is alert up?"
        )
    if address.is_private:
        says = (
            f"{public_url} answers, at a private address: whether phones reach it is not known here"
        )
        return unknown(says, "try it on a phone outside of your network, or its VPN")
    return unknown(
        f"{public_url} answers as Presence, asked from here; from outside it cannot be known here",
        "open it once on a phone",
    )


async def _resolved(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return ipaddress.ip_address(found[0][4][0])


async def _answers(public_url: str) -> str | None:
    """None where alert answers there, else what happens instead."""
    timeout = aiohttp.ClientTimeout(total=4.0)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"{public_url.rstrip('/')}/health/live") as response,
        ):
            body = await response.content.read(200)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return f"is not reached ({type(error).__name__})"
    if b'"live"' not in body:
        return f"answers {response.status}, and not as Presence"
    return None


def test_line_checks(
    configuration: Configuration, secret: Secret, links: Links, clock: Clock
) -> Iterator[Check]:
    """Post a marked line to each destination: really sent, so only when asked for."""
    for one in configuration.destinations:
        if isinstance(one, PhoneDestination):
            continue  # it has no channel, and nobody is called for a test
        alone = configuration.model_copy(update={"destinations": (one,)})
        try:
            channels = open_destinations(alone, secret=secret, links=links, clock=clock)
        except WrongConfiguration as error:
            finding = wrong(str(error), "set it in alert's environment")
            yield answered(TEST, one.id, finding)
            continue
        yield Check(TEST, one.id, _tell(channels[one.id].destination))


def _tell(destination: Destination) -> Callable[[], Awaitable[Finding]]:
    line = "[test] This line is from presence doctor. Nobody waits; nothing is to be done."

    async def look() -> Finding:
        try:
            await destination.tell(line, f"doctor:{uuid.uuid4()}")
        except Permanent as error:
            credentials = error.reason is DeliveryReason.refused_credentials
            mend = (
                "see the destination's own line above"
                if credentials
                else "see docs/slack.md, docs/teams.md, docs/destinations.md"
            )
            return wrong(str(error), mend)
        finally:
            await destination.close()
        return good("sent")

    return look
