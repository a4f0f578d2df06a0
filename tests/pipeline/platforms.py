"""Native payloads, signed as the platforms sign them, for one small brand on X and Facebook."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

X_ACCOUNT, PAGE = "1000", "2000"
X_CROWDS = ("1001", "1002", "1003")
X_QUIET = "1004"
"""More accounts of the brand, each with another person on call: nobody is pinged more than five times."""
X_SECRET, META_SECRET = "x-secret-of-the-pipeline", "meta-secret-of-the-pipeline"


@dataclass(frozen=True, slots=True)
class Payload:
    """One webhook request."""

    source: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """With a right signature."""
        if self.source == "x":
            digest = hmac.new(X_SECRET.encode(), self.body, hashlib.sha256).digest()
            signature = "sha256=" + base64.b64encode(digest).decode()
            return {"content-type": "application/json", "x-twitter-webhooks-signature": signature}
        signature = (
            "sha256=" + hmac.new(META_SECRET.encode(), self.body, hashlib.sha256).hexdigest()
        )
        return {"content-type": "application/json", "x-hub-signature-256": signature}


def _user(user_id: str) -> dict[str, Any]:
    ours = user_id in (X_ACCOUNT, *X_CROWDS, X_QUIET)
    return {
        "id_str": user_id,
        "screen_name": "auroraair" if ours else f"person{user_id}",
        "name": "Aurora Air" if ours else f"Person {user_id}",
        "followers_count": 120,
        "verified": False,
        "created_at": "Mon Jan 04 10:00:00 +0000 2016",
    }


def tweet(
    tweet_id: str,
    author: str,
    text: str,
    at: datetime,
    *,
    answers: tuple[str, str] | None = None,
    account: str = X_ACCOUNT,
) -> dict[str, Any]:
    """A v1.1 tweet; `answers` is (tweet id, its author's id), `account` whom "@auroraair" means."""
    return {
        "id_str": tweet_id,
        "text": text,
        "created_at": at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
        "timestamp_ms": str(int(at.timestamp() * 1000)),
        "user": _user(author),
        "lang": "en",
        "source": '<a href="https://mobile.twitter.com">Twitter Web App</a>',
        "in_reply_to_status_id_str": answers[0] if answers else None,
        "in_reply_to_user_id_str": answers[1] if answers else None,
        "entities": {
            "hashtags": [],
            "urls": [],
            "user_mentions": _mentions(text, answers, account),
        },
    }


def _mentions(text: str, answers: tuple[str, str] | None, account: str) -> list[dict[str, Any]]:
    mentioned = [account] if "@auroraair" in text else []
    if answers and answers[1] not in mentioned:
        mentioned.append(answers[1])
    return [
        {"id_str": one, "screen_name": _user(one)["screen_name"], "indices": [0, 0]}
        for one in mentioned
    ]


def x(*tweets: dict[str, Any], account: str = X_ACCOUNT) -> Payload:
    """One account activity request."""
    return Payload("x", orjson.dumps({"for_user_id": account, "tweet_create_events": tweets}))


def x_deleted(tweet_id: str, author: str, at: datetime) -> Payload:
    """A deletion."""
    event = {
        "status": {"id": tweet_id, "user_id": author},
        "timestamp_ms": str(int(at.timestamp() * 1000)),
    }
    return Payload("x", orjson.dumps({"for_user_id": X_ACCOUNT, "tweet_delete_events": [event]}))


def comment(post: str, comment_id: str, author: str, text: str, at: datetime) -> dict[str, Any]:
    """Somebody's comment under the page's post."""
    return _comment(post, comment_id, f"{PAGE}_{post}", author, f"Person {author}", text, at)


def page_answers(
    post: str, comment_id: str, parent: str, text: str, at: datetime
) -> dict[str, Any]:
    """The page's own comment beneath another: the payload does not say whose."""
    return _comment(post, comment_id, f"{post}_{parent}", PAGE, "Aurora Air", text, at)


def _comment(
    post: str, comment_id: str, parent: str, author: str, name: str, text: str, at: datetime
) -> dict[str, Any]:
    return {
        "field": "feed",
        "value": {
            "item": "comment",
            "verb": "add",
            "from": {"id": author, "name": name},
            "post_id": f"{PAGE}_{post}",
            "comment_id": f"{post}_{comment_id}",
            "parent_id": parent,
            "created_time": int(at.timestamp()),
            "message": text,
        },
    }


def meta(*changes: dict[str, Any]) -> Payload:
    """One request of Meta's webhooks, several changes in one entry."""
    entry = {"id": PAGE, "time": 0, "changes": changes}
    return Payload("meta", orjson.dumps({"object": "page", "entry": [entry]}))
