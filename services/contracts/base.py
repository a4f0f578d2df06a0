"""What every contract shares: frozen models, aware UTC times, and a stable wire form."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, PlainSerializer

__all__ = ["Contract", "Moment", "SortedSet", "StrEnum"]

T = TypeVar("T", bound=StrEnum)


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An instant. A naive time is refused; every zone becomes UTC."""


SortedSet = Annotated[frozenset[T], PlainSerializer(sorted, return_type=list[str])]
"""A set of enum members, sorted on the wire so that equal events have equal bytes."""


class Contract(BaseModel):
    """The base of everything that crosses a service boundary.

    Frozen; fields that this version does not know are dropped on reading, so that a newer writer and
    an older reader can run side by side while replicas are replaced.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    def to_bytes(self) -> bytes:
        """The wire form: compact JSON in UTF-8."""
        return self.model_dump_json(exclude_none=True).encode()
