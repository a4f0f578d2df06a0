"""The spool: what a sender was told is taken is on disk, in order, and comes out once Kafka is back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry

from services.contracts.events import Notification
from services.contracts.topics import INTAKE_DLQ, NOTIFICATIONS
from services.ingest.collector import Collector, CollectReason
from services.ingest.domain.rate import Rate
from services.ingest.intake import Intake, Limit
from services.ingest.metrics import Metrics
from services.ingest.spooling import Spooling, decode, encode
from services.ingest.store.event_store import MemoryEventStore, Original
from services.ingest.store.spool import Spool, frames
from services.runtime.asgi import Router
from services.runtime.clock import ManualClock
from services.runtime.errors import Transient, WrongConfiguration
from services.runtime.producer import MemoryProducer
from tests.ingest.brand import NOW, payload, platform, sources

ROOM = 1_048_576


async def drained(spool: Spool) -> list[bytes]:
    """Everything that is in it, by draining it."""
    found: list[bytes] = []

    async def deliver(chunk: Sequence[bytes]) -> None:
        found.extend(chunk)

    draining = asyncio.create_task(spool.drain(deliver))
    async with asyncio.timeout(10):
        while not spool.empty:
            await asyncio.sleep(0.005)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    return found


def opened(folder: Path, room: int = ROOM) -> Spool:
    made = Spool(folder, room)
    made.open()
    return made


async def test_what_was_appended_comes_out_in_order_also_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    await asyncio.gather(*(first.append(b"%d" % number) for number in range(300)))
    await first.close()
    second = opened(tmp_path)
    await second.append(b"300")
    assert await drained(second) == [b"%d" % number for number in range(301)]
    assert list(tmp_path.glob("*.spool")) == []
    await second.append(b"and on")
    assert await drained(second) == [b"and on"]
    await second.close()


async def test_beyond_its_bound_nothing_is_taken_and_room_comes_back(tmp_path: Path) -> None:
    spool = opened(tmp_path, 1_000)
    for _ in range(9):
        await spool.append(b"x" * 100)
    with pytest.raises(Transient, match="full"):
        await spool.append(b"x" * 100)
    assert len(await drained(spool)) == 9
    await spool.append(b"x" * 100)
    await spool.close()


async def test_a_torn_end_was_promised_to_nobody_and_harms_nothing(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    await spool.append(b"whole")
    await spool.close()
    (segment,) = tmp_path.glob("*.spool")
    with segment.open("ab") as file:
        file.write(b"\x00\x00\x00\x09\x01\x02\x03\x04torn")
    again = opened(tmp_path)
    await again.append(b"after")
    assert await drained(again) == [b"whole", b"after"]
    await again.close()


async def test_a_disk_that_fails_is_said_to_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    await spool.append(b"one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Transient, match="unwritable"):
        await spool.append(b"lost and told so")
    monkeypatch.undo()
    await spool.append(b"two")
    assert await drained(spool) == [b"one", b"two"]
    await spool.close()


def test_two_processes_never_share_a_folder(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(WrongConfiguration, match="another process"):
        opened(tmp_path)
    asyncio.run(first.close())
    asyncio.run(opened(tmp_path).close())


WRITER = """
import asyncio, sys
from pathlib import Path
from services.ingest.store.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]), 1 << 30)
    spool.open()
    for number in range(10**9):
        await spool.append(b"%d" % number)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_promised_survives_kill_9(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        while int(writer.stdout.readline()) < 200:
            pass
    finally:
        writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split(b"\n")
    writer.stdout.close()
    writer.wait()
    promised = max([200, *(int(line) for line in rest[:-1] if line)])
    spool = opened(tmp_path)
    found = [int(one) for one in await drained(spool)]
    await spool.close()
    assert found == list(range(len(found)))
    assert len(found) > promised


def test_a_damaged_frame_ends_what_is_read() -> None:
    assert list(frames(b"\x00\x00\x00\x01\x00\x00\x00\x00a")) == []


@pytest.mark.parametrize(
    ("source", "name"), [("x", "mention"), ("x", "one_broken_of_three"), ("meta", "message")]
)
def test_what_was_read_is_the_same_after_the_disk(source: str, name: str) -> None:
    parsed = platform(source).read_file(name)
    original = Original(source, payload(source, name), NOW)
    again, kept = decode(encode(parsed, original))
    assert (again, kept) == (parsed, original)
    assert [type(one) for one in again] == [type(one) for one in parsed], "the way back is kept"


class World:
    """The intake with a spool for the shop, and nothing for X."""

    def __init__(self, folder: Path, room: int) -> None:
        self.producer, self.store = MemoryProducer(), MemoryEventStore()
        self.clock = ManualClock(NOW)
        metrics = Metrics(CollectorRegistry())
        collector = Collector(self.producer, self.store, metrics, self.clock)
        self.spool = opened(folder, room)
        self.spooling = Spooling(self.spool, ["shop"], collector, metrics, self.clock)
        intake = Intake(
            sources(), collector, metrics, self.clock,
            body_limit=60_000, tolerance=timedelta(minutes=5), spooling=self.spooling,
            limits={"forum": Limit(2_000, Rate(1.0, 3))},
        )  # fmt: skip
        router = Router()
        router.route("/webhooks/", intake)
        transport = httpx.ASGITransport(app=router)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://ingest")

    async def post(self, source: str, body: bytes) -> httpx.Response:
        signed = platform(source).sign(body, self.clock.now())
        return await self.http.post(f"/webhooks/{source}", content=body, headers=signed)

    async def passes(self, seconds: float) -> None:
        for _ in range(int(seconds * 4)):
            await self.clock.forward(0.25)
            await asyncio.sleep(0.002)

    @property
    def heard(self) -> list[str]:
        read = [
            Notification.model_validate_json(one.value or b"")
            for one in self.producer.on(NOTIFICATIONS.name)
        ]
        return [one.text for one in read]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, ROOM)
    draining = asyncio.create_task(made.spooling.run())
    async with made.http:
        yield made
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    await made.spool.close()


def review(number: int) -> bytes:
    read = orjson.loads(payload("shop", "review"))
    read["data"] |= {"id": f"r-{number}", "text": f"review {number}"}
    return orjson.dumps(read)


async def test_without_kafka_a_spooled_source_hears_2xx_and_all_comes_out_in_order(
    world: World,
) -> None:
    world.producer.broken = Transient(CollectReason.slow)
    for number in range(20):
        answer = await world.post("shop", review(number))
        assert answer.status_code == 202, answer.text
        assert answer.json()["spooled"] == 1
    assert (await world.post("x", payload("x", "mention"))).status_code == 503, "not listed"
    broken = await world.post("shop", b"{not json")
    assert broken.status_code == 202
    wrong = await world.http.post("/webhooks/shop", content=review(1), headers={
        **platform("shop").sign(review(2), world.clock.now())
    })  # fmt: skip
    assert wrong.status_code == 401, "only what is authentic gets onto the disk"
    world.producer.broken = None
    assert (await world.post("shop", review(20))).json().get("spooled") == 1, "behind the others"
    await world.passes(8.0)
    assert world.spool.empty
    assert world.heard == [f"review {number}" for number in range(21)]
    assert len(world.producer.on(INTAKE_DLQ.name)) == 1
    assert (await world.post("shop", review(21))).json()["accepted"] == 1, "straight on again"


async def test_a_full_spool_is_a_503(tmp_path: Path) -> None:
    world = World(tmp_path, 3_000)
    world.producer.broken = Transient(CollectReason.slow)
    statuses = [(await world.post("shop", review(number))).status_code for number in range(10)]
    assert statuses[0] == 202
    assert statuses[-1] == 503
    assert sum(one.stat().st_size for one in tmp_path.glob("*.spool")) <= 3_000
    await world.http.aclose()
    await world.spool.close()


async def test_a_source_has_its_own_limits(world: World) -> None:
    body = payload("shop", "review")
    assert (await world.post("forum", b"x" * 2_001)).status_code == 413
    statuses = [(await world.post("forum", body)).status_code for _ in range(5)]
    assert statuses[3:] == [429, 429], "three at once"
    assert 429 not in statuses[:3]
    refused = await world.post("forum", body)
    assert refused.headers["retry-after"] == "1"
    assert (await world.post("shop", body)).status_code == 202, "of this source only"
    await world.passes(1.0)
    assert (await world.post("forum", body)).status_code != 429
