"""The demo's story through ingest's own sources: every signature taken, every payload understood."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import SecretStr

from deploy.local.demo import cast, script, story
from deploy.local.demo.delivery import Delivery, Expect
from deploy.local.demo.signing import DemoSecrets, headers
from deploy.local.demo.team import presence_yaml
from services.contracts.events import Action, Direction, Notification
from services.ingest.domain.accounts import own_accounts
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Parsed, Rejected
from services.ingest.sources import source
from services.ingest.sources.mastodon import parse_event
from services.ingest.sources.registry import build_sources
from services.runtime import configuration

LINES = {line.key: line for line in script.read()}


@pytest.fixture(scope="module")
def read() -> list[tuple[Delivery, list[Parsed] | source.Refused]]:
    """What ingest makes of every delivery."""
    demo = DemoSecrets.made()
    environment = demo.environment()
    yaml = presence_yaml("http://127.0.0.1:1", "http://127.0.0.1:2", date(2026, 3, 2))
    file = configuration.parse(yaml)
    sources = build_sources(file, lambda name: SecretStr(environment[name]), None)
    mastodon = own_accounts(file)["mastodon", cast.MASTODON_ID]
    now = datetime.now(UTC)
    receipt = Receipt(now)
    found: list[tuple[Delivery, list[Parsed] | source.Refused]] = []
    for one in story.expand(now - timedelta(minutes=1)):
        if one.source == "mastodon":
            event = parse_event(one.body["event"], one.body["payload"], mastodon, receipt)
            found.append((one, [event]))
            continue
        request = source.Delivery(headers(one, demo, now), one.content())
        try:
            accounts = sources[one.source].verify(request, now)
        except source.Refused as refused:
            found.append((one, refused))
            continue
        found.append((one, sources[one.source].parse(request, accounts, receipt)))
    return found


def test_everything_but_trouble_becomes_one_notification_an_item(
    read: list[tuple[Delivery, list[Parsed] | source.Refused]],
) -> None:
    events: set[str] = set()
    for delivery, parsed in read:
        if delivery.expect is not Expect.accepted:
            continue
        assert isinstance(parsed, list), f"{delivery.items}: {parsed}"
        for one in parsed:
            assert isinstance(one, Notification), f"{delivery.items}: {one}"
            events.add(one.event_id)
        assert len(parsed) == len(delivery.items)
    assert len(events) == story.contents().events


def test_trouble_is_refused_or_rejected_with_a_reason(
    read: list[tuple[Delivery, list[Parsed] | source.Refused]],
) -> None:
    for delivery, parsed in read:
        if delivery.expect is Expect.accepted or delivery.items == ("trouble-8",):
            continue  # The intake turns away what is too large before a source sees it.
        if delivery.expect is Expect.refused:
            assert isinstance(parsed, source.Refused), delivery.note
        else:
            assert isinstance(parsed, list)
            assert all(isinstance(one, Rejected) for one in parsed), delivery.note


def test_ingest_tells_the_brands_own_words_from_its_machines_and_from_others(
    read: list[tuple[Delivery, list[Parsed] | source.Refused]],
) -> None:
    for delivery, parsed in read:
        if not isinstance(parsed, list) or delivery.expect is not Expect.accepted:
            continue
        for key, one in zip(delivery.items, parsed, strict=True):
            assert isinstance(one, Notification)
            line = LINES[key]
            if one.action is not Action.created or line.act != "say":
                continue
            assert (one.direction is Direction.outbound) is line.who.is_brand, key
            assert one.automated is (line.app == "autoreply"), key
            assert line.text[:40] in one.text, key
            if line.who.is_brand and line.re:
                # Meta names only the comment that is answered: whose it is, alert has stored.
                assert one.in_reply_to or one.conversation.counterpart_id, key
                assert one.conversation.counterpart_id in (_answered(key), None), key
                assert one.private is (line.form == "direct"), key


def _answered(key: str) -> str:
    about = LINES[str(LINES[key].re)]
    while about.who.is_brand:
        about = LINES[str(about.re)]
    return about.who.id
