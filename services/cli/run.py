"""One service in the foreground: what the containers run. (`presence classify` is with the classifier.)"""

from __future__ import annotations

import click


@click.command()
def ingest() -> None:
    """Take notifications from the platforms onto Kafka."""
    from services.ingest.app import main

    raise SystemExit(main())


@click.command()
def alert() -> None:
    """Put conversations before the person on call."""
    from services.alert.app import main

    raise SystemExit(main())
