"""Alert rules and dashboards: promtool judges them, and they name only metrics that exist."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from deploy import artefacts
from services.alert.chat.metrics import NO_REASON, DeliveryResult
from services.alert.ports import DeliveryReason
from services.cli import main

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))

# The metrics of the public interface with their labels, read from where people read them.
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def _documented() -> Iterator[tuple[str, set[str]]]:
    for name, labels, says in re.findall(
        r"^\| `(presence_\w+)` \| (.*?) ?\| (.*?) ?\|$", OPERATIONS, re.MULTILINE
    ):
        own = {label.strip() for label in labels.split(",")} - {""}
        if says.startswith("histogram"):
            yield f"{name}_sum", own
            yield f"{name}_count", own
            yield f"{name}_bucket", own | {"le"}
        else:
            yield name, own


METRICS = dict(_documented())
_ADDED_BY_PROMETHEUS = {"job", "instance", "alertname", "alertstate", "severity"}


def _rules() -> Iterator[dict[str, Any]]:
    for file in RULES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


RECORDED = {rule["record"] for rule in _rules() if "record" in rule}
ALERTS = [rule for rule in _rules() if "alert" in rule]


def _panels() -> Iterator[dict[str, Any]]:
    for file in DASHBOARDS:
        yield from json.loads(file.read_text(encoding="utf-8"))["panels"]


PANELS = [panel for panel in _panels() if panel["type"] != "row"]


def _as_prometheus_sees_it(expr: str) -> str:
    """Grafana's own variables filled in."""
    for name, value in (
        ("$__rate_interval", "5m"),
        ("$__range", "24h"),
        ("$platform", ".*"),
        ("$account", ".*"),
        ("$hours", "wall"),
    ):
        expr = expr.replace(name, value)
    return expr


EXPRESSIONS = [rule["expr"] for rule in _rules()] + [
    _as_prometheus_sees_it(target["expr"]) for panel in PANELS for target in panel["targets"]
]


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus' own checker (Debian: apt-get install prometheus)."""
    found = shutil.which("promtool")
    if found:
        return found
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail("promtool is missing: apt-get install prometheus", pytrace=False)
    pytest.skip("promtool is missing: apt-get install prometheus")


def _run(promtool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=120
    )


def test_prometheus_accepts_its_configuration_and_the_rules(promtool: str) -> None:
    done = _run(promtool, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stderr
    done = _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_fire_when_they_should_and_only_then(promtool: str) -> None:
    done = _run(promtool, "test", "rules", *sorted((PROMETHEUS / "tests").glob("*.yml")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_both_ways() -> None:
    tests = "".join(
        file.read_text(encoding="utf-8") for file in (PROMETHEUS / "tests").glob("*.yml")
    )
    for rule in ALERTS:
        assert f"alertname: {rule['alert']}, exp_alerts: []" in tests, rule["alert"]
        fires = (f'alertname="{rule["alert"]}",alertstate="firing",severity=', "exp_labels")
        named = tests.count(f"alertname: {rule['alert']}\n")
        assert fires[0] in tests or named, f"{rule['alert']} is never seen to fire"


def test_every_expression_of_rules_and_dashboards_parses(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"expression_{number}", "expr": expr} for number, expr in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "expressions.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
    done = _run(promtool, "check", "rules", "--lint=none", file)
    assert done.returncode == 0, done.stderr


def _unknown(expr: str) -> set[str]:
    """Names in `expr` that are no metric of ours, recorded or Prometheus' own."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    named = set(re.findall(r"\b(?:[a-z]+:)?presence_\w+(?::\w+)?", bare))
    return named - set(METRICS) - RECORDED


def _wrong_labels(expr: str) -> set[str]:
    """Labels in selectors of one of our metrics that this metric does not have."""
    wrong = set()
    for name, selector in re.findall(r"\b(presence_\w+)\{([^}]*)\}", expr):
        used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', selector))
        wrong |= {f"{name}{{{label}}}" for label in used - METRICS[name] - _ADDED_BY_PROMETHEUS}
    return wrong


def _wrong_groupings(expr: str) -> set[str]:
    """Labels in `by (…)` that no metric of the expression has."""
    named = re.findall(r"\bpresence_\w+", expr)
    known = set().union(*(METRICS.get(name, set()) for name in named)) | _ADDED_BY_PROMETHEUS
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", expr)
    return {label.strip() for labels in grouped for label in labels.split(",")} - known


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_an_expression_names_only_metrics_and_labels_that_exist(expr: str) -> None:
    assert not _unknown(expr)
    assert not _wrong_labels(expr)
    assert not _wrong_groupings(expr)


def test_results_and_reasons_of_deliveries_are_those_of_the_code() -> None:
    known = {*DeliveryResult, *DeliveryReason, NO_REASON}
    for expr in EXPRESSIONS:
        for selector in re.findall(r"presence_deliveries_total\{([^}]*)\}", expr):
            for values in re.findall(r'"([^"]*)"', selector):
                assert set(values.split("|")) <= known, expr


def test_the_look_at_names_finds_what_is_wrong() -> None:
    assert _unknown("rate(presence_answers_total[5m])") == {"presence_answers_total"}
    assert _unknown("platform:presence_sla:met_ratio_2h") == {"platform:presence_sla:met_ratio_2h"}
    assert _wrong_labels('presence_open_episodes{person="mara"}')
    assert _wrong_groupings("sum by (handle) (presence_open_episodes)") == {"handle"}


def test_what_is_recorded_is_used_and_named_by_its_level() -> None:
    everything = " ".join(EXPRESSIONS)
    assert all(re.fullmatch(r"[a-z]+:presence_\w+:\w+", name) for name in RECORDED)
    assert {name for name in RECORDED if name in everything} == RECORDED


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do_and_has_its_place_in_the_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    says = rule["annotations"]
    assert len(says["summary"]) <= 120
    assert len(says["description"]) >= 40
    document, _, anchor = says["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
    assert rule["alert"] in headings


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    entries = re.findall(r"^### (Presence\w+)$", OPERATIONS, re.MULTILINE)
    assert sorted(entries) == sorted(rule["alert"] for rule in ALERTS)


def test_a_command_that_we_tell_people_to_run_exists() -> None:
    texts = [OPERATIONS, *(rule["annotations"]["description"] for rule in ALERTS)]
    texts += [panel["description"] for panel in PANELS]
    told = {
        tuple(words.split()) for text in texts for words in re.findall(r"`presence ([a-z ]+)", text)
    }
    assert len(told) > 4
    context = click.Context(main.presence)
    for words in told:
        assert words[0] in main.COMMANDS, words
        if len(words) > 1:
            group = main.presence.get_command(context, words[0])
            assert isinstance(group, click.Group), words
            assert words[1] in group.commands, words


def test_every_metric_of_our_code_is_documented_with_its_labels() -> None:
    for file in sorted((ROOT / "services").rglob("*.py")):
        for name, labels in _declared(ast.parse(file.read_text(encoding="utf-8"))):
            # prometheus_client adds _total to a counter that is declared without it.
            known = next(
                (
                    METRICS[f"{name}{end}"]
                    for end in ("", "_total", "_count")
                    if f"{name}{end}" in METRICS
                ),
                None,
            )
            assert known is not None, f"{file.name} declares {name}: put it into docs/operations.md"
            assert labels == known, f"{file.name} declares {name} with {sorted(labels)}"


def _declared(tree: ast.AST) -> Iterator[tuple[str, set[str]]]:
    """Counter("presence_…", "says", ["label", …]) and its like, wherever they stand."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first = node.args[0]
        if not isinstance(first, ast.Constant) or not str(first.value).startswith("presence_"):
            continue
        given = [*node.args[2:3], *(k.value for k in node.keywords if k.arg == "labelnames")]
        if given and not isinstance(given[0], ast.List | ast.Tuple):
            continue
        elements = given[0].elts if given and isinstance(given[0], ast.List | ast.Tuple) else []
        yield (
            str(first.value),
            {str(one.value) for one in elements if isinstance(one, ast.Constant)},
        )


# -- dashboards


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself_and_has_a_unit(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert "presence_" not in panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert all(target["expr"] for target in panel["targets"])


def test_panels_neither_overlap_nor_leave_the_page() -> None:
    for file in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        panels = json.loads(file.read_text(encoding="utf-8"))["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells


def test_dashboards_and_data_sources_are_provisioned_by_the_same_ids() -> None:
    provisioned = yaml.safe_load(
        (ROOT / "deploy/grafana/provisioning/datasources/presence.yml").read_text(encoding="utf-8")
    )
    known = {source["uid"] for source in provisioned["datasources"]}
    used = {panel["datasource"]["uid"] for panel in PANELS}
    assert known == {"prometheus", "postgres"}
    assert used <= known


def test_published_artefacts_are_current() -> None:
    assert artefacts.stale() == []


def test_a_stale_or_missing_artefact_is_named(tmp_path: Path) -> None:
    assert artefacts.stale(tmp_path) == list(artefacts.ARTEFACTS)
