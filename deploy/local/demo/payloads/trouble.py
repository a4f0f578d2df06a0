"""What no sender should send: the intake has to say so, and go on."""

from __future__ import annotations

from deploy.local.demo.cast import FACEBOOK_ID, X_ID
from deploy.local.demo.delivery import Delivery, Expect, Signing
from deploy.local.demo.world import Placed, World

TOO_LARGE_BYTES = 1_100_000
"""Over the body limit of 1 MiB that presence.yaml has by default."""


def _tweet_stub(world: World, placed: Placed) -> dict[str, object]:
    # Complete enough to be taken in, were it not for its signature.
    user = {"id_str": "1999", "screen_name": "nobody", "name": "Nobody"}
    tweet = {
        "id_str": placed.id,
        "text": "@auroraair hello",
        "user": user,
        "timestamp_ms": str(placed.ms),
    }
    return {"for_user_id": X_ID, "tweet_create_events": [tweet]}


def delivery(world: World, placed: Placed) -> Delivery:
    """The request for one line of trouble."""
    line = placed.line
    source = line.form.partition("-")[0]
    body: object = None
    raw: str | None = None
    expect, signing = Expect.told, Signing.right
    match line.form:
        case "x-broken-json":
            tweet = f'{{"id_str": "{placed.id}", "text": "@auror'
            raw = f'{{"for_user_id": "{X_ID}", "tweet_create_events": [{tweet}'
        case "meta-broken-json":
            raw = f'{{"object": "page", "entry": [{{"id": "{FACEBOOK_ID}", "time": {placed.s}, "changes": [}}'
        case "x-unknown-shape":
            event = {"id": placed.id, "aura": "violet"}
            body = {"for_user_id": X_ID, "hologram_events": [event]}
        case "meta-no-entries":
            body = ["page", placed.s, None]
        case "x-wrong-signature":
            body, expect, signing = _tweet_stub(world, placed), Expect.refused, Signing.wrong
        case "meta-wrong-signature":
            change = {
                "field": "feed",
                "value": {"item": "status", "verb": "add", "post_id": placed.id},
            }
            entry = {"id": FACEBOOK_ID, "time": placed.s, "changes": [change]}
            body = {"object": "page", "entry": [entry]}
            expect, signing = Expect.refused, Signing.wrong
        case "shop-old-timestamp":
            body = {"type": "item.created", "data": {"id": placed.id, "text": "an hour late"}}
            expect, signing = Expect.refused, Signing.old
        case "shop-too-large":
            raw = '{"type": "item.created", "data": {"text": "' + "a" * TOO_LARGE_BYTES + '"}}'
            expect = Expect.refused
        case "shop-no-author":
            item = {
                "id": f"rev_{placed.ms}",
                "action": "created",
                "kind": "review",
                "text": "Who wrote this?",
            }
            body = {"type": "item.created", "timestamp": placed.moment.isoformat(), "data": item}
        case _:
            raise ValueError(f"{line.key}: no trouble of the name {line.form!r}")
    return Delivery(
        at=line.delivered,
        source=source,
        body=body,
        raw=raw,
        note=line.shows,
        items=(line.key,),
        expect=expect,
        signing=signing,
        delivery_id=f"msg_{world.token(line.key)}",
    )
