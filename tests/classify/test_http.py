"""`POST /v1/classify`."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from services.classify.http import BODY_LIMIT, classify_app
from services.contracts.events import Verdict
from tests.classify.building import notification, stub_classifier


async def ask(body: bytes, method: str = "POST") -> tuple[int, bytes]:
    """Status and body of the answer."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    app = classify_app(stub_classifier())
    await app({"type": "http", "method": method, "headers": []}, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def test_a_text_is_judged_as_a_mention_of_the_brand() -> None:
    status, body = await ask(orjson.dumps({"text": "Where is my parcel?"}))
    assert status == 200
    verdict = Verdict.model_validate_json(body)
    assert verdict.needs_answer > 0.5
    assert verdict.reasons


async def test_a_whole_notification_is_judged_as_the_service_does() -> None:
    status, body = await ask(notification("Danke!").to_bytes())
    assert status == 200
    assert Verdict.model_validate_json(body).language == "de"


@pytest.mark.parametrize(
    ("body", "method", "status"),
    [
        (b"{", "POST", 400),
        (b"[]", "POST", 422),
        (b'{"txt": "x"}', "POST", 422),
        (b'{"event_id": "x"}', "POST", 422),
        (b"", "GET", 405),
        (b"x" * (BODY_LIMIT + 1), "POST", 413),
    ],
)
async def test_what_cannot_be_judged_is_refused_with_a_reason(
    body: bytes, method: str, status: int
) -> None:
    found, said = await ask(body, method)
    assert found == status
    assert orjson.loads(said)["error"]
