"""Labelled text: one JSON object a line, `{text, label, source, …}`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contracts.events import Kind, Label, Sensitive, Urgency

NOT_SPAM: Literal["not-spam"] = "not-spam"
MEASURE_ONLY = "_eval_only"
"""A source of this ending may be measured and never trained: its licence says so."""
OWN_MEASURED = "own"
"""The set that we wrote to measure by; what we wrote to train has other names."""


class UnusableData(Exception):
    """Labelled text that cannot be read or may not be trained; one line says what and where."""


class RowAuthor(BaseModel):
    """What a row may say of its author."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = "someone"
    handle: str | None = None
    name: str | None = None
    followers: int | None = None
    verified: bool | None = None
    bot: bool | None = None
    known: bool = False


class Row(BaseModel):
    """One labelled text. A bare text is judged as a mention of the brand."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    label: Label | Literal["not-spam"]
    source: str = "unnamed"
    group: str = ""
    """Dialogue, event, outlet: what must not be split between training and measuring."""
    lang: str | None = None
    kinds: frozenset[Kind] = frozenset({Kind.mention})
    addressed: bool = False
    private: bool = False
    title: str | None = None
    author: RowAuthor = RowAuthor()
    sensitive: frozenset[Sensitive] | None = None
    """The flags it must raise; None: not said."""
    needs_answer: bool | None = None
    """Whether a person waits for an answer; None: not said."""
    urgency: Urgency | None = None
    """How soon a person is needed; None: not said."""

    @property
    def trainable(self) -> bool:
        """Whether a model may learn from it."""
        measured = self.source.endswith(MEASURE_ONLY) or self.source == OWN_MEASURED
        return isinstance(self.label, Label) and not measured


def load(files: Iterable[Path]) -> list[Row]:
    """Read labelled files. Raises UnusableData with the file and line of the first mistake."""
    rows = [row for file in files for row in _load(file)]
    if not rows:
        raise UnusableData("there is no labelled text in these files")
    return rows


def _load(file: Path) -> list[Row]:
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableData(f"{file} cannot be read: {error}") from error
    return load_text(content, str(file))


def load_text(content: str, name: str) -> list[Row]:
    """Rows of one file's content; those without a source are named after the file. Raises UnusableData."""
    rows = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = Row.model_validate_json(line)
        except ValidationError as error:
            what = error.errors()[0]
            where = ".".join(map(str, what["loc"])) or "line"
            raise UnusableData(f"{name}:{number}: {where}: {what['msg']}") from error
        named = "source" in row.model_fields_set
        rows.append(row if named else row.model_copy(update={"source": Path(name).stem}))
    return rows


def pairs(rows: Sequence[Row]) -> Counter[tuple[str, str]]:
    """How many rows each (source, label) has."""
    return Counter((row.source, str(row.label)) for row in rows)
