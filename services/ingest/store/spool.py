"""A queue on disk: bounded, fsynced, in order, whole again after kill -9.

A folder of segments, each a run of frames `length, CRC-32, bytes`. What was appended is on disk before
`append` returns; several appends share one fsync. Segments are read oldest first and removed whole once
they are delivered; a reader that dies in between delivers the segment again, which the readers of the bus
drop by event id. A torn frame at the end of a segment was never acknowledged to anybody.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from services.contracts.base import StrEnum
from services.runtime.errors import Transient, WrongConfiguration
from services.runtime.logs import get_logger

log = get_logger(__name__)

SEGMENT = 4 * 1_048_576
"""Bytes after which a new segment begins: what is held in memory while it is delivered."""
CHUNK = 50
"""Frames that are delivered together."""
_FRAME = struct.Struct(">II")

Deliver = Callable[[Sequence[bytes]], Awaitable[None]]
"""Returns when all of them are durable elsewhere; waits as long as that takes."""


class SpoolReason(StrEnum):
    """Why nothing more is taken."""

    full = "full"
    unwritable = "unwritable"


def frames(segment: bytes) -> Iterator[bytes]:
    """The whole frames from the beginning on; ends at the first that is torn or damaged."""
    at = 0
    while at + _FRAME.size <= len(segment):
        length, checksum = _FRAME.unpack_from(segment, at)
        frame = segment[at + _FRAME.size : at + _FRAME.size + length]
        if len(frame) != length or zlib.crc32(frame) != checksum:
            return
        yield frame
        at += _FRAME.size + length


class Spool:
    """See the module. One process a folder: a lock says so."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock_file = -1
        self._file = -1
        self._active: Path | None = None
        self._active_size = 0
        self._number = 0
        self._segments: list[Path] = []
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._files = asyncio.Lock()
        self._filled = asyncio.Event()
        self.size = 0
        """Bytes on disk and about to be."""

    def open(self) -> None:
        """Find what an earlier process left. Raises WrongConfiguration where the folder cannot be used."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise WrongConfiguration(
                f"ingest.spool.path: {self._folder} cannot be written: {error.strerror}"
            ) from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WrongConfiguration(
                f"ingest.spool.path: another process uses {self._folder}; give each its own"
            ) from error
        self._segments = sorted(self._folder.glob("*.spool"))
        self.size = sum(one.stat().st_size for one in self._segments)
        if self._segments:
            self._number = int(self._segments[-1].stem)
            self._filled.set()
            log.info("the spool holds payloads of an earlier process", bytes=self.size)

    @property
    def empty(self) -> bool:
        """Nothing is waiting for its turn."""
        return self.size == 0

    async def append(self, frame: bytes) -> None:
        """On disk when it returns. Raises Transient where there is no room, or the disk fails."""
        size = _FRAME.size + len(frame)
        if self.size + size > self._max_bytes:
            raise Transient(SpoolReason.full, f"the spool holds {self.size} bytes", retry_after=30)
        self.size += size
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((frame, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="spool")
        await asyncio.shield(done)

    async def _write_all(self) -> None:
        try:
            while self._pending:
                group, self._pending = self._pending, []
                async with self._files:
                    error = await asyncio.to_thread(self._write, [frame for frame, _ in group])
                if error is None:
                    self._filled.set()
                else:
                    self.size -= sum(_FRAME.size + len(frame) for frame, _ in group)
                for _, done in group:
                    if done.cancelled():
                        continue
                    if error is None:
                        done.set_result(None)
                    else:
                        done.set_exception(Transient(SpoolReason.unwritable, str(error.strerror)))
        finally:
            self._writing = None

    def _write(self, group: Sequence[bytes]) -> OSError | None:
        data = b"".join(_FRAME.pack(len(one), zlib.crc32(one)) + one for one in group)
        try:
            if self._active is None or self._active_size >= SEGMENT:
                self._begin_segment()
            try:
                written = 0
                while written < len(data):
                    written += os.write(self._file, data[written:])
                os.fsync(self._file)
            except OSError:
                # Half a group must not stand before the next one.
                os.ftruncate(self._file, self._active_size)
                raise
        except OSError as error:
            log.error("the spool could not be written", says=error.strerror)
            return error
        self._active_size += len(data)
        return None

    def _begin_segment(self) -> None:
        self._end_segment()
        self._number += 1
        path = self._folder / f"{self._number:012d}.spool"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._sync_folder()
        self._active, self._active_size = path, 0
        self._segments.append(path)

    def _end_segment(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._active = -1, None

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    async def drain(self, deliver: Deliver) -> None:
        """Hand on everything in order, for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._segments:
                await self._drain_oldest(deliver)

    async def _drain_oldest(self, deliver: Deliver) -> None:
        oldest = self._segments[0]
        async with self._files:
            if oldest == self._active:
                self._end_segment()
        data = await asyncio.to_thread(oldest.read_bytes)
        found, read = list(frames(data)), 0
        for begin in range(0, len(found), CHUNK):
            chunk = found[begin : begin + CHUNK]
            await deliver(chunk)
            read += sum(_FRAME.size + len(frame) for frame in chunk)
        async with self._files:
            if read < len(data):
                # Nobody was told that this was taken, unless the disk itself lost it.
                log.error("the end of a spool segment was not whole", left_out=len(data) - read)
            await asyncio.to_thread(self._remove, oldest)
            del self._segments[0]
            self.size -= len(data)

    def _remove(self, segment: Path) -> None:
        segment.unlink()
        self._sync_folder()

    async def close(self) -> None:
        """Finish what is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        self._end_segment()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1
