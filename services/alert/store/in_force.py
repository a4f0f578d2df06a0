"""The configuration that holds now: the active version of the file, run-time changes in its rotas."""

from __future__ import annotations

from services.alert.domain.rota_changes import ChangeKind, RotaChange, in_effect
from services.alert.domain.wall_clock import Span
from services.alert.store.sql import Connection, all_of
from services.contracts.configuration import Configuration
from services.runtime.configuration import parse
from services.runtime.errors import WrongConfiguration
from services.runtime.logs import get_logger

log = get_logger(__name__)


class InForce:
    """Asked by whoever decides; refreshed by looking at two numbers in the database.

    The version and the changes are read in one statement each, and used together from then on: nobody
    sees half of a new file.
    """

    def __init__(self, file: Configuration) -> None:
        """`file`: what holds until the database was asked for the first time."""
        self.file = file
        """As the team wrote it, without the run-time changes."""
        self.version: int | None = None
        self._revision: int | None = None
        self._changes: tuple[RotaChange, ...] = ()
        self._holds = file

    def __call__(self) -> Configuration:
        """The configuration in force."""
        return self._holds

    async def refresh(self, connection: Connection) -> bool:
        """Read anew what changed since; whether anything did."""
        (seen,) = await all_of(connection, "in_force_revisions")
        if (seen["version"], seen["revision"]) == (self.version, self._revision):
            return False
        if seen["version"] != self.version:
            await self._read_file(connection)
        self._changes = tuple(await changes_of(connection))
        self._revision = seen["revision"]
        self._holds = in_effect(self.file, self._changes)
        return True

    async def _read_file(self, connection: Connection) -> None:
        rows = await all_of(connection, "configuration_active")
        for row in rows:
            try:
                self.file = parse(row["document"], f"version {row['version']}")
            except WrongConfiguration as error:
                # A replica of another release accepted it: what this one understands goes on.
                log.error("the active configuration is not understood here", error=str(error))
            else:
                log.info("configuration in force", version=row["version"])
            self.version = row["version"]


async def changes_of(connection: Connection) -> list[RotaChange]:
    """The run-time changes that stand, in the order in which they were set."""
    return [
        RotaChange(
            id=str(row["id"]),
            kind=ChangeKind(row["kind"]),
            rota=row["rota"],
            person=row["person"],
            begin=row["begin_at"],
            end=row["end_at"],
            instead_of=row["instead_of"],
            back=Span(row["back_begin_at"], row["back_end_at"]) if row["back_begin_at"] else None,
            note=row["note"],
            set_by=row["set_by"],
            through=row["through"],
            set_at=row["set_at"],
        )
        for row in await all_of(connection, "rota_changes")
    ]
