"""What alert measures: labels that are there from the start, and gauges that come back to 0."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.alert.metrics import AlertMetrics
from tests.alert.builders import PRESENCE, configuration

HOURS = '\nhours:\n  - {id: office, zone: UTC, week: [{from: "09:00", to: "17:00"}]}\n'


def shown(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_business_seconds_are_shown_from_the_start_where_the_team_keeps_hours_and_only_there() -> (
    None
):
    registry = CollectorRegistry()
    AlertMetrics(registry, configuration(f"{PRESENCE}{HOURS}targets: {{hours: office}}\n"))
    name = "presence_first_response_seconds_count"
    assert shown(registry, name, platform="x", priority="high", hours="business") == 0
    without = CollectorRegistry()
    AlertMetrics(without, configuration())
    assert shown(without, name, platform="x", priority="high", hours="business") is None
    assert shown(without, name, platform="x", priority="high", hours="wall") == 0


def test_a_platform_that_left_the_file_comes_back_to_zero() -> None:
    registry = CollectorRegistry()
    metrics = AlertMetrics(registry, configuration())
    metrics.figures({("myspace", "open"): 3}, {("myspace", "open"): 60.0}, {"myspace": 2})
    metrics.figures({}, {}, {})
    for name in ("presence_open_episodes", "presence_oldest_unanswered_seconds"):
        assert shown(registry, name, platform="myspace", state="open") == 0
    assert shown(registry, "presence_held_back", platform="myspace", state="held") == 0


def test_a_rota_that_left_the_file_is_shown_no_more() -> None:
    registry = CollectorRegistry()
    metrics = AlertMetrics(registry, configuration())
    metrics.present([("social", True), ("press", False)])
    metrics.present([("social", True)])
    assert shown(registry, "presence_oncall_present", rota="social") == 1
    assert shown(registry, "presence_oncall_present", rota="press") is None
