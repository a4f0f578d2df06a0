"""Quiet starts: what would have paged, and the press that switches paging on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from services.alert.domain.boards import places, would_have_paged
from services.alert.domain.boards.board import Board, BoardKind, Wanted
from services.alert.domain.boards.would_have_paged import WouldPage
from services.alert.domain.cards import PLATFORMS
from services.alert.domain.routing import Facts, route_for
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.boards import keeping
from services.alert.store.sql import Connection, all_of, run
from services.alert.store.writing import Writing
from services.contracts.configuration import Account, Configuration
from services.contracts.events import Label, Urgency
from services.runtime.postgres import Pool


class QuietStarts:
    """See services.alert.domain.boards.would_have_paged."""

    kind = BoardKind.would_have_paged

    def __init__(self, pool: Pool, configuration: Callable[[], Configuration]) -> None:
        self._pool = pool
        self._configuration = configuration

    async def wanted(self, connection: Connection, writing: Writing) -> list[Wanted]:
        """See Keeper."""
        configuration = self._configuration()
        seen = {
            (row["platform"], row["account_id"]): row
            for row in await all_of(connection, "accounts_quiet")
        }
        boards = {board.key.period: board for board in await keeping.live(connection, self.kind)}
        found: list[Wanted] = []
        for account in configuration.accounts:
            row = seen.get((account.platform, account.id))
            if row is None or account.quiet_start <= timedelta(0):
                continue
            if row["first_seen_at"] + account.quiet_start > writing.now:
                continue
            was = boards.get(f"{account.platform}:{account.id}")
            home = self._home(configuration, account, writing)
            if was is not None:
                place = (was.key.destination, places.shared(configuration, was.key.destination))
                home = places.Home(home.brand, *place, home.zone, home.people)
                if writing.now - was.changed_at < would_have_paged.REFRESHED:
                    continue
            found += would_have_paged.would_have_paged(
                home,
                (account.platform, account.id),
                _shown_as(account),
                row["first_seen_at"],
                await self._pages(connection, account),
                configuration.classify.needs_answer,
                was,
                writing.now,
            )
        quiet = {":".join(key) for key in seen}
        names = {
            f"{row['platform']}:{row['account_id']}": row["paging_on_by"]
            for row in await all_of(connection, "accounts_switched_on", ids=[*boards])
        }
        for period, board in boards.items():
            if period not in quiet:
                person = configuration.person(names.get(period) or "")
                found.append(
                    would_have_paged.switched_on(board, person.name if person else "somebody")
                )
        return found

    @staticmethod
    def _home(configuration: Configuration, account: Account, writing: Writing) -> places.Home:
        facts = Facts(
            brand=account.brand,
            platform=account.platform,
            account_id=account.id,
            author_id="",
            label=Label.conversation,
            sensitive=frozenset(),
            language="und",
            urgency=Urgency.normal,
            private=False,
        )
        route = route_for(configuration, facts, writing.now)
        return places.home_of(configuration, route, account.brand, writing.now)

    @staticmethod
    async def _pages(connection: Connection, account: Account) -> list[WouldPage]:
        rows = await all_of(
            connection, "would_have_paged", platform=account.platform, account=account.id
        )
        return [
            WouldPage(tuple(row["pages"]), row["needs_answer"], row["mattered"]) for row in rows
        ]

    async def press(self, board: Board, act: str, target: str, by: Actor) -> Pressed:
        """Switch the account's paging on."""
        if act != would_have_paged.SWITCH_ON:
            return Pressed(ActResult.unknown)
        if not places.may_press(self._configuration(), by.person_id, board.key.brand):
            return Pressed(ActResult.refused)
        platform, _, account = board.key.period.partition(":")
        async with self._pool.connection() as connection, connection.transaction():
            (clock,) = await all_of(connection, "now")
            done = await run(
                connection,
                "account_switch_on",
                platform=platform,
                account=account,
                by=by.person_id,
            )
            writing = Writing(clock["now"])
            if done:
                about = {"platform": platform, "account": account}
                writing.audit(by.person_id, by.through, "paging_on", after=about)
            await writing.flush(connection)
        return Pressed(ActResult.done if done else ActResult.already)


def _shown_as(account: Account) -> str:
    platform = PLATFORMS.get(account.platform, account.platform)
    return f"{platform} {'@' + account.handle if account.handle else account.id}"
