"""The email source as the service runs it: Dovecot, a real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import httpx
import pytest

from services.contracts.configuration import Configuration
from services.contracts.events import Direction, Notification, Origin
from tests.conftest import FreshDatabase
from tests.integration.ingest_service import Records, running, settings_for, with_accounts
from tests.integration.mail_server import PASSWORD, MailServer, mail_server
from tests.integration.test_email_feed import in_thread, letter

__all__ = ["mail_server"]  # the fixture
pytestmark = pytest.mark.integration


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address that no other test uses."""
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    return f"care-{uuid.uuid4().hex[:8]}@air.example"


def file_for(server: MailServer, *addresses: str) -> Configuration:
    settings = {
        "imap": {"host": "127.0.0.1", "port": server.port, "security": "none"},
        "secret": "MAIL_PASSWORD",
    }
    return with_accounts(
        *(
            {"platform": "email", "id": one, "brand": "air", "settings": settings}
            for one in addresses
        )
    )


async def connected(http: httpx.AsyncClient, account: str, up: float = 1.0) -> None:
    wanted = f'presence_source_up{{account="{account}",source="email"}} {up}'
    for _ in range(200):
        if wanted in (await http.get("/metrics")).text:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"never {wanted}")


def said(*words: str) -> Callable[[list[Notification]], bool]:
    return lambda found: set(words) <= {one.text for one in found}


async def test_what_is_there_is_history_and_what_arrives_and_is_answered_is_live(
    kafka: str, postgres: FreshDatabase, mail_server: MailServer, air: str
) -> None:
    other = f"press-{air}"
    settings = settings_for(kafka, postgres())
    await in_thread(mail_server.put, air, letter("from before"))
    reader, others = Records(kafka, air), Records(kafka, other)
    async with running(settings, file_for(mail_server, air, other)) as http:
        await connected(http, air)
        await connected(http, other)
        question = letter("where is my bag?")
        await in_thread(mail_server.put, air, question)
        answer = letter("we found it", air, "kim@people.example")
        answer["In-Reply-To"] = answer["References"] = question["Message-ID"]
        await in_thread(mail_server.put, air, answer, "Sent")
        await in_thread(mail_server.put, other, question)
        found = await reader.until(said("from before", "where is my bag?", "we found it"))
        (theirs,) = await others.until(said("where is my bag?"))
    reader.close()
    others.close()
    by_text = {one.text: one for one in found}
    before, asked, ours = (
        by_text[one] for one in ("from before", "where is my bag?", "we found it")
    )
    assert (before.origin, before.may_page) == (Origin.backfill, False)
    assert (asked.origin, asked.may_page) == (Origin.live, True)
    assert ours.direction is Direction.outbound
    assert ours.in_reply_to == asked.item_id
    assert ours.conversation == asked.conversation
    assert ours.key == asked.key
    assert theirs.item_id != asked.item_id, "the same mail to two mailboxes is two items"


async def test_what_came_meanwhile_comes_after_and_own_answers_first(
    kafka: str, postgres: FreshDatabase, mail_server: MailServer, air: str
) -> None:
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, air)
    async with running(settings, file_for(mail_server, air)) as http:
        await connected(http, air)
        await in_thread(mail_server.put, air, letter("while it listens"))
        await reader.until(said("while it listens"))
    for number in range(25):  # more than a page
        await in_thread(mail_server.put, air, letter(f"question {number}"))
    await in_thread(mail_server.put, air, letter("answered", air, "kim@people.example"), "Sent")
    async with running(settings, file_for(mail_server, air)) as http:
        await connected(http, air)
        found = await reader.until(said("answered", *(f"question {n}" for n in range(25))))
        await reader.settled()
    reader.close()
    missed = [one for one in found if one.text.startswith("question")]
    (ours,) = (one for one in found if one.text == "answered")
    assert len(missed) == 25
    assert all(one.may_page for one in missed), "a gap is no history"
    assert ours.received_at <= min(one.received_at for one in missed)
    assert len({one.event_id for one in found}) == len(found) == 27


async def test_a_crash_of_the_server_and_a_new_uidvalidity_repeat_nothing(
    kafka: str, postgres: FreshDatabase, mail_server: MailServer, air: str
) -> None:
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, air)
    async with running(settings, file_for(mail_server, air)) as http:
        await connected(http, air)
        await in_thread(mail_server.put, air, letter("before the crash"))
        await reader.until(said("before the crash"))
        await in_thread(mail_server.number_anew, air)
        await in_thread(mail_server.put, air, letter("after the crash"))
        await reader.until(said("after the crash"))
        await connected(http, air)
        await in_thread(mail_server.put, air, letter("and live again"))
        await reader.until(said("and live again"))
        found = await reader.settled()
    reader.close()
    assert sorted(one.text for one in found) == [
        "after the crash",
        "and live again",
        "before the crash",
    ]
    assert mail_server.unseen(air) == 3
