"""One service as a process: start when its dependencies are there, serve, stop in good order.

The HTTP server comes first and goes last, so that `/health/live` and `/health/ready` answer while a
service waits for Kafka and while it finishes what it has in hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Coroutine, Iterator
from typing import Any, Protocol

import uvicorn

from services.runtime.asgi import App
from services.runtime.health import Health
from services.runtime.logs import get_logger

log = get_logger(__name__)

STOP_WITHIN = 9.0
"""Seconds from SIGTERM to the end of the process."""
COLLECT_AFTER = 20_000
"""New objects between two looks for unreachable cycles; Python's 700 are fewer than one batch makes."""


class Service(Protocol):
    """What `run` needs of a service."""

    @property
    def name(self) -> str:
        """For logs."""
        ...

    @property
    def host(self) -> str:
        """The address to bind."""
        ...

    @property
    def port(self) -> int:
        """Of the HTTP server."""
        ...

    @property
    def app(self) -> App:
        """What the HTTP server serves."""
        ...

    @property
    def health(self) -> Health:
        """Its checks."""
        ...

    @property
    def workers(self) -> Workers:
        """Its long-running tasks."""
        ...

    async def start(self) -> None:
        """Wait for dependencies, then begin. May take as long as it takes."""
        ...

    async def stop(self) -> None:
        """Finish what is in hand, commit, close."""
        ...


class Workers:
    """Long-running tasks. One that ends by itself ends the process: nothing dies in silence."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = asyncio.Event()
        self._stopping = False

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until `stop`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._stopping or task.cancelled():
            return
        error = task.exception()
        log.critical("a worker ended", worker=task.get_name(), exc_info=error)
        self.failed.set()

    async def stop(self, within: float = 4.0) -> None:
        """Cancel all and wait for them."""
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=within)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: one place decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(service: Service) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = _Server(
        uvicorn.Config(
            service.app,
            host=service.host,
            port=service.port,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=4,
        )
    )
    serving = asyncio.create_task(server.serve(), name="http")
    starting = asyncio.create_task(_start(service), name="start")
    waiting = {
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(service.workers.failed.wait(), name="failed"),
        serving,
    }
    code = 0
    await asyncio.wait({*waiting, starting}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and not stop.is_set():
        if error := starting.exception():
            log.critical("the service could not start", exc_info=error)
            code = 1
        else:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if service.workers.failed.is_set() or (serving.done() and not stop.is_set()):
        code = 1
    log.info("stopping", service=service.name)
    await _stop(service, server, serving, starting)
    for task in waiting:
        task.cancel()
    log.info("stopped", service=service.name)
    return code


async def _start(service: Service) -> None:
    service.health.starting = True
    await service.start()
    settle_memory()
    service.health.starting = False
    log.info("started", service=service.name, port=service.port)


def settle_memory() -> None:
    """What is there now stays: the garbage collector need not walk it again, nor come with every batch.

    A tenth of intake's CPU went into looking at modules, models and metrics that live as long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


async def _stop(
    service: Service,
    server: uvicorn.Server,
    serving: asyncio.Task[None],
    starting: asyncio.Task[None],
) -> None:
    service.health.stopping = True
    starting.cancel()
    try:
        async with asyncio.timeout(STOP_WITHIN):
            # Requests in hand first: their answers depend on the producer that stop() closes.
            server.should_exit = True
            await asyncio.wait({serving})
            await service.workers.stop()
            await service.stop()
    except TimeoutError:
        log.error("not everything was finished in time", seconds=STOP_WITHIN)
    if not serving.cancelled() and (error := serving.exception()):
        log.error("the HTTP server failed", exc_info=error)


def run(service: Service) -> int:
    """Run until SIGTERM, SIGINT or a failure; returns the exit code."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(service))
