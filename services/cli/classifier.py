"""`presence train` and `presence evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.classify.classifier import Classifier
from services.classify.engines.rules import RulesEngine
from services.classify.engines.sentence import MissingEncoder, SentenceEncoder, fingerprint
from services.classify.model import ENGINES, create_reader, engine_named
from services.classify.sign_lists import shipped_signs
from services.classify.training.corpus import Row, UnusableData, load
from services.classify.training.evaluate import Judged, judge_rows, report
from services.classify.training.fit import MissingExtra, Recipe
from services.classify.training.measures_need import of_responders
from services.classify.training.train import train as run_training
from services.classify.training.written import PER_TEMPLATE, flagged
from services.classify.training.written import ours as written_by_us
from services.contracts.configuration import Costs

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path, dir_okay=False)
)
_MODEL = click.option("--model", metavar="DIRECTORY", help="A model directory; none: the built-in.")
_ENGINE = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="cascade",
    show_default=True,
    help="Which one to measure.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


def _load(files: Sequence[Path]) -> list[Row]:
    try:
        return load(files)
    except UnusableData as error:
        raise click.ClickException(str(error)) from error


def _corrected() -> list[Row]:
    from confluent_kafka import KafkaException

    from services.classify.training.corrections import last_corrections, rows
    from services.runtime.settings import ServiceSettings, load

    settings = load(ServiceSettings)
    try:
        found = list(rows(last_corrections(settings).values()))
    except KafkaException as error:
        raise click.ClickException(
            f"the corrections can't be read at {settings.kafka} (PRESENCE_KAFKA): {error}"
        ) from error
    click.echo(f"{len(found)} corrections that may train", err=True)
    return found


@click.command()
@_FILES
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="model",
    show_default=True,
    help="Write the model here.",
)
@click.option("--name", default="own", show_default=True, help="The model's name.")
@click.option(
    "--seed", default=1, show_default=True, help="The same seed and rows make the same model."
)
@click.option("--at-most", default=800, show_default=True, help="Rows of one source and label.")
@click.option("--ours/--no-ours", default=True, help="Learn also from the text that we wrote.")
@click.option("--licence", "licences", multiple=True, metavar="SOURCE=TERMS", help="For the card.")
@click.option(
    "--corrections", is_flag=True, help="Learn from the team's corrections on Kafka, too."
)
@_JSON
def train(
    files: tuple[Path, ...],
    out: Path,
    name: str,
    seed: int,
    at_most: int,
    ours: bool,
    licences: tuple[str, ...],
    corrections: bool,
    as_json: bool,
) -> None:
    """Train from labelled JSONL FILES and write a model directory with its card.

    Rows hold text and label (conversation, spam, news), better also source and group. Each source is
    also judged by a model that never saw it; those figures stand in the card.
    """
    rows = _load(files)
    if ours:
        rows += written_by_us(PER_TEMPLATE, seed)
    if corrections:
        rows += _corrected()
    terms = {"corrections": "the team's own"}
    terms |= dict(one.split("=", 1) for one in licences if "=" in one)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        try:
            card = run_training(
                rows,
                create_reader(),
                SentenceEncoder.load(),
                to=out,
                name=name,
                encoder_sha256=fingerprint(),
                recipe=Recipe(seed=seed, at_most=at_most),
                licences=terms,
                on=datetime.now(UTC).date(),
                tell=lambda says: progress.update(task, description=says),
                flag_rows=flagged() if ours else (),
            )
        except (UnusableData, MissingExtra, MissingEncoder) as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(orjson.dumps(card))
        return
    click.echo(f"{out}: {name}, words of {', '.join(card['languages']) or 'no language'}")
    if unseen := card["unseen_sources"]:
        click.echo(
            f"on sources it had not seen: macro-F1 {unseen['macro_f1']:.3f} "
            f"(trivial rules {unseen['rules_macro_f1']:.3f})"
        )
    else:
        click.echo("too few sources to leave one out: nothing is known of sources it has not seen")


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path, dir_okay=False))
@_MODEL
@_ENGINE
@click.option("--needs-answer", default=0.5, show_default=True, help="The threshold.")
@click.option("--shadow", is_flag=True, help="The challenger beside the model that serves.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Write each row's verdict.")
@_JSON
def evaluate(
    files: tuple[Path, ...],
    model: str | None,
    engine: str,
    needs_answer: float,
    predictions: Path | None,
    shadow: bool,
    as_json: bool,
) -> None:
    """Measure the classifier on labelled JSONL FILES, beside the trivial rules.

    With --shadow instead of FILES: the challenger beside the serving model, by the team's corrections.

    Figures are of the likeliest label; "served" is what remains after the costs of presence.yaml.
    """
    if shadow:
        from services.cli.shadowing import evaluate_shadow

        evaluate_shadow(as_json=as_json)
        return
    if not files:
        raise click.UsageError("name labelled FILES, or --shadow")
    rows = _load(files)
    reader = create_reader()
    judged = _judge(
        rows, Classifier(reader, engine_named(engine, model), Costs(), signs=shipped_signs())
    )
    rules = _judge(rows, Classifier(reader, RulesEngine(), Costs(), text_only=True))
    found = report(judged, rules, needs_answer) | of_responders(judged, needs_answer)
    if predictions is not None:
        lines = (orjson.dumps(one.as_json()) for one in judged)
        predictions.write_bytes(b"\n".join(lines) + b"\n")
    if as_json:
        click.echo(orjson.dumps(found))
        return
    _show(found)
    _show_need(found)


def _judge(rows: Sequence[Row], classifier: Classifier) -> list[Judged]:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        return list(
            progress.track(judge_rows(rows, classifier), total=len(rows), description="judging")
        )


def _show(found: Mapping[str, Any]) -> None:
    console = Console()
    console.print(
        f"{found['rows']} rows   macro-F1 {found['macro_f1']:.3f}   accuracy {found['accuracy']:.3f}"
        f"   ECE {found['ece']:.3f}   (trivial rules: macro-F1 {found['rules']['macro_f1']:.3f})"
    )
    table = Table(title="per class")
    for column in ("label", "rows", "precision", "recall", "F1", "served recall"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for label, one in found["per_class"].items():
        served = found["served"]["per_class"].get(label, {"recall": 0.0})
        table.add_row(
            label,
            str(one["rows"]),
            *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1")),
            f"{served['recall']:.3f}",
        )
    console.print(table)
    for title, by in (("per source", found["by_source"]), ("per language", found["by_language"])):
        table = Table(title=title)
        for column in (title.split()[1], "rows", "accuracy", "trivial rules", "recall by label"):
            table.add_column(column, justify="right" if column != title.split()[1] else "left")
        for key, one in by.items():
            recalls = ", ".join(
                f"{label} {figures['recall']:.2f}"
                for label, figures in one["per_class"].items()
                if figures["rows"]
            )
            rules = f"{one['rules_accuracy']:.3f}"
            table.add_row(key, str(one["rows"]), f"{one['accuracy']:.3f}", rules, recalls)
        console.print(table)


def _show_need(found: Mapping[str, Any]) -> None:
    console = Console()
    if found["need"]:
        table = Table(title="who waits")
        for column in ("language", "rows", "ROC-AUC", "precision", "recall", "F1"):
            table.add_column(column, justify="left" if column == "language" else "right")
        for language, one in found["need"].items():
            figures = (f"{one[key]:.3f}" for key in ("auc", "precision", "recall", "f1"))
            table.add_row(language, str(one["rows"]), *figures)
        console.print(table)
    if any(of["all"]["asked"] for of in found["flags"].values()):
        table = Table(title="sensitive flags")
        for column in ("flag", "rows", "found", "raised elsewhere"):
            table.add_column(column, justify="left" if column == "flag" else "right")
        for flag, of in found["flags"].items():
            figures = (str(of["all"][key]) for key in ("asked", "found", "raised"))
            table.add_row(flag, *figures)
        console.print(table)
