"""What is watched about every topic that a service reads."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from services.contracts.events import Notice, NoticeKind
from services.contracts.topics import CLASSIFIED, NOTICES, OUTCOMES
from services.runtime.backlog import Backlog, longest_wait
from services.runtime.clock import ManualClock
from services.runtime.consumption import Consumption, OffsetGap
from services.runtime.dead_letter import DeadLetterReason
from services.runtime.dead_letter_limit import LimitReason
from services.runtime.errors import Transient
from services.runtime.lines import TELL_AGAIN, Lines
from services.runtime.metrics import LineMetrics, dead_letters_counter
from services.runtime.settings import ServiceSettings, load

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


class Watched:
    """Lines whose Kafka is two answers of a test."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stopped: frozenset[str] | Transient = frozenset()
        self.told: list[Notice] = []
        self.deaf: Transient | None = None
        self.clock = ManualClock(NOW)
        self.lines = Lines(
            "alert",
            load(ServiceSettings, kafka="unused:9092"),
            LineMetrics(self.registry),
            self._tell,
            self.clock,
            tripped=self._tripped,
        )

    def _tripped(self, _settings: ServiceSettings, _service: str) -> frozenset[str]:
        if isinstance(self.stopped, Transient):
            raise self.stopped
        return self.stopped

    async def _tell(self, notice: Notice) -> None:
        if self.deaf:
            raise self.deaf
        self.told.append(notice)

    def lost(self, gap: OffsetGap, consumption: Consumption) -> None:
        assert consumption._on_gap is not None
        consumption._on_gap(gap)

    def counted(self, topic: str) -> float | None:
        return self.registry.get_sample_value("presence_records_lost_total", {"topic": topic})


async def test_records_that_were_deleted_unread_are_counted_and_told_once() -> None:
    watched = Watched()
    line = watched.lines.add("presence-alert", CLASSIFIED)
    watched.lost(OffsetGap(CLASSIFIED.name, 3, 10, 52), line)
    watched.lost(OffsetGap(CLASSIFIED.name, 4, 0, 8), line)
    await watched.lines._tell_what_is_lost()
    (notice,) = watched.told
    assert (notice.kind, notice.source) == (NoticeKind.offset_out_of_range, CLASSIFIED.name)
    assert "50 records" in notice.says
    assert watched.counted(CLASSIFIED.name) == 50
    watched.lost(OffsetGap(CLASSIFIED.name, 3, 10, 52), line)
    await watched.lines._tell_what_is_lost()
    assert len(watched.told) == 1
    watched.lost(OffsetGap(CLASSIFIED.name, 3, 10, 55), line)
    await watched.lines._tell_what_is_lost()
    assert watched.counted(CLASSIFIED.name) == 53


async def test_what_could_not_be_told_is_told_when_kafka_is_back() -> None:
    watched = Watched()
    line = watched.lines.add("presence-alert", CLASSIFIED)
    watched.deaf = Transient(LimitReason.unavailable)
    watched.lost(OffsetGap(CLASSIFIED.name, 0, 1, 5), line)
    await watched.lines._tell_what_is_lost()
    watched.deaf = None
    await watched.lines._tell_what_is_lost()
    assert [one.source for one in watched.told] == [CLASSIFIED.name]
    assert watched.counted(CLASSIFIED.name) == 4


async def test_only_the_line_that_tripped_stays_stopped_after_a_restart() -> None:
    watched = Watched()
    episodes = watched.lines.add("presence-alert", CLASSIFIED)
    answers = watched.lines.add("presence-alert-outcomes", OUTCOMES)
    watched.stopped = frozenset({OUTCOMES.name})
    await watched.lines.stay_stopped()
    assert episodes.stopped is None
    assert answers.stopped is not None
    assert "presence dlq resume alert" in answers.stopped


async def test_a_kafka_that_does_not_answer_resumes_nothing_and_ends_nothing() -> None:
    watched = Watched()
    line = watched.lines.add("presence-alert", CLASSIFIED)
    line.stop_line("too many")
    watched.stopped = Transient(LimitReason.unavailable)
    await watched.lines._resume()
    assert (line.stopped, line.probing) == ("too many", False)
    watched.stopped = frozenset()
    await watched.lines._resume()
    assert (line.stopped, line.probing) == (None, True)


async def test_a_line_that_stays_stopped_is_told_again_before_kafka_forgets_it() -> None:
    watched = Watched()
    line = watched.lines.add("presence-alert", CLASSIFIED)
    line.stop_line("alert stopped: `presence dlq resume alert`")
    watched.stopped = frozenset({CLASSIFIED.name})
    await watched.lines._resume()
    assert watched.told == [], "it was told when it stopped"
    for day in (1, 2):
        await watched.clock.forward(TELL_AGAIN)
        await watched.lines._resume()
        assert [one.kind for one in watched.told] == [NoticeKind.dead_letter_limit] * day
    retention = NOTICES.retention
    assert retention is not None
    assert retention.total_seconds() > TELL_AGAIN * 2


async def test_a_line_that_the_service_can_do_without_does_not_make_it_unready() -> None:
    watched = Watched()
    watched.lines.add("presence-ingest-threads", NOTICES, vital=False)
    assert await watched.lines.problem() is None
    watched.lines.add("presence-ingest", CLASSIFIED)
    assert await watched.lines.problem() == "no partition is assigned"


def test_what_waits_is_counted_from_the_oldest_record_that_is_kept() -> None:
    never_read = Backlog("group", "topic", 0, None, 40, 100)
    assert (never_read.records, never_read.lost) == (60, 0)
    behind = Backlog("group", "topic", 1, 30, 40, 100, NOW)
    assert (behind.records, behind.lost) == (60, 10)
    assert longest_wait([never_read, behind], NOW.replace(hour=10)) == 3600
    assert longest_wait([never_read], NOW) == 0


def test_the_first_dead_letter_is_seen_by_a_rate() -> None:
    registry = CollectorRegistry()
    dead_letters_counter(registry, CLASSIFIED)
    for reason in DeadLetterReason:
        labels = {"topic": CLASSIFIED.name, "reason": reason.value}
        assert registry.get_sample_value("presence_dead_letters_total", labels) == 0
