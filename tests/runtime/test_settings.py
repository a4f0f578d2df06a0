"""Settings come from the environment or a file, and a wrong one is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.main import main
from services.runtime.errors import WrongConfiguration
from services.runtime.settings import ServiceSettings, load, optional_secret, secret


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        WrongConfiguration, match=r"^PRESENCE_KAFKA is not set: Bootstrap servers: host:port"
    ):
        load(ServiceSettings)


def test_a_setting_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kafka").write_text("broker:9092\n")
    monkeypatch.setenv("PRESENCE_KAFKA_FILE", str(tmp_path / "kafka"))
    assert load(ServiceSettings).kafka == "broker:9092"


def test_the_environment_comes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kafka").write_text("file:9092")
    monkeypatch.setenv("PRESENCE_KAFKA_FILE", str(tmp_path / "kafka"))
    monkeypatch.setenv("PRESENCE_KAFKA", "environment:9092")
    assert load(ServiceSettings).kafka == "environment:9092"


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_KAFKA_FILE", "/nowhere/kafka")
    with pytest.raises(WrongConfiguration, match="PRESENCE_KAFKA_FILE: cannot read /nowhere"):
        load(ServiceSettings)


def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_KAFKA", "x:1")
    monkeypatch.setenv("PRESENCE_LOG_FORMAT", "xml")
    with pytest.raises(WrongConfiguration, match=r"^PRESENCE_LOG_FORMAT: .*console"):
        load(ServiceSettings)


def test_a_wrong_setting_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["topics", "status"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("presence: PRESENCE_KAFKA is not set: Bootstrap")


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_LINK_SECRET", "hush")
    assert "hush" not in repr(secret("PRESENCE_LINK_SECRET"))
    assert secret("PRESENCE_LINK_SECRET").get_secret_value() == "hush"
    assert optional_secret("PRESENCE_NOT_THERE") is None
    with pytest.raises(WrongConfiguration, match="PRESENCE_NOT_THERE is not set"):
        secret("PRESENCE_NOT_THERE")
