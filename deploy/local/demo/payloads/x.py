"""X: account activity payloads (`for_user_id`, `tweet_create_events` with v1.1 tweets, …)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from deploy.local.demo.cast import (
    AUTOREPLY_APP_ID,
    INBOX_APP_ID,
    X_HANDLE,
    X_ID,
    Person,
    brand,
)
from deploy.local.demo.world import Placed, World

_TIME = "%a %b %d %H:%M:%S +0000 %Y"
_TWEET_LENGTH = 140
_APPS = {
    None: '<a href="https://mobile.twitter.com" rel="nofollow">Twitter Web App</a>',
    "inbox": '<a href="https://desk.auroraair.example" rel="nofollow">Aurora Desk</a>',
    "autoreply": '<a href="https://auto.auroraair.example" rel="nofollow">Aurora Autoreply</a>',
}


def _handle(person: Person) -> str:
    return X_HANDLE if person.is_brand else person.handle


def _user(person: Person, now: datetime) -> dict[str, Any]:
    about = "Flying north since 1987." if person.is_brand else None
    return {
        "id": int(person.id),
        "id_str": person.id,
        "name": person.name,
        "screen_name": _handle(person),
        "location": None,
        "url": None,
        "description": about,
        "protected": False,
        "verified": person.verified,
        "followers_count": person.followers,
        "friends_count": person.followers // 2 + 9,
        "listed_count": person.followers // 90,
        "favourites_count": person.followers * 3,
        "statuses_count": 2 if person.sort == "new" else person.followers * 2,
        "created_at": person.joined(now).strftime(_TIME),
        "default_profile_image": person.sort == "new",
        "profile_image_url_https": f"https://pbs.twimg.example/profile_images/{person.id}.jpg",
    }


def _indices(text: str, pattern: str) -> list[tuple[re.Match[str], list[int]]]:
    return [(match, [match.start(), match.end()]) for match in re.finditer(pattern, text)]


def _entities(text: str, people: dict[str, Person]) -> dict[str, Any]:
    mentions = [
        {
            "screen_name": match[1],
            "name": people[match[1].lower()].name,
            "id": int(people[match[1].lower()].id),
            "id_str": people[match[1].lower()].id,
            "indices": indices,
        }
        for match, indices in _indices(text, r"@(\w+)")
        if match[1].lower() in people
    ]
    urls = [
        {"url": match[0], "expanded_url": match[0], "display_url": match[0][8:], "indices": indices}
        for match, indices in _indices(text, r"https://\S+[\w/]")
    ]
    tags = [{"text": m[1], "indices": indices} for m, indices in _indices(text, r"#(\w+)")]
    return {"hashtags": tags, "urls": urls, "user_mentions": mentions, "symbols": []}


def _tweet(world: World, placed: Placed) -> dict[str, Any]:
    line = placed.line
    about = world.about(placed) if line.re and line.act == "say" else None
    people = {X_HANDLE: brand("x"), _handle(line.who).lower(): line.who}
    text = line.text
    if about is not None:
        people[_handle(about.line.who).lower()] = about.line.who
        if about.line.who.id != line.who.id and line.form == "reply":
            others = not (line.who.is_brand or about.line.who.is_brand)
            named = (
                f"@{_handle(about.line.who)} @{X_HANDLE}"
                if others
                else f"@{_handle(about.line.who)}"
            )
            text = f"{named} {text}"
    tweet: dict[str, Any] = {
        "created_at": placed.moment.strftime(_TIME),
        "id": int(placed.id),
        "id_str": placed.id,
        "text": text,
        "source": _APPS[line.app or ("inbox" if line.who.is_brand else None)],
        "truncated": False,
        "in_reply_to_status_id": None,
        "in_reply_to_status_id_str": None,
        "in_reply_to_user_id": None,
        "in_reply_to_user_id_str": None,
        "in_reply_to_screen_name": None,
        "user": _user(line.who, world.start),
        "geo": None,
        "coordinates": None,
        "place": None,
        "contributors": None,
        "is_quote_status": False,
        "quote_count": 0,
        "reply_count": 0,
        "retweet_count": 0,
        "favorite_count": 0,
        "entities": _entities(text, people),
        "favorited": False,
        "retweeted": False,
        "possibly_sensitive": False,
        "filter_level": "low",
        "lang": line.language,
        "timestamp_ms": str(placed.ms),
    }
    if about is not None and line.form == "reply":
        tweet |= {
            "in_reply_to_status_id": int(about.id),
            "in_reply_to_status_id_str": about.id,
            "in_reply_to_user_id": int(about.line.who.id),
            "in_reply_to_user_id_str": about.line.who.id,
            "in_reply_to_screen_name": _handle(about.line.who),
        }
    if about is not None and line.form == "quote":
        tweet |= {
            "is_quote_status": True,
            "quoted_status_id": int(about.id),
            "quoted_status_id_str": about.id,
            "quoted_status": _tweet(world, about),
        }
    if len(text) > _TWEET_LENGTH:
        full = {"full_text": text, "display_text_range": [0, len(text)]}
        tweet["extended_tweet"] = full | {"entities": tweet["entities"]}
        short = text[: _TWEET_LENGTH - 1] + "…"
        tweet |= {"text": short, "truncated": True, "entities": _entities(short, people)}
    return tweet


def _retweet(world: World, placed: Placed) -> dict[str, Any]:
    about = world.about(placed)
    original = _tweet(world, about)
    people = {X_HANDLE: brand("x"), _handle(about.line.who).lower(): about.line.who}
    text = f"RT @{_handle(about.line.who)}: {about.line.text}"
    if len(text) > _TWEET_LENGTH:
        text = text[: _TWEET_LENGTH - 1] + "…"
    # Only the post that is passed on carries its whole text.
    own = {name: value for name, value in original.items() if name != "extended_tweet"}
    return own | {
        "created_at": placed.moment.strftime(_TIME),
        "id": int(placed.id),
        "id_str": placed.id,
        "text": text,
        "truncated": False,
        "entities": _entities(text, people),
        "user": _user(placed.line.who, world.start),
        "timestamp_ms": str(placed.ms),
        "retweeted_status": original,
    }


def _direct(world: World, placed: Placed) -> dict[str, Any]:
    line = placed.line
    other = world.root(placed).line.who if line.who.is_brand else line.who
    sender, recipient = (X_ID, other.id) if line.who.is_brand else (other.id, X_ID)
    app = AUTOREPLY_APP_ID if line.app == "autoreply" else INBOX_APP_ID
    event: dict[str, Any] = {
        "type": "message_create",
        "id": placed.id,
        "created_timestamp": str(placed.ms),
        "message_create": {
            "target": {"recipient_id": recipient},
            "sender_id": sender,
            "message_data": {"text": line.text, "entities": _entities(line.text, {})},
        },
    }
    users = {}
    for person in (brand("x"), other):
        user = _user(person, world.start)
        user |= {
            "id": person.id,
            "created_timestamp": str(int(person.joined(world.start).timestamp() * 1000)),
        }
        users[person.id] = {
            name: value for name, value in user.items() if name not in ("id_str", "created_at")
        }
    payload: dict[str, Any] = {"for_user_id": X_ID, "direct_message_events": [event]}
    if line.who.is_brand:
        event["message_create"]["source_app_id"] = app
        name = "Aurora Autoreply" if line.app == "autoreply" else "Aurora Desk"
        payload["apps"] = {app: {"id": app, "name": name, "url": "https://auroraair.example"}}
    return payload | {"users": users}


def payload(world: World, placed: Placed) -> dict[str, Any]:
    """The request's body for one line."""
    line, start = placed.line, world.start
    if line.act == "delete":
        gone = world.about(placed)
        status = {"id": gone.id, "user_id": gone.line.who.id}
        event = {"status": status, "timestamp_ms": str(placed.ms)}
        return {"for_user_id": X_ID, "tweet_delete_events": [event]}
    if line.act == "like":
        favourite = {
            "id": world.token(line.key, 32),
            "created_at": placed.moment.strftime(_TIME),
            "timestamp_ms": placed.ms,
            "favorited_status": _tweet(world, world.about(placed)),
            "user": _user(line.who, start),
        }
        return {"for_user_id": X_ID, "favorite_events": [favourite]}
    if line.act == "follow":
        source, target = _user(line.who, start), _user(brand("x"), start)
        follow = {
            "type": "follow",
            "created_timestamp": str(placed.ms),
            "target": target,
            "source": source,
        }
        return {"for_user_id": X_ID, "follow_events": [follow]}
    if line.form == "direct":
        return _direct(world, placed)
    tweet = _retweet(world, placed) if line.act == "repost" else _tweet(world, placed)
    body: dict[str, Any] = {"for_user_id": X_ID}
    if not line.who.is_brand:
        body["user_has_blocked"] = False
    return body | {"tweet_create_events": [tweet]}
