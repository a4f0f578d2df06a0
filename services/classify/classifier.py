"""Judges a batch of notifications: reads their texts, asks the engine once, decides one by one."""

from __future__ import annotations

from collections.abc import Sequence

from services.classify.domain.impersonation import Identity
from services.classify.domain.similarity import signatures
from services.classify.domain.verdict import Judgement, Read, judge
from services.classify.engines.port import TextEngine
from services.classify.reader import Reader
from services.contracts.configuration import Costs
from services.contracts.events import Notification, Verdict


class Classifier:
    """Stateless but for its model: any replica says the same of an item, and says it again."""

    def __init__(
        self,
        reader: Reader,
        engine: TextEngine,
        costs: Costs,
        identities: Sequence[Identity] = (),
        *,
        text_only: bool = False,
    ) -> None:
        """`text_only` leaves the other layers out: for engines that are measured by themselves."""
        self._reader = reader
        self._engine = engine
        self._judgement = Judgement(
            costs=costs,
            identities=tuple(identities),
            engine=engine.name,
            model=engine.model,
            text_only=text_only,
        )

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self._engine.name

    def judge(self, items: Sequence[Notification]) -> list[Verdict]:
        """One verdict an item, in order."""
        readings = [
            self._reader.read(
                item.text, title=item.title, hint=item.language_hint, links=len(item.links)
            )
            for item in items
        ]
        scores = self._engine.score(readings).tolist()
        signed = signatures([reading.text for reading in readings])
        return [
            judge(item, Read(reading, row, signature), self._judgement)
            for item, reading, row, signature in zip(items, readings, scores, signed, strict=True)
        ]
