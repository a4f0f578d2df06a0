"""`presence classify --text` and `--file`: verdicts with all that led to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import orjson
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.classify.classifier import Classifier
from services.classify.explain import Explanation, explain
from services.classify.http import read_item
from services.classify.model import create_reader, engine_named
from services.classify.sign_lists import shipped_signs
from services.contracts.configuration import Costs
from services.contracts.events import Notification


def explain_texts(text: str | None, file: Path | None, model: str | None, *, as_json: bool) -> None:
    """One explanation each, with the costs that are the default."""
    classifier = Classifier(
        create_reader(), engine_named("cascade", model), Costs(), signs=shipped_signs()
    )
    console = Console()
    for item in _items(text, file):
        found = explain(classifier, item)
        if as_json:
            click.echo(orjson.dumps(found.model_dump(mode="json", exclude_none=True)))
        else:
            show(console, item, found)


def _items(text: str | None, file: Path | None) -> Iterator[Notification]:
    if text is not None:
        yield read_item(orjson.dumps({"text": text}))
    if file is None:
        return
    lines = sys.stdin.buffer if str(file) == "-" else file.read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _item(line.strip(), number)


def _item(line: bytes, number: int) -> Notification:
    if not line.startswith(b"{"):
        return read_item(orjson.dumps({"text": line.decode("utf-8", "replace")}))
    try:
        value = orjson.loads(line)
        if "event_id" in value:
            return read_item(line)
        # A labelled row has more than a question may have.
        kept = ("text", "kinds", "addressed", "private", "title", "author", "language_hint")
        return read_item(orjson.dumps({key: value[key] for key in kept if key in value}))
    except (orjson.JSONDecodeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise click.ClickException(f"line {number}: {first}") from error


def show(console: Console, item: Notification, found: Explanation) -> None:
    """For a person at a terminal."""
    verdict, text, by = found.verdict, found.text, found.thresholds
    held = ", held" if verdict.held else ""
    console.print(f"[bold]{verdict.label}[/bold]{held}   {escape(item.text[:100])}")
    console.print(f"why: {escape(found.why)}", highlight=False)
    flags = ", ".join(sorted(verdict.sensitive)) or "none"
    console.print(
        f"needs an answer {verdict.needs_answer:.2f} (an episode from {by.needs_answer_from:.2f}), "
        f"urgency {verdict.urgency}, language {verdict.language}, sensitive: {flags}"
    )
    table = Table("label", "all layers", "text alone")
    for label, score in verdict.scores.items():
        table.add_row(label, f"{score:.2f}", f"{text.scores[label]:.2f}")
    console.print(table)
    layers = Table("layer", "says", "weight")
    for layer, reasons in found.layers.items():
        for reason in reasons:
            layers.add_row(layer, escape(reason.says), f"{reason.weight:+.2f}")
    console.print(layers)
    if text.features:
        words = ", ".join(f"“{one.words}” {one.weight:+.2f}" for one in text.features)
        console.print(f"strongest words: {escape(words)}", highlight=False)
    console.print(
        f"decided by {found.decided_by}; kept as a conversation from {by.kept_from:.2f} "
        f"(a lost person costs {by.costs.lost_person:g}, a card too many {by.costs.extra_card:g})"
    )
    console.print(f"{text.engine} {text.model}, similarity {verdict.similarity or 'none'}\n")
