"""`presence report` over what a team's PostgreSQL holds."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.alert.presence_score import PresenceScore
from services.cli.main import presence
from services.contracts.events import CloseReason
from services.runtime.clock import SystemClock
from tests.alert.builders import PRESENCE, at, notified
from tests.alert.story import MIA, Story, story
from tests.conftest import FreshDatabase

pytestmark = pytest.mark.integration
WEEK = ("--from", at(-60).isoformat(), "--to", at(600).isoformat())
HOURS = """
targets: {hours: office}
hours:
  - {id: office, zone: Europe/Berlin, week: [{days: [monday], from: "09:00", to: "10:05"}]}
"""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    file = tmp_path / "presence.yaml"
    file.write_text(PRESENCE + HOURS, encoding="utf-8")
    monkeypatch.setenv("PRESENCE_CONFIG", str(file))

    def ask(*arguments: str) -> Result:
        return CliRunner().invoke(presence, ("report", *arguments))

    return ask


async def a_morning(told: Story) -> None:
    """Ana is answered after 4 minutes and again after 2, Ben after 20, Cid is closed, Dee waits."""
    for number, who in enumerate(("ana", "ben", "cid", "dee")):
        await told.hear(notified(f"q-{who}", at(number), who))
    await told.hear(
        notified("a-ana", at(4), outbound=True, to="ana", parent="q-ana"),
        notified("q-ana-2", at(10), "ana", root="q-ana", parent="a-ana"),
        notified("a-ana-2", at(12), outbound=True, to="ana", root="q-ana", parent="q-ana-2"),
        notified("a-ben", at(21), outbound=True, to="ben", parent="q-ben"),
        notified("we-fly", at(22), outbound=True),
    )
    ((closing,),) = await told.rows("select id from alert.episodes where openers::text ~ 'q-cid'")
    await told.at(30)
    await told.episodes.close(str(closing), MIA, CloseReason.no_reply_needed)


async def test_a_week_in_figures_with_who_still_waits_and_who_was_closed(
    postgres: FreshDatabase, ask: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres()
    monkeypatch.setenv("PRESENCE_DATABASE_URL", url)
    async with story(url) as told:
        await a_morning(told)
        score = PresenceScore(told.pool, told.registry, SystemClock())
        await score.show()
        account = {"platform": "x", "account": "4001"}
        assert told.registry.get_sample_value("presence_presence_score", account) == 0.75
        assert told.registry.get_sample_value("presence_conversation_share", account) == 0.75
        answered = await asyncio.to_thread(ask, *WEEK, "--json")
        business = await asyncio.to_thread(ask, *WEEK, "--json", "--clock", "business")
        table = await asyncio.to_thread(ask, *WEEK)
        sheet = await asyncio.to_thread(ask, *WEEK, "--csv", "--by", "account")
    assert answered.exit_code == 0, answered.output
    report = json.loads(answered.stdout)
    assert report["as_of"].startswith(at(30).isoformat()[:16])
    whole, only = report["rows"]
    assert (whole["name"], only["name"]) == ("all", "x")
    facts = whole["all_days"]
    assert facts == whole["without_incident_days"]
    assert (facts["answered"], facts["waiting"]) == (3, 1)
    assert facts["closed_without_answer"] == {"no_reply_needed": 1}
    assert facts["first_response_p50"] == 20 * 60
    assert facts["first_response_p90"] is None, "a third of the first ones still wait"
    assert facts["next_response_p50"] == 120
    assert (facts["met"], facts["missed"]) == (2, 2)
    assert facts["presence"]["conversation_share"] == 0.75
    assert json.loads(business.stdout)["rows"][0]["all_days"]["waiting"] == 1
    assert "half within" in table.stdout
    assert "closed without an answer: no reply needed 1" in table.stdout
    rows = list(csv.DictReader(io.StringIO(sheet.stdout)))
    assert [one["name"] for one in rows] == ["all", "x 4001"]
    assert rows[1]["first_response_p50"] == "1200.0"


def test_what_is_asked_wrongly_is_said(ask: Callable[..., Result]) -> None:
    assert "not both" in ask("--json", "--csv").output
    assert "no brand 'shoes'" in ask("--brand", "shoes").output
    backwards = ask("--from", at(10).isoformat(), "--to", at(0).isoformat())
    assert (backwards.exit_code, "not before" in backwards.output) == (2, True)
