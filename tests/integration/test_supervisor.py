"""The supervisor: children restarted when they die, and none left when it stops."""

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from deploy.local.errors import StackError
from deploy.local.processes import OwnProcess, end_leftover
from deploy.local.supervisor import Restarts, Service, Supervisor

QUICK = Restarts(first=0.05, longest=0.2)


def program(name: str, code: str) -> Service:
    return Service(name, (sys.executable, "-u", "-c", code), dict(os.environ))


def until(what: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


SLEEPER = "import time; print('here', flush=True); time.sleep(600)"


def test_a_child_that_is_killed_is_started_again_and_told_of(tmp_path: Path) -> None:
    shown = io.StringIO()
    console = Console(file=shown)
    with Supervisor(
        [program("ingest", SLEEPER)], tmp_path, console=console, restarts=QUICK
    ) as running:
        assert until(lambda: "here" in shown.getvalue())
        first = running.pid("ingest")
        os.kill(first, signal.SIGKILL)
        assert until(lambda: shown.getvalue().count("here") == 2)
        second = running.pid("ingest")
        assert second != first
        assert running.deaths("ingest") == 1
        assert "killed by SIGKILL, starting again" in shown.getvalue().replace("(", "").replace(
            ")", ""
        )
    assert gone(first)
    assert gone(second)


def test_each_line_carries_the_name_of_its_service(tmp_path: Path) -> None:
    shown = io.StringIO()
    services = [program("ingest", SLEEPER), program("alert", SLEEPER)]
    with Supervisor(services, tmp_path, console=Console(file=shown)):
        assert until(lambda: shown.getvalue().count("here") == 2)
    assert sorted(shown.getvalue().splitlines()) == ["alert  │ here", "ingest │ here"]


def test_a_child_that_ignores_sigterm_is_killed_in_the_end(tmp_path: Path) -> None:
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
    shown = io.StringIO()
    running = Supervisor(
        [program("alert", stubborn)], tmp_path, console=Console(file=shown), stop_within=0.3
    ).start()
    assert until(lambda: "here" in shown.getvalue())
    pid = running.pid("alert")
    running.stop()
    assert gone(pid)


def test_a_wrong_setting_is_not_tried_again(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    wrong = program("alert", "import sys; sys.exit(2)")
    with (
        Supervisor([wrong], tmp_path, console=console, restarts=QUICK) as running,
        pytest.raises(StackError, match="alert has a wrong setting"),
    ):
        running.wait(15)
    assert running.deaths("alert") == 1


def test_deaths_in_a_row_are_answered_slower_and_slower_up_to_a_limit() -> None:
    restarts = Restarts(first=0.5, longest=15)
    assert [restarts.delay(deaths) for deaths in range(1, 8)] == [0.5, 1, 2, 4, 8, 15, 15]


def test_a_leftover_of_ours_is_ended_and_a_stranger_with_its_pid_is_not(tmp_path: Path) -> None:
    process = OwnProcess("leftover", tmp_path / "process.json")
    process.start([sys.executable, "-c", SLEEPER], log=tmp_path / "log")
    entry = json.loads((tmp_path / "process.json").read_text())
    try:
        assert until(lambda: psutil.Process(process.pid).cmdline()[1:] == ["-c", SLEEPER])
        for stranger in (
            entry | {"started": entry["started"] - 60},
            entry | {"command": ["/bin/other"]},
        ):
            (tmp_path / "stranger.json").write_text(json.dumps(stranger))
            assert not end_leftover(tmp_path / "stranger.json")
            assert process.running
        assert end_leftover(tmp_path / "process.json", within=5)
        assert not process.running
    finally:
        process.stop(within=1)
