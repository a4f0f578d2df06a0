"""Every command as somebody uses it who has it wrong: one line that says what to do, and the exit code."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from services.cli.main import COMMANDS, main, presence
from services.runtime.logs import KAFKA_LOGGER

EXAMPLE = Path(__file__).resolve().parents[2] / "presence.example.yaml"


def walk(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))


EVERY = dict(walk(presence, ()))


@pytest.fixture(autouse=True)
def loud_again() -> Iterator[None]:
    """A command silences libraries for its own process."""
    loggers = [
        logging.getLogger(name) for name in (KAFKA_LOGGER, "kafka", "psycopg", "psycopg.pool")
    ]
    before = [one.level for one in loggers]
    yield
    for one, level in zip(loggers, before, strict=True):
        one.setLevel(level)


def ended(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    command = EVERY[path]
    assert command.get_short_help_str(), f"presence {' '.join(path)} has no help"
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help and one.name != "version"] == []


def test_the_commands_of_the_design_are_there() -> None:
    promised = {
        *COMMANDS, "topics apply", "topics status", "dlq list", "dlq show", "dlq replay", "dlq resume",
        "oncall now", "oncall week", "oncall gaps", "oncall override", "oncall export", "oncall explain",
    }  # fmt: skip
    assert promised <= {" ".join(path) for path in EVERY}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("lag", "PRESENCE_KAFKA is not set: Bootstrap servers"),
        ("topics status", "PRESENCE_KAFKA is not set"),
        ("dlq list", "PRESENCE_KAFKA is not set"),
        ("ingest", "PRESENCE_KAFKA is not set"),
        ("alert", "PRESENCE_KAFKA is not set"),
        ("classify", "PRESENCE_KAFKA is not set"),
        ("nonsense", "No such command 'nonsense'"),
        ("ingest --port 1", "No such option"),
        ("dlq resume everything", "is not one of"),
        ("up --once", "--once goes with --demo"),
        ("replay /nowhere", "does not exist"),
        ("oncall now --at yesterday", "is no time like"),
        ("config check /nowhere.yaml", "cannot read /nowhere.yaml"),
        ("classify --file /nowhere", "does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: str, says: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_CONFIG", str(EXAMPLE))
    assert ended(arguments.split()) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("presence: ")
    assert err.count("\n") == 1
    assert says in err


def test_config_check_takes_the_file_where_every_command_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ended(["config", "check"]) == 2
    assert "cannot read presence.yaml" in capsys.readouterr().err
    (tmp_path / "presence.yaml").write_bytes(EXAMPLE.read_bytes())
    assert ended(["config", "check"]) == 0
    assert "presence.yaml: good" in capsys.readouterr().out
