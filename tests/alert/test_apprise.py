"""Apprise's own services against local servers: ntfy, Mattermost, Discord's form, and a mail server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from deploy.local.ports import random_free_port
from services.alert.chat.apprise_chat import AppriseDestination, addressed, knows_address
from services.alert.chat.links import Links
from services.alert.domain.card import Card, CardState
from services.alert.ports import DeliveryReason, MessageRef, PersonRef
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, Transient, WrongConfiguration
from tests.alert.chat_builders import NOON, SECRET, board, card, line
from tests.alert.chat_servers import Answer, TeamsServer, serving

LINKS = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
KEY = "secretkeyofthehook0123456789"


def no_secret(name: str) -> SecretStr:
    raise WrongConfiguration(f"{name} is not set")


@pytest.fixture
async def server() -> AsyncIterator[TeamsServer]:
    """Takes any JSON."""
    made = TeamsServer()

    async def take(request: web.Request) -> web.Response:
        answer = await made.handle(request)
        return web.json_response({}) if answer.status == 202 else answer

    async with serving("/{path:.*}", take) as address:
        made.base_url = address.removeprefix("http://")
        yield made


@pytest.fixture
def mailbox() -> Iterator[tuple[str, list[Envelope]]]:
    """A mail server and what it took."""
    taken: list[Envelope] = []

    class Take:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            taken.append(envelope)
            return "250 taken"

    port = random_free_port()
    controller = Controller(Take(), hostname="127.0.0.1", port=port)
    controller.start()
    yield f"127.0.0.1:{port}", taken
    controller.stop()


def to(url: str, secret: Callable[[str], SecretStr] = no_secret) -> AppriseDestination:
    return AppriseDestination("there", SecretStr(url), LINKS, secret)


SERVICES = {
    "ntfy": "ntfy://{host}/care?rto=2",
    "mattermost": "mmost://{host}/{key}?rto=2",
    "json": "json://{host}/hook?rto=2",
}


@pytest.mark.parametrize("url", SERVICES.values(), ids=SERVICES)
async def test_a_card_arrives_with_a_link_that_names_nobody(server: TeamsServer, url: str) -> None:
    there = to(url.format(host=server.base_url, key=KEY))
    await there.post(card(), "d1")
    (message,) = server.messages
    said = json.dumps(message).replace("\\u200b", "")
    assert "My order never arrived" in said
    token = said.partition("https://presence.example/a/")[2].partition("\\n")[0]
    assert LINKS.read_episode(token).person_id is None


@pytest.mark.parametrize(
    "hidden",
    [
        card(public=False, words="my IBAN is DE1"),
        card(sensitive=("self_harm",), words="my IBAN is DE1"),
        card(words=None, masked="private message"),
    ],
    ids=["private", "sensitive", "masked"],
)
async def test_no_word_of_a_private_or_sensitive_item_leaves(
    server: TeamsServer, hidden: Card
) -> None:
    there = to(SERVICES["json"].format(host=server.base_url))
    ref = await there.post(hidden, "d1")
    await there.thread(ref, line("my IBAN is DE1"), hidden, "d2")
    assert "IBAN" not in json.dumps(server.messages)
    await there.post(board(), "d3")
    assert "Did you get my parcel" not in json.dumps(server.messages)


async def test_what_became_of_it_is_said_once(server: TeamsServer) -> None:
    there = to(SERVICES["json"].format(host=server.base_url))
    ref = await there.post(card(), "d1")
    answered = card(state=CardState.answered, ended="answered by Mia after 4 min", acts=())
    ref = await there.update(ref, answered)
    assert await there.update(ref, answered) == ref
    assert "Answered by Mia after 4 min" in json.dumps(server.messages[1])
    assert len(server.messages) == 2


async def test_a_person_is_paged_at_their_own_address_with_a_link_of_their_own(
    server: TeamsServer,
) -> None:
    own = SecretStr(f"ntfy://{server.base_url}/mia-alone?rto=2")
    there = to("json://127.0.0.1:9/nobody", lambda name: own)
    await there.page(PersonRef("mia", "Mia", "PRESENCE_MIA_NOTIFY"), card(), None, "d1")
    (message,) = server.messages
    assert message["topic"] == "mia-alone"
    token = message["message"].partition("/a/")[2].strip()
    assert LINKS.read_episode(token).person_id == "mia"
    await there.send_sign_in(
        PersonRef("mia", "Mia", "PRESENCE_MIA_NOTIFY"), LINKS.sign_in("mia", "/")
    )
    assert "https://presence.example/sign-in/" in server.messages[1]["message"]


async def test_an_address_that_is_not_set_is_a_way_that_does_not_exist() -> None:
    with pytest.raises(Permanent) as failed:
        await to("json://127.0.0.1/").page(PersonRef("mia", "Mia", "X"), card(), None, "d1")
    assert failed.value.reason is DeliveryReason.not_found


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (401, Permanent, DeliveryReason.refused_credentials),
        (404, Permanent, DeliveryReason.not_found),
        (413, Permanent, DeliveryReason.invalid),
        (429, Transient, DeliveryReason.rate_limited),
        (500, Transient, DeliveryReason.unavailable),
    ],
)
@pytest.mark.parametrize("url", [SERVICES["ntfy"], SERVICES["mattermost"]], ids=["ntfy", "mmost"])
async def test_whether_it_may_be_tried_again_is_read_from_the_status(
    server: TeamsServer, url: str, status: int, kind: type[Exception], reason: DeliveryReason
) -> None:
    server.answers.append(Answer(status, "no"))
    with structlog.testing.capture_logs() as logs, pytest.raises(kind) as failed:
        await to(url.format(host=server.base_url, key=KEY)).tell("hello", "d1")
    assert getattr(failed.value, "reason", None) is reason
    assert KEY not in f"{failed.value!r}{failed.value.__cause__!r}{logs}"


async def test_an_address_that_nobody_knows_is_invalid() -> None:
    assert knows_address("json://localhost")
    assert not knows_address("nothing://localhost")
    with pytest.raises(Permanent) as failed:
        await to(f"nothing://user:{KEY}@host").tell("hello", "d1")
    assert failed.value.reason is DeliveryReason.invalid
    assert KEY not in str(failed.value)


def _read(envelope: Envelope) -> Message:
    content: Any = envelope.content
    return message_from_bytes(content, policy=default)


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd")
async def test_mail_reaches_the_team_and_a_page_the_person_alone(
    mailbox: tuple[str, list[Envelope]],
) -> None:
    host, taken = mailbox
    url = SecretStr(f"mailto://{host}?from=presence@air.example&to=team@air.example&mode=insecure")
    mail = AppriseDestination("mail", url, LINKS, no_secret, by_email=True)
    ref = await mail.post(card(), "d1")
    assert isinstance(ref, MessageRef)
    mia = PersonRef("mia", "Mia", "mia@air.example")
    await mail.page(mia, card(), ref, "d2")
    await mail.send_sign_in(mia, LINKS.sign_in("mia", "/"))
    assert [one.rcpt_tos for one in taken] == [
        ["team@air.example"],
        ["mia@air.example"],
        ["mia@air.example"],
    ]
    first = _read(taken[0])
    assert str(first["subject"]).replace("\u200b", "") == card().headline
    assert "/sign-in/" in _read(taken[2]).as_string().replace("=\n", "")


def test_a_mail_address_keeps_its_server_and_loses_its_other_recipients() -> None:
    url = "mailtos://u:p@smtp.example/a@x.example?from=p@x.example&to=b@x.example&cc=c@x.example"
    assert addressed(url, "mia@air.example") == (
        "mailtos://u:p@smtp.example?from=p%40x.example&to=mia%40air.example"
    )
