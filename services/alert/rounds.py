"""Work that is done over and over: at once when somebody wakes it, and by itself every so often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from services.alert.store.sql import AWAY as DATABASE_AWAY
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)

AWAY = (*DATABASE_AWAY, Transient)
"""What passes by itself: the database or Kafka is away."""

ASK_AGAIN = 3.5
"""Seconds after which a cancelled task is cancelled again: longer than what a pipeline takes to finish."""


async def cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel all and wait for their ends, whatever those are.

    Up to Python 3.11 `asyncio.wait_for`, which the pool of connections uses, drops a cancellation that
    meets its result: who does not hear it is asked again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=ASK_AGAIN)
        for task in ended:
            if not task.cancelled():
                task.exception()  # taken note of: whoever cancels does not care


async def every(
    clock: Clock,
    seconds: float,
    work: Callable[[], Awaitable[bool]],
    wake: asyncio.Event | None = None,
) -> None:
    """Work until there is none left (`work` says whether there is); then wait for `wake` or the next look.

    What is away is waited for; any other error ends it.
    """
    backoff = Backoff(initial=0.5, cap=10.0)
    failures = 0
    while True:
        if wake is not None:
            wake.clear()
        try:
            more = await work()
            failures = 0
        except AWAY as error:
            failures += 1
            wait = backoff.delay(failures)
            log.warning("waiting for what is away", error=str(error), seconds=round(wait, 1))
            await clock.sleep(wait)
            continue
        if not more:
            await _rest(clock, seconds, wake)


async def _rest(clock: Clock, seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await clock.sleep(seconds)
        return
    looking = asyncio.ensure_future(clock.sleep(seconds))
    woken = asyncio.ensure_future(wake.wait())
    try:
        await asyncio.wait({looking, woken}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        looking.cancel()
        woken.cancel()
