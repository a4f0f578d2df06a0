"""Runs the local chat under uvicorn, so that a stop does not wait for the pages that listen."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette

from deploy.local.ports import LOOPBACK


class ChatServer(uvicorn.Server):
    """A uvicorn server that ends the pages' event streams before it waits for its connections."""

    def __init__(self, app: Starlette, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app, host=LOOPBACK, port=port, log_level="warning", timeout_graceful_shutdown=2
            )
        )
        self._stopping = app.state.stopping

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Stop."""
        self._stopping.set()
        await super().shutdown(sockets)  # type: ignore[arg-type]
