"""The dashboard "Response time": what a social team's lead looks at, and below it the pipeline.

`make artefacts` writes deploy/grafana/dashboards/response-time.json from it.
"""

from __future__ import annotations

from typing import Any

from deploy.grafana.panels import (
    Panel,
    Query,
    Threshold,
    lines,
    placed,
    row,
    stacked,
    stat,
    table,
    variable,
)

_P = 'platform=~"$platform"'
_FIRST = f'presence_first_response_seconds_bucket{{{_P},hours="$hours"}}'
# Every replica reads the same figures from the database; history that is only listed waits for nobody.
_WAITING = f'{{{_P},state=~"open|claimed"}}'
_GOOD_TO_BAD = (Threshold("green"), Threshold("orange", 900), Threshold("red", 1800))
_SHARE = (Threshold("red"), Threshold("orange", 0.7), Threshold("green", 0.9))


def _quantile(share: float) -> str:
    return f"histogram_quantile({share}, sum by (le) (increase({_FIRST}[$__range])))"


def _quantile_over_time(share: float) -> str:
    return f"histogram_quantile({share}, sum by (platform, le) (rate({_FIRST}[$__rate_interval])))"


def _now() -> tuple[Panel, ...]:
    return (
        stat(
            "Waiting for an answer",
            "Conversations that wait for a person right now.",
            Query(f"sum(max by (platform, state) (presence_open_episodes{_WAITING})) or vector(0)"),
            unit="short",
        ),
        stat(
            "Longest wait",
            "How long the person who has waited longest has been waiting.",
            Query(f"max(presence_oldest_unanswered_seconds{_WAITING})"),
            unit="s",
            thresholds=_GOOD_TO_BAD,
            empty="nobody waits",
        ),
        stat(
            "Answered within target",
            "Of the conversations that were answered in the chosen time, the share whose first "
            "answer came within the team's target. Spam, news and what was closed without an "
            "answer are not in it: see “How conversations ended”.",
            Query(
                f'sum(increase(presence_sla_total{{{_P},result="met"}}[$__range])) '
                f"/ (sum(increase(presence_sla_total{{{_P}}}[$__range])) > 0)"
            ),
            unit="percentunit",
            thresholds=_SHARE,
        ),
        stat(
            "Half are answered within",
            "Median first response over the chosen time: half of the people waited less.",
            Query(_quantile(0.5)),
            unit="s",
            thresholds=_GOOD_TO_BAD,
        ),
        stat(
            "9 of 10 are answered within",
            "90th percentile of the first response over the chosen time.",
            Query(_quantile(0.9)),
            unit="s",
            thresholds=_GOOD_TO_BAD,
        ),
        stat(
            "Held back",
            "Messages addressed to us that look like spam or news. Nobody is paged for them; a "
            "person releases or confirms them.",
            Query(f"sum(max by (platform) (presence_held_back{{{_P}}})) or vector(0)"),
            unit="short",
            thresholds=(Threshold("text"), Threshold("orange", 10)),
        ),
    )


def _answers() -> tuple[Panel, ...]:
    return (
        lines(
            "First answer, by platform",
            "How long people waited for the first answer: p50 is the median, p99 the unlucky ones. "
            "The red line is half an hour.",
            Query(_quantile_over_time(0.5), "{{platform}} p50"),
            Query(_quantile_over_time(0.9), "{{platform}} p90"),
            Query(_quantile_over_time(0.99), "{{platform}} p99"),
            unit="s",
            thresholds=(Threshold("transparent"), Threshold("red", 1800)),
        ),
        stacked(
            "Where the time goes",
            "The five parts of an average first response: until the message reached us, was "
            "judged, somebody was paged, somebody took it, and the answer was out.",
            *(
                Query(
                    "sum(rate(presence_response_segment_seconds_sum"
                    f'{{segment="{segment}"}}[$__rate_interval])) '
                    "/ (sum(rate(presence_response_segment_seconds_count"
                    f'{{segment="{segment}"}}[$__rate_interval])) > 0)',
                    segment,
                )
                for segment in ("detect", "classify", "page", "claim", "reply")
            ),
            unit="s",
        ),
        lines(
            "Next answer, by platform",
            "The same wait for people who had been answered before and wrote again.",
            Query(
                "histogram_quantile(0.5, sum by (platform, le) (rate("
                f'presence_next_response_seconds_bucket{{{_P},hours="$hours"}}'
                "[$__rate_interval])))",
                "{{platform}} p50",
            ),
            unit="s",
        ),
    )


def _presence() -> tuple[Panel, ...]:
    return (
        lines(
            "Presence: conversations answered",
            "Share of the last 7 days' conversations that a person answered. What was closed without an "
            "answer is left out.",
            Query(f"presence_presence_score{{{_P}}}", "{{platform}} {{account}}"),
            unit="percentunit",
        ),
        lines(
            "Presence: to somebody",
            "Of what we wrote by hand in the last 7 days, the share that was to somebody and no broadcast.",
            Query(f"presence_conversation_share{{{_P}}}", "{{platform}} {{account}}"),
            unit="percentunit",
        ),
    )


def _load() -> tuple[Panel, ...]:
    return (
        lines(
            "Messages in, answers out",
            "Arrivals are what other people wrote to or about us; answered are conversations that "
            "got an answer. Arrivals far above answers are normal where much is news and chatter.",
            Query(
                'sum(increase(presence_notifications_total{direction="inbound",'
                'kind!~"reaction|follow"}[$__rate_interval]))',
                "arrivals",
            ),
            Query(
                'sum(increase(presence_episodes_closed_total{reason="answered"}[$__rate_interval]))',
                "answered",
            ),
            unit="short",
        ),
        stacked(
            "How conversations ended",
            "By reason. Only answered ones count in the response times; the others stand here.",
            Query(
                "sum by (reason) (increase(presence_episodes_closed_total[$__rate_interval]))",
                "{{reason}}",
            ),
            unit="short",
            bars=True,
        ),
        stacked(
            "Escalations",
            "Steps taken because nobody had answered yet, by step.",
            Query(
                "sum by (step) (increase(presence_escalations_total[$__rate_interval]))",
                "step {{step}}",
            ),
            unit="short",
            bars=True,
        ),
        lines(
            "On call",
            "1: somebody is on call and present. 0: nobody is, and pages go to the fallback.",
            Query("max by (rota) (presence_oncall_present)", "{{rota}}"),
            unit="short",
        ),
    )


def _pipeline() -> tuple[Panel, ...]:
    return (
        table(
            "Sources",
            "1: connected. 0: messages from there do not arrive.",
            Query('presence_source_up{account=~"$account"}'),
            unit="short",
            column="Connected",
        ),
        table(
            "Since the last event",
            "How long ago each source last brought anything.",
            Query(
                'time() - (presence_source_last_event_timestamp_seconds{account=~"$account"} > 0)'
            ),
            unit="s",
            column="Ago",
        ),
        lines(
            "Message received → card in chat",
            "Through all three services. Half a second is normal; a chat's rate limit is what "
            "makes it long.",
            Query(f"platform:presence_pipeline_seconds:p50_5m{{{_P}}}", "{{platform}} p50"),
            Query(f"platform:presence_pipeline_seconds:p99_5m{{{_P}}}", "{{platform}} p99"),
            unit="s",
        ),
    )


def _flow() -> tuple[Panel, ...]:
    return (
        stacked(
            "Notifications by source",
            "What ingest accepted, duplicates left out.",
            Query(
                "sum by (source) (rate(presence_notifications_total[$__rate_interval]))",
                "{{source}}",
            ),
            unit="reqps",
        ),
        stacked(
            "Verdicts",
            "What the classifier found.",
            Query("sum by (label) (rate(presence_verdicts_total[$__rate_interval]))", "{{label}}"),
            unit="reqps",
        ),
        stacked(
            "Dead letters",
            "Records put aside because they could not be handled. Anything here wants a look: "
            "`presence dlq list`.",
            Query(
                "sum by (topic, reason) (increase(presence_dead_letters_total[$__rate_interval]))",
                "{{topic}}: {{reason}}",
            ),
            unit="short",
            bars=True,
        ),
        lines(
            "Deliveries that failed",
            "Attempts to post that a chat refused or did not take yet, by destination and reason.",
            Query(
                "sum by (destination, reason) "
                '(rate(presence_deliveries_total{result=~"gave_up|retried"}[$__rate_interval]))',
                "{{destination}}: {{reason}}",
            ),
            unit="reqps",
        ),
    )


def _lines() -> tuple[Panel, ...]:
    return (
        stacked(
            "Records that wait",
            "What each topic's reader has still to read. It falls by itself after a burst.",
            Query("sum by (topic) (presence_consumer_lag_records)", "{{topic}}"),
            unit="short",
        ),
        lines(
            "Oldest unread record",
            "How long the oldest record has waited, by topic. Kafka keeps records for days, not for ever: "
            "`presence lag`.",
            Query("max by (topic) (presence_consumer_oldest_unread_seconds)", "{{topic}}"),
            unit="s",
        ),
        stacked(
            "Webhook requests",
            "What platforms were answered: 200 and 202 are taken, 401 is not authentic, 503 asks them to "
            "come again.",
            Query(
                "sum by (source, status) (rate(presence_intake_requests_total[$__rate_interval]))",
                "{{source}} {{status}}",
            ),
            unit="reqps",
        ),
        stacked(
            "Answers from Presence",
            "What became of the answers that people wrote here. Unknown: somebody has to look whether "
            "it arrived.",
            Query(
                "sum by (state) (increase(presence_replies_total[$__rate_interval]))", "{{state}}"
            ),
            unit="short",
            bars=True,
        ),
    )


def _hours() -> dict[str, Any]:
    return {
        "name": "hours",
        "label": "Clock",
        "type": "custom",
        "query": "around the clock : wall, business hours : business",
        "current": {"selected": True, "text": "around the clock", "value": "wall"},
        "options": [
            {"selected": True, "text": "around the clock", "value": "wall"},
            {"selected": False, "text": "business hours", "value": "business"},
        ],
        "multi": False,
        "includeAll": False,
    }


def dashboard() -> dict[str, Any]:
    """The whole dashboard as Grafana loads it."""
    return {
        "uid": "presence-response-time",
        "title": "Response time",
        "description": "How fast people are answered, and whether everything that should be is.",
        "tags": ["presence"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {
            "list": [
                variable("platform", "Platform", "label_values(presence_open_episodes, platform)"),
                variable("account", "Account", "label_values(presence_source_up, account)"),
                _hours(),
            ]
        },
        "annotations": {"list": []},
        "panels": placed(
            (1, (row("People"),)),
            (5, _now()),
            (9, _answers()),
            (8, _load()),
            (7, _presence()),
            (1, (row("Pipeline"),)),
            (7, _pipeline()),
            (7, _flow()),
            (7, _lines()),
        ),
    }
