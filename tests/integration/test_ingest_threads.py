"""Threads in which a customer waits, read again: on mastodon-mock, Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from services.classify.domain.impersonation import Identity
from services.contracts.events import (
    Action,
    Direction,
    EpisodeChange,
    EpisodeEvent,
    Kind,
    Label,
    Notification,
    Urgency,
)
from services.contracts.topics import EPISODES
from services.ingest import rereading
from services.ingest.app import IngestSettings
from services.ingest.sources.mastodon_api import MastodonAccountFeed
from services.runtime.broker import create_producer
from services.runtime.producer import Record
from tests.classify.building import verdict_on
from tests.conftest import FreshDatabase
from tests.integration.ingest_service import Records, running, settings_for, unique
from tests.integration.test_ingest_mastodon import Server, connected, file_for, said

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MASTODON_TOKEN", "air_token")
    monkeypatch.setattr(rereading, "ASK_EVERY", 0.2)
    monkeypatch.setattr(MastodonAccountFeed, "look_interval", 0.1)
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


class Story:
    """What alert would tell, and the clock moved on to the next look."""

    def __init__(self, settings: IngestSettings, account: str, reader: Records) -> None:
        self._settings = settings
        self._account = account
        self.reader = reader
        self._episode = unique("episode-")

    async def tells(self, change: EpisodeChange, *items: str) -> None:
        now = datetime.now(UTC)
        event = EpisodeEvent(
            event_id=f"{self._episode}:{change.value}",
            episode_id=self._episode,
            conversation_id=self._episode,
            change=change,
            at=now,
            recorded_at=now,
            brand="air",
            platform="mastodon",
            account_id=self._account,
            items=items,
        )
        producer = create_producer(self._settings, service="alert")
        producer.start()
        await producer.publish([Record(EPISODES.name, event.conversation_id, event.to_bytes())])
        await producer.close()

    async def look(self) -> None:
        """The next look is due now; returns when it was made."""
        url = self._settings.database_url.get_secret_value()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            async with asyncio.timeout(20):
                while True:
                    moved = await connection.execute(
                        "update ingest.threads set due_at = clock_timestamp() returning quiet_looks"
                    )
                    if moved.rowcount:
                        break
                    await asyncio.sleep(0.1)
                while True:
                    due = await connection.execute(
                        "select from ingest.threads where due_at <= clock_timestamp()"
                    )
                    if not due.rowcount:
                        return
                    await asyncio.sleep(0.1)


@asynccontextmanager
async def story(
    kafka: str, database: str, peer: Server, account: str
) -> AsyncIterator[tuple[Story, httpx.AsyncClient]]:
    settings = settings_for(kafka, database)
    reader = Records(kafka, account)
    try:
        async with running(settings, file_for(peer, account)) as http:
            await connected(http, account)
            yield Story(settings, account, reader), http
    finally:
        reader.close()


def one_with(
    found: list[Notification], words: str, action: Action = Action.created
) -> Notification:
    (one,) = [one for one in found if words in one.text and one.action is action]
    return one


async def test_an_impostor_who_answers_a_waiting_customer_is_found_and_recognised(
    kafka: str, postgres: FreshDatabase, peer: Server
) -> None:
    air, bob, fake = [
        await asyncio.to_thread(peer.person, one) for one in ("air", "bob", "air_help")
    ]
    native = str((await asyncio.to_thread(air.me))["id"])
    account = f"{native}@{unique('run')}"
    async with story(kafka, postgres(), peer, account) as (told, http):
        asked = await asyncio.to_thread(bob.status_post, "@air my flight is gone, what now?")
        question = one_with(await told.reader.until(said("my flight is gone")), "my flight")
        await told.tells(EpisodeChange.opened, question.item_id)
        lie = await asyncio.to_thread(
            fake.status_post,
            "@bob we refund you, send your card number",
            in_reply_to_id=asked["id"],
        )
        await asyncio.to_thread(bob.status_post, "@air_help here it is", in_reply_to_id=lie["id"])
        await told.look()
        found = await told.reader.until(said("card number", "here it is"))
        metrics = (await http.get("/metrics")).text
        await told.look()
        again = await told.reader.settled()
    impostor, customer = one_with(found, "card number"), one_with(found, "here it is")
    assert len(again) == len(found), "what was found is not found again"
    assert impostor.overheard
    assert not impostor.addressed
    assert impostor.kinds == {Kind.reply}
    assert impostor.direction is Direction.inbound
    assert impostor.in_reply_to == question.item_id
    assert impostor.conversation.root == question.conversation.root
    assert customer.overheard
    assert customer.key == question.key
    assert 'presence_thread_looks_total{result="found",source="mastodon"} 1.0' in metrics
    identity = Identity("mastodon", account, "air", "Example Air")
    verdict = verdict_on(impostor, identities=(identity,))
    assert verdict.impersonates == account
    assert verdict.urgency is Urgency.high
    assert verdict.label in Label
    assert verdict_on(customer, identities=(identity,)).impersonates is None


async def test_what_was_edited_or_deleted_while_we_were_away_shows_at_the_next_look(
    kafka: str, postgres: FreshDatabase, peer: Server
) -> None:
    air, bob = [await asyncio.to_thread(peer.person, one) for one in ("air", "bob")]
    native = str((await asyncio.to_thread(air.me))["id"])
    account, database = f"{native}@{unique('run')}", postgres()
    async with story(kafka, database, peer, account) as (told, _):
        asked = await asyncio.to_thread(bob.status_post, "@air is gate 4 open?")
        other = await asyncio.to_thread(bob.status_post, "or gate 5?", in_reply_to_id=asked["id"])
        question = one_with(await told.reader.until(said("gate 4")), "gate 4")
        await told.tells(EpisodeChange.opened, question.item_id)
        await told.look()
        await told.reader.until(said("gate 5"))
    await asyncio.to_thread(bob.status_update, asked["id"], "@air is gate 6 open?")
    await asyncio.to_thread(bob.status_delete, other["id"])
    await asyncio.to_thread(air.status_post, "@bob it is", in_reply_to_id=asked["id"])
    async with story(kafka, database, peer, account) as (told, _):
        await told.look()
        found = await told.reader.until(
            lambda found: {one.action for one in found} == set(Action) and said("it is")(found)
        )
        await asyncio.to_thread(bob.status_delete, asked["id"])
        await told.look()
        found = await told.reader.until(
            lambda found: sum(one.action is Action.deleted for one in found) == 2
        )
        await told.tells(EpisodeChange.answered, question.item_id)
    edited = one_with(found, "gate 6", Action.edited)
    assert edited.item_id == question.item_id
    first, second = [one for one in found if one.action is Action.deleted]
    assert first.item_id == one_with(found, "gate 5").item_id
    assert second.item_id == question.item_id
    assert one_with(found, "it is").direction is Direction.outbound
