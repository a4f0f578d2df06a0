"""The fault runs of delivery, in small: `python -m tests.faults.storm_run` is the whole."""

from __future__ import annotations

import pytest

from tests.conftest import FreshDatabase
from tests.faults.storm_run import outage, storm

pytestmark = pytest.mark.integration


async def test_nothing_is_lost_in_a_chat_that_limits_fails_and_refuses(
    postgres: FreshDatabase,
) -> None:
    outcome = await outage(postgres(), scale=0.35, episodes=8, step=5)
    assert outcome.wrong == []


async def test_a_threat_that_arrives_last_in_a_storm_is_carded_first(
    postgres: FreshDatabase,
) -> None:
    outcome = await storm(postgres(), minutes=0.2, each_minute=200)
    assert outcome.wrong == []
    assert int(outcome.figures["cards that waited before the threat"]) > 20
