"""The local Mastodon server against Mastodon.py, a client that we did not write."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from mastodon import Mastodon, StreamListener
from mastodon.errors import MastodonUnauthorizedError
from pydantic import SecretStr

from deploy.local.demo import cast, story
from deploy.local.demo.delivery import Delivery
from deploy.local.mastodon_server import create_app
from tests.serving import serve

TOKEN = "a-token"
STORY = [
    one for one in story.expand(datetime(2026, 3, 2, 9, tzinfo=UTC)) if one.source == "mastodon"
]


class Heard(StreamListener):
    """Keeps what the stream brings."""

    def __init__(self) -> None:
        self.all: queue.Queue[tuple[str, Any]] = queue.Queue()

    def on_notification(self, notification: Any) -> None:
        self.all.put(("notification", notification))

    def on_update(self, status: Any) -> None:
        self.all.put(("update", status))

    def on_status_update(self, status: Any) -> None:
        self.all.put(("status.update", status))

    def on_delete(self, status_id: Any) -> None:
        self.all.put(("delete", status_id))

    def handle_heartbeat(self) -> None:
        self.all.put(("heartbeat", None))


@pytest.fixture
def server() -> Iterator[str]:
    with serve(create_app(SecretStr(TOKEN), heartbeat=0.5)) as url:
        yield url


@pytest.fixture
def client(server: str) -> Mastodon:
    return Mastodon(access_token=TOKEN, api_base_url=server)


def happen(server: str, deliveries: list[Delivery]) -> None:
    for one in deliveries:
        sent = httpx.post(f"{server}/_demo/events", content=orjson.dumps(one.body))
        assert sent.status_code == 200, sent.text


def test_everything_that_happens_is_streamed_in_its_order(server: str, client: Mastodon) -> None:
    heard = Heard()
    handle = client.stream_user(heard, run_async=True)
    while httpx.get(f"{server}/_demo/state").json()["streams"] == 0:
        time.sleep(0.02)
    happen(server, STORY)
    came: list[str] = []
    while len(came) < len(STORY):
        event, _ = heard.all.get(timeout=10)
        came += [event] if event != "heartbeat" else []
    assert came == [one.body["event"] for one in STORY]
    assert heard.all.get(timeout=10)[0] == "heartbeat"
    httpx.post(f"{server}/_demo/disconnect")
    give_up = time.monotonic() + 10
    while handle.is_alive() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not handle.is_alive(), "a cut stream ends"


def test_what_was_missed_is_paged_forward_without_a_hole(server: str, client: Mastodon) -> None:
    happen(server, STORY)
    newest_first = client.notifications(limit=80)
    ids = [int(one.id) for one in newest_first]
    assert ids == sorted(ids, reverse=True)
    found: list[int] = []
    after = "0"
    while page := client.notifications(min_id=after, limit=5):
        found = [int(one.id) for one in page] + found
        after = page[0].id
    assert found == ids
    first_page = client.notifications(limit=5)
    again = [int(one.id) for one in client.fetch_remaining(first_page)]
    assert again == ids


def test_a_thread_and_the_accounts_own_statuses_can_be_read(server: str, client: Mastodon) -> None:
    happen(server, STORY)
    me = client.account_verify_credentials()
    assert str(me.id) == cast.MASTODON_ID
    own = client.account_statuses(me.id)
    assert {str(one.account.id) for one in own} == {cast.MASTODON_ID}
    answer = next(one for one in own if "GTFS-RT" in one.content)
    context = client.status_context(answer.id)
    assert [str(one.account.acct) for one in context.ancestors] == [
        "auroraair",
        "kat@trains.example",
    ]
    assert [str(one.account.acct) for one in context.descendants] == ["kat@trains.example"]


def test_a_deleted_status_is_gone_and_an_edited_one_has_its_new_words(
    server: str, client: Mastodon
) -> None:
    happen(server, STORY)
    texts = " ".join(
        one.status.content for one in client.notifications(limit=80) if one.get("status")
    )
    assert "Es geht um den 12.12." in texts
    assert "does the seat reservation carry over" not in texts


def test_a_wrong_token_is_refused(server: str) -> None:
    with pytest.raises(MastodonUnauthorizedError):
        Mastodon(access_token="another", api_base_url=server).notifications()


def test_an_event_that_mastodon_does_not_have_is_refused(server: str) -> None:
    sent = httpx.post(f"{server}/_demo/events", json={"event": "earthquake", "payload": {}})
    assert sent.status_code == 422


def test_an_answer_stands_in_its_thread_once_for_its_key(server: str, client: Mastodon) -> None:
    happen(server, STORY)
    asked = next(
        one["payload"]["status"] for one in (d.body for d in STORY) if "status" in one["payload"]
    )
    told = [
        client.status_post(
            "@ana We <are> on it", in_reply_to_id=asked["id"], idempotency_key="reply-1"
        )
        for _ in range(2)
    ]
    assert told[0].id == told[1].id
    below = client.status_context(asked["id"]).descendants
    assert [one.content for one in below].count("<p>@ana We &lt;are&gt; on it</p>") == 1
    assert client.account_statuses(told[0].account.id)[0].id == told[0].id
