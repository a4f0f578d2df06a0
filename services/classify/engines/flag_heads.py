"""Sensitive flags by meaning: what the word lists do not say in so many words.

Two steps, for the embedding is dear. A *cue* of hashed n-grams says whether a text might speak of anything
sensitive at all; it is tuned to let nearly every such text through, and a few per cent of ordinary ones.
What passes, and what the sentence head was asked about anyway, is embedded, and one linear head a flag
decides. The heads only ever add a flag to those of the lists.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from services.classify.engines.ngrams import Buckets
from services.classify.engines.sentence import DIMENSIONS, Floats
from services.contracts.events import Sensitive

FLAGS: Final = "flags.npz"


class UnusableFlags(Exception):
    """A file of flag heads that cannot be served; the message is one line and says why."""


class FlagCard(BaseModel):
    """What serving needs of the card's entry `flags`; training writes more."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    flags: tuple[Sensitive, ...]
    """The columns of the heads."""
    sha256: str


@dataclass(frozen=True, slots=True)
class FlagHeads:
    """What training finds. One column a flag, in the order of the card."""

    cue: NDArray[np.float32]
    """2**bits, of the n-grams; what they add up to is compared with the two numbers below."""
    ask_from: NDArray[np.float32]
    """Two: from where on the embedding is asked of any text, and of what is addressed to the brand."""
    vector: NDArray[np.float32]
    """512 x flags, of the sentence embedding."""
    bias: NDArray[np.float32]
    """Such that a flag is raised from 0 on."""

    @property
    def bits(self) -> int:
        """The width of the hash of the n-grams."""
        return int(self.cue.shape[0]).bit_length() - 1

    def cued(self, found: Buckets, bits: int, addressed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of which texts the embedding is asked. `found` was hashed to `bits`, at least as many."""
        taken = self.cue[found.bucket >> (bits - self.bits)]
        scores = np.bincount(found.row, weights=taken, minlength=len(addressed)) * found.weight
        return np.asarray(scores >= np.where(addressed, self.ask_from[1], self.ask_from[0]))

    def logits(self, vectors: Floats) -> Floats:
        """How far each flag is over its threshold."""
        return np.asarray(vectors @ self.vector + self.bias, dtype=np.float32)

    def to_bytes(self) -> bytes:
        """A compressed .npz; the large arrays as half floats."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("cue", "vector"):
            arrays[name] = arrays[name].astype(np.float16)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()


def raised(logits: Floats, flags: Sequence[Sensitive]) -> frozenset[Sensitive]:
    """The flags of one text."""
    return frozenset(flags[i] for i in np.flatnonzero(logits >= 0).tolist())


def load(directory: Path, card: FlagCard) -> FlagHeads:
    """Read and check the heads beside a model. Raises UnusableFlags."""
    try:
        content = (directory / FLAGS).read_bytes()
    except OSError as error:
        raise UnusableFlags(f"{FLAGS}, which the card names, cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise UnusableFlags(f"{FLAGS} is not the file that the card describes")
    return read(content, len(card.flags))


def read(content: bytes, flags: int) -> FlagHeads:
    """The heads of a file's content. Raises UnusableFlags."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            heads = FlagHeads(**{name: file[name].astype(np.float32) for name in file.files})
    except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise UnusableFlags(f"{FLAGS} is damaged: {error}") from error
    shapes = {
        "cue": (1 << heads.bits,),
        "ask_from": (2,),
        "vector": (DIMENSIONS, flags),
        "bias": (flags,),
    }
    if any(getattr(heads, name).shape != shape for name, shape in shapes.items()):
        raise UnusableFlags(f"{FLAGS} has arrays of another shape")
    if not all(np.isfinite(getattr(heads, name)).all() for name in shapes):
        raise UnusableFlags(f"{FLAGS} holds numbers that are none")
    return heads
