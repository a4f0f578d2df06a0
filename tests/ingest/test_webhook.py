"""Generic webhooks: Standard Webhooks and both modes of CloudEvents."""

from __future__ import annotations

import orjson
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from pydantic import SecretStr
from standardwebhooks import Webhook

from services.contracts.configuration import Configuration
from services.contracts.events import Direction, Kind, Notification
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Rejected
from services.ingest.sources.registry import build_sources
from services.ingest.sources.source import Delivery
from services.runtime.errors import WrongConfiguration
from tests.ingest.brand import LINK_SECRET, NOW, SECRETS, configuration, payload, platform

SHOP, FORUM = platform("shop"), platform("forum")


def test_a_review_is_addressed_and_keeps_its_title() -> None:
    found = SHOP.one("review")
    assert found.kinds == {Kind.review}
    assert found.addressed
    assert (found.title, found.permalink) == ("Zip", "https://shop.example/r/1")
    assert found.conversation.root == "r-1"


def test_a_direct_message_is_private_without_being_told_so() -> None:
    found = SHOP.one("direct")
    assert found.private
    assert found.conversation.root is None


def test_the_sender_says_what_is_ours() -> None:
    found = SHOP.one("own_reply")
    assert found.direction is Direction.outbound
    assert found.conversation.counterpart_id == "c-9"


def test_the_librarys_own_signature_is_taken() -> None:
    body = payload("shop", "review")
    signature = Webhook(SECRETS["SHOP_SECRET"]).sign("msg_1", NOW, body.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,AAAA {signature}",
    }
    assert SHOP.source.verify(Delivery(headers, body), NOW)


def test_a_missing_author_is_said_in_words() -> None:
    (found,) = SHOP.read_file("without_author")
    assert isinstance(found, Rejected)


def _cloudevent(kind: str = "item.created") -> CloudEvent:
    data = orjson.loads(payload("shop", "review"))["data"]
    attributes = {
        "id": "1", "source": "/forum", "type": kind, "specversion": "1.0",
        "datacontenttype": "application/json",
    }  # fmt: skip
    return CloudEvent(attributes, data)


@pytest.mark.parametrize("write", [to_structured_event, to_binary_event])
def test_both_modes_of_cloudevents_give_the_same_event(write: object) -> None:
    assert callable(write)
    message = write(_cloudevent())
    headers = {name.lower(): value for name, value in message.headers.items()}
    delivery = Delivery({**FORUM.sign(message.body), **headers}, message.body)
    accounts = FORUM.source.verify(delivery, NOW)
    (found,) = FORUM.source.parse(delivery, accounts, Receipt(NOW))
    assert isinstance(found, Notification)
    assert found.event_id == "webhook:zip-forum:r-1:created"


def test_a_cloudevent_without_its_attributes_is_rejected() -> None:
    (found,) = FORUM.read(b'{"specversion": "1.0", "data": {}}')
    assert isinstance(found, Rejected)


def _changed(**settings: object) -> Configuration:
    raw = configuration().model_dump(mode="json", by_alias=True, exclude_none=True)
    shop = next(one for one in raw["accounts"] if one["id"] == "zip-shop")
    shop["settings"].update(settings)
    return Configuration.model_validate(raw)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"source": "x"}, "is taken"),
        ({"source": "forum"}, "is taken"),
        ({"secret": "X_ONE"}, "no Standard Webhooks secret"),
    ],
)
def test_a_source_that_cannot_work_stops_the_start(settings: dict[str, object], says: str) -> None:
    with pytest.raises(WrongConfiguration, match=says):
        build_sources(_changed(**settings), lambda name: SecretStr(SECRETS[name]), LINK_SECRET)
