"""What the team corrected, as labelled rows: `presence train --corrections`.

Only corrections that carry their words train: alert leaves out what is private, sensitive or deleted.
What is left out here as well: what was taken back, and what one person said beyond what they are trusted
with (`services.classify.domain.lessons`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from pydantic import ValidationError

from services.classify.domain.lessons import learn
from services.classify.teaching import read_all
from services.classify.training.corpus import Row, RowAuthor
from services.contracts.configuration import Learning
from services.contracts.events import Correction
from services.contracts.topics import CORRECTIONS
from services.runtime.logs import get_logger
from services.runtime.settings import ServiceSettings

log = get_logger(__name__)

SOURCE: Final = "corrections"
"""The source of these rows: measured as a source of its own, weighed like any other."""
_EVERYTHING: Final = 10_000_000


def last_corrections(settings: ServiceSettings) -> dict[str, Correction]:
    """The last correction of each item, from its topic. Raises KafkaException."""
    found: dict[str, Correction] = {}
    for key, value in read_all(settings, CORRECTIONS):
        if value is None:
            found.pop(key.decode("utf-8", "replace"), None)
            continue
        try:
            correction = Correction.model_validate_json(value)
        except ValidationError:
            log.warning("a correction could not be read", item=key.decode("utf-8", "replace"))
            continue
        found[correction.item_id] = correction
    return found


def rows(corrections: Iterable[Correction], trusted_per_hour: int | None = None) -> Iterator[Row]:
    """A row each that may train, oldest first; what one author wrote stays together as one group."""
    said = list(corrections)
    trusted_per_hour = trusted_per_hour or Learning().trusted_per_hour
    lessons = learn(said, remember=_EVERYTHING, trusted_per_hour=trusted_per_hour)
    trusted = {lesson.item_id for lesson in lessons.alike}
    for one in sorted(said, key=lambda one: (one.at, one.item_id)):
        about = one.about
        if one.item_id not in trusted or about is None or not about.text:
            continue
        if about.private or about.sensitive:
            continue
        yield Row(
            text=about.text,
            label=one.to_label,
            source=SOURCE,
            group=f"{about.platform}:{about.author}",
            lang=about.language,
            addressed=about.addressed,
            author=RowAuthor(id=about.author),
        )
