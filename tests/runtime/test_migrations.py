"""Migrations on a real PostgreSQL. Every other test gets tables that were made once, and copied."""

from __future__ import annotations

import asyncio
import re
import shutil
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import psycopg
import pytest

from services.runtime.postgres import create_pool, migrate
from tests.conftest import FreshDatabase
from tests.servers import SCHEMAS, Databases

pytestmark = pytest.mark.integration

_COLUMNS = """
select table_schema, table_name, column_name, data_type, is_nullable, column_default
from information_schema.columns where table_schema = any(%s) order by 1, 2, 3
"""
_INDEXES = "select schemaname, indexdef from pg_indexes where schemaname = any(%s) order by 1, 2"


def shape(url: str) -> list[list[tuple[object, ...]]]:
    """Every column, default and index of our schemas."""
    with psycopg.connect(url) as connection:
        return [
            connection.execute(asked, [list(SCHEMAS)]).fetchall() for asked in (_COLUMNS, _INDEXES)
        ]


async def brought_up(url: str, schema: str, package: str) -> list[int]:
    """The versions recorded after `migrate`, which is called by two processes at once."""
    async with create_pool(url, name="test", max_size=2) as pool:
        await asyncio.gather(*(migrate(pool, schema, package) for _ in range(2)))
        async with pool.connection() as connection:
            rows = await connection.execute(f"select version from {schema}.migrations".encode())
            return sorted(row[0] for row in await rows.fetchall())


def numbers(package: str) -> list[int]:
    names = [file.name for file in resources.files(package).iterdir()]
    return sorted(int(name[:4]) for name in names if re.fullmatch(r"\d{4}_\w+\.sql", name))


@pytest.fixture
def empty(databases: Databases) -> Iterator[str]:
    """A database without any of our schemas."""
    name = f"nothing_yet_{uuid.uuid4().hex[:12]}"
    yield databases.create_database(name)
    databases.drop_database(name)


async def test_an_empty_database_becomes_what_the_copies_are(
    empty: str, postgres: FreshDatabase
) -> None:
    for schema, package in SCHEMAS.items():
        assert await brought_up(empty, schema, package) == numbers(package)
    assert shape(empty) == shape(postgres())


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_database_of_any_earlier_version_is_brought_up_to_the_same(
    schema: str,
    empty: str,
    postgres: FreshDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One version after the other, as releases came."""
    package = SCHEMAS[schema]
    older = tmp_path / f"older_{schema}"
    older.mkdir()
    (older / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    files = sorted(resources.files(package).iterdir(), key=lambda file: file.name)
    for file in files:
        if re.fullmatch(r"\d{4}_\w+\.sql", file.name):
            shutil.copy(str(file), older)
            assert (await brought_up(empty, schema, older.name))[-1] == int(file.name[:4])
    copy = [[row for row in rows if row[0] == schema] for rows in shape(postgres())]
    assert shape(empty) == copy
