"""Ends that people name afterwards: a private answer that counts, and a closing that is taken back."""

from __future__ import annotations

from dataclasses import replace

from services.alert.acting import Done, PrivateAnswer
from services.alert.domain.card import CardState
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import Acting, messages, show
from services.alert.store.acts import PEOPLE_CLOSE_WITH, PostgresEpisodes
from services.alert.store.answer_rows import end_as_answered
from services.alert.store.refold import Held
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.writing import Writing
from services.contracts.events import CloseReason, EpisodeChange, Label


class Endings(Acting):
    """How a matter ended though no item of ours says so, and that it has not ended after all."""

    async def private_answers(self, episode_id: str, by: Actor) -> list[PrivateAnswer]:
        """See acting.Doing."""

        async def find(
            connection: Connection, held: Held, record: Record, _writing: Writing
        ) -> list[PrivateAnswer]:
            return await self._private_answers(connection, held, record)

        found = await self._act(episode_id, by, find, reads=True)
        return [] if isinstance(found, ActResult) else found

    async def _private_answers(
        self, connection: Connection, held: Held, record: Record
    ) -> list[PrivateAnswer]:
        rows = await all_of(
            connection,
            "private_answers",
            platform=held.platform,
            account=held.account_id,
            person=held.counterpart,
            since=record.folded.opened_at,
        )
        return [
            PrivateAnswer(row["item_id"], row["source_time"], row["edit_text"] or row["text"])
            for row in rows
        ]

    async def answered_in_private(self, episode_id: str, by: Actor, item_id: str) -> Done:
        """See acting.Doing."""

        async def link(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            if not record.live:
                return Done(ActResult.already)
            if all(item.private for item in messages(held, record)):
                return Done(
                    ActResult.impossible, "They wrote in private: the answer counts by itself."
                )
            found = await self._private_answers(connection, held, record)
            chosen = next((one for one in found if one.item_id == item_id), None)
            if chosen is None:
                says = "There is no such private message to this person since they asked."
                return Done(ActResult.impossible, says)
            await end_as_answered(connection, held, writing.now, by.person_id, item_id, chosen.at)
            await self._refold(connection, held, writing)
            after = writing.records.get(record.id, record)
            self._audit(writing, by, "answered_in_private", record, after)
            return Done(ActResult.done)

        return await self._do(episode_id, by, link)

    async def reopen(self, episode_id: str, by: Actor) -> Done:
        """See acting.Doing. It pages at once: its clock never stopped."""
        relabelled: list[str] = []

        async def reopen(
            connection: Connection, held: Held, record: Record, writing: Writing
        ) -> Done:
            ending = record.folded.ending
            if record.live or ending is None or record.state is CardState.merged:
                return Done(ActResult.already)
            if ending.reason is CloseReason.relabelled:
                relabelled.extend(record.folded.openers)
                return Done(ActResult.done)
            linked = ending.reason is CloseReason.answered
            if not linked and ending.reason not in PEOPLE_CLOSE_WITH:
                return Done(ActResult.impossible, "Only what a person closed can be reopened.")
            undone = await run(
                connection,
                "closes_undo",
                conversation=held.id,
                reason=ending.reason.value,
                by=ending.by,
                ended_at=ending.at,
                at=writing.now,
            )
            if not undone:
                return Done(ActResult.impossible, "It was answered: that cannot be taken back.")
            if ending.reason is CloseReason.do_not_feed:
                await self._feed_again(connection, held, writing, ending.by)
            await self._refold(connection, held, writing)
            opened = writing.records.get(record.id, record)
            # Its next end is measured: the one that was taken back was none.
            opened = replace(opened, measured=False)
            writing.records[record.id] = opened
            show(writing, opened)
            writing.announce_change(opened, EpisodeChange.reopened, writing.now, by.person_id)
            self._audit(writing, by, "reopen", record, opened)
            return Done(ActResult.done)

        done = await self._do(episode_id, by, reopen)
        if not relabelled:
            return done
        episodes = PostgresEpisodes(self._pool, self._configuration, self._metrics, self._changed)
        results = {await episodes.relabel_item(item, by, Label.conversation) for item in relabelled}
        return Done(ActResult.done if ActResult.done in results else ActResult.already)

    async def _feed_again(
        self, connection: Connection, held: Held, writing: Writing, by: str | None
    ) -> None:
        """The thread's mute ends: what others asked in it meanwhile opens too."""
        ended = await all_of(
            connection,
            "mutes_end",
            thread=held.thread,
            counterpart=held.counterpart,
            by=by,
            at=writing.now,
        )
        if any(mute["counterpart"] is None for mute in ended):
            await self._refold_thread(connection, held, writing)
