"""How people answer from Presence: the time to think better of it, and texts to begin with."""

from __future__ import annotations

from pydantic import Field

from services.contracts.configuration.values import Duration, Id, Section


class SavedReply(Section):
    """A text that a person picks, edits and sends. It is never sent by itself."""

    id: Id
    name: str = Field(min_length=1, max_length=75)
    """As the list shows it."""
    text: str = Field(min_length=1, max_length=3_000)
    brands: tuple[Id, ...] = ()
    """The brands it is offered for; empty means all."""


class Answering(Section):
    """What holds for every answer that is written in Presence."""

    undo_for: Duration = Field("10s", validate_default=True)
    """Between the press on send and the sending: so long it can be taken back."""
    expires_after: Duration = Field("10m", validate_default=True)
    """An answer that could not be posted by then is refused, never sent late."""
    writing_for: Duration = Field("10m", validate_default=True)
    """So long others are told that somebody who opened the form is writing."""
    same_text_an_hour: int = Field(5, ge=1)
    """The same text more often than this in an hour draws a warning."""
    saved: tuple[SavedReply, ...] = Field((), max_length=100)
    """Texts to begin with."""
