"""The replay's progress bar, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from deploy.local.demo.replay import Progress as Told


@contextmanager
def bar(console: Console | None = None) -> Iterator[Told]:
    """A bar with what the story shows just now; give the result to `replay.run`."""
    columns = (
        TextColumn("{task.completed:>3}/{task.total}"),
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as shown:
        task = shown.add_task("the story begins", total=None)

        def tell(done: int, total: int, shows: str) -> None:
            shown.update(task, completed=done, total=total, description=shows)

        yield tell
