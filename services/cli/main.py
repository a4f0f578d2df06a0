"""`presence`: the one command. Groups are loaded when asked for, so that each starts fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from services.runtime import logs
from services.runtime.errors import PresenceError, WrongConfiguration

# Command → (module, attribute, what it does).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("services.cli.up", "up", "The whole system on this machine; --demo shows it at work."),
    "ingest": ("services.cli.run", "ingest", "Run the ingest service."),
    "classify": (
        "services.cli.run",
        "classify",
        "Run the classify service, or judge one --text.",
    ),
    "alert": ("services.cli.run", "alert", "Run the alert service."),
    "replay": ("services.cli.replay", "replay", "Send recorded payloads through the real intake."),
    "topics": ("services.cli.topics", "topics", "Create the Kafka topics, or compare them."),
    "lag": ("services.cli.topics", "lag", "How far each consumer is behind."),
    "dlq": ("services.cli.dlq", "dlq", "Look at dead letters, replay them, resume a stopped line."),
    "train": ("services.cli.classifier", "train", "Train the classifier from labelled JSONL."),
    "evaluate": ("services.cli.classifier", "evaluate", "Measure it on labelled JSONL."),
    "oncall": (
        "services.cli.oncall",
        "oncall",
        "The rota: who is on call, changes at run time, gaps, staffing.",
    ),
    "practice": (
        "services.cli.practice",
        "practice",
        "Train somebody on recorded messages; nothing of it is real.",
    ),
    "report": ("services.cli.report", "report", "Response times, in time or not, presence score."),
    "doctor": ("services.cli.doctor", "doctor", "What is wrong, in words, and how to mend it."),
    "config": ("services.cli.config", "config", "Check presence.yaml."),
}

EXTRAS = {
    "up": "local",
    "ingest": "ingest",
    "replay": "ingest",
    "classify": "classify",
    "alert": "alert",
    "oncall": "alert",
    "practice": "local",
    "report": "alert",
    "train": "train",
    "evaluate": "classify",
}


class Lazy(click.Group):
    """A group that imports a command when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a day's work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and error.name.split(".")[0] in ("services", "deploy"):
                raise
            extra = EXTRAS.get(name, "local")
            raise click.ClickException(
                f"`presence {name}` needs {error.name}: pip install 'presence[{extra}]'"
            ) from error
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Help without importing everything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, _, says) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="presence")
def presence() -> None:
    """Be present: every conversation before the person on call, within minutes."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: exit 0 ok, 1 failed, 2 used wrongly; an error is one line."""
    logs.quiet()
    try:
        code = presence.main(args=arguments, prog_name="presence", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "presence"
        click.echo(f"presence: {error.format_message()} (`{command} --help` says more)", err=True)
        code = 2
    except click.ClickException as error:
        click.echo(f"presence: {error.format_message()}", err=True)
        code = 1
    except WrongConfiguration as error:
        for line in str(error).splitlines():
            click.echo(f"presence: {line}", err=True)
        code = 2
    except PresenceError as error:
        click.echo(f"presence: {error.detail or error}", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
