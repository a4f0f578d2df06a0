"""kill -9 in the middle of two thousand notifications: nothing lost, no second card, no stale page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.demo import accounting
from tests.pipeline.platforms import X_CROWDS, Payload, tweet, x
from tests.pipeline.whole import Whole, top_level_by_episode

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_numbers = itertools.count(10_000_000)
NOTIFICATIONS, PER_REQUEST, EVERY = 2_000, 50, 10
"""One in `EVERY` is a question; the others are chatter, thanks and reposted headlines."""
CHATTER = (
    "@auroraair nice sunset from seat 4A",
    "@auroraair thank you so much!",
    "RT @news: Aurora Air reports record passenger numbers https://news.example/a",
)


def new_id() -> str:
    return str(next(_numbers))


def crowd(at: datetime, account: str, size: int) -> tuple[dict[str, str], list[Payload]]:
    """Question of each asking person, and the payloads of everybody."""
    questions: dict[str, str] = {}
    tweets = []
    for number in range(size):
        person, item = new_id(), new_id()
        if number % EVERY == 0:
            questions[person] = item
            text = "@auroraair my flight is cancelled, how do I get home tonight? Please help!"
        else:
            text = CHATTER[number % len(CHATTER)]
        tweets.append(tweet(item, person, text, at, account=account))
    starts = range(0, size, PER_REQUEST)
    requests = [x(*tweets[start : start + PER_REQUEST], account=account) for start in starts]
    return questions, requests


def answers(
    questions: dict[str, str], people: Sequence[str], at: datetime, account: str
) -> list[Payload]:
    """The brand answers these people."""
    text = "We booked you on the next one."
    tweets = [tweet(new_id(), account, text, at, answers=(questions[p], p)) for p in people]
    return [x(*tweets[start : start + 25], account=account) for start in range(0, len(tweets), 25)]


def check_everything_arrived_once(whole: Whole, questions: dict[str, str], before: int) -> None:
    stored = whole.rows("select count(*) as n from alert.inbox where failed is null")[0]["n"]
    assert stored - before >= NOTIFICATIONS, "nothing is lost"
    episodes = {person: whole.episodes(person) for person in questions}
    assert {len(found) for found in episodes.values()} == {1}
    ids = {str(found[0]["id"]) for found in episodes.values()}
    open_cards = top_level_by_episode(whole.channel())
    assert {n for one, n in open_cards.items() if one in ids} <= {1}, "no second card"
    posted = whole.rows(
        "select count(*) as n from alert.cards where episode = any(%s::uuid[])", list(ids)
    )
    assert posted[0]["n"] <= len(ids)


def stored_events(whole: Whole) -> int:
    return int(whole.rows("select count(*) as n from alert.inbox")[0]["n"])


def test_classify_killed_in_the_middle_loses_nothing(whole: Whole) -> None:
    before = stored_events(whole)
    at = datetime.now(UTC) - timedelta(seconds=30)
    questions, payloads = crowd(at, X_CROWDS[0], NOTIFICATIONS)
    half = len(payloads) // 2
    whole.send(*payloads[:half])
    whole.until(lambda: stored_events(whole) > before)
    whole.kill("classify")
    whole.send(*payloads[half:])
    whole.until(lambda: stored_events(whole) - before >= NOTIFICATIONS, 60)
    whole.ready()
    whole.settle(120)
    check_everything_arrived_once(whole, questions, before)
    assert all(whole.cards(whole.episodes(person)[0]["id"]) for person in questions)


def test_alert_killed_in_the_middle_sends_no_card_twice_and_no_page_for_the_answered(
    whole: Whole,
) -> None:
    before = stored_events(whole)
    asked = datetime.now(UTC) - timedelta(seconds=30)
    early, first = crowd(asked, X_CROWDS[1], NOTIFICATIONS // 2)
    late, second = crowd(asked, X_CROWDS[2], NOTIFICATIONS // 2)
    people = list(late)
    answered, waiting = people[:-3], people[-3:]
    whole.send(*first)
    whole.until(lambda: stored_events(whole) > before)
    with whole.kept_down("alert"):
        whole.send(*second)
        # Meanwhile people answer nearly everybody, in the platform's own app.
        whole.send(*answers(late, answered, asked + timedelta(seconds=20), X_CROWDS[2]))
        whole.until(lambda: accounting.unread(whole.system.stack, "presence-classify") == 0, 60)
    everything = NOTIFICATIONS + len(answered)
    whole.until(lambda: stored_events(whole) - before >= everything, 60)
    whole.ready()
    whole.settle(120)
    check_everything_arrived_once(whole, early | late, before)
    for person in answered:
        (episode,) = whole.episodes(person)
        assert (episode["reason"], episode["wall_seconds"]) == ("answered", 20.0)
    still_open = {str(whole.episodes(person)[0]["id"]) for person in waiting}
    paged = whole.rows(
        "select o.episode::text as episode from alert.outbox o"
        " where o.purpose = 'page' and o.state = 'sent' and o.target like '%%yuki%%'"
    )
    assert {page["episode"] for page in paged} == still_open, "the waiting, and nobody answered"
    assert len(paged) == len(waiting), "each once"
