"""A mailbox's feeds against Dovecot, a server that we did not write."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import pytest
from pydantic import SecretStr

from services.contracts.configuration.mail import EmailSettings
from services.contracts.events import Notification
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.sources.email_imap import EmailAccountFeed
from services.ingest.sources.email_message import CUT
from services.ingest.sources.pulled import Event, PullReason
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.brand import NOW
from tests.integration.mail_server import PASSWORD, MailServer, mail_server

__all__ = ["mail_server"]  # the fixture
pytestmark = pytest.mark.integration

_users = itertools.count(1)
INBOX = "folder:INBOX"


@pytest.fixture
def user() -> str:
    return f"care{next(_users)}@air.example"


def letter(text: str, writer: str = "kim@people.example", to: str = "care@air.example") -> Any:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = writer, to, "Lost bag"
    made["Message-ID"] = f"<{text.replace(' ', '-')[:60]}@people.example>"
    made.set_content(text)
    return made


def feed_of(
    server: MailServer,
    user: str,
    *,
    password: str = PASSWORD,
    reissue: float = 240.0,
    **settings: Any,
) -> EmailAccountFeed:
    imap = {"host": "127.0.0.1", "port": server.port, "security": "none"}
    account = OwnAccount("email", user, user, "air", frozenset({user}))
    read = EmailSettings.model_validate({"imap": imap, **settings})
    return EmailAccountFeed(
        account, read, lambda: SecretStr(password), SystemClock(), reissue=reissue
    )


async def words(feed: EmailAccountFeed, events: Any) -> list[str]:
    found = [await feed.parse(event, Receipt(NOW)) for event in events]
    return [one.text if isinstance(one, Notification) else str(one) for one in found]


async def in_thread(call: Callable[..., Any], *given: Any) -> Any:
    return await asyncio.to_thread(call, *given)


async def heard(events: Any) -> Event:
    async with asyncio.timeout(10):
        found: Event = await anext(events)
        return found


async def test_a_feed_is_read_forward_from_its_cursor_and_nothing_is_marked_as_read(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user)
    await feed.identify()
    empty = await feed.page(INBOX, None)
    for number in range(23):  # more than a page
        mail_server.put(user, letter(f"mail {number}"))
    first = await feed.page(INBOX, empty.position)
    second = await feed.page(INBOX, first.position)
    end = await feed.page(INBOX, second.position)
    await feed.close()
    assert await words(feed, [*first.events, *second.events]) == [f"mail {n}" for n in range(23)]
    assert not empty.events
    assert not end.events
    assert end.position == second.position
    assert mail_server.unseen(user) == 23


async def test_idle_brings_a_mail_that_arrives_also_after_it_was_begun_anew(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user, reissue=0.2)
    await feed.identify()
    async with feed.stream() as events:
        for text in ("the first", "the second"):
            await asyncio.sleep(0.7)
            await in_thread(mail_server.put, user, letter(text))
            assert await words(feed, [await heard(events)]) == [text]
    await feed.close()


async def test_every_folder_is_watched_and_sent_mail_is_ours(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user, mailboxes=["INBOX", "Complaints"])
    await feed.identify()
    assert feed.feeds == ("sent", INBOX, "folder:Complaints")
    async with feed.stream() as events:
        await in_thread(mail_server.put, user, letter("a complaint"), "Complaints")
        assert await words(feed, [await heard(events)]) == ["a complaint"]
        answer = letter("we are sorry", user, "kim@people.example")
        await in_thread(mail_server.put, user, answer, "Sent")
        ours = await feed.parse(await heard(events), Receipt(NOW))
    await feed.close()
    assert isinstance(ours, Notification)
    assert ours.direction.value == "outbound"
    assert ours.conversation.counterpart_id == "kim@people.example"


async def test_a_cut_connection_ends_the_stream_at_once(mail_server: MailServer, user: str) -> None:
    feed = feed_of(mail_server, user)
    await feed.identify()
    try:
        async with feed.stream() as events:
            await asyncio.sleep(0.2)
            await in_thread(mail_server.kill)
            with pytest.raises(Transient) as error:
                await heard(events)
    finally:
        await in_thread(mail_server.start)
        await feed.close()
    assert error.value.reason in (PullReason.disconnected, PullReason.unreachable)


async def test_after_a_new_uidvalidity_the_folder_is_read_anew_and_ids_stay(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user)
    await feed.identify()
    for text in ("one", "two"):
        mail_server.put(user, letter(text))
    page = await feed.page(INBOX, "")
    before = [await feed.parse(event, Receipt(NOW)) for event in page.events]
    await in_thread(mail_server.number_anew, user)
    mail_server.put(user, letter("three"))
    await feed.identify()
    anew = await feed.page(INBOX, page.position)
    after = [await feed.parse(event, Receipt(NOW)) for event in anew.events]
    end = await feed.page(INBOX, anew.position)
    await feed.close()
    assert page.position is not None
    assert anew.position is not None
    assert anew.position.split(":")[0] != page.position.split(":")[0]
    ids = [one.event_id for one in before if isinstance(one, Notification)]
    assert [one.event_id for one in after if isinstance(one, Notification)][:2] == ids
    assert (await words(feed, anew.events))[2:] == ["three"]
    assert not end.events


async def test_what_is_years_old_is_no_news_after_a_new_uidvalidity(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user)
    await feed.identify()
    await in_thread(mail_server.put, user, letter("years ago"), "INBOX", NOW.replace(year=2020))
    await in_thread(mail_server.put, user, letter("lately"), "INBOX", NOW)
    page = await feed.page(INBOX, "")
    await in_thread(mail_server.number_anew, user)
    await feed.identify()
    anew = await feed.page(INBOX, page.position)
    await feed.close()
    assert await words(feed, anew.events) == ["lately"]


async def test_only_the_beginning_of_a_huge_mail_is_fetched(
    mail_server: MailServer, user: str
) -> None:
    feed = feed_of(mail_server, user, size_limit=16_384)
    await feed.identify()
    big = letter("My bag is lost.")
    big.add_attachment(b"\x00" * 2_000_000, maintype="image", subtype="jpeg", filename="bag.jpg")
    await in_thread(mail_server.put, user, big)
    (event,) = (await feed.page(INBOX, "")).events
    found = await feed.parse(event, Receipt(NOW))
    await feed.close()
    assert len(event.body) == 16_384
    assert isinstance(found, Notification)
    assert found.text == f"My bag is lost.\n\n{CUT}"
    assert [one.alt for one in found.media] == ["bag.jpg"]


async def test_a_refused_password_and_a_missing_folder_need_a_person(
    mail_server: MailServer, user: str
) -> None:
    refused = feed_of(mail_server, user, password="wrong")
    with pytest.raises(Permanent) as error:
        await refused.identify()
    assert error.value.reason is PullReason.credentials
    assert "wrong" not in str(error.value)
    await refused.close()
    elsewhere = feed_of(mail_server, user, mailboxes=["Nowhere"])
    with pytest.raises(Permanent, match="Nowhere"):
        await elsewhere.identify()
    await elsewhere.close()


async def test_a_server_that_is_not_there_is_tried_again(
    mail_server: MailServer, user: str
) -> None:
    imap = {"host": "127.0.0.1", "port": 9, "security": "none"}
    feed = feed_of(mail_server, user, imap=imap)
    with pytest.raises(Transient):
        await feed.identify()
    with pytest.raises(Transient):
        await feed.page(INBOX, None)
    await feed.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_with_tls_the_certificate_is_checked(
    mail_server: MailServer, user: str, security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not mail_server.tls_port:
        says = "openssl is not installed: apt-get install openssl"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(says, pytrace=False)
        pytest.skip(says)
    port = mail_server.tls_port if security == "tls" else mail_server.port
    imap = {"host": "127.0.0.1", "port": port, "security": security}
    stranger = feed_of(mail_server, user, imap=imap)
    with pytest.raises(Permanent, match="certificate"):
        await stranger.identify()
    await stranger.close()
    monkeypatch.setenv("SSL_CERT_FILE", str(mail_server.certificate))
    feed = feed_of(mail_server, user, imap=imap)
    await feed.identify()
    async with feed.stream() as events:
        await in_thread(mail_server.put, user, letter("sealed"))
        assert await words(feed, [await heard(events)]) == ["sealed"]
    await feed.close()
