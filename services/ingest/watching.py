"""The batch handler of presence.episodes: which threads are worth another look."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Message
from pydantic import ValidationError

from services.contracts.configuration import Threads
from services.contracts.events import EpisodeEvent
from services.ingest.domain.threads import ENDING, OPENING
from services.ingest.store.thread_store import ThreadStore, Waiting
from services.runtime.logs import get_logger

log = get_logger(__name__)


class EpisodeHandler:
    """presence.episodes → ingest.watches.

    A record that cannot be read is logged and left: no message of anybody is lost by it, one thread is
    read no more often than its items come by themselves.
    """

    def __init__(self, store: ThreadStore, settings: Threads) -> None:
        self._store = store
        self._settings = settings

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Return when all of it is durable; raises to have the batch again."""
        for message in messages:
            try:
                event = EpisodeEvent.model_validate_json(message.value() or b"")
            except ValidationError as error:
                log.warning(
                    "an episode's event could not be read",
                    partition=message.partition(),
                    offset=message.offset(),
                    errors=error.error_count(),
                )
                continue
            await self.take(event)

    async def take(self, event: EpisodeEvent) -> None:
        """One event. A repeated one changes nothing."""
        if event.change in OPENING and event.items:
            waiting = Waiting(
                event.episode_id,
                event.platform,
                event.account_id,
                event.items,
                event.recorded_at,
            )
            await self._store.watch(waiting, self._settings.longest)
        elif event.change in ENDING:
            await self._store.unwatch(event.episode_id, event.recorded_at, self._settings.grace)
