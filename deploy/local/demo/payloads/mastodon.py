"""Mastodon: what its streaming API sends (event and entity), for the local server to pass on."""

from __future__ import annotations

import html
from datetime import datetime
from typing import Any

from deploy.local.demo.cast import MASTODON_ID, Person, brand
from deploy.local.demo.world import Placed, World

BRAND_ACCT = "auroraair"
_HOME = "https://social.auroraair.example"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _acct(person: Person) -> str:
    return BRAND_ACCT if person.is_brand else person.handle


def account(person: Person, now: datetime) -> dict[str, Any]:
    """An account entity."""
    acct = _acct(person)
    username, _, host = acct.partition("@")
    url = f"https://{host}/@{username}" if host else f"{_HOME}/@{username}"
    return {
        "id": person.id,
        "username": username,
        "acct": acct,
        "display_name": person.name,
        "locked": False,
        "bot": False,
        "discoverable": True,
        "group": False,
        "created_at": _time(person.joined(now).replace(hour=0, minute=0, second=0, microsecond=0)),
        "note": "<p>Flying north since 1987.</p>" if person.is_brand else "",
        "url": url,
        "uri": url,
        "avatar": f"{url}/avatar.png",
        "avatar_static": f"{url}/avatar.png",
        "header": f"{url}/header.png",
        "header_static": f"{url}/header.png",
        "followers_count": person.followers,
        "following_count": person.followers // 2,
        "statuses_count": 3 if person.sort == "new" else person.followers * 2,
        "last_status_at": now.date().isoformat(),
        "emojis": [],
        "fields": [],
    }


def status(
    world: World, placed: Placed, text: str | None = None, edited: datetime | None = None
) -> dict[str, Any]:
    """A status entity; `text` and `edited` for a later version of it."""
    line = placed.line
    about = world.about(placed) if line.re else None
    mentioned = [] if line.who.is_brand else [brand("mastodon")]
    if about is not None and about.line.who.id != line.who.id and not about.line.who.is_brand:
        mentioned.append(about.line.who)
    people = [account(person, world.start) for person in mentioned]
    names = "".join(
        f'<span class="h-card" translate="no"><a href="{person["url"]}" class="u-url mention">'
        f"@<span>{person['username']}</span></a></span> "
        for person in people
    )
    words = html.escape(text or line.text, quote=False).replace("\n", "<br />")
    writer = account(line.who, world.start)
    return {
        "id": placed.id,
        "created_at": _time(placed.moment),
        "in_reply_to_id": about.id if about else None,
        "in_reply_to_account_id": about.line.who.id if about else None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": "direct" if line.form == "direct" else "public",
        "language": line.language,
        "uri": f"{writer['uri']}/statuses/{placed.id}",
        "url": f"{writer['url']}/{placed.id}",
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "edited_at": _time(edited) if edited else None,
        "content": f"<p>{names}{words}</p>",
        "reblog": None,
        "account": writer,
        "media_attachments": [],
        "mentions": [
            {name: one[name] for name in ("id", "username", "url", "acct")} for one in people
        ],
        "tags": [],
        "emojis": [],
        "card": None,
        "poll": None,
    }


def _notification(
    world: World, placed: Placed, kind: str, about: dict[str, Any] | None
) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "id": str(int(placed.id) >> 16),
        "type": kind,
        "created_at": _time(placed.moment),
        "group_key": f"ungrouped-{int(placed.id) >> 16}",
        "account": account(placed.line.who, world.start),
    }
    return entity | ({"status": about} if about else {})


def payload(world: World, placed: Placed) -> dict[str, Any]:
    """`{"event": …, "payload": …}`: the payload is the entity (the wire has it as a string)."""
    line = placed.line
    if line.act == "delete":
        return {"event": "delete", "payload": world.about(placed).id}
    if line.act == "edit":
        later = status(world, world.about(placed), line.text, placed.moment)
        return {"event": "status.update", "payload": later}
    if line.act == "follow":
        return {"event": "notification", "payload": _notification(world, placed, "follow", None)}
    if line.act in ("like", "repost"):
        kind = "favourite" if line.act == "like" else "reblog"
        about = status(world, world.about(placed))
        return {"event": "notification", "payload": _notification(world, placed, kind, about)}
    if line.who.is_brand:
        return {"event": "update", "payload": status(world, placed)}
    mention = _notification(world, placed, "mention", status(world, placed))
    return {"event": "notification", "payload": mention}


def brand_account(now: datetime) -> dict[str, Any]:
    """The account that the local server belongs to."""
    entity = account(brand("mastodon"), now)
    if entity["id"] != MASTODON_ID:
        raise ValueError("the brand's account has another id")
    return entity
