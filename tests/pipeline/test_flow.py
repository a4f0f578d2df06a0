"""The whole flow, on real Kafka and PostgreSQL, with the services as processes."""

from __future__ import annotations

import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.pipeline.platforms import (
    X_ACCOUNT,
    X_QUIET,
    Payload,
    comment,
    meta,
    page_answers,
    tweet,
    x,
    x_deleted,
)
from tests.pipeline.whole import Whole

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

_numbers = itertools.count(500_000)


def new_id() -> str:
    return str(next(_numbers))


def just_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def test_from_a_payload_to_a_card_a_click_an_answer_and_the_right_seconds(whole: Whole) -> None:
    person, question, answer = new_id(), new_id(), new_id()
    asked = just_now() - timedelta(seconds=90)
    text = "@auroraair where is my suitcase? It's been 3 days!"
    whole.send(x(tweet(question, person, text, asked, account=X_QUIET), account=X_QUIET))
    card = whole.until(lambda: [c for e in whole.episodes(person) for c in whole.cards(e["id"])])[0]
    assert len(card["text"]) <= 90
    assert "suitcase" in card["text"], "a phone's lock screen shows their words"
    page = whole.until(lambda: [one for one in whole.pages() if "suitcase" in one["text"]])
    assert len(page) == 1
    assert page[0]["channel"] == whole.workspace.direct_channel("U0ADA")

    whole.press("claim", card, "U0ADA")
    claimed = whole.until(lambda: [e for e in whole.episodes(person) if e["claimed_by"] == "ada"])
    assert claimed[0]["state"] == "claimed"
    whole.until(lambda: "Ada" in str(whole.cards(claimed[0]["id"])[0]["blocks"]))

    answered = asked + timedelta(seconds=75)
    text = f"@person{person} So sorry! Send us your reference and we find it."
    said = tweet(answer, X_QUIET, text, answered, answers=(question, person))
    whole.send(x(said, account=X_QUIET))
    whole.until(lambda: whole.episodes(person)[0]["reason"])
    whole.settle()
    (episode,) = whole.episodes(person)
    assert (episode["reason"], episode["wall_seconds"]) == ("answered", 75.0)
    (closed,) = whole.cards(episode["id"])
    assert closed["ts"] == card["ts"], "the one live card, updated in place"
    assert "presence:claim" not in str(closed["blocks"])
    acts = whole.rows("select who, through, act from alert.audit where episode = %s", episode["id"])
    assert {"who": "ada", "through": "slack", "act": "claim"} in acts


def test_forty_people_under_one_post_are_forty_episodes_and_an_answer_ends_one(
    whole: Whole,
) -> None:
    post, at = new_id(), just_now() - timedelta(seconds=60)
    people = [new_id() for _ in range(40)]
    comments = {person: new_id() for person in people}
    changes = [
        comment(post, comments[person], person, "Is flight AU417 cancelled? What do I do?", at)
        for person in people
    ]
    whole.send(*(meta(*changes[start : start + 8]) for start in range(0, 40, 8)))
    whole.settle()
    assert [len(whole.episodes(person)) for person in people] == [1] * 40

    answered = people[17]
    reply = page_answers(
        post,
        new_id(),
        comments[answered],
        "Yes, sorry. You are on AU419.",
        at + timedelta(seconds=30),
    )
    whole.send(meta(reply))
    whole.until(lambda: whole.episodes(answered)[0]["reason"])
    whole.settle()
    states = [whole.episodes(person)[0]["state"] for person in people]
    assert states.count("open") == 39
    assert whole.episodes(answered)[0]["wall_seconds"] == 30.0


def _matter(asked: datetime) -> tuple[list[str], list[Payload]]:
    """Three people and what they and the brand wrote: everything that order could confuse."""
    ana, bo, cy = new_id(), new_id(), new_id()
    first, again, thanks, bos, cys = (new_id() for _ in range(5))
    reply, second_reply, bos_reply = new_id(), new_id(), new_id()

    def at(seconds: int) -> datetime:
        return asked + timedelta(seconds=seconds)

    help_me = "@auroraair my booking is gone, can you help me please?"
    return [ana, bo, cy], [
        x(tweet(first, ana, help_me, at(0))),
        x(tweet(reply, X_ACCOUNT, "Which one is it?", at(20), answers=(first, ana))),
        x(tweet(again, ana, "@auroraair XK7P2. When will it be fixed?", at(30), answers=(reply, X_ACCOUNT))),
        x(tweet(second_reply, X_ACCOUNT, "It is back.", at(70), answers=(again, ana))),
        x(tweet(thanks, ana, "@auroraair thank you!", at(80), answers=(second_reply, X_ACCOUNT))),
        x(tweet(bos, bo, "@auroraair why is the gate still closed?", at(5))),
        x(tweet(bos_reply, X_ACCOUNT, "It opens now.", at(50), answers=(bos, bo))),
        x(tweet(cys, cy, "@auroraair can I bring my cat?", at(10))),
        x_deleted(cys, cy, at(40)),
    ]  # fmt: skip


def test_any_order_and_any_repetition_end_in_the_same_state_with_one_card_each(
    whole: Whole,
) -> None:
    luck = random.Random(20261122)
    asked = just_now() - timedelta(seconds=120)
    casts, tangles = [], []
    for _ in range(50):
        people, payloads = _matter(asked)
        thrice = payloads * 3
        luck.shuffle(thrice)
        tangles.append(thrice)
        casts.append(people)
    # Each matter in its own order; several matters at once, as platforms send.
    with ThreadPoolExecutor(10) as at_once:
        list(at_once.map(lambda tangle: whole.send(*tangle), tangles))
    whole.settle(120)

    def outcome(person: str) -> list[tuple[object, ...]]:
        return [
            (e["opened_at"], e["round"], e["reason"], e["label"], e["wall_seconds"], e["ended_at"])
            for e in whole.episodes(person)
        ]

    found = [[outcome(person) for person in people] for people in casts]
    ana, bo, cy = found[0]
    assert [(one[2], one[4]) for one in ana] == [("answered", 20.0), ("answered", 40.0)]
    assert [(one[2], one[4]) for one in bo] == [("answered", 45.0)]
    assert [one[2] for one in cy] == ["withdrawn"]
    assert [others for others in found if others != found[0]] == []
    for people in casts:
        for person in people:
            for episode in whole.episodes(person):
                assert len(whole.cards(episode["id"])) <= 1
