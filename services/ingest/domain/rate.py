"""How fast a sender may come: a bucket of tokens that fills by the second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`tokens` were in it at `at` (seconds of any clock that never runs backwards)."""

    tokens: float
    at: float


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second on average, and so many at once."""

    per_second: float
    burst: int

    def full(self, now: float) -> Bucket:
        """Nobody has come yet."""
        return Bucket(float(self.burst), now)

    def take(self, bucket: Bucket, now: float) -> tuple[Bucket, float]:
        """The bucket after one request, and the seconds to wait: 0 where it is let in."""
        tokens = min(float(self.burst), bucket.tokens + max(0.0, now - bucket.at) * self.per_second)
        if tokens >= 1.0:
            return Bucket(tokens - 1.0, now), 0.0
        return Bucket(tokens, now), (1.0 - tokens) / self.per_second
