"""What its author deleted is not kept, whichever came first: the words or their deletion."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from services.contracts.events import Action, Notification
from services.ingest.collector import Collector
from services.ingest.metrics import Metrics
from services.ingest.store.event_store import MemoryEventStore, Original
from services.ingest.work import Taken, Work
from services.runtime.clock import ManualClock
from services.runtime.producer import MemoryProducer
from tests.ingest.brand import NOW, platform

SAID = platform("meta").one("comment")
GONE = SAID.model_copy(
    update={"action": Action.deleted, "event_id": f"{SAID.item_id}:deleted", "text": ""}
)
OTHER = SAID.model_copy(
    update={"item_id": f"{SAID.item_id}0", "event_id": f"{SAID.item_id}0:created"}
)


async def kept_of(*payloads: tuple[bytes, list[Notification]]) -> list[bytes]:
    """What the store keeps of payloads that came one after the other."""
    store, clock = MemoryEventStore(), ManualClock(NOW)
    collector = Collector(MemoryProducer(), store, Metrics(CollectorRegistry()), clock)
    for body, said in payloads:
        await collector.take(said, Original("meta", body, NOW))
    return [one.body for one in store.originals]


async def test_a_deletion_drops_the_payload_that_brought_the_words() -> None:
    kept = await kept_of((b"words", [SAID]), (b"other", [OTHER]), (b"deletion", [GONE]))
    assert kept == [b"other", b"deletion"]


async def test_words_that_come_after_their_deletion_are_not_kept() -> None:
    kept = await kept_of((b"deletion", [GONE]), (b"words", [SAID]), (b"other", [OTHER]))
    assert kept == [b"deletion", b"", b"other"]


async def test_words_and_deletion_in_one_payload_are_not_kept() -> None:
    assert await kept_of((b"words and deletion", [SAID, GONE])) == [b""]


async def test_a_repeated_deletion_changes_nothing() -> None:
    again = (b"deletion", [GONE])
    assert await kept_of((b"words", [SAID]), again, again) == [b"deletion"]


async def test_words_that_are_still_being_recorded_when_their_deletion_comes_are_not_kept() -> None:
    store, clock = MemoryEventStore(), ManualClock(NOW)
    collector = Collector(MemoryProducer(), store, Metrics(CollectorRegistry()), clock)
    groups = [(b"words", [SAID]), (b"deletion", [GONE])]
    takes = [collector._take([work]) for work in map(_work, groups)]
    published = [await take for take in takes]
    await collector._record(published)
    assert [one.body for one in store.originals] == [b"", b"deletion"]


def _work(payload: tuple[bytes, list[Notification]]) -> Work:
    body, said = payload
    done: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
    return Work(said, Original("meta", body, NOW), done)
