"""Judges a batch of notifications: reads their texts, asks the engine once, decides one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.classify import need_weights
from services.classify.domain.impersonation import Identity
from services.classify.domain.lessons import Lessons
from services.classify.domain.reading import Reading
from services.classify.domain.signs import SpamSigns
from services.classify.domain.similarity import signatures, weight
from services.classify.domain.verdict import NO_SIGNS, Judgement, Read, judge
from services.classify.engines.port import FlagEngine, Looked, TextEngine
from services.classify.reader import Reader, Written
from services.classify.stages import Spent, Stage, unmeasured
from services.contracts.configuration import Costs
from services.contracts.events import Notification, Verdict

NOTHING_LEARNED = Lessons()


class Classifier:
    """Stateless but for its model and what the team corrected: any replica says the same of an item."""

    def __init__(
        self,
        reader: Reader,
        engine: TextEngine,
        costs: Costs,
        identities: Sequence[Identity] = (),
        *,
        signs: SpamSigns = NO_SIGNS,
        text_only: bool = False,
        lessons: Callable[[], Lessons] = lambda: NOTHING_LEARNED,
        spent: Spent = unmeasured,
    ) -> None:
        """`text_only` leaves the other layers out: for engines that are measured by themselves."""
        self._reader = reader
        self._engine = engine
        self._lessons = lessons
        self._spent = spent
        self._judgement = Judgement(
            costs=costs,
            identities=tuple(identities),
            engine=engine.name,
            model=engine.model,
            signs=signs,
            text_only=text_only,
            need=need_weights.built_in(),
        )

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self._engine.name

    @property
    def costs(self) -> Costs:
        """What a mistake costs here."""
        return self._judgement.costs

    def judge(self, items: Sequence[Notification]) -> list[Verdict]:
        """One verdict an item, in order."""
        return self.decide(items, self.read(items))

    def read(self, items: Sequence[Notification]) -> list[Read]:
        """Each text as read, scored by the engine, and signed."""
        begun = time.thread_time()
        readings = self._reader.read_all(
            [Written(item.text, item.title, item.language_hint, len(item.links)) for item in items]
        )
        signed = signatures([reading.text for reading in readings])
        asked = time.thread_time()
        self._spent(Stage.reading, len(items), asked - begun)
        looked = self._look(items, readings)
        self._spent(Stage.text, len(items), time.thread_time() - asked)
        return [
            Read(reading, row, signature, meant=flags)
            for reading, row, signature, flags in zip(
                readings, looked.scores.tolist(), signed, looked.flags, strict=True
            )
        ]

    def _look(self, items: Sequence[Notification], readings: Sequence[Reading]) -> Looked:
        if isinstance(self._engine, FlagEngine):
            return self._engine.look(readings, [item.addressed or item.private for item in items])
        return Looked(self._engine.score(readings), [frozenset()] * len(items))

    def decide(self, items: Sequence[Notification], reads: Sequence[Read]) -> list[Verdict]:
        """By everything that is known besides the text, the team's corrections first."""
        begun = time.thread_time()
        lessons = self._lessons()
        if lessons.items and not self._judgement.text_only:
            reads = [
                self._taught(item, read, lessons) for item, read in zip(items, reads, strict=True)
            ]
        found = [
            judge(item, read, self._judgement) for item, read in zip(items, reads, strict=True)
        ]
        self._spent(Stage.layers, len(items), time.thread_time() - begun)
        return found

    def _taught(self, item: Notification, read: Read, lessons: Lessons) -> Read:
        letters = weight(read.reading.text)
        return replace(
            read,
            also=tuple(lessons.evidence(item)),
            told=lessons.of(item, read.similarity, letters),
        )
