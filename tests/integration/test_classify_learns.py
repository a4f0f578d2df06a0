"""A correction changes the next near-duplicate's verdict in seconds, on every replica, after a restart."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.local import ports
from services.classify.domain.similarity import signatures
from services.classify.domain.text import read
from services.contracts.events import Corrected, Correction, Label
from services.contracts.topics import CORRECTIONS
from services.runtime import topic_administration
from services.runtime.broker import create_producer
from services.runtime.producer import Record
from services.runtime.settings import ServiceSettings, load
from tests.classify.building import notification

pytestmark = pytest.mark.integration

PRESENCE = Path(sys.executable).with_name("presence")
EXAMPLE = Path(__file__).parents[2] / "presence.example.yaml"
WITHIN = 10.0
"""Seconds on a loaded machine; it takes one."""


@contextmanager
def replica(kafka: str, folder: Path) -> Iterator[int]:
    """The port of a `presence classify` of its own."""
    port = ports.pick(None)
    environment = {
        **os.environ,
        "PRESENCE_CONFIG": str(EXAMPLE),
        "PRESENCE_KAFKA": kafka,
        "PRESENCE_CLASSIFY_PORT": str(port),
        "PRESENCE_HOST": "127.0.0.1",
    }
    with (folder / f"{port}.log").open("wb") as log:
        service = subprocess.Popen([PRESENCE, "classify"], env=environment, stderr=log, stdout=log)
    try:
        yield port
    finally:
        service.terminate()
        service.wait(15)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], bool], seconds: float = WITHIN) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, "not within its time"
        time.sleep(0.1)


def said(port: int, text: str) -> str:
    item = notification(text, native=uuid.uuid4().hex)
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/classify", content=item.to_bytes())
    return str(answer.json()["label"])


async def tell(settings: ServiceSettings, text: str, to: Label, *, back: bool = False) -> None:
    item = notification(text, native="corrected").item_id
    correction = Correction(
        item_id=item,
        from_label=Label.conversation,
        to_label=to,
        by="mia",
        at=datetime.now(UTC),
        about=Corrected(platform="x", author="7", similarity=signatures([read(text)])[0]),
        retracted=back or None,
    )
    producer = create_producer(settings, service="test")
    producer.start()
    await producer.publish([Record(CORRECTIONS.name, item, correction.to_bytes())])
    await producer.close()


async def test_every_replica_learns_a_correction_at_once_keeps_it_and_forgets_it_when_taken_back(
    kafka: str, tmp_path: Path
) -> None:
    settings = load(ServiceSettings, kafka=kafka)
    topic_administration.apply(settings, partitions=3)
    text = "Could you tell me please which of your lovely gardens my brass band should visit?"
    near = f"@acme {text.upper()} 🎺 https://band.example/4"
    with ExitStack() as stack:
        replicas = [stack.enter_context(replica(kafka, tmp_path)) for _ in range(2)]
        until(lambda: all(map(_ready, replicas)), 60)
        assert [said(port, near) for port in replicas] == ["conversation"] * 2
        await tell(settings, text, Label.spam)
        until(lambda: [said(port, near) for port in replicas] == ["spam"] * 2)
    with replica(kafka, tmp_path) as port:
        until(lambda: _ready(port), 60)
        assert said(port, near) == "spam", "read to its end before it is ready"
        await tell(settings, text, Label.spam, back=True)
        until(lambda: said(port, near) == "conversation")
