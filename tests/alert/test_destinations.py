"""What every destination promises: the same suite on the memory twin, Slack and Teams."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from services.alert.chat.apprise_chat import AppriseDestination
from services.alert.chat.links import Links
from services.alert.chat.memory import MemoryDestination
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_client import SlackClient
from services.alert.chat.teams import TeamsWorkflowDestination
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.domain.boards.board import BoardAct, BoardLine, Content, Section, ended
from services.alert.domain.card import CardState
from services.alert.ports import DeliveryReason, Destination, PersonRef, Purpose
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent, PresenceError, Transient
from tests.alert.chat_builders import NOON, SECRET, board, card, delivery, line, person
from tests.alert.chat_servers import (
    TOKEN,
    Answer,
    SlackServer,
    TeamsServer,
    serving,
    serving_app,
    slack_error,
)
from tests.alert.teams_server import CHANNEL, PASSWORD, TeamsBotServer
from tests.alert.teams_server import TOKEN as CONNECTOR_TOKEN

HOOK_SECRET = "sig-secret-of-the-hook"


@dataclass
class Chat:
    """A destination and a look at what arrived there."""

    destination: Destination
    shown: Callable[[], str]
    """Everything that arrived, as text."""
    count: Callable[[], int]
    server: SlackServer | TeamsServer | TeamsBotServer | None = None


async def _memory() -> AsyncIterator[Chat]:
    destination = MemoryDestination()
    yield Chat(destination, lambda: repr(destination.messages), lambda: len(destination.messages))


async def _slack() -> AsyncIterator[Chat]:
    server = SlackServer()
    async with serving("/api/{method}", server.handle) as address:
        client = SlackClient(SecretStr(TOKEN), f"{address}/api/", timeout_seconds=0.5)
        links = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
        slack = SlackDestination("slack", "C0HELP1", client, links)
        yield Chat(
            slack,
            lambda: json.dumps(server.all_messages(), ensure_ascii=False),
            lambda: len(server.all_messages()),
            server,
        )
        await slack.close()


async def _teams() -> AsyncIterator[Chat]:
    server = TeamsServer()
    async with serving("/workflows/{id}", server.handle) as address:
        url = SecretStr(f"{address}/workflows/1?sig={HOOK_SECRET}")
        clock = ManualClock(NOON)
        links = Links("https://presence.example", SecretStr(SECRET), clock)
        teams = TeamsWorkflowDestination("teams", url, links, clock, timeout_seconds=0.5)
        yield Chat(
            teams,
            lambda: json.dumps(server.messages, ensure_ascii=False),
            lambda: len(server.messages),
            server,
        )
        await teams.close()


async def _bot() -> AsyncIterator[Chat]:
    server, clock = TeamsBotServer(), ManualClock(NOON)
    async with serving_app(server.app()) as address:
        server.base_url = address
        links = Links("https://presence.example", SecretStr(SECRET), clock)
        bot = TeamsBotDestination("bot", CHANNEL, server.connector(clock), links, clock)
        yield Chat(
            bot,
            lambda: json.dumps(server.cards(), ensure_ascii=False),
            lambda: len(server.messages),
            server,
        )
        await bot.close()


async def _apprise() -> AsyncIterator[Chat]:
    server = TeamsServer()
    async with serving("/{path:.*}", server.handle) as address:
        host = address.removeprefix("http://")
        url = SecretStr(f"json://user:{HOOK_SECRET}@{host}/hook?rto=0.5")
        links = Links("https://presence.example", SecretStr(SECRET), ManualClock(NOON))
        there = AppriseDestination("apprise", url, links, lambda name: url)
        yield Chat(
            there,
            lambda: json.dumps(server.messages, ensure_ascii=False),
            lambda: len(server.messages),
            server,
        )


KINDS: dict[str, Callable[[], AsyncIterator[Chat]]] = {
    "memory": _memory,
    "slack": _slack,
    "teams": _teams,
    "bot": _bot,
    "apprise": _apprise,
}
CALLED = {"bot": "mia@air.example"}
"""Mia, as a kind of destination knows her."""


def mia(chat: Chat) -> PersonRef:
    return person(CALLED.get(chat.destination.id, "U0MIA1"))


@pytest.fixture(params=[*KINDS])
async def chat(request: pytest.FixtureRequest) -> AsyncIterator[Chat]:
    """Each kind of destination in turn."""
    async for one in KINDS[request.param]():
        yield one


@pytest.fixture(params=[one for one in KINDS if one != "memory"])
async def http_chat(request: pytest.FixtureRequest) -> AsyncIterator[Chat]:
    """Each destination that can fail by itself; the memory twin fails as it is told to."""
    async for one in KINDS[request.param]():
        yield one


@pytest.fixture
async def slack() -> AsyncIterator[Chat]:
    """Slack alone."""
    async for one in _slack():
        yield one


@pytest.fixture
async def teams() -> AsyncIterator[Chat]:
    """Teams alone."""
    async for one in _teams():
        yield one


async def test_a_card_arrives_with_its_words(chat: Chat) -> None:
    await chat.destination.post(card(), "d1")
    assert "My order never arrived, can somebody help?" in chat.shown()


async def test_what_became_of_a_card_is_said(chat: Chat) -> None:
    ref = await chat.destination.post(card(), "d1")
    answered = card(state=CardState.answered, ended="answered by Mia after 4 min", acts=())
    ref = await chat.destination.update(ref, answered)
    assert "nswered by Mia after 4 min" in chat.shown()
    assert chat.count() == (1 if chat.destination.updates_in_place else 2)
    await chat.destination.update(ref, answered)
    assert chat.count() == (1 if chat.destination.updates_in_place else 2)


async def test_a_later_message_arrives(chat: Chat) -> None:
    ref = await chat.destination.post(card(), "d1")
    await chat.destination.thread(ref, line(), card(), "d2")
    assert "Hello? Anybody?" in chat.shown()


async def test_masked_words_never_arrive(chat: Chat) -> None:
    hidden = card(words=None, masked="private message", headline="12 min · X · somebody")
    ref = await chat.destination.post(hidden, "d1")
    await chat.destination.thread(ref, line(None), hidden, "d2")
    await chat.destination.page(mia(chat), hidden, ref, "d3")
    assert "My order" not in chat.shown()


async def test_a_page_reaches_the_person_with_the_headline(chat: Chat) -> None:
    ref = await chat.destination.post(card(), "d1")
    await chat.destination.page(mia(chat), card(), ref, "d2")
    shown = chat.shown().replace("\u200b", "")
    assert "12 min · Mastodon · Ana (@ana) · My order never arrived" in shown


async def test_a_person_whom_the_chat_does_not_know_is_a_permanent_failure(chat: Chat) -> None:
    with pytest.raises(Permanent) as failed:
        await chat.destination.page(person(None), card(), None, "d1")
    assert failed.value.reason is DeliveryReason.not_found


async def test_a_line_to_the_channel_arrives(chat: Chat) -> None:
    await chat.destination.tell("Nobody is on call", "d1")
    assert "Nobody is on call" in chat.shown()


async def test_a_board_arrives_with_its_lines_and_is_brought_up_to_date(chat: Chat) -> None:
    ref = await chat.destination.post(board(), "d1")
    told = ["Held back: 2, oldest 14 min", "Bo ("]
    if chat.destination.kind != "apprise":  # what others wrote does not go through a third service
        told += ["Did you get my parcel?", "A person"]
    for said in told:
        assert said in chat.shown()
    over = replace(board(), content=ended(board().content, "Held back: every message was judged"))
    await chat.destination.update(ref, over)
    assert "every message was judged" in chat.shown()
    if chat.destination.updates_in_place:
        assert chat.count() == 1
        assert "Did you get my parcel?" not in chat.shown()


async def test_a_page_for_a_board_reaches_the_person(chat: Chat) -> None:
    await chat.destination.page(mia(chat), board(), None, "d1")
    assert "Held back: 2, oldest 14 min" in chat.shown()


HOSTILE = (
    "@channel <!channel> <@U0MIA1> <https://evil.example|Bank> "
    "[Bank](https://evil.example) <at>Mia</at> *b*"
)


async def test_hostile_text_arrives_as_text(chat: Chat) -> None:
    hostile = card(who=HOSTILE, words=HOSTILE, why=HOSTILE, headline=HOSTILE, claimed_by=HOSTILE)
    ref = await chat.destination.post(hostile, "d1")
    await chat.destination.thread(ref, line(HOSTILE), hostile, "d2")
    await chat.destination.tell(HOSTILE, "d3")
    lines = (BoardLine(HOSTILE, HOSTILE, (BoardAct("release", "A person", HOSTILE),)),)
    await chat.destination.post(
        board(headline=HOSTILE, sections=(Section(HOSTILE, lines),), note=HOSTILE), "d4"
    )
    if chat.destination.kind == "memory":
        return
    if chat.destination.kind == "apprise":
        assert "@channel" not in chat.shown()
        assert "](https" not in chat.shown()
    shown = chat.shown()
    for carried in (f"b-1|{HOSTILE}", HOSTILE):  # what a button carries is not shown
        shown = shown.replace(f": {json.dumps(carried, ensure_ascii=False)}", "")
    for markup in ("<!channel>", "<@U0MIA1>", "<at>"):
        assert markup not in shown
    assert chat.count() == 4


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (Answer(429, "", {"Retry-After": "7"}), Transient, DeliveryReason.rate_limited),
        (Answer(500, "oops"), Transient, DeliveryReason.unavailable),
        (Answer(503, "<html>"), Transient, DeliveryReason.unavailable),
        (Answer(401, ""), Permanent, DeliveryReason.refused_credentials),
        (Answer(200, "late", delay=2), Transient, DeliveryReason.timeout),
    ],
    ids=["429", "500", "503", "401", "timeout"],
)
async def test_a_failure_has_a_name_and_no_secret(
    http_chat: Chat, answer: Answer, kind: type[PresenceError], reason: DeliveryReason
) -> None:
    chat = http_chat
    assert chat.server is not None
    # The bot tries once more with a new token when its own is refused.
    chat.server.answers.extend([answer] * (2 if chat.destination.kind == "teams_bot" else 1))
    with structlog.testing.capture_logs() as logs, pytest.raises(kind) as failed:
        await chat.destination.post(card(), "d1")
    if chat.destination.kind == "apprise" and reason is DeliveryReason.timeout:
        reason = DeliveryReason.unavailable  # it says of both that there was no answer
    assert failed.value.reason is reason
    if isinstance(failed.value, Transient) and reason is DeliveryReason.rate_limited:
        # Apprise does not hand on what was asked.
        assert failed.value.retry_after == (30 if chat.destination.kind == "apprise" else 7)
    seen = f"{failed.value!r} {failed.value} {failed.value.__cause__!r} {logs}"
    for secret in (TOKEN, HOOK_SECRET, SECRET, PASSWORD, CONNECTOR_TOKEN, "My order"):
        assert secret not in seen
        assert secret not in repr(vars(chat.destination))


async def test_a_server_that_is_gone_is_unavailable() -> None:
    client = SlackClient(SecretStr(TOKEN), "http://127.0.0.1:9/api/")
    slack = SlackDestination("slack", "C0HELP1", client)
    clock = ManualClock(NOON)
    links = Links("https://presence.example", SecretStr(SECRET), clock)
    url = SecretStr(f"http://127.0.0.1:9/?sig={HOOK_SECRET}")
    teams = TeamsWorkflowDestination("teams", url, links, clock)
    for destination in (slack, teams):
        with pytest.raises(Transient) as failed:
            await destination.tell("hello", "d1")
        assert failed.value.reason is DeliveryReason.unavailable
        assert HOOK_SECRET not in str(failed.value)
        await destination.close()


@pytest.mark.parametrize(
    "words", [None, "Ä" * 5_000, "👩‍👩‍👧‍👦" * 700], ids=["none", "long", "wide"]
)
async def test_the_largest_board_stays_within_the_chats_limits(
    http_chat: Chat, words: str | None
) -> None:
    acts = tuple(BoardAct("release", "A person" * 30, "x:1:" + "7" * 300) for _ in range(2))
    line = BoardLine("x" * 4_000, words, acts, "https://air.example/" + "p" * 900)
    made = board().content
    most = Content(made.headline, made.zone, (Section("t" * 4_000, (line,) * 40),) * 3, acts)
    await http_chat.destination.post(replace(board(), content=most), "d1")
    assert http_chat.count() == 1


# Slack's own.


def _metadata(message: dict[str, Any]) -> Any:
    return message["metadata"]["event_payload"]["delivery_id"]


def _server(chat: Chat) -> SlackServer:
    assert isinstance(chat.server, SlackServer)
    return chat.server


async def test_slack_unfurls_nothing_and_names_the_delivery(slack: Chat) -> None:
    ref = await slack.destination.post(card(), "d1")
    message = _server(slack).all_messages()[0]
    assert message["unfurl_links"] is False
    assert message["unfurl_media"] is False
    assert _metadata(message) == "d1"
    assert message["text"] == card().headline
    digits = ref.id.replace(".", "")
    assert ref.url == f"https://air.slack.example/archives/C0HELP1/p{digits}"


async def test_slack_is_asked_once_for_its_address_and_once_for_a_card(slack: Chat) -> None:
    for number in range(3):
        await slack.destination.post(card(), f"d{number}")
    assert sorted(_server(slack).calls) == ["auth.test", *["chat.postMessage"] * 3]


async def test_a_card_that_was_posted_stays_posted_though_its_address_is_not_told(
    slack: Chat,
) -> None:
    _server(slack).answers.extend([None, slack_error("ratelimited")])
    ref = await slack.destination.post(card(), "d1")
    assert ref.url is None
    assert len(_server(slack).all_messages()) == 1


async def test_a_deleted_card_is_posted_anew(slack: Chat) -> None:
    ref = await slack.destination.post(card(), "d1")
    _server(slack).messages["C0HELP1"].clear()
    again = await slack.destination.update(ref, card(version=2))
    assert again.id != ref.id
    assert list(_server(slack).messages["C0HELP1"]) == [again.id]


async def test_a_lost_answer_is_found_by_the_deliverys_id_wherever_it_stands(slack: Chat) -> None:
    to = slack.destination
    ref = await to.post(card(), "d-card-1")
    await to.thread(ref, line(), card(), "d-thread-1")
    await to.page(person(), card(), ref, "d-page-1")
    for purpose in (Purpose.card, Purpose.thread, Purpose.page):
        found = await to.find(delivery(purpose, card_ref=ref))
        assert found is not None
        message = _server(slack).messages[found.channel][found.id]
        assert _metadata(message) == f"d-{purpose.value}-1"
    assert await to.find(delivery(id="another", first_tried_at=NOON - timedelta(hours=1))) is None


async def test_a_page_is_a_direct_message_with_a_link_of_the_persons_own(slack: Chat) -> None:
    ref = await slack.destination.post(card(), "d1")
    page = await slack.destination.page(person(), card(), ref, "d2")
    assert page.channel == "D0MIA1"
    shown = json.dumps(_server(slack).messages["D0MIA1"])
    assert "https://presence.example/a/" in shown
    assert str(ref.url) in shown


async def test_a_persons_direct_channel_is_asked_for_once(slack: Chat) -> None:
    for number in range(2):
        await slack.destination.page(person(), card(), None, f"d{number}")
    assert _server(slack).calls.count("conversations.open") == 1


async def test_whom_slack_cannot_write_to_is_mentioned_beneath_the_card(slack: Chat) -> None:
    ref = await slack.destination.post(card(), "d1")
    await slack.destination.page(person("U0BOT1"), card(), ref, "d2")
    mention = _server(slack).all_messages()[-1]
    assert mention["thread_ts"] == ref.id
    assert mention["text"].startswith("<@U0BOT1> 12 min")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("invalid_auth", DeliveryReason.refused_credentials),
        ("missing_scope", DeliveryReason.refused_credentials),
        ("channel_not_found", DeliveryReason.not_found),
        ("is_archived", DeliveryReason.not_found),
        ("msg_too_long", DeliveryReason.invalid),
    ],
)
async def test_slacks_no_is_permanent_though_it_comes_with_a_200(
    slack: Chat, code: str, reason: DeliveryReason
) -> None:
    _server(slack).answers.append(slack_error(code))
    with pytest.raises(Permanent) as refused:
        await slack.destination.post(card(), "d1")
    assert refused.value.reason is reason
    assert code in str(refused.value)


# Teams' own.


async def test_a_teams_card_says_as_of_when_and_links_to_acts(teams: Chat) -> None:
    await teams.destination.post(card(), "d1")
    assert "As of 13:00. This card is not updated." in teams.shown()
    assert isinstance(teams.server, TeamsServer)
    content = teams.server.messages[0]["attachments"][0]["content"]
    titles = [action["title"] for action in content["actions"]]
    assert titles == ["Claim", "No reply needed", "Not for us", "Open on Mastodon"]
    assert teams.server.messages[0]["summary"] == card().headline


@pytest.mark.parametrize(
    ("told", "kind", "reason"),
    [
        (429, Transient, DeliveryReason.rate_limited),
        (413, Permanent, DeliveryReason.invalid),
        (404, Permanent, DeliveryReason.not_found),
        (503, Transient, DeliveryReason.unavailable),
    ],
)
async def test_a_failure_that_a_workflow_puts_into_words_is_read(
    teams: Chat, told: int, kind: type[PresenceError], reason: DeliveryReason
) -> None:
    assert teams.server is not None
    said = (
        "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error"
    )
    teams.server.answers.append(Answer(200, f"{said} {told} with ContextId tcid=0"))
    with pytest.raises(kind) as failed:
        await teams.destination.post(card(), "d1")
    assert failed.value.reason is reason


async def test_a_workflow_that_is_gone_is_a_permanent_failure(teams: Chat) -> None:
    assert teams.server is not None
    teams.server.answers.append(Answer(404, ""))
    with pytest.raises(Permanent) as failed:
        await teams.destination.post(card(), "d1")
    assert failed.value.reason is DeliveryReason.not_found
