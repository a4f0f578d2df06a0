"""A consumer's readiness follows its own polls."""

from __future__ import annotations

from services.runtime.consumption import Consumption


def test_a_consumer_beside_another_hears_of_its_own_polls_only() -> None:
    main, other = Consumption(), Consumption()
    main.beside(other)
    main._partitions, other._partitions = {("a", 0)}, {("b", 0)}
    assert other.problem() is not None
    main.statistics('{"type": "consumer", "topics": {"a": {}}}')
    assert main.problem() is None
    assert other.problem() is not None
    main.statistics('{"type": "consumer", "topics": {"b": {}}}')
    assert other.problem() is None
