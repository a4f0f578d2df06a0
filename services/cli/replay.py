"""`presence replay`: recorded payloads through the real intake, with real signatures."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import httpx
import orjson
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.contracts.base import StrEnum
from services.contracts.events import Notification
from services.ingest.rebase import newest_time, shifted, shifted_notification
from services.ingest.replay_mark import HEADER, key_of, mark
from services.ingest.sources.registry import build_sources
from services.ingest.sources.replay import TYPE
from services.ingest.sources.source import Source
from services.runtime import configuration as presence_yaml
from services.runtime.backoff import Backoff, retry
from services.runtime.clock import Clock, SystemClock
from services.runtime.errors import Transient, WrongConfiguration
from services.runtime.settings import load, optional_secret, secret

AT_ONCE = 8
TRY_FOR = 60.0
_COUNTED = ("accepted", "duplicates", "dead_letters", "ignored")


class SendReason(StrEnum):
    """Why a request has to be sent again."""

    unreachable = "unreachable"
    unavailable = "unavailable"


class ReplaySettings(BaseSettings):
    """What replaying needs beside the secrets that presence.yaml names."""

    model_config = SettingsConfigDict(env_prefix="PRESENCE_", extra="ignore", frozen=True)

    config: Path = Path("presence.yaml")
    ingest_port: int = Field(8001, ge=1, le=65_535)


@dataclass(frozen=True, slots=True)
class Line:
    """One payload of a file."""

    place: str
    source: str
    body: Any
    """A native payload, or a Notification where the source is `replay`; bytes are sent as they are."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the recorded request: some systems say only there what happened. Signatures are made anew."""


def read_lines(paths: Sequence[str], source: str | None) -> Iterator[Line]:
    """Every line of the files; `-` is standard input. Raises UsageError with the line of a mistake."""
    for path in paths:
        with click.open_file(path, "rb") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _line(f"{path}:{number}", text, source)


def _line(place: str, text: bytes, source: str | None) -> Line:
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"{place}: no JSON ({error.msg})") from None
    if not isinstance(read, dict):
        raise click.UsageError(f"{place}: not an object")
    if "event_id" in read and "item_id" in read:
        try:
            return Line(place, "replay", Notification.model_validate(read))
        except ValueError as error:
            raise click.UsageError(f"{place}: no notification: {error}") from None
    name = read.get("source", source)
    if not isinstance(name, str) or not {"body", "raw"} & set(read):
        raise click.UsageError(
            f'{place}: a line is {{"source": "x", "body": {{…}}}} or a notification (or give --source)'
        )
    raw, headers = read.get("raw"), read.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(one, str) for one in headers.values()):
        raise click.UsageError(f"{place}: headers are an object of texts")
    body = raw.encode() if isinstance(raw, str) else read.get("body")
    return Line(place, name, body, {one.lower(): value for one, value in headers.items()})


def rebased(lines: Sequence[Line], now: datetime) -> list[Line]:
    """All lines moved by the same time, so that the newest is now; items under fresh ids."""
    times = [
        one.body.source_time if isinstance(one.body, Notification) else newest_time(one.body)
        for one in lines
    ]
    newest = max((at for at in times if at), default=now)
    by, run = now - newest, f"{int(now.timestamp()) % 10**8:08}"
    return [replace(one, body=_rebased_body(one, by, run)) for one in lines]


def _rebased_body(line: Line, by: timedelta, run: str) -> Any:
    if isinstance(line.body, Notification):
        return shifted_notification(line.body, by, run)
    return line.body if isinstance(line.body, bytes) else shifted(line.source, line.body, by, run)


def body_bytes(line: Line) -> bytes:
    """What is posted."""
    if isinstance(line.body, bytes):
        return line.body
    if isinstance(line.body, Notification):
        return orjson.dumps({"type": TYPE, "data": line.body.model_dump(mode="json")})
    return orjson.dumps(line.body)


class Sender:
    """Posts lines to the intake; each until it has an answer that is not "come again"."""

    def __init__(
        self, sources: Mapping[str, Source], key: bytes, url: str, clock: Clock, *, page: bool
    ) -> None:
        self._sources = sources
        self._key = key
        self._url = url.rstrip("/")
        self._clock = clock
        self._page = page
        self.statuses: Counter[int] = Counter()
        self.counted: Counter[str] = Counter()
        self.wrong: list[str] = []

    async def send(self, http: httpx.AsyncClient, line: Line) -> None:
        """Post one line and count its answer."""
        try:
            answer = await retry(
                lambda: self._attempt(http, line),
                backoff=Backoff(initial=0.2, cap=5.0),
                deadline=TRY_FOR,
                clock=self._clock,
            )
        except Transient as error:
            self.wrong.append(f"{line.place}: {error}")
            return
        self.statuses[answer.status_code] += 1
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        for name in _COUNTED:
            self.counted[name] += told.get(name, 0)
        if not answer.is_success:
            says = told.get("error") or "; ".join(told.get("says", ()))
            self.wrong.append(f"{line.place}: {answer.status_code} {says}".rstrip())

    async def _attempt(self, http: httpx.AsyncClient, line: Line) -> httpx.Response:
        body, now = body_bytes(line), self._clock.now()
        # Signed at each attempt: a signature of the first would be too old after a long wait.
        headers = {**line.headers, **self._sources[line.source].sign(body, now)}
        if "content-type" in line.headers:
            headers["content-type"] = line.headers["content-type"]
        headers[HEADER] = mark(self._key, body, now, may_page=self._page)
        try:
            answer = await http.post(
                f"{self._url}/webhooks/{line.source}", content=body, headers=headers
            )
        except httpx.TransportError as error:
            raise Transient(
                SendReason.unreachable, f"{self._url}: {type(error).__name__}"
            ) from error
        if answer.status_code in (429, 503):
            asked = answer.headers.get("retry-after", "")
            wait = float(asked) if asked.isdigit() else None
            raise Transient(SendReason.unavailable, str(answer.status_code), retry_after=wait)
        return answer


async def send_all(
    sender: Sender, lines: Sequence[Line], rate: float | None, bar: Progress
) -> None:
    """Send in order, at most AT_ONCE on their way; `rate` a second."""
    task = bar.add_task("replay", total=len(lines))
    clock = SystemClock()
    begun = clock.monotonic()
    on_their_way = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=15.0) as http, asyncio.TaskGroup() as group:

        async def one(line: Line) -> None:
            try:
                await sender.send(http, line)
            finally:
                on_their_way.release()
                bar.advance(task)

        for number, line in enumerate(lines):
            if rate:
                await clock.sleep(max(0.0, begun + number / rate - clock.monotonic()))
            await on_their_way.acquire()
            group.create_task(one(line))


def open_sender(url: str | None, *, page: bool) -> tuple[Sender, dict[str, Source]]:
    """A sender to ingest, and the sources it knows. Raises WrongConfiguration."""
    settings = load(ReplaySettings)
    link_secret = optional_secret("PRESENCE_LINK_SECRET")
    if link_secret is None:
        raise WrongConfiguration(
            "PRESENCE_LINK_SECRET is not set: ingest takes replays signed with it"
        )
    file = presence_yaml.load(settings.config).configuration
    sources = build_sources(file, secret, link_secret)
    address = url or f"http://127.0.0.1:{settings.ingest_port}"
    key = key_of(link_secret.get_secret_value().encode())
    return Sender(sources, key, address, SystemClock(), page=page), sources


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Payloads a second.")
@click.option("--source", help="For lines that name none; others are left out where they differ.")
@click.option("--page", is_flag=True, help="What is replayed may page people.")
@click.option(
    "--shift-to-now", is_flag=True, help="Move all times to now and give items fresh ids."
)
@click.option("--url", help="Where ingest is; default: this machine, PRESENCE_INGEST_PORT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def replay(
    files: tuple[str, ...], rate: float | None, source: str | None, page: bool, shift_to_now: bool,
    url: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Send recorded payloads through the real intake, signed with the configured secrets.

    FILES hold one JSON object a line: {"source": "x", "body": {…the platform's payload…}}, or a
    notification as it is on presence.notifications. Everything counts as a replay and pages nobody
    without --page. Exits 1 where a line was not taken.
    """
    sender, sources = open_sender(url, page=page)
    lines = [one for one in read_lines(files, source) if source in (None, one.source)]
    for one in lines:
        if one.source not in sources:
            known = ", ".join(sorted(sources))
            raise click.UsageError(f"{one.place}: no source {one.source!r} (there is: {known})")
    clock = SystemClock()
    if shift_to_now:
        lines = rebased(lines, clock.now())
    begun = clock.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        asyncio.run(send_all(sender, lines, rate, bar))
    _report(sender, len(lines), clock.monotonic() - begun, as_json)


def _report(sender: Sender, sent: int, seconds: float, as_json: bool) -> None:
    counted = {name: sender.counted[name] for name in _COUNTED}
    if as_json:
        statuses = {str(status): count for status, count in sorted(sender.statuses.items())}
        summary = {
            "sent": sent, **counted, "not_taken": len(sender.wrong), "statuses": statuses,
            "seconds": round(seconds, 2),
        }  # fmt: skip
        click.echo(orjson.dumps(summary))
    else:
        shown = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counted.items())
        click.echo(f"{sent} sent in {seconds:.1f} s: {shown}")
    for line in sender.wrong[:20]:
        click.echo(line, err=True)
    if sender.wrong:
        raise SystemExit(1)
