"""The demo's story: what it holds, and that it is told in the platforms' own words."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deploy.local.demo import cast, script, story
from deploy.local.demo.delivery import Delivery, Envelope, Expect, Signing
from deploy.local.demo.signing import DemoSecrets, headers
from deploy.local.demo.team import presence_yaml
from services.contracts.configuration import WebhookAccount
from services.runtime import configuration

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STORY = story.expand(START)
LINES = {line.key: line for line in script.read()}


def test_the_story_holds_about_three_hundred_notifications_of_every_kind() -> None:
    held = story.contents()
    assert 290 <= held.items <= 330
    assert held.duplicates >= 15
    assert held.trouble >= 8
    assert set(held.by_platform) == set(cast.BRAND_IDS)
    assert held.by_form["direct"] >= 20
    assert {
        "edit",
        "delete",
        "like",
        "follow",
        "repost",
        "article",
        "review",
    } <= held.by_form.keys()
    assert held.answers >= 40


def test_people_write_in_many_languages() -> None:
    often = {language for language, times in story.contents().languages.items() if times >= 5}
    assert {"en", "de", "es", "fr", "pt", "ja"} <= often
    assert {"ar", "hi", "zh", "ko"} <= story.contents().languages.keys()


def test_forty_people_write_under_one_post_and_two_of_them_are_answered() -> None:
    comments = [line for line in LINES.values() if line.scene == "fb-forty"]
    assert len({line.who.id for line in comments}) == len(comments) == 40
    assert {line.re for line in comments} == {"fb-post"}
    answered = {line.re for line in LINES.values() if line.who.is_brand and line.act == "say"}
    assert sum(1 for line in comments if line.key in answered) == 2


def test_the_same_start_gives_the_same_bytes_and_another_start_nothing_old() -> None:
    assert [one.content() for one in story.expand(START)] == [one.content() for one in STORY]
    later = story.expand(START + timedelta(minutes=3))
    assert not _native_ids(STORY) & _native_ids(later)
    assert not {one.delivery_id for one in STORY if one.delivery_id} & {
        one.delivery_id for one in later
    }


def _native_ids(deliveries: tuple[Delivery, ...]) -> set[str]:
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, dict):
            found.update(
                str(value[key])
                for key in ("id_str", "mid", "comment_id")
                if key in value and "screen_name" not in value
            )
            for each in value.values():
                walk(each)

    for delivery in deliveries:
        walk(delivery.body)
    # The people stay the same.
    people = {line.who.id for line in LINES.values()} | {cast.X_ID}
    return found - people


def test_every_answer_is_later_than_what_it_answers() -> None:
    for line in LINES.values():
        if line.re is not None:
            assert LINES[line.re].at < line.at, f"{line.key} before {line.re}"


def test_some_things_are_delivered_in_the_wrong_order() -> None:
    early = [
        line
        for line in LINES.values()
        if line.re is not None and line.delivered < LINES[line.re].delivered
    ]
    assert Counter(line.act for line in early) == {"say": 2, "delete": 2}


def test_what_is_delivered_again_is_the_same_to_the_byte() -> None:
    first: dict[tuple[str, ...], bytes] = {}
    repeated = 0
    for one in STORY:
        if one.again:
            assert first[one.items] == one.content()
            repeated += 1
        else:
            first[one.items] = one.content()
    assert repeated >= 15


def test_tweets_have_the_shape_of_account_activity() -> None:
    bodies = [one.body for one in STORY if one.source == "x" and one.expect is Expect.accepted]
    tweets = [tweet for body in bodies for tweet in body.get("tweet_create_events", [])]
    assert len(tweets) > 100
    assert {body["for_user_id"] for body in bodies} == {cast.X_ID}
    for tweet in tweets:
        assert tweet["id_str"] == str(tweet["id"])
        assert len(tweet["text"]) <= 140
        assert tweet["truncated"] == ("extended_tweet" in tweet)
        for mention in tweet["entities"]["user_mentions"]:
            begin, end = mention["indices"]
            assert tweet["text"][begin:end].lower() == "@" + mention["screen_name"].lower()
    direct = [body for body in bodies if "direct_message_events" in body]
    for body in direct:
        message = body["direct_message_events"][0]["message_create"]
        assert {message["sender_id"], message["target"]["recipient_id"]} == set(body["users"])


def test_meta_batches_changes_and_messages_as_its_webhooks_do() -> None:
    bodies = [one.body for one in STORY if one.source == "meta" and one.expect is Expect.accepted]
    assert max(len(body["entry"]) for body in bodies) == 3
    entries = [(body["object"], entry) for body in bodies for entry in body["entry"]]
    assert {kind for kind, _ in entries} == {"page", "instagram"}
    verbs = {
        change["value"].get("verb") for _, entry in entries for change in entry.get("changes", [])
    }
    assert {"add", "edited", "remove"} <= verbs
    echoes = [
        message["message"]["app_id"]
        for _, entry in entries
        for message in entry.get("messaging", [])
        if message["message"].get("is_echo")
    ]
    assert int(cast.AUTOREPLY_APP_ID) in echoes
    assert int(cast.INBOX_APP_ID) in echoes


@pytest.fixture(scope="module")
def demo() -> DemoSecrets:
    return DemoSecrets.made()


def _hmac(secret: str, content: bytes) -> bytes:
    return hmac.new(secret.encode(), content, hashlib.sha256).digest()


def test_every_request_is_signed_as_its_platform_signs(demo: DemoSecrets) -> None:
    environment = demo.environment()
    now = datetime.now(UTC)
    for one in STORY:
        if one.source == "mastodon":
            continue
        sent, content = headers(one, demo, now), one.content()
        right = one.signing is Signing.right
        if one.source == "x":
            digest = _hmac(environment["PRESENCE_X_CONSUMER_SECRET"], content)
            signature = "sha256=" + base64.b64encode(digest).decode()
            assert (sent["x-twitter-webhooks-signature"] == signature) is right
        elif one.source == "meta":
            digest = _hmac(environment["PRESENCE_META_APP_SECRET"], content)
            assert (sent["x-hub-signature-256"] == "sha256=" + digest.hex()) is right
        else:
            verifier = Webhook(environment[f"PRESENCE_{one.source.upper()}_SECRET"])
            if right:
                verifier.verify(content, sent)
            else:
                with pytest.raises(WebhookVerificationError):
                    verifier.verify(content, sent)


def test_cloudevents_come_structured_and_binary(demo: DemoSecrets) -> None:
    by_envelope = {one.envelope: one for one in STORY if one.source in ("helpdesk", "newswire")}
    structured = headers(by_envelope[Envelope.structured], demo, START)
    assert structured["content-type"] == "application/cloudevents+json"
    assert by_envelope[Envelope.structured].body["specversion"] == "1.0"
    binary = headers(by_envelope[Envelope.binary], demo, START)
    assert {"ce-id", "ce-source", "ce-type", "ce-specversion"} <= binary.keys()


def test_the_teams_configuration_is_right_and_names_the_accounts_of_the_story() -> None:
    text = presence_yaml("http://127.0.0.1:1", "http://127.0.0.1:2", date(2026, 3, 2))
    file = configuration.parse(text)
    assert {account.id for account in file.accounts} == set(cast.BRAND_IDS.values())
    webhooks = {one.settings.source for one in file.accounts if isinstance(one, WebhookAccount)}
    sources = {one.source for one in STORY}
    assert sources == webhooks | {"x", "meta", "mastodon"}
    gold = {
        f"x:{line.who.id}" for line in LINES.values() if line.key in ("gold1", "gold2", "x-refund")
    }
    assert set(file.brands[0].author_lists["gold-members"]) == gold
    named = {one for account in file.accounts for one in account.automation.app_ids}
    assert cast.AUTOREPLY_APP_ID in named
    texts = {one for account in file.accounts for one in account.automation.texts}
    assert texts == {cast.AUTOREPLY_TEXT}


def test_a_line_that_speaks_of_nothing_is_an_error_that_names_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.yaml").write_text(
        "scenes: [{scene: s, shows: t, platform: x, form: reply, from: 0, to: 1,"
        " lines: [{line: 'en ana (Ana): hi', re: nowhere}]}]"
    )
    monkeypatch.setattr(script, "STORY", tmp_path)
    with pytest.raises(script.StoryError, match="nowhere"):
        script.read.__wrapped__()


def test_the_story_is_written_as_one_file_a_platform(tmp_path: Any) -> None:
    written = story.write(tmp_path)
    names = {path.stem for path in written}
    assert names == {"x", "meta", "mastodon", "shop", "helpdesk", "newswire"}
    lines = sum(path.read_bytes().count(b"\n") for path in written)
    assert lines == len(STORY)
