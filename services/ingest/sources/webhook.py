"""Any system that can post JSON: Standard Webhooks, and CloudEvents signed as Standard Webhooks.

They carry Presence's own simple form of an item (docs/sources.md shows it), or a form of their own that
a mapping turns into it. Whoever connects a system reads the answer, so what cannot be read is 422 and
the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.exceptions import BaseCloudEventException
from pydantic import AwareDatetime, Field
from standardwebhooks import Webhook

from services.contracts.configuration import WebhookScheme
from services.contracts.events import Action, Author, Kind
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Deletion, Item, Receipt
from services.ingest.domain.native import Native, NativeId
from services.ingest.domain.outcome import (
    Ignored,
    Parsed,
    Rejected,
    RejectReason,
    Unreadable,
    first_error,
)
from services.ingest.sources.mapping import MappedForm
from services.ingest.sources.source import (
    Accounts,
    Challenge,
    Delivery,
    RefusalReason,
    Refused,
    json_object,
    read_change,
    same,
)

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX = "item."
"""Of the types that carry an item: `item.created`, `item.edited`, `item.deleted`."""
_WITHOUT_ROOT = frozenset({Kind.direct})


class _Author(Native):
    id: NativeId
    handle: str | None = None
    name: str | None = None
    bot: bool | None = None


class _Party(Native):
    id: NativeId


class SimpleItem(Native):
    """Presence's own form of an item: what a system posts, or what a mapping makes of its payload."""

    id: NativeId
    action: Action = Action.created
    version: NativeId | None = None
    kind: Kind
    author: _Author | None = None
    outbound: bool = False
    thread: NativeId | None = None
    in_reply_to: NativeId | None = None
    counterpart: _Party | None = None
    text: str = ""
    title: str | None = None
    url: str | None = None
    language: str | None = None
    links: tuple[str, ...] = ()
    private: bool = False
    automated: bool = False
    addressed: bool = Field(False, description="A comment on our post or a reply to us.")
    created_at: AwareDatetime | None = None

    def item(self) -> Item:
        """As the facts that every source gives. Raises ValueError without an author."""
        if self.action is Action.deleted:
            author_id = self.author.id if self.author else None
            kinds = frozenset({self.kind})
            return Deletion(self.id, author_id, self.thread, self.created_at, kinds).item()
        if self.author is None:
            raise Unreadable("author: missing")
        return Item(
            native_id=self.id,
            author=Author(**self.author.model_dump()),
            kinds=frozenset({self.kind}),
            action=self.action,
            version=self.version,
            root=self.thread or (None if self.kind in _WITHOUT_ROOT else self.id),
            in_reply_to=self.in_reply_to,
            answers=self.counterpart.id if self.counterpart else None,
            outbound=True if self.outbound else None,
            addressed=self.addressed,
            private=self.private or self.kind is Kind.direct,
            automated=self.automated,
            text=self.text,
            title=self.title,
            language=self.language,
            links=self.links,
            permalink=self.url,
            happened_at=self.created_at,
        )


class Signature(Protocol):
    """How a sender proves itself."""

    def verify(self, delivery: Delivery, now: datetime) -> None:
        """Raises Refused."""
        ...

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The headers under which `verify` takes this body."""
        ...


@dataclass(frozen=True)
class StandardSignature:
    """Standard Webhooks' signature: HMAC-SHA256 over `id.timestamp.body`, with our own clock.

    The library's `verify` reads the machine's clock and parses the body, so only its signing is used.
    """

    webhook: Webhook
    tolerance: timedelta

    def verify(self, delivery: Delivery, now: datetime) -> None:
        """Raises Refused."""
        headers = delivery.headers
        message_id, timestamp = headers.get(ID), headers.get(TIMESTAMP)
        given = headers.get(SIGNATURE)
        if not message_id or not timestamp or not given:
            raise Refused(RefusalReason.signature_missing)
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
            raise Refused(RefusalReason.timestamp_invalid)
        at = datetime.fromtimestamp(int(timestamp), UTC)
        try:
            expected = self.webhook.sign(message_id, at, delivery.body.decode())
        except UnicodeDecodeError:
            # The scheme signs text. What is none cannot have been signed.
            raise Refused(RefusalReason.signature_wrong) from None
        # A sender that rotates its secret gives several signatures with spaces between.
        candidates = given.encode().split(b" ")
        if not any(same(expected.encode(), candidate) for candidate in candidates):
            raise Refused(RefusalReason.signature_wrong)
        if abs(now - at) > self.tolerance:
            raise Refused(RefusalReason.timestamp_old)

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """The three headers; the id is the body's hash, so that a repeated sending repeats it."""
        message_id = "msg_" + hashlib.sha256(body).hexdigest()[:24]
        return {
            ID: message_id,
            TIMESTAMP: str(int(now.timestamp())),
            SIGNATURE: self.webhook.sign(message_id, now, body.decode()),
        }


@dataclass(frozen=True)
class WebhookSource:
    """/webhooks/{source} of one account."""

    name: str
    account: OwnAccount
    signature: Signature
    scheme: WebhookScheme = WebhookScheme.standard
    mapping: MappedForm | None = None
    # A person writes the sender's code: 422 tells them now. Senders try again for a while and then
    # stop; the payload is in the dead letters once, however often it comes.
    unreadable_status: int = 422
    taken_status: int = 202

    @property
    def media_types(self) -> frozenset[str]:
        """CloudEvents come structured (one JSON) or binary (attributes in headers)."""
        if self.scheme is WebhookScheme.cloudevents:
            return frozenset({"application/cloudevents+json", "application/json"})
        return frozenset({"application/json"})

    def verify(self, delivery: Delivery, now: datetime) -> Accounts:
        """The source's one account. Raises Refused."""
        self.signature.verify(delivery, now)
        return {self.account.id: self.account}

    def parse(self, delivery: Delivery, accounts: Accounts, receipt: Receipt) -> list[Parsed]:
        """The one item of the payload."""
        account = accounts[self.account.id]
        data = self._data(delivery)
        if isinstance(data, Ignored):
            return [data]
        if isinstance(data, Rejected):
            return [Rejected(data.reason, data.detail, account.id)]
        where = "mapped" if self.mapping else "data"
        return [
            read_change(lambda: SimpleItem.model_validate(data).item(), account, receipt, where)
        ]

    def _data(self, delivery: Delivery) -> dict[str, Any] | Ignored | Rejected:
        """The fields of a SimpleItem."""
        cloudevents = self.scheme is WebhookScheme.cloudevents
        payload = _cloudevent(delivery) if cloudevents else json_object(delivery.body)
        if isinstance(payload, Rejected):
            return payload
        if self.mapping is not None:
            return self.mapping.simple(payload, delivery.headers)
        return _item_data(payload.get("type"), payload.get("data"))

    def sign(self, body: bytes, now: datetime) -> dict[str, str]:
        """As the sender would."""
        structured = self.scheme is WebhookScheme.cloudevents
        content_type = "application/cloudevents+json" if structured else "application/json"
        return {"content-type": content_type, **self.signature.sign(body, now)}

    def challenge(self, query: Mapping[str, str]) -> Challenge | None:
        """Nothing to answer."""
        return None


def _item_data(kind: Any, data: Any) -> dict[str, Any] | Rejected:
    if not isinstance(kind, str) or not kind.startswith(_PREFIX):
        says = f"type: {kind!s} is none of item.created, item.edited, item.deleted"
        return Rejected(RejectReason.unsupported, says[:120])
    action = kind.removeprefix(_PREFIX)
    if action not in list(Action):
        return Rejected(RejectReason.unsupported, f"type: {kind}"[:80])
    if not isinstance(data, dict):
        return Rejected(RejectReason.malformed, f"data: a {type(data).__name__}, not an object")
    return {"action": action, **data}


def _cloudevent(delivery: Delivery) -> dict[str, Any] | Rejected:
    """Its attributes and its `data`, the same in both modes."""
    # orjson first: what the library's own json takes (deep nesting, lone surrogates) fails later.
    body = json_object(delivery.body)
    if isinstance(body, Rejected):
        return body
    message = HTTPMessage(headers=dict(delivery.headers), body=delivery.body)
    try:
        event = from_http_event(message)
        return {**event.get_attributes(), "data": event.get_data()}
    except BaseCloudEventException as error:
        return Rejected(RejectReason.malformed, f"no CloudEvent: {error}"[:200])
    except ValueError as error:
        return Rejected(RejectReason.malformed, first_error(error, "no CloudEvent: "))
    except (TypeError, AttributeError, LookupError, OverflowError, RecursionError) as error:
        return Rejected(RejectReason.malformed, f"no CloudEvent: {type(error).__name__}")
