"""The generic webhook in Presence's own form: reviews, tickets and articles."""

from __future__ import annotations

from typing import Any

from deploy.local.demo.cast import BRAND_IDS, BRAND_NAME
from deploy.local.demo.delivery import Envelope
from deploy.local.demo.world import Placed, World

_ACTIONS = {"say": "created", "edit": "edited", "delete": "deleted"}
_HOMES = {
    "shop": "https://shop.auroraair.example/reviews",
    "helpdesk": "https://help.auroraair.example/tickets",
    "newswire": "https://wire.example/stories",
}


def data(world: World, placed: Placed) -> dict[str, Any]:
    """The item itself."""
    line = placed.line
    subject = placed if line.act == "say" else world.about(placed)
    root, who = world.root(subject), subject.line.who
    form: dict[str, Any] = {
        "id": subject.id,
        "action": _ACTIONS[line.act],
        "kind": subject.line.form,
        "author": {"id": who.id, "handle": who.handle, "name": who.name},
        "outbound": who.is_brand,
        "thread": root.id,
        "text": line.text,
        "url": f"{_HOMES[line.platform]}/{root.id}",
        "private": line.platform == "helpdesk",
        "automated": line.app == "autoreply",
        "created_at": subject.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **subject.line.extra,
    }
    if line.act != "say":
        form["version"] = placed.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if line.act == "delete":
        del form["text"]
    if subject.line.re:
        form["in_reply_to"] = world.about(subject).id
    if who.is_brand:
        form["author"] = {"id": BRAND_IDS[line.platform], "handle": "auroraair", "name": BRAND_NAME}
        form["counterpart"] = {"id": root.line.who.id}
    return form


def payload(world: World, placed: Placed, envelope: Envelope) -> dict[str, Any]:
    """The request's body: wrapped as Standard Webhooks or CloudEvents, or (binary) the item alone."""
    item = data(world, placed)
    if envelope is Envelope.binary:
        return item
    moment = placed.moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kind = f"item.{item['action']}"
    if envelope is Envelope.standard:
        return {"type": kind, "timestamp": moment, "data": item}
    return {
        "specversion": "1.0",
        "id": f"evt-{world.token(placed.line.key, 16)}",
        "source": f"//{_HOMES[placed.line.platform].removeprefix('https://')}",
        "type": kind,
        "time": moment,
        "datacontenttype": "application/json",
        "data": item,
    }
