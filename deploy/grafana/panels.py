"""The few kinds of Grafana panel that our dashboards are made of, as plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH = 24
"""Columns of Grafana's grid."""

Panel = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and what its lines are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From `value` on, a panel shows `color`."""

    color: str
    value: float | None = None


def _targets(queries: tuple[Query, ...], *, instant: bool) -> list[dict[str, Any]]:
    return [
        {
            "refId": chr(ord("A") + index),
            "datasource": DATASOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "instant": instant,
            "range": not instant,
        }
        for index, query in enumerate(queries)
    ]


def _base(
    kind: str, title: str, says: str, queries: tuple[Query, ...], *, instant: bool = False
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": says,
        "datasource": DATASOURCE,
        "targets": _targets(queries, instant=instant),
    }


def _steps(thresholds: tuple[Threshold, ...]) -> dict[str, Any]:
    return {
        "mode": "absolute",
        "steps": [{"color": one.color, "value": one.value} for one in thresholds],
    }


def stat(
    title: str,
    says: str,
    *queries: Query,
    unit: str,
    thresholds: tuple[Threshold, ...] = (Threshold("text"),),
    empty: str = "nothing yet",
) -> Panel:
    """One big number for each query: how it stands now, or over the chosen time."""
    return {
        **_base("stat", title, says, queries, instant=True),
        "fieldConfig": {
            "defaults": {"unit": unit, "noValue": empty, "thresholds": _steps(thresholds)},
            "overrides": [],
        },
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
            "wideLayout": True,
        },
    }


def lines(
    title: str, says: str, *queries: Query, unit: str, thresholds: tuple[Threshold, ...] = ()
) -> Panel:
    """Values over time."""
    return _series(title, says, queries, unit, {"drawStyle": "line", "lineWidth": 2}, thresholds)


def stacked(title: str, says: str, *queries: Query, unit: str, bars: bool = False) -> Panel:
    """Parts of a whole over time."""
    drawn = (
        {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0}
        if bars
        else {"drawStyle": "line", "fillOpacity": 45, "lineWidth": 1}
    )
    return _series(title, says, queries, unit, {**drawn, "stacking": {"mode": "normal"}}, ())


def _series(
    title: str,
    says: str,
    queries: tuple[Query, ...],
    unit: str,
    custom: dict[str, Any],
    thresholds: tuple[Threshold, ...],
) -> Panel:
    style = {"thresholdsStyle": {"mode": "line"}} if thresholds else {}
    return {
        **_base("timeseries", title, says, queries),
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "min": 0,
                "noValue": "nothing yet",
                "custom": {**custom, **style, "showPoints": "never", "spanNulls": False},
                "thresholds": _steps(thresholds or (Threshold("text"),)),
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def table(title: str, says: str, *queries: Query, unit: str, column: str) -> Panel:
    """What stands now, by label, highest first."""
    return {
        **_base("table", title, says, queries, instant=True),
        "fieldConfig": {
            "defaults": {"unit": unit, "noValue": "none"},
            "overrides": [
                {
                    "matcher": {"id": "byName", "options": "Value"},
                    "properties": [{"id": "displayName", "value": column}],
                }
            ],
        },
        "transformations": [
            {"id": "labelsToFields", "options": {"mode": "columns"}},
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}}},
        ],
        "options": {"sortBy": [{"displayName": column, "desc": True}], "showHeader": True},
    }


def row(title: str) -> Panel:
    """A heading across the page."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}


def placed(*bands: tuple[int, tuple[Panel, ...]]) -> list[Panel]:
    """Bands of panels from top to bottom; each band is its height and its panels, equally wide."""
    found: list[Panel] = []
    top = 0
    for height, panels in bands:
        width = WIDTH // len(panels)
        for index, panel in enumerate(panels):
            position = {"h": height, "w": width, "x": index * width, "y": top}
            found.append({"id": len(found) + 1, **panel, "gridPos": position})
        top += height
    return found


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """A choice at the top of the page; All by default."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
