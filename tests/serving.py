"""A local application on a real port of this machine, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette

from deploy.local.ports import LOOPBACK, is_listening, random_free_port
from deploy.local.serving import StreamServer


@contextmanager
def serve(app: Starlette, port: int | None = None) -> Iterator[str]:
    """The address at which it answers; stopped at the end."""
    port = port or random_free_port()
    server = StreamServer(app, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + 20
    while not (server.started and is_listening(port)):
        if not thread.is_alive() or time.monotonic() > give_up:
            raise RuntimeError("the application did not start")
        time.sleep(0.02)
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
