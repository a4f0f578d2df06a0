"""The Kafka and the PostgreSQL of a test run. Workers share the PostgreSQL; each has a Kafka of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from structlog.testing import capture_logs

from deploy.local.errors import StackError, ToolMissingError
from deploy.local.kafka import LocalKafka
from deploy.local.postgres import LocalPostgres
from services.runtime.postgres import create_pool, migrate

MIGRATED = "migrated"
"""The database that fresh ones are copied from."""
SCHEMAS = {
    "alert": "services.alert.store.migrations",
    "ingest": "services.ingest.store",
}


@dataclass(frozen=True, slots=True)
class Databases:
    """Makes databases on a server that somebody else started. `url` is that of any database there."""

    url: str

    def url_of(self, database: str) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{database}"))

    def create_database(self, name: str, *, migrated: bool = False) -> str:
        """A fresh database; its URL. `migrated`: with the tables of every service, and no row.

        A copy of files (60 ms; the migrations themselves take 280).
        """
        template = sql.Identifier(MIGRATED if migrated else "template0")
        statement = sql.SQL("create database {} template {} strategy file_copy")
        self._run(statement.format(sql.Identifier(name), template))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Also while somebody is still connected to it."""
        statement = sql.SQL("drop database if exists {} with (force)")
        self._run(statement.format(sql.Identifier(name)))

    def create_migrated(self) -> None:
        """What `migrated` copies: once for a run, by the real migrations."""
        with capture_logs():  # a controller of workers has nobody who captures its output
            asyncio.run(self._migrate(self.create_database(MIGRATED)))

    async def _migrate(self, url: str) -> None:
        async with create_pool(url, name="template", max_size=1) as pool:
            for schema, package in SCHEMAS.items():
                await migrate(pool, schema, package)

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(statement)


class Servers:
    """Started by whom they are for: a plain run's tests, one by one, or the controller of workers."""

    def __init__(self, folder: Path) -> None:
        self._kafka = LocalKafka(folder / "kafka", port=None)
        self._postgres = LocalPostgres(folder / "postgres", port=None, durable=False)

    def start_kafka(self) -> str:
        """Its bootstrap servers. Raises ToolMissingError where there is no Java."""
        return self._kafka.start().bootstrap

    def start_postgres(self) -> str:
        """The URL of a database there. Raises ToolMissingError where there is no PostgreSQL."""
        url = self._postgres.start().url
        Databases(url).create_migrated()
        return url

    def stop(self) -> None:
        self._kafka.stop()
        self._postgres.stop()


class Shared:
    """Where the workers of a run read what its controller started; both are given the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers = Servers(folder)
        self._starting = ThreadPoolExecutor(2)

    def start(self) -> None:
        """In the background: the workers collect meanwhile."""
        self._starting.submit(self._tell, "postgres", self._servers.start_postgres)

    def stop(self) -> None:
        self._starting.shutdown()
        self._servers.stop()

    def _tell(self, name: str, start: Callable[[], str]) -> None:
        try:
            told = {"at": start()}
        except ToolMissingError as missing:
            told = {"missing": str(missing)}
        except (StackError, psycopg.Error, OSError) as error:
            told = {"failed": str(error)}
        draft = self.folder / f"{name}.new"
        draft.write_text(json.dumps(told))
        draft.rename(self.folder / f"{name}.json")


def shared(folder: Path, name: str, *, within: float = 90.0) -> str:
    """Where the controller's `kafka` or `postgres` is. Raises what starting it raised."""
    file, until = folder / f"{name}.json", time.monotonic() + within
    while not file.exists():
        if time.monotonic() > until:
            raise StackError(f"the run's {name} did not start within {within:.0f} s")
        time.sleep(0.05)
    told: dict[str, str] = json.loads(file.read_text())
    if "missing" in told:
        raise ToolMissingError(told["missing"])
    if "failed" in told:
        raise StackError(told["failed"])
    return told["at"]
