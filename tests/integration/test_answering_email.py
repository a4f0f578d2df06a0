"""The desk and its mails, killed at every step: aiosmtpd takes them, Dovecot files them; neither is ours."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from prometheus_client import CollectorRegistry

from services.contracts.events import OutcomeState
from services.ingest.collector import Collector
from services.ingest.domain.address import Heard
from services.ingest.domain.item import Receipt
from services.ingest.metrics import Metrics
from services.ingest.sources.email import Letter, parse_letter
from services.ingest.speaking import email
from services.ingest.store.event_store import Original, PostgresEventStore
from services.runtime.clock import SystemClock
from services.runtime.postgres import create_pool
from services.runtime.producer import MemoryProducer
from tests.conftest import FreshDatabase
from tests.ingest.brand import NOW
from tests.ingest.mails import PLAIN, mail
from tests.ingest.platforms import LocalPlatform
from tests.integration.mail_server import MailServer, mail_server
from tests.integration.test_answering import Fuse, Killed, World
from tests.integration.test_email_speaker import Sink, own, smtp, speaker_of, user

__all__ = ["mail_server", "smtp", "user"]  # the fixtures
pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
    # aiosmtpd's own warnings about itself.
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]
FAULTS: tuple[dict[str, Any], ...] = (
    {},
    {"hangs_up": "after"},
    {"hangs_up": "before"},
    {"data_says": "451 try again later"},
)


class Post(Sink):
    """A server whose fault is over after one mail."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: dict[str, Any] = {}

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault, self.fault = self.fault, {}
        self.hangs_up = fault.get("hangs_up")
        self.data_says = fault.get("data_says", "250 OK")
        return await super().handle_DATA(server, session, envelope)


@pytest.fixture
def sink() -> Post:
    return Post()


@pytest.fixture(params=[True, False], ids=["the server files it", "we file it"])
async def world(
    request: pytest.FixtureRequest,
    postgres: FreshDatabase,
    mail_server: MailServer,
    smtp: Controller,
    sink: Post,
    user: str,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """With one mail that can be answered, taken in as ever."""
    monkeypatch.setattr(email, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(email, "LOOKS", 2)
    files_sent: bool = request.param
    if files_sent:
        sink.files = lambda raw: mail_server.put(user, raw, "Sent")
    pool = create_pool(postgres(), name="test")
    await pool.open()
    events, clock = PostgresEventStore(pool, patience=5.0), SystemClock()
    await events.migrate()
    letter = Letter(mail(PLAIN, "My bag is lost."), NOW, sent=False)
    heard = parse_letter(letter, own(user), Receipt(NOW))
    assert isinstance(heard, Heard)
    collector = Collector(MemoryProducer(), events, Metrics(CollectorRegistry()), clock)
    await collector.take([heard], Original("email", b"{}", NOW))
    speaker = speaker_of(mail_server, smtp, user, files_sent=files_sent)
    speakers: dict[tuple[str, str], Any] = {("email", user): speaker}
    yield World(pool, LocalPlatform(), "email", MemoryProducer(), heard, speakers)
    await pool.close()


async def test_killed_at_fifty_points_a_mail_never_goes_out_twice_unmarked(
    world: World, sink: Post, user: str
) -> None:
    killed = [await _kill_everywhere(world, sink, user, fault) for fault in FAULTS]
    assert min(killed) >= 13, killed
    assert sum(killed) >= 50, killed


async def _kill_everywhere(world: World, sink: Post, user: str, fault: dict[str, Any]) -> int:
    """Kill the desk once at every step of its way; returns how many steps there were."""
    for at in itertools.count():
        sink.taken.clear()
        sink.fault = dict(fault)
        await world.write(text=f"We found it: number {at}, {fault}.", private=True)
        ended = False
        try:
            await world.desk(Fuse(at)).step()
            ended = True
        except Killed:
            pass
        await world.settle()
        last = world.outcomes()[-1]
        assert len(sink.taken) <= 1, (at, fault)
        assert last.state in (OutcomeState.posted, OutcomeState.unknown), (at, fault)
        if last.state is OutcomeState.posted:
            assert len(sink.taken) == 1, (at, fault)
            assert last.posted_item_id in {one.item_id for one in world.outbound()}, (at, fault)
        if sink.files:
            # What stands among the sent mail tells it: nobody is asked.
            assert last.state is OutcomeState.posted, (at, fault)
        if ended:
            return at
    raise AssertionError
