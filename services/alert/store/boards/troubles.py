"""Troubles: what presence.notices said, kept once, told to the engineers and taken back."""

from __future__ import annotations

from collections.abc import Callable

from psycopg.rows import DictRow

from services.alert.domain.boards import troubles
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.troubles import Trouble
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.sql import Connection, all_of, one_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Configuration, Role
from services.contracts.events import Notice, NoticeKind
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool

log = get_logger(__name__)


def trouble_of(row: DictRow) -> Trouble:
    """A stored trouble."""
    return Trouble(
        id=str(row["id"]),
        kind=NoticeKind(row["kind"]),
        service=row["service"],
        source=row["source"],
        account=row["account"],
        says=row["says"],
        since=row["since"],
        last_at=row["last_at"],
        times=row["times"],
        until=row["until"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
    )


class Troubles:
    """Notes notices. A notice that is read twice changes nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def note(self, notice: Notice) -> None:
        """Begin, repeat or end troubles."""
        about = {
            "service": notice.service,
            "source": notice.source,
            "account": notice.account_id or "",
        }
        async with self._pool.connection() as connection, connection.transaction():
            over = troubles.ends(notice.kind)
            if over:
                await run(
                    connection,
                    "troubles_end",
                    **about,
                    kinds=[kind.value for kind in over],
                    at=notice.at,
                    by=notice.kind.value,
                )
            if troubles.is_trouble(notice.kind):
                await self._begin(connection, notice, about)

    async def _begin(self, connection: Connection, notice: Notice, about: dict[str, str]) -> None:
        values = {"says": notice.says, "at": notice.at, "until": notice.until}
        kind = notice.kind.value
        was = await one_of(connection, "trouble_last", kind=kind, **about)
        if was is None:
            await run(connection, "trouble_add", kind=kind, **about, **values)
        elif was["last_at"] >= notice.at:
            return  # told already
        elif was["ended_at"] is None or troubles.same_again(was["ended_at"], notice):
            await run(connection, "trouble_again", id=was["id"], **values)
        else:
            await run(connection, "trouble_add", kind=kind, **about, **values)


class Notices:
    """See services.alert.domain.boards.troubles."""

    kind = BoardKind.notice

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper. A silent source speaks again with its next item, with or without a notice."""
        configuration = self._configuration()
        await run(connection, "troubles_heard_again")
        rows = await all_of(connection, "troubles_shown", seconds=troubles.KEPT_FOR.total_seconds())
        live = await keeping.live(connection, self.kind)
        if not rows and not live:
            return []
        post = troubles.post_of(configuration, await _down(connection))
        if post is None:
            return []
        return troubles.notices([trouble_of(row) for row in rows], live, post, configuration)

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """A person has seen to it: what no notice takes back ends so."""
        configuration = self._configuration()
        person = configuration.person(by.person_id)
        if act != troubles.SEEN_TO:
            return Pressed(ActResult.unknown)
        if person is None or not person.roles & {Role.engineer, Role.admin, Role.lead}:
            return Pressed(ActResult.refused)
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            done = await run(
                connection, "trouble_seen_to", id=int(board.key.period), by=person.name
            )
            writing = Writing(clock["now"])
            if done:
                says = {"board": board.id, "headline": board.content.headline}
                writing.audit(by.person_id, by.through, "notice_seen_to", after=says)
            await writing.flush(connection)
        return Pressed(ActResult.done if done else ActResult.already)


async def _down(connection: Connection) -> frozenset[str]:
    """Destinations that take nothing at the moment."""
    rows = await all_of(connection, "destinations_stuck", seconds=120)
    rows += await all_of(connection, "destinations_down")
    return frozenset(row["destination"] for row in rows)
