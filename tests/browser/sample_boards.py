"""One board of each kind as its own decision makes it: for pictures, and for looking at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from services.alert.domain.boards import (
    audit,
    catch_up,
    group,
    handoff,
    held_back,
    impersonation,
    incident,
    queue,
    sample,
    shift_start,
    troubles,
    wave,
    would_have_paged,
)
from services.alert.domain.boards.board import Board, Wanted, ended
from services.alert.domain.boards.places import Home
from services.alert.domain.boards.waiting import Waiting
from services.alert.domain.items import Item, Shown
from services.contracts.configuration import Configuration
from services.contracts.events import Label, NoticeKind
from tests.alert.chat_builders import card

NOW = datetime(2026, 11, 23, 8, 14, tzinfo=UTC)
HOME = Home("air", "help", True, "Europe/Berlin", ("mia",))
HOSTILE = (
    "<!channel> <https://evil.example|Your bank> *bold* [x](https://evil.example) <at>Mia</at>"
)


def item(native: str, name: str, text: str, minutes: float, **changes: object) -> Item:
    """A message of somebody."""
    at = NOW - timedelta(minutes=minutes)
    handle = name.split()[0].lower()
    facts = {
        "id": f"x:1:{native}",
        "platform": "x",
        "account_id": "1",
        "brand": "air",
        "inbound": True,
        "author_id": handle,
        "counterpart_id": handle,
        "source_time": at,
        "received_at": at,
        "classified_at": at,
        "addressed": True,
        "held": True,
        "label": Label.spam,
        "shown": Shown(handle, name, text, "https://x.example/1", "en", ("offers a prize",)),
    }
    return Item(**{**facts, **changes})  # type: ignore[arg-type]


def waiting(number: int, name: str, why: str, claimed_by: str | None = None) -> Waiting:
    """An open episode."""
    opened = NOW - timedelta(minutes=37 * number)
    shown = card(
        episode_id=f"ep-{number}",
        who=name,
        words=("Where is my refund?", "مرحبا، لم يصل طلبي رقم 4711 بعد. متى يصل؟ 🙏", HOSTILE)[
            number % 3
        ],
        due_at=opened + timedelta(minutes=15),
        claimed_by="Mia" if claimed_by else None,
        urgent=number == 1,
    )
    return Waiting(shown, "air", opened, claimed_by, "https://chat.example/1", why)


def storm(held: list[Item], open_: list[Waiting]) -> list[Wanted]:
    """What a storm brings: a queue, a group, an incident, and a wave at each of its stages."""
    since = NOW - timedelta(minutes=12)
    alike = group.Alike(7, 38, 31, 4, 3, since, tuple(open_), tuple(held))
    waits = queue.Queue("mia", "Mia", 212, since, tuple(open_))
    alone = group.Alike(0, 9, 7, 1, 1, since)
    begun = incident.Incident(
        1,
        f"Wi-Fi down {HOSTILE}",
        incident.IncidentState.declared,
        "",
        since,
        "Lea",
        "Lea",
        ("Mia", "Ben"),
        (alike, alone),
    )
    asked = replace(
        begun,
        id=2,
        state=incident.IncidentState.suggested,
        says="46 in 30 min, usually 5 at this hour",
    )
    counted = wave.Counted(500, 300, 488, 8, 0)
    others = tuple(replace(each, label=Label.conversation) for each in held)
    found = wave.Wave(3, wave.WaveState.gathered, counted, tuple(held), others, 4)
    states = [
        found,
        replace(found, id=4, state=wave.WaveState.asking, changed=4),
        replace(found, id=5, state=wave.WaveState.labelled, changed=4, by="Mia", at=NOW),
    ]
    return [
        *queue.queue(HOME, waits, None, NOW),
        *group.group(HOME, "Air", alike, None, NOW),
        *incident.incident(HOME, "Air", asked, None, NOW),
        *incident.incident(HOME, "Air", begun, None, NOW),
        *[one for each in states for one in wave.wave(HOME, "Air", each, None, NOW)],
    ]


def boards(file: Configuration) -> list[Board]:
    """One of each kind."""
    held = [
        item("1", "Lucky Winner", "You have won! Press here", 14),
        item("2", "ليلى", "مرحبا، لم يصل طلبي رقم 4711 بعد. متى يصل؟ 🙏", 9),
        item("3", HOSTILE, HOSTILE, 6),
        item("4", "Jo", "private words", 3, private=True),
    ]
    open_ = [
        waiting(n, name, "closed")
        for n, name in ((1, "Ana (@ana)"), (2, "ليلى (@layla)"), (3, "Bo"))
    ]
    one = handoff.Handoff("social", "mia", "ben", NOW)
    hours = [NOW - timedelta(hours=6 * n) for n in range(43)]
    pages = [
        would_have_paged.WouldPage((at,), 0.52 + n % 9 / 20, n % 4 == 0)
        for n, at in enumerate(hours)
    ]
    quiet = would_have_paged.would_have_paged(
        HOME, ("x", "1"), "X @air", NOW - timedelta(days=7), pages, 0.5, None, NOW
    )
    drawn = [
        sample.Drawn(each, "spam", sample.RIGHT if n == 0 else None) for n, each in enumerate(held)
    ]
    day = sample.Day(date(2026, 11, 23), 412, 23, 4)
    post = troubles.post_of(file)
    assert post is not None
    broken = troubles.Trouble(
        "7",
        NoticeKind.token,
        "ingest",
        "mastodon",
        "1",
        "mastodon: 401, the token was revoked: make a new one and restart ingest",
        NOW - timedelta(minutes=9),
        NOW,
        3,
    )
    found = [audit.Found(audit.Finding.destination_stuck, 14, "help", "refused_credentials")]
    begun = shift_start.ShiftStart(
        "social", "ben", NOW, NOW + timedelta(hours=8), (shift_start.Ask("ben", "help"),)
    )
    digest = sample.digest(HOME, "Air", day, drawn, [item("9", "Cy", "nice plane", 99)], None)
    assert digest is not None
    fake = impersonation.Impostor(
        item("5", "Air Help", "Send your card number to get the refund", 1), "Ana @ana", "air"
    )
    wanted: list[Wanted] = [
        *held_back.held_back(HOME, "Air", held, None, NOW),
        *catch_up.catch_up(HOME, "Air", open_, None, NOW),
        *handoff.handoff(
            one,
            ("Mia", "Ben"),
            ("air", "help"),
            "Europe/Berlin",
            [
                waiting(1, "Ana (@ana)", "", "mia"),
                waiting(2, "ليلى (@layla)", ""),
                waiting(3, "Bo", ""),
            ],
            {"ep-3": handoff.Promise("a voucher", NOW + timedelta(minutes=30), "Mia")},
            None,
            NOW,
        ),
        *impersonation.impersonation(HOME, "airhelp", [fake], None, NOW),
        *quiet,
        digest,
        troubles.board_for(broken, post, file),
        *audit.audit(found, [], post, file, NOW),
        *shift_start.shift_start(begun, "Ben", "Europe/Berlin"),
        *storm(held, open_),
    ]
    made = [Board(f"b-{n}", 1, each.key, each.content, NOW, NOW) for n, each in enumerate(wanted)]
    first = made[0]
    over = ended(first.content, "Held back: every message was judged")
    return [*made, Board("b-over", 2, first.key, over, NOW, NOW)]
