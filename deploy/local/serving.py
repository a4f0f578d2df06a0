"""Serves a local application that streams: open streams end first, so that a stop waits for nobody."""

from __future__ import annotations

import socket

import uvicorn
from starlette.applications import Starlette

from deploy.local.ports import LOOPBACK


class StreamServer(uvicorn.Server):
    """A uvicorn server on this machine only. `app.state.stop()` ends the application's open streams."""

    def __init__(self, app: Starlette, port: int) -> None:
        config = uvicorn.Config(
            app, host=LOOPBACK, port=port, log_level="warning", timeout_graceful_shutdown=2
        )
        super().__init__(config)
        self._stop = app.state.stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking connections and end those that are open."""
        self._stop()
        await super().shutdown(sockets)
