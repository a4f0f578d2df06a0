"""The account of a fault run: what was asked, what was due, and what stands in the chat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.alert.builders import iid
from tests.faults.alert_team import CALLED_AFTER, PHONES, SHARES
from tests.faults.slow_chat import Post

HOP = 2.0
"""Seconds that a request which had begun may take to reach the chat."""


@dataclass
class Matter:
    """What somebody asked, and what a person did about it."""

    native: str
    who: str
    at: datetime
    threat: bool
    act: str
    left_alone: bool = True
    """Nobody did anything about it."""
    ended_at: float | None = None
    """When the database was seen to say that it is over."""


@dataclass
class Tally:
    """What happened."""

    matters: list[Matter] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    kills: int = 0


def rows(database: str, statement: str, *values: object) -> list[dict[str, Any]]:
    """Of the database, at once."""
    with psycopg.connect(database, row_factory=dict_row) as connection:
        return connection.execute(statement, values).fetchall()


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the figures are counted from."""

    database: str
    posts: list[Post]
    calls: list[tuple[str, float]]
    """Episodes that Mia was called for, and when."""
    tally: Tally
    budget: float
    """Seconds to answer in."""

    def figures(self, until: datetime) -> dict[str, Any]:
        """What was due by `until`, and what is there."""
        effects = {
            str(row["id"]): row
            for row in rows(
                self.database,
                "select o.*, e.openers[1] as opener, e.opened_at from alert.outbox o"
                " left join alert.episodes e on e.id = o.episode",
            )
        }
        posts: dict[str, list[Post]] = {}
        for post in (*self.posts, *self._called(effects)):
            posts.setdefault(post.delivery, []).append(post)
        matters = {iid(one.native): one for one in self.tally.matters}
        steps = _steps_posted(effects, posts)
        late = _lateness(effects, posts, matters, self.budget)
        (counts,) = rows(self.database, _COUNTS)
        found_again = [
            name for name, done in posts.items()
            if name in effects and effects[name]["state"] == "sent" and effects[name]["attempt"] > 1
            and len(done) == 1
        ]  # fmt: skip
        return {
            "kills": self.tally.kills,
            "matters": len(matters),
            "acts": dict(self.tally.acts),
            "presses_that_met_a_dead_replica": dict(self.tally.refused),
            **counts,
            "posts": len(self.posts),
            "calls": len(self.calls),
            "cards": sum(1 for row in effects.values() if _posted(row, posts) == "card"),
            "steps_posted": sum(len(found) for found in steps.values()),
            "sends_hit_by_a_crash": sum(row["attempt"] > 1 for row in effects.values()),
            "found_again": len(found_again),
            "posted_twice": sum(len(done) > 1 for done in posts.values()),
            "said_to_be_sent_and_is_not": sum(
                row["state"] == "sent" and name not in posts for name, row in effects.items()
            ),
            "step_posted_twice": sum(
                count > 1 for found in steps.values() for count in found.values()
            ),
            "missing": len(self._missing(steps, until)),
            "without_a_card": len(set(matters) - _with_card(effects, posts)),
            "after_the_end": sum(_after_the_end(effects, posts, matters)),
            "posted_after_it_was_due_seconds": _spread(late),
        }

    def _called(self, effects: Effects) -> list[Post]:
        """A call carries no delivery's id: it is the one page of its episode that goes by phone."""
        pages = {
            str(row["episode"]): name
            for name, row in effects.items()
            if row["destination"] == PHONES
        }
        return [Post(pages.get(episode, ""), PHONES, at) for episode, at in self.calls]

    def _missing(self, steps: dict[str, Counter[str]], until: datetime) -> list[tuple[str, str]]:
        """Steps and calls of matters that nobody touched which were due and did not come."""
        missing = []
        for matter in self.tally.matters:
            if not matter.left_alone:
                continue
            called = matter.at + timedelta(seconds=CALLED_AFTER)
            if (
                matter.threat
                and called <= until
                and not steps.get(iid(matter.native), Counter())["0/phones"]
            ):
                missing.append((matter.native, "call"))
            for number, share in enumerate(SHARES):
                due = matter.at + timedelta(seconds=self.budget * share / 100)
                if due <= until and not steps.get(iid(matter.native), Counter())[str(number)]:
                    missing.append((matter.native, str(number)))
        return missing


_COUNTS = """
select
    (select count(*) from alert.inbox) as inbox,
    (select count(*) from alert.inbox where folded_at is null) as unfolded,
    (select count(*) from alert.episodes where state <> 'merged') as episodes,
    (select count(*) from (
        select from alert.episodes, unnest(openers) as opener
        where state <> 'merged' group by opener having count(*) > 1
    ) as twice) as opened_twice,
    (select count(*) from alert.outbox
        where state in ('pending', 'leased') and due_at <= alert.now()) as undelivered,
    (select count(*) from alert.episodes e left join alert.timers t on t.episode = e.id
        where e.state in ('open', 'claimed')
          and (t.episode is null or t.due_at < alert.now() - interval '30 s')) as timers_standing_still
"""


Effects = dict[str, dict[str, Any]]
Posts = dict[str, list[Post]]


def _posted(row: dict[str, Any], posts: Posts) -> str | None:
    return str(row["purpose"]) if str(row["id"]) in posts else None


def _is_step(row: dict[str, Any]) -> bool:
    """A page, or the channel's line of a step; not what a person asked for, not "nobody is there"."""
    if row["episode"] is None or row["call"] is not None:
        return False
    told = row["purpose"] == "told" and str(row["target"]).startswith("step-")
    return told or row["purpose"] == "page"


def _steps_posted(effects: Effects, posts: Posts) -> dict[str, Counter[str]]:
    """Per opener: how often each step (and beyond the chain each person and line of it) was posted."""
    found: dict[str, Counter[str]] = {}
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or not _is_step(row):
            continue
        step = str(row["step"]) + ("/phones" if row["destination"] == PHONES else "")
        if row["step"] >= len(SHARES) or row["round"]:
            step = f"{row['round']}/{row['step']}/{row['target']}"
        found.setdefault(row["opener"], Counter())[step] += len(done)
    return found


def _with_card(effects: Effects, posts: Posts) -> set[str]:
    return {
        row["opener"]
        for name, row in effects.items()
        if row["purpose"] == "card" and row["episode"] is not None and name in posts
    }


def _after_the_end(effects: Effects, posts: Posts, matters: dict[str, Matter]) -> list[bool]:
    after = []
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or not _is_step(row) or row["opener"] not in matters:
            continue
        ended = matters[row["opener"]].ended_at
        after += [ended is not None and one.at > ended + HOP for one in done]
    return after


def _lateness(
    effects: Effects, posts: Posts, matters: dict[str, Matter], budget: float
) -> list[float]:
    """Of matters that nobody touched: seconds from when a step was due to its post, crashes included."""
    late = []
    for name, done in posts.items():
        row = effects.get(name)
        if row is None or not _is_step(row) or row["step"] >= len(SHARES):
            continue
        if row["destination"] == PHONES:
            continue
        matter = matters[row["opener"]]
        if matter.left_alone:
            due = matter.at.timestamp() + budget * SHARES[row["step"]] / 100
            late.append(done[0].at - due)
    return late


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[int(last * share)], 2) for name, share in at.items()}


NEVER = (
    "unfolded", "opened_twice", "undelivered", "timers_standing_still", "said_to_be_sent_and_is_not",
    "missing", "without_a_card", "after_the_end",
)  # fmt: skip


def failures(figures: dict[str, Any], *, kills: int = 1) -> list[str]:
    """What should not be."""
    wrong = [name for name in NEVER if figures[name]]
    if figures["episodes"] != figures["matters"]:
        wrong.append("episodes")
    # Where a crash hit the send, one more post is allowed; nowhere else.
    if figures["posted_twice"] > figures["sends_hit_by_a_crash"]:
        wrong.append("posted_twice")
    if figures["kills"] < kills:
        wrong.append("kills")
    return wrong
