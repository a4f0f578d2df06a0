"""The Mastodon source against mastodon-mock (a server that we did not write), with Mastodon.py as the
people, on a real Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from mastodon import Mastodon

from deploy.local import ports
from services.contracts.configuration import Configuration
from services.contracts.events import Action, Direction, Kind, Notification, Origin
from tests.conftest import FreshDatabase
from tests.integration.ingest_service import Records, running, settings_for, unique, with_accounts

pytestmark = [
    pytest.mark.integration,
    # Mastodon.py's own use of what its libraries deprecate is not ours to fail on.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CONFIG = """
[database]
path = "{path}"
[streaming]
heartbeat_seconds = 0.5
[[seed.accounts]]
username = "before"
[[seed.accounts]]
username = "air"
access_token = "air_token"
[[seed.accounts]]
username = "bob"
access_token = "bob_token"
[[seed.accounts]]
username = "air_help"
access_token = "air_help_token"
"""


class Server:
    """mastodon-mock in a process of its own; started again it has the same data and address."""

    def __init__(self, folder: Path) -> None:
        self.port = ports.pick(None)
        self.url = f"http://127.0.0.1:{self.port}"
        self._serving = self.port
        self._config = folder / "mock.toml"
        self._config.write_text(CONFIG.format(path=folder / "mock.sqlite"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, elsewhere: bool = False) -> None:
        """Elsewhere: at an address that only the test knows, with the same data."""
        self._serving = ports.pick(None) if elsewhere else self.port
        command = [sys.executable, "-m", "mastodon_mock", "serve", "--config", str(self._config)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self._serving), "--log-level", "error"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                if httpx.get(f"{self._here}/api/v1/streaming/health", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert self._process.poll() is None, "mastodon-mock ended"
            asyncio.run(asyncio.sleep(0.1))
        pytest.fail("mastodon-mock did not start")

    @property
    def _here(self) -> str:
        return f"http://127.0.0.1:{self._serving}"

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def fault(self, path: str, **effect: Any) -> None:
        """From now on requests to this path fail."""
        rule = {"match": {"path": path}, "effect": effect}
        httpx.post(f"{self.url}/api/v1/_mock/faults", json=rule).raise_for_status()

    def mend(self) -> None:
        """No more faults."""
        httpx.delete(f"{self.url}/api/v1/_mock/faults").raise_for_status()

    def person(self, name: str) -> Any:
        """A client of one of its people."""
        return Mastodon(access_token=f"{name}_token", api_base_url=self._here)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MASTODON_TOKEN", "air_token")
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
async def air(server: Server) -> tuple[str, str]:
    """The brand's account: as presence.yaml names it (unique to the test), and natively."""
    native = str((await _in_thread(server.person("air").me))["id"])
    return f"{native}@{unique('run')}", native


async def _in_thread(call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """People's clients block; the service runs in this loop."""
    return await asyncio.to_thread(call, *given, **named)


def file_for(server: Server, account: str) -> Configuration:
    settings = {"url": server.url, "access_token": "MASTODON_TOKEN"}
    return with_accounts(
        {"platform": "mastodon", "id": account, "brand": "air", "settings": settings}
    )


async def connected(http: httpx.AsyncClient, account: str, up: float = 1.0) -> None:
    wanted = f'presence_source_up{{account="{account}",source="mastodon"}} {up}'
    for _ in range(200):
        if wanted in (await http.get("/metrics")).text:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"never {wanted}")


def texts(found: list[Notification]) -> list[str]:
    return [one.text for one in found if one.action is Action.created]


def said(*words: str) -> Callable[[list[Notification]], bool]:
    return lambda found: all(any(word in text for text in texts(found)) for word in words)


async def test_the_first_connection_takes_history_in_silence_and_then_listens(
    kafka: str, postgres: FreshDatabase, server: Server, air: tuple[str, str]
) -> None:
    account, _ = air
    bob, brand = server.person("bob"), server.person("air")
    # Servers tell of a deletion those who were named; this one only followers.
    await _in_thread(brand.account_follow, (await _in_thread(bob.me))["id"])
    await _in_thread(bob.status_post, "@air from before")
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, account)
    async with running(settings, file_for(server, account)) as http:
        await connected(http, account)
        asked = await _in_thread(bob.status_post, "@air is the bridge open?")
        await _in_thread(bob.status_post, "@air a secret", visibility="direct")
        await _in_thread(brand.status_reply, asked, "It is!")
        found = await reader.until(said("from before", "bridge", "secret", "It is"))
        await _in_thread(bob.status_delete, asked["id"])
        await reader.until(lambda found: any(one.action is Action.deleted for one in found))
    reader.close()
    by_text = {one.text.removeprefix("@air ").removeprefix("@bob "): one for one in found}
    before, question = by_text["from before"], by_text["is the bridge open?"]
    secret, answer = by_text["a secret"], by_text["It is!"]
    assert (before.origin, before.may_page) == (Origin.backfill, False)
    assert (question.origin, question.may_page) == (Origin.live, True)
    assert question.kinds == {Kind.mention}
    assert secret.private
    assert secret.kinds == {Kind.direct}
    assert answer.direction is Direction.outbound
    assert answer.in_reply_to == question.item_id
    assert answer.conversation == question.conversation, (
        "the answer is in the person's conversation"
    )
    assert answer.key == question.key
    (gone,) = (one for one in found if one.action is Action.deleted)
    assert gone.item_id == question.item_id


async def _keeps_it_out(server: Server, http: httpx.AsyncClient, account: str) -> None:
    """The server is there and does not stream: sometimes the listener is faster than the fault."""
    for _ in range(10):
        await _in_thread(server.kill)
        await connected(http, account, up=0.0)
        await _in_thread(server.start)
        await _in_thread(server.fault, "/api/v1/streaming/user", type="status", status=503)
        await asyncio.sleep(1.0)
        if f'{{account="{account}",source="mastodon"}} 1.0' not in _up(
            (await http.get("/metrics")).text
        ):
            return
    pytest.fail("the listener is always faster")


def _up(metrics: str) -> str:
    return "\n".join(line for line in metrics.splitlines() if line.startswith("presence_source_up"))


async def test_what_came_while_it_was_disconnected_comes_after_and_own_answers_first(
    kafka: str, postgres: FreshDatabase, server: Server, air: tuple[str, str]
) -> None:
    account, _ = air
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, account)
    async with running(settings, file_for(server, account)) as http:
        await connected(http, account)
        await _keeps_it_out(server, http, account)
        bob, brand = server.person("bob"), server.person("air")
        for number in range(45):  # more than a page
            asked = await _in_thread(bob.status_post, f"@air question {number}.")
        await _in_thread(brand.status_reply, asked, "answered meanwhile")
        assert texts(await reader.settled()) == [], "it is not connected"
        await _in_thread(server.kill)
        await _in_thread(server.start)
        bob = server.person("bob")
        await connected(http, account)
        found = await reader.until(
            said("answered meanwhile", *(f"question {n}." for n in range(45)))
        )
        await _in_thread(bob.status_post, "@air live again")
        await reader.until(said("live again"))
    reader.close()
    missed = [one for one in found if "question" in one.text]
    assert len(missed) == 45
    assert {one.origin for one in missed} == {Origin.backfill}
    assert all(one.may_page for one in missed), "a gap is no history"
    ours = next(one for one in found if "answered meanwhile" in one.text)
    assert ours.received_at <= min(one.received_at for one in missed)
    assert next(one for one in found if "live again" in one.text).origin is Origin.live


async def test_a_second_start_repeats_nothing_and_fills_the_gap(
    kafka: str, postgres: FreshDatabase, server: Server, air: tuple[str, str]
) -> None:
    account, _ = air
    bob, database = server.person("bob"), postgres()
    settings = settings_for(kafka, database)
    reader = Records(kafka, account)
    async with running(settings, file_for(server, account)) as http:
        await connected(http, account)
        await _in_thread(bob.status_post, "@air while it listens")
        await reader.until(said("while it listens"))
    await _in_thread(bob.status_post, "@air while it is down")
    async with running(settings, file_for(server, account)) as http:
        await connected(http, account)
        found = await reader.until(said("while it is down"))
        metrics = (await http.get("/metrics")).text
    await reader.settled()
    reader.close()
    assert sorted(texts(found)) == ["@air while it is down", "@air while it listens"]
    assert len({one.event_id for one in found}) == len(found)
    repeated = (
        'presence_duplicates_total{direction="inbound",kind="mention",origin="backfill",'
        'source="mastodon"} 1.0'
    )
    assert repeated in metrics, "the page showed it again, and it was known"
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select feed, position from ingest.cursors order by feed"
        ).fetchall()
    assert [feed for feed, _ in rows] == ["notifications", "statuses"]


async def test_a_limit_is_honoured_and_a_broken_answer_is_asked_for_again(
    kafka: str, postgres: FreshDatabase, server: Server, air: tuple[str, str]
) -> None:
    account, _ = air
    server.fault(
        "/api/v1/accounts/verify_credentials", type="ratelimit", headers={"Retry-After": "1"}
    )
    settings = settings_for(kafka, postgres())
    reader = Records(kafka, account)
    async with running(settings, file_for(server, account)) as http:
        await asyncio.sleep(1.5)
        await _in_thread(server.mend)
        await _in_thread(server.fault, "/api/v1/notifications", type="malformed", count=1)
        await asyncio.sleep(1.0)
        await _in_thread(server.mend)
        await connected(http, account)
        await _in_thread(server.person("bob").status_post, "@air after all of that")
        found = await reader.until(said("after all of that"))
    reader.close()
    assert said("after all of that")(found)


async def test_a_token_of_another_account_is_said_and_not_listened_with(
    kafka: str, postgres: FreshDatabase, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = "999999@wrong.example"
    settings = settings_for(kafka, postgres())
    async with running(settings, file_for(server, account)) as http:
        await asyncio.sleep(1.0)
        assert "source_up" in (await http.get("/metrics")).text
        await connected(http, account, up=0.0)
