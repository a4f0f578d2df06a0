"""kill -9 in the middle of two thousand notifications: nothing lost, no second card, no stale page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.demo import accounting
from tests.pipeline.platforms import X_ACCOUNT, Payload, tweet, x
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


def crowd(at: datetime) -> tuple[dict[str, str], list[Payload]]:
    """Question of each asking person, and the payloads of everybody."""
    questions: dict[str, str] = {}
    tweets = []
    for number in range(NOTIFICATIONS):
        person, item = new_id(), new_id()
        if number % EVERY == 0:
            questions[person] = item
            text = "@auroraair my flight is cancelled, how do I get home tonight? Please help!"
        else:
            text = CHATTER[number % len(CHATTER)]
        tweets.append(tweet(item, person, text, at))
    starts = range(0, NOTIFICATIONS, PER_REQUEST)
    return questions, [x(*tweets[start : start + PER_REQUEST]) for start in starts]


def answers(questions: dict[str, str], people: Sequence[str], at: datetime) -> list[Payload]:
    """The brand answers these people."""
    tweets = [
        tweet(new_id(), X_ACCOUNT, "We booked you on the next one.", at, answers=(questions[p], p))
        for p in people
    ]
    return [x(*tweets[start : start + 25]) for start in range(0, len(tweets), 25)]


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
    questions, payloads = crowd(datetime.now(UTC) - timedelta(seconds=30))
    half = len(payloads) // 2
    whole.send(*payloads[:half])
    whole.until(lambda: stored_events(whole) > before)
    whole.kill("classify")
    whole.send(*payloads[half:])
    whole.ready()
    whole.until(lambda: stored_events(whole) - before >= NOTIFICATIONS, 60)
    whole.settle(120)
    check_everything_arrived_once(whole, questions, before)
    assert all(whole.cards(whole.episodes(person)[0]["id"]) for person in questions)


def test_alert_killed_in_the_middle_sends_no_card_twice_and_no_page_for_the_answered(
    whole: Whole,
) -> None:
    before = stored_events(whole)
    asked = datetime.now(UTC) - timedelta(seconds=30)
    questions, payloads = crowd(asked)
    half = len(payloads) // 2
    whole.send(*payloads[:half])
    whole.until(lambda: stored_events(whole) > before)
    people = list(questions)
    answered = people[::2]
    with whole.kept_down("alert"):
        whole.send(*payloads[half:])
        # Meanwhile people answer every second question, in the platform's own app.
        whole.send(*answers(questions, answered, asked + timedelta(seconds=20)))
        whole.until(lambda: accounting.unread(whole.system.stack, "presence-classify") == 0, 60)
        up_again = whole.rows("select clock_timestamp() as now")[0]["now"]
    whole.ready()
    whole.until(lambda: stored_events(whole) - before >= NOTIFICATIONS + len(answered), 60)
    whole.settle(120)
    check_everything_arrived_once(whole, questions, before)
    for person in answered:
        (episode,) = whole.episodes(person)
        assert (episode["reason"], episode["wall_seconds"]) == ("answered", 20.0)
    assert all(whole.episodes(person)[0]["state"] == "open" for person in people[1::2])
    late = whole.rows(
        "select count(*) as n from alert.outbox o join alert.episodes e on e.id = o.episode"
        " where o.purpose = 'page' and o.sent_at > %s and e.reason = 'answered'",
        up_again,
    )
    assert late == [{"n": 0}], "no page for what had been answered meanwhile"
    pages = whole.rows(
        "select count(*) as n from alert.outbox where purpose = 'page' and sent_at > %s", up_again
    )
    assert pages[0]["n"] > 0, "those who still waited were paged"
