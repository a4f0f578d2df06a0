"""Open episodes as the list and the API show them: nothing here that a card would mask."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.alert.chat.card_words import WHO_LIMIT
from services.alert.chat.text import clean, clip, one_line
from services.alert.ports import EpisodeRow
from services.contracts.configuration import Person

WORDS_LIMIT = 280


class OpenEpisode(BaseModel):
    """One matter that waits for a human."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: str
    state: str
    platform: str
    account: str
    brand: str
    who: str
    words: str | None
    """None where they are private or sensitive."""
    opened_at: AwareDatetime
    due_at: AwareDatetime | None
    overdue: bool
    claimed_by: str | None
    urgent: bool
    sensitive: list[str]


class OpenEpisodes(BaseModel):
    """The open episodes: sensitive first, then urgent, then by due time."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    as_of: AwareDatetime
    episodes: list[OpenEpisode] = Field(max_length=1_000)


def open_episodes(rows: list[EpisodeRow], person: Person | None, now: datetime) -> OpenEpisodes:
    """The rows that this person answers for; everybody's where nobody is signed in."""
    brands = set(person.brands) if person else set()
    shown = [_shown(row, now) for row in rows if not brands or row.brand_id in brands]
    return OpenEpisodes(as_of=now, episodes=shown)


def _shown(row: EpisodeRow, now: datetime) -> OpenEpisode:
    # The core masks private words; sensitive ones are held back here once more.
    words = None if row.words is None or row.sensitive else clip(clean(row.words), WORDS_LIMIT)
    return OpenEpisode(
        id=row.episode_id,
        state=row.state,
        platform=row.platform,
        account=row.account,
        brand=row.brand,
        who=clip(one_line(row.who), WHO_LIMIT),
        words=words,
        opened_at=row.opened_at,
        due_at=row.due_at,
        overdue=row.due_at is not None and row.due_at < now,
        claimed_by=row.claimed_by,
        urgent=row.urgent,
        sensitive=list(row.sensitive),
    )
