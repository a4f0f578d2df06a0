"""Nothing real notices a practice: each way in which it might is shut by what it is made of."""

from __future__ import annotations

import ast
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

import services.alert.practice
from services.alert.chat.links import Links
from services.alert.console.app import create_app
from services.alert.practice.database import drop_world, open_pool, practice_url, prepare
from services.alert.practice.pages import PracticePages
from services.alert.practice.presses import PractisedTeams
from services.contracts.events import ClassifiedNotification
from services.runtime.clock import SystemClock
from services.runtime.errors import WrongConfiguration
from tests.alert.builders import PRESENCE, notified
from tests.alert.chat_builders import SECRET
from tests.alert.chat_servers import serving_app
from tests.alert.practice_ground import Ground, action_of, fingerprint, ground
from tests.alert.teams_server import APP, CHANNEL, MIA, TeamsBotServer
from tests.conftest import FreshDatabase

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
async def place(postgres: FreshDatabase) -> AsyncIterator[Ground]:
    """A team, and its place to practise."""
    async with ground(postgres(), postgres()) as made:
        yield made


def question() -> ClassifiedNotification:
    """Asked for real, and practised with: the same event, author and thread."""
    return notified("7", NOW, "ana", text="Where is my bag?", permalink="https://x.example/7")


async def test_the_same_event_for_real_is_not_touched_by_anything_that_is_pressed(
    place: Ground,
) -> None:
    await place.real.hear(question())
    await place.real.sweep()
    before = await fingerprint(place.real_url)
    await place.begin(question(), notified("8", NOW, "ana", root="r", text="And my dog?"))
    await place.seen(lambda: len(place.cards()) == 2)
    bag, dog = place.card_of("bag"), place.card_of("dog")
    await place.press(bag, "claim")
    await place.press(bag, "answer")
    await place.submit(text="In Oslo")
    await place.press(dog, "not_for_us")
    await place.submit(choice="spam")
    await place.seen(lambda: "Answered by Tom" in place.said() and "Not for us" in place.said())
    assert await fingerprint(place.real_url) == before
    assert before["alert.episodes"] != before["alert.boards"], "the real world was not empty"


async def test_a_press_reaches_only_the_world_of_its_card(place: Ground) -> None:
    await place.real.hear(question())
    real_episode = await place.real.only()
    await place.begin(question())
    (card,) = await place.seen(place.cards)
    ours = place.pressed(card, "claim")
    real = {**ours, "actions": [{**ours["actions"][0], "action_id": "presence:claim"}]}
    await place.presses.handle(real)
    foreign = {**ours, "actions": [{**ours["actions"][0], "value": real_episode}]}
    await place.presses.handle(foreign)
    assert [row.claimed_by for row in await place.real.episodes.open()] == [None]
    assert "Nobody has it yet" in json.dumps(place.cards())
    # A real handler that is handed a practice's press by mistake does nothing at all.
    assert place.presses._real is not None
    await place.presses._real.handle(ours)
    assert [row.claimed_by for row in await place.real.episodes.open()] == [None]


async def test_the_way_to_the_real_message_is_not_on_the_card(place: Ground) -> None:
    await place.begin(question())
    await place.seen(place.cards)
    assert "x.example" not in place.said()
    assert "Open on" not in place.said()


async def test_what_would_go_to_kafka_stays_in_the_practice(place: Ground) -> None:
    await place.begin(question(), notified("8", NOW, "bo", text="And my dog?"))
    await place.seen(lambda: len(place.cards()) == 2)
    await place.press(place.card_of("bag"), "answer")
    await place.submit(text="In Oslo")
    await place.press(place.card_of("dog"), "not_for_us")
    await place.submit(choice="spam")

    async def left() -> bool:
        async with place.pool.connection() as connection:
            rows = await (
                await connection.execute("select count(*) from alert.announcements")
            ).fetchone()
        return rows == (0,)

    await place.seen(lambda: "would have been posted" in place.said())
    await place.seen(left)


def test_no_part_of_a_practice_can_produce() -> None:
    """The parts are given a `Producer`; the only one that the package knows leads nowhere."""
    root = Path(services.alert.practice.__file__).parent
    chat = root.parent / "chat" / "practice"
    named = set()
    for file in [*root.glob("*.py"), *chat.glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                named |= {f"{node.module}.{one.name}" for one in node.names}
    assert "services.runtime.producer.Record" in named
    assert not {one for one in named if "KafkaProducer" in one or "runtime.broker" in one}


async def test_alerts_own_database_is_refused_whatever_its_address(
    postgres: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = postgres()
    monkeypatch.setenv("PRESENCE_PRACTICE_DATABASE_URL", real)
    with pytest.raises(WrongConfiguration, match="own"):
        practice_url(real)
    alias = (
        real.replace("127.0.0.1", "localhost")
        if "127.0.0.1" in real
        else f"{real}?connect_timeout=5"
    )
    before = await fingerprint(real)
    async with open_pool(alias) as pool:
        with pytest.raises(WrongConfiguration, match="own"):
            await prepare(pool, real)
        # And a database that was never prepared loses nothing, whatever is asked of it.
        with pytest.raises(psycopg.errors.InvalidSchemaName):
            await drop_world(pool)
    assert await fingerprint(real) == before


async def test_a_link_of_a_practice_opens_its_own_page_and_no_real_one(place: Ground) -> None:
    await place.begin(question())
    (card,) = await place.seen(place.cards)
    episode = action_of(card, "claim")["value"]
    real_links = Links("https://presence.example", SecretStr(SECRET), SystemClock())
    console = create_app(
        episodes=place.real.episodes, configuration=lambda: place.file, links=real_links
    )

    async def never(_person: str, _url: str) -> None:
        raise AssertionError("nobody asked for a sign-in link")

    pages = PracticePages(place.practice, console, never, SystemClock())
    transport = httpx.ASGITransport(app=pages)
    url = place.practice.links.episode(episode, "tom")
    async with httpx.AsyncClient(transport=transport, base_url="https://presence.example") as http:
        shown = await http.get(url)
        assert shown.status_code == 200
        assert "PRACTICE" in shown.text
        field = shown.text.split('name="form" value="')[1].split('"')[0]
        pressed = await http.post(url, data={"form": field, "act": "claim"})
        assert pressed.status_code == 303
        await place.seen(lambda: "Tom has it" in json.dumps(place.cards()))
        # The same token without its mark, and a real token with it, are nobody's.
        assert (await http.get(url.replace("practice.", ""))).status_code == 404
        forged = f"/a/practice.{real_links.episode_token(episode, 'tom')}"
        assert (await http.get(forged)).status_code == 404


TEAMS = (
    PRESENCE.replace("id: tom,", f"id: tom, teams: {MIA},")
    + f"""
practice:
  destinations:
    - {{id: training, kind: teams_bot, channel: "{CHANNEL}", app_id: {APP}, tenant: tenant-1,
       service_url: "$TEAMS/teams/", login_url: "$TEAMS/login", posts_per_second: 500,
       updates_per_second: 500}}
"""
)


async def test_a_press_in_teams_finds_the_practice_and_wakes_nobody(
    postgres: FreshDatabase,
) -> None:
    bot = TeamsBotServer()
    async with serving_app(bot.app()) as address:
        bot.base_url = address
        file = TEAMS.replace("$TEAMS", address)
        async with ground(postgres(), postgres(), presence=file) as place:
            await place.begin(question())

            def said() -> str:
                return json.dumps(bot.cards(), ensure_ascii=False)

            await place.seen(lambda: "would have been paged" in said())
            posted = next(one for one in bot.cards() if "Claim" in json.dumps(one))
            assert posted["summary"].startswith("PRACTICE · ")
            content = posted["attachments"][0]["content"]
            assert "PRACTICE" in json.dumps(content["body"][0], ensure_ascii=False)
            claim = next(one for one in content["actions"] if one["title"] == "Claim")
            activity = bot.activity(name="adaptiveCard/action", value={"action": claim})
            presses = PractisedTeams(place.practice, None)
            answered = await presses.handle(activity, APP)
            assert answered is not None
            assert answered["statusCode"] == 200
            await place.seen(lambda: "Tom has it" in said())
            ask = next(one for one in content["actions"] if one["title"] == "Answer")
            form = await presses.handle(
                bot.activity(name="task/fetch", value={"data": ask["data"]}), APP
            )
            assert form is not None
            assert "PRACTICE" in json.dumps(form)
            assert all(channel.startswith(CHANNEL) for channel, _ in bot.messages)
            assert '"mentioned"' not in said()
