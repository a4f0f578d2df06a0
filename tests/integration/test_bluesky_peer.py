"""Listening and answering on Bluesky's own servers: PDS, AppView and PLC, from npm, on this machine.

They take minutes to install (they compile SQLite), so this runs where somebody has:
`npm ci --prefix tests/peers/bluesky`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import HttpUrl, SecretStr

from services.contracts.configuration.accounts import BlueskySettings
from services.contracts.events import Action, Direction, Kind, Notification, Origin
from services.contracts.topics import INTAKE_DLQ, NOTIFICATIONS
from services.ingest import rereading
from services.ingest.collector import Collector
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Heard, address_of
from services.ingest.domain.item import Receipt
from services.ingest.domain.replying import Draft
from services.ingest.listener import Listener
from services.ingest.metrics import Metrics
from services.ingest.sources.bluesky_api import NOTIFICATIONS as LIST
from services.ingest.sources.bluesky_api import BlueskyAccountFeed
from services.ingest.sources.bluesky_session import BlueskySession
from services.ingest.speaking.bluesky import BlueskySpeaker, record_key
from services.ingest.store import thread_store
from services.ingest.store.event_store import MemoryEventStore
from services.ingest.store.thread_store import MemoryThreadStore, Waiting
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from services.runtime.producer import MemoryProducer
from tests.servers import Databases

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

PEER = Path(__file__).parent.parent / "peers/bluesky"
MENTION = "app.bsky.richtext.facet#mention"


@pytest.fixture(scope="module")
def network(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The PDS of a network of its own."""
    node = shutil.which("node")
    if node is None or not (PEER / "node_modules/@atproto/dev-env/package.json").exists():
        says = "Bluesky's servers are not installed: npm ci --prefix tests/peers/bluesky"
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(says, pytrace=False)
        pytest.skip(says)
    # Two workers may have one each.
    name = f"bluesky_appview_{uuid.uuid4().hex[:12]}"
    url = databases.create_database(name)
    log = (tmp_path_factory.mktemp("bluesky") / "network.log").open("w")
    process = subprocess.Popen(
        [node, "network.mjs"], cwd=PEER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        env={**os.environ, "DATABASE_URL": url, "LOG_ENABLED": "false"}, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        said = process.stdout.readline()
        assert said, Path(log.name).read_text()[-2000:]
        yield json.loads(said)["url"].replace("localhost", "127.0.0.1")
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        log.close()
        databases.drop_database(name)


@dataclass
class Person:
    """Somebody with an account, who calls the API by hand."""

    base: str
    handle: str
    did: str
    token: str

    def call(self, method: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.post(f"{self.base}/xrpc/{method}", json=body, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.content else None

    def get(self, method: str, **query: Any) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.get(f"{self.base}/xrpc/{method}", params=query, headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def writes(self, collection: str, **record: Any) -> dict[str, str]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"$type": collection, "createdAt": at, **record}
        told = self.call(
            "com.atproto.repo.createRecord", repo=self.did, collection=collection, record=record
        )
        return {"uri": told["uri"], "cid": told["cid"]}

    def posts(self, text: str, **more: Any) -> dict[str, str]:
        return self.writes("app.bsky.feed.post", text=text, **more)

    def names(self, whom: Person, text: str, **more: Any) -> dict[str, str]:
        text = f"🙏 @{whom.handle} {text}"
        start = len("🙏 ".encode())
        index = {"byteStart": start, "byteEnd": start + len(f"@{whom.handle}")}
        facet = {"index": index, "features": [{"$type": MENTION, "did": whom.did}]}
        return self.posts(text, facets=[facet], **more)

    def deletes(self, uri: str) -> None:
        collection, rkey = uri.split("/")[-2:]
        self.call("com.atproto.repo.deleteRecord", repo=self.did, collection=collection, rkey=rkey)

    def app_password(self) -> SecretStr:
        told = self.call("com.atproto.server.createAppPassword", name="presence")
        return SecretStr(told["password"])


_numbers = itertools.count(1)


@pytest.fixture
def people(network: str) -> Callable[[str], Person]:
    def make(name: str) -> Person:
        handle = f"{name}{next(_numbers)}.test"
        account = {"handle": handle, "email": f"{handle}@mail.example", "password": "a password"}
        told = httpx.post(
            f"{network}/xrpc/com.atproto.server.createAccount", json=account, timeout=20
        ).json()
        return Person(network, handle, told["did"], told["accessJwt"])

    return make


def own(brand: Person) -> OwnAccount:
    return OwnAccount("bluesky", brand.did, brand.did, "air", frozenset({brand.did}))


def settings_of(brand: Person) -> BlueskySettings:
    return BlueskySettings(url=HttpUrl(brand.base), poll_interval=timedelta(seconds=2))


class Ears:
    """A running listener and what it put onto the bus."""

    def __init__(self, brand: Person) -> None:
        clock, self.producer = SystemClock(), MemoryProducer()
        options, store = settings_of(brand), MemoryEventStore()
        session = BlueskySession(brand.did, options, brand.app_password(), clock)
        metrics = Metrics(CollectorRegistry())
        collector = Collector(self.producer, store, metrics, clock)
        source = BlueskyAccountFeed(own(brand), options, session, clock)
        self.threads = MemoryThreadStore(store, clock)
        self.listener = Listener(
            source, collector, store, self.producer, metrics, clock, threads=self.threads
        )
        self.up = metrics.source_up.labels("bluesky", brand.did)

    @property
    def heard(self) -> list[Notification]:
        records = self.producer.on(NOTIFICATIONS.name)
        return [Notification.model_validate_json(one.value or b"") for one in records]

    async def hear(self, count: int) -> list[Notification]:
        async with asyncio.timeout(30):
            while len(self.heard) < count:
                await asyncio.sleep(0.1)
        return self.heard


@asynccontextmanager
async def listening(brand: Person) -> AsyncIterator[Ears]:
    ears = Ears(brand)
    task = asyncio.create_task(ears.listener.run())
    try:
        async with asyncio.timeout(30):
            while ears.up._value.get() != 1:
                await asyncio.sleep(0.1)
        yield ears
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def indexed(person: Person, uri: str) -> Any:
    """The post as the AppView has it, some moments after it was written."""
    async with asyncio.timeout(20):
        while not (found := person.get("app.bsky.feed.getPosts", uris=uri)["posts"]):
            await asyncio.sleep(0.1)
    return found[0]


async def test_all_that_people_do_is_heard_once_and_a_deletion_too(
    people: Callable[[str], Person],
) -> None:
    air, ana = people("air"), people("ana")
    before = ana.names(air, "this was before you listened")
    ours = air.posts("Good morning")
    await indexed(air, before["uri"])
    await indexed(air, ours["uri"])
    async with listening(air) as ears:
        assert {(one.origin, one.may_page) for one in ears.heard} == {(Origin.backfill, False)}
        asked = ana.names(air, "my seat is broken")
        ana.posts("Mine too", reply={"root": ours, "parent": ours})
        ana.posts("See", embed={"$type": "app.bsky.embed.record", "record": ours})
        ana.writes("app.bsky.feed.like", subject=ours)
        ana.writes("app.bsky.feed.repost", subject=ours)
        ana.writes("app.bsky.graph.follow", subject=air.did)
        heard = (await ears.hear(8))[2:]
        assert sorted(min(one.kinds) for one in heard) == sorted(
            [Kind.mention, Kind.reply, Kind.quote, Kind.reaction, Kind.repost, Kind.follow]
        )
        assert {(one.origin, one.may_page) for one in heard} == {(Origin.live, True)}
        answer = air.posts("On our way", reply={"root": asked, "parent": asked})
        (said,) = (await ears.hear(9))[8:]
        assert (said.direction, said.conversation.counterpart_id) == (Direction.outbound, ana.did)
        assert said.conversation.root == asked["uri"]
        ana.deletes(asked["uri"])
        air.deletes(answer["uri"])
        gone = (await ears.hear(11))[9:]
        assert {(one.action, one.direction) for one in gone} == {
            (Action.deleted, Direction.inbound),
            (Action.deleted, Direction.outbound),
        }
        await asyncio.sleep(5.0)
        assert len(ears.heard) == 11, "nothing twice"
        assert not ears.producer.on(INTAKE_DLQ.name)


async def test_an_answer_stands_in_the_right_thread_once_however_often_it_is_tried(
    people: Callable[[str], Person],
) -> None:
    air, ana = people("air"), people("ana")
    first = ana.posts("What a flight")
    asked = ana.names(air, "my seat is broken", reply={"root": first, "parent": first})
    await indexed(air, asked["uri"])
    clock, options = SystemClock(), settings_of(air)
    password = air.app_password()
    session = BlueskySession(air.did, options, password, clock)
    source = BlueskyAccountFeed(own(air), options, session, clock)
    speaker = BlueskySpeaker(own(air), BlueskySession(air.did, options, password, clock), clock)
    try:
        await source.identify()
        page = await source.page(LIST, None)
        (heard,) = [await source.parse(event, Receipt(clock.now())) for event in page.events]
        assert isinstance(heard, Heard)
        address = address_of(heard)
        draft = Draft(
            f"So sorry, @{ana.handle}! Please see https://air.example/seats.", private=False
        )
        assert speaker.check(draft, address, clock.now()) is None
        tries = await asyncio.gather(*(speaker.post(draft, address, "reply-1") for _ in range(5)))
        again = await speaker.post(draft, address, "reply-1")
        uri = f"at://{air.did}/app.bsky.feed.post/{record_key('reply-1')}"
        assert {one.item.native_id for one in (*tries, again)} == {uri}
        post = (await indexed(ana, uri))["record"]
        assert post["reply"]["root"]["uri"] == first["uri"]
        assert post["reply"]["parent"]["uri"] == asked["uri"]
        encoded = draft.text.encode()
        shown = [
            encoded[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode()
            for one in post["facets"]
        ]
        assert sorted(shown) == [f"@{ana.handle}", "https://air.example/seats"]
        assert len(air.get("app.bsky.feed.getAuthorFeed", actor=air.did)["feed"]) == 1
        found = await speaker.find(draft, address, clock.now())
        assert found is not None
        assert found.item.native_id == uri
        ana.deletes(asked["uri"])
        async with asyncio.timeout(20):
            while air.get("app.bsky.feed.getPosts", uris=asked["uri"])["posts"]:
                await asyncio.sleep(0.1)
        with pytest.raises(Permanent, match="no longer there"):
            await speaker.post(draft, address, "reply-2")
    finally:
        await source.close()
        await speaker.close()


async def test_an_impostor_in_the_thread_of_a_waiting_customer_is_found_and_so_is_a_deletion(
    people: Callable[[str], Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rereading, "ASK_EVERY", 0.2)
    monkeypatch.setattr(BlueskyAccountFeed, "look_interval", 0.1)
    monkeypatch.setattr(thread_store, "SOONEST", timedelta(seconds=1))
    air, ana, fake = people("air"), people("ana"), people("airhelp")
    first = fake.posts("What a flight")
    fake.posts("Mine was fine", reply={"root": first, "parent": first})
    async with listening(air) as ears:
        asked = ana.names(air, "my seat is broken", reply={"root": first, "parent": first})
        (question,) = await ears.hear(1)
        lie = fake.posts("We refund you, send your card", reply={"root": first, "parent": asked})
        await indexed(air, lie["uri"])
        now = datetime.now(UTC)
        waiting = Waiting("episode", "bluesky", air.did, (question.item_id,), now)
        await ears.threads.watch(waiting, timedelta(hours=1))
        _, impostor = await ears.hear(2)
        assert impostor.overheard
        assert impostor.kinds == {Kind.reply}
        assert not impostor.addressed
        assert impostor.author.id == fake.did
        assert impostor.in_reply_to == question.item_id
        assert impostor.conversation.root == question.conversation.root
        fake.deletes(lie["uri"])
        async with asyncio.timeout(20):
            while air.get("app.bsky.feed.getPosts", uris=lie["uri"])["posts"]:
                await asyncio.sleep(0.1)
        await ears.threads.watch(replace(waiting, episode_id="another"), timedelta(hours=1))
        gone = (await ears.hear(3))[2]
        assert (gone.action, gone.item_id) == (Action.deleted, impostor.item_id)
        assert len(ears.heard) == 3, "the rest of the thread is none of our business"
        assert not ears.producer.on(INTAKE_DLQ.name)


async def test_a_wrong_app_password_needs_a_person(people: Callable[[str], Person]) -> None:
    air = people("air")
    session = BlueskySession(air.did, settings_of(air), SecretStr("wrong"), SystemClock())
    with pytest.raises(Permanent, match="credentials"):
        await session.sign_in()
    await session.close()
