"""Practices and their debriefs as people read them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.alert.domain.practice.debrief import in_words
from services.alert.practice.runs import Run

WORDS = 50
_WHY = {
    "finished": "everybody was dealt with",
    "time_over": "its time was over",
    "stopped": "somebody stopped it",
    None: "",
}


def facts_of(run: Run) -> dict[str, Any]:
    """One practice; times in UTC."""
    return {
        "number": run.number,
        "people": list(run.people),
        "destination": run.destination,
        "source": run.source,
        "speed": run.speed,
        "state": run.state,
        "messages": run.cues,
        "played": run.played,
        "began_at": run.began_at.isoformat(),
        "ends_at": run.ends_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "why": run.why,
        "debrief": run.debrief,
    }


def show_list(console: Console, runs: list[Run]) -> None:
    """A line each."""
    table = Table("", "who", "where", "what", "began", "state", "answered")
    for one in runs:
        told = one.debrief
        answered = f"{told['answered']} of {told['episodes']}" if told else ""
        state = one.state if not one.over else _WHY.get(one.why, one.why or "")
        if one.state == "running":
            state = f"{one.played} of {one.cues} played"
        table.add_row(
            str(one.number),
            ", ".join(one.people),
            one.destination,
            escape(one.source),
            f"{one.began_at.astimezone():%d %b %H:%M}",
            state,
            answered,
        )
    console.print(table if runs else "No practice yet: presence practice start --demo")


def show_debrief(console: Console, run: Run) -> None:
    """The figures, then what became of everybody who wrote."""
    told = run.debrief or {}
    console.print(
        f"[bold]Practice {run.number}[/bold] with {', '.join(run.people)}: "
        f"{escape(run.source)}. It ended because {_WHY.get(run.why, run.why)}.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"{told.get('answered', 0)} of {told.get('episodes', 0)} answered, median "
        f"{in_words(told.get('median_seconds'))}; {told.get('in_time', 0)} dealt with in time, "
        f"{told.get('missed', 0)} missed, {told.get('waiting', 0)} still had time.",
        highlight=False,
        soft_wrap=True,
    )
    for one in told.get("handled", ()):
        _show_one(console, one)


def _show_one(console: Console, one: dict[str, Any]) -> None:
    mark = "[green]✓[/green]" if one["in_time"] else "[red]✗ missed[/red]" if one["missed"] else "…"
    words = _short(one["words"]) if one["words"] else "(private or sensitive)"
    _line(console, f"\n{mark} [bold]{escape(one['who'])}[/bold]: {escape(words)}")
    claimed = f", claimed after {in_words(one['claimed_after'])}" if one["claimed_after"] else ""
    by = f" by {one['by']}" if one["by"] and one["how"] != "open" else ""
    how = one["how"].replace("_", " ")
    if one["relabelled"]:
        how = f"moved to {one['relabelled']}"
    after = f" after {in_words(one['ended_after'])}" if one["ended_after"] is not None else ""
    _line(console, f"   {how}{escape(by)}{after}{claimed}")
    if one["said"]:
        _line(console, f"   would have been posted: “{escape(_short(one['said']))}”")
    if one["classifier"]:
        _line(console, f"   the classifier: {one['classifier']}")
    senior = one["senior"]
    if senior:
        who = senior["by"] or "the team"
        then = f" after {in_words(senior['after'])}" if senior["after"] is not None else ""
        quoted = f": “{escape(_short(senior['said']))}”" if senior["said"] else ""
        _line(
            console,
            f"   for real: {senior['how'].replace('_', ' ')} by {escape(who)}{then}{quoted}",
        )


def _line(console: Console, text: str) -> None:
    """As long as it is: the terminal breaks it."""
    console.print(text, highlight=False, soft_wrap=True)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WORDS else f"{line[: WORDS - 1]}…"
