"""Meta: Facebook page feeds, Instagram comments, and messages of both, as the webhooks send them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.local.demo.cast import (
    AUTOREPLY_APP_ID,
    BRAND_NAME,
    FACEBOOK_ID,
    INBOX_APP_ID,
    INSTAGRAM_ID,
    Person,
)
from deploy.local.demo.world import Placed, World

_PAGES = {"facebook": FACEBOOK_ID, "instagram": INSTAGRAM_ID}
_VERBS = {"say": "add", "edit": "edited", "delete": "remove", "like": "add"}


def _from(person: Person) -> dict[str, str]:
    return {"id": person.id, "name": BRAND_NAME if person.is_brand else person.name}


def _post(world: World, placed: Placed) -> dict[str, Any]:
    root, post_id = world.root(placed), world.post_id(placed)
    return {
        "status_type": "mobile_status_update",
        "is_published": True,
        "updated_time": root.moment.strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "permalink_url": f"https://www.facebook.com/auroraair/posts/{root.id}",
        "promotion_status": "inactive",
        "id": post_id,
    }


def _parent(world: World, placed: Placed) -> Placed:
    """The post, or the comment directly under it: replies to replies are not nested further."""
    about = world.about(placed)
    while about.line.form == "comment" and world.about(about).line.form == "comment":
        about = world.about(about)
    return about


def _comment_id(world: World, placed: Placed) -> str:
    return f"{world.root(placed).id}_{placed.id}"


def _feed(world: World, placed: Placed) -> dict[str, Any]:
    """A change of a page's feed: a post, a comment, a reaction."""
    line = placed.line
    subject = placed if line.act == "say" else world.about(placed)
    who = subject.line.who if line.act in ("edit", "delete") else line.who
    value: dict[str, Any] = {
        "from": _from(who),
        "post_id": world.post_id(subject),
        "created_time": (placed if line.act in ("say", "like") else subject).s,
        "verb": _VERBS[line.act],
    }
    if line.act == "like":
        value |= {"item": "reaction", "reaction_type": "like", "parent_id": world.post_id(subject)}
        if subject.line.form == "comment":
            value["comment_id"] = _comment_id(world, subject)
    elif subject.line.form == "post":
        value |= {"item": "status", "message": line.text, "published": 1}
    else:
        about = _parent(world, subject)
        parent = world.post_id(about) if about.line.form == "post" else _comment_id(world, about)
        value |= {"item": "comment", "comment_id": _comment_id(world, subject), "parent_id": parent}
        if line.act == "delete":
            value["created_time"] = placed.s
        else:
            value |= {"message": line.text, "post": _post(world, subject)}
    return {"field": "feed", "value": value}


def _instagram_comment(world: World, placed: Placed) -> dict[str, Any]:
    line, root = placed.line, world.root(placed)
    username = "auroraair" if line.who.is_brand else line.who.handle
    value: dict[str, Any] = {
        "from": {"id": line.who.id, "username": username},
        "media": {"id": root.id, "media_product_type": "FEED"},
        "id": placed.id,
        "text": line.text,
    }
    about = _parent(world, placed)
    if about.line.form == "comment":
        value["parent_id"] = about.id
    return {"field": "comments", "value": value}


def _message(world: World, placed: Placed) -> dict[str, Any]:
    line, page = placed.line, _PAGES[placed.line.platform]
    other = world.root(placed).line.who
    message: dict[str, Any] = {"mid": placed.id, "text": line.text}
    if line.who.is_brand:
        app = AUTOREPLY_APP_ID if line.app == "autoreply" else INBOX_APP_ID
        message = {"is_echo": True, "app_id": int(app), **message}
    sender, recipient = (page, other.id) if line.who.is_brand else (other.id, page)
    return {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": placed.ms,
        "message": message,
    }


def payload(world: World, batch: Sequence[Placed]) -> dict[str, Any]:
    """The request's body for lines of one platform that travel together: one entry each."""
    platform = batch[0].line.platform
    entries = []
    for placed in batch:
        entry: dict[str, Any] = {"id": _PAGES[platform], "time": placed.s}
        if placed.line.form == "direct":
            entry |= {"time": placed.ms, "messaging": [_message(world, placed)]}
        elif platform == "instagram":
            entry["changes"] = [_instagram_comment(world, placed)]
        else:
            entry["changes"] = [_feed(world, placed)]
        entries.append(entry)
    return {"object": "page" if platform == "facebook" else "instagram", "entry": entries}
