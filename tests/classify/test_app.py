"""The service put together, without Kafka."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.classify.app import ClassifyService, ClassifySettings, create_service
from services.runtime import configuration
from services.runtime.errors import WrongConfiguration
from services.runtime.settings import load

EXAMPLE = Path(__file__).parents[2] / "presence.example.yaml"


@pytest.fixture
def service() -> ClassifyService:
    settings = load(ClassifySettings, kafka="127.0.0.1:1", config=EXAMPLE)
    return ClassifyService(settings, configuration.load(EXAMPLE).configuration)


async def get(service: ClassifyService, path: str) -> tuple[int, bytes]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    await service.app(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_it_is_live_at_once_and_says_what_it_waits_for(service: ClassifyService) -> None:
    assert (await get(service, "/health/live"))[0] == 200
    status, body = await get(service, "/health/ready")
    assert status == 503
    assert set(orjson.loads(body)["problems"]) == {"kafka", "corrections", "consumer"}


async def test_metrics_are_there_before_the_first_verdict(service: ClassifyService) -> None:
    status, body = await get(service, "/metrics")
    assert status == 200
    assert b'presence_verdicts_total{engine="cascade",label="spam",language="de"} 0.0' in body
    assert b"presence_dead_letters_total" in body


def test_a_bad_model_in_the_configuration_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configuration.load(EXAMPLE).configuration
    broken = file.model_copy(
        update={"classify": file.classify.model_copy(update={"model": str(tmp_path)})}
    )
    settings = load(ClassifySettings, kafka="127.0.0.1:1")
    with pytest.raises(WrongConfiguration, match=r"classify\.model: .* no model directory"):
        ClassifyService(settings, broken)
    monkeypatch.setenv("PRESENCE_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("PRESENCE_CONFIG", str(tmp_path / "missing.yaml"))
    with pytest.raises(WrongConfiguration, match="cannot read"):
        create_service()
