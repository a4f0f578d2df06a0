"""One service in the foreground: what the containers run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
def ingest() -> None:
    """Take notifications from the platforms onto Kafka."""
    from services.ingest.app import main

    raise SystemExit(main())


@click.command()
@click.option("--text", help="Judge this text and say why, instead of running the service.")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Judge each line: a text, a row {text, …}, or a notification as JSON; - is standard input.",
)
@click.option("--model", metavar="DIRECTORY", help="A model directory; none: the built-in.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each text.")
def classify(text: str | None, file: Path | None, model: str | None, as_json: bool) -> None:
    """Label each notification: conversation, spam or news."""
    if text is not None or file is not None:
        from services.cli.explaining import explain_texts

        explain_texts(text, file, model, as_json=as_json)
        return
    from services.classify.app import main

    raise SystemExit(main())


@click.command()
def alert() -> None:
    """Put conversations before the person on call."""
    from services.alert.app import main

    raise SystemExit(main())
