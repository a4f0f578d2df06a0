"""One service in the foreground: what the containers run."""

from __future__ import annotations

import click


@click.command()
def ingest() -> None:
    """Take notifications from the platforms onto Kafka."""
    from services.ingest.app import main

    raise SystemExit(main())


@click.command()
@click.option("--text", help="Judge this text and say why, instead of running the service.")
def classify(text: str | None) -> None:
    """Label each notification: conversation, spam or news."""
    if text is not None:
        from services.cli.classifier import judge_text

        judge_text(text)
        return
    from services.classify.app import main

    raise SystemExit(main())


@click.command()
def alert() -> None:
    """Put conversations before the person on call."""
    from services.alert.app import main

    raise SystemExit(main())
