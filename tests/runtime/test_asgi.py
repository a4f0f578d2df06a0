"""Raw routes: bounded bodies, one parameter, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from services.runtime.asgi import (
    BodyTooLarge,
    Receive,
    Router,
    Scope,
    Send,
    answer,
    answer_json,
    read_body,
)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        body = await read_body(scope, receive, limit=10)
    except BodyTooLarge:
        await answer(send, 413)
        return
    await answer_json(send, 200, {"rest": scope["presence.rest"], "size": len(body)})


@pytest.fixture
def client() -> httpx.AsyncClient:
    router = Router()
    router.route("/webhooks/", echo)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=router),
        base_url="http://test",
    )


async def test_what_follows_the_prefix_is_the_parameter(client: httpx.AsyncClient) -> None:
    found = await client.post("/webhooks/x", content=b"12345")
    assert found.json() == {"rest": "x", "size": 5}


async def test_a_body_over_the_limit_is_refused_by_its_declared_length(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/webhooks/x", content=b"1" * 11)).status_code == 413


async def test_a_body_over_the_limit_is_refused_while_it_streams(
    client: httpx.AsyncClient,
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(6):
            yield b"12"

    assert (await client.post("/webhooks/x", content=stream())).status_code == 413


async def test_an_unknown_path_is_a_404_in_json(client: httpx.AsyncClient) -> None:
    found = await client.get("/nowhere")
    assert found.status_code == 404
    assert "error" in found.json()
