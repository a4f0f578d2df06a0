"""The data directory of a local stack: held by one process at a time."""

import fcntl
import os
from pathlib import Path
from typing import IO

from deploy.local.errors import DataDirInUseError, StackError


class DataDir:
    """A directory and the lock that says it is ours. The kernel frees the lock however we end."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Raises DataDirInUseError at once when another process holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise StackError(
                f"{self.path} cannot be written ({error.strerror}): pick another --data-dir"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise DataDirInUseError(
                f"{self.path} is in use by a running Presence (process {holder}): "
                "stop that one, or pick another --data-dir"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def secret(self, name: str, fresh: str) -> str:
        """The text kept under `name`, readable by us alone; `fresh` becomes it the first time."""
        file = self.path / name
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.touch(mode=0o600)
            draft.write_text(fresh)
            draft.replace(file)
        return file.read_text()
