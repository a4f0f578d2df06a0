"""What holds for every source. A new platform passes this suite before anything else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.contracts.events import Action, Direction, Kind, Notification
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Ignored, Rejected, RejectReason
from services.ingest.sources import meta, x
from services.ingest.sources.source import Delivery, Refused
from tests.ingest.brand import LATER, NOW, PAYLOADS, REPLAYED, SECRETS, Platform, payload, platform


@dataclass(frozen=True)
class Case:
    """One platform's names for the same situations."""

    source: str
    created: str
    edited: str | None
    deleted: str
    own_reply: str
    second_account: str
    unsupported: str
    signs_time: bool

    @property
    def platform(self) -> Platform:
        return platform(self.source)


CASES = [
    Case("x", "mention", None, "deleted", "own_reply", "second_account", "unsupported", False),
    Case(
        "meta", "comment", "comment_edited", "comment_removed", "own_comment_reply",
        "second_account", "unsupported", False,
    ),
    Case(
        "mastodon", "mention", "edited", "deleted", "own_reply", "second_account", "unsupported",
        True,
    ),
    Case("bluesky", "mention", None, "deleted", "own_reply", "second_account", "unsupported", True),
    Case("shop", "review", "edited", "deleted", "own_reply", "second_account", "unsupported", True),
    Case("forum", "review", "edited", "deleted", "own_reply", "second_account", "unsupported", True),
]  # fmt: skip


def body_of(case: Case, name: str) -> bytes:
    body = payload(case.platform.folder, name)
    if case.source != "forum":
        return body
    envelope = {"specversion": "1.0", "id": f"ce-{name}", "source": "/forum"}
    return orjson.dumps({**envelope, **orjson.loads(body)})


EDITING = [case for case in CASES if case.edited]
SIGNED = [case for case in CASES if case.source not in REPLAYED]
"""The replay mark is test_intake's."""
SIGNING_TIMES = [case for case in SIGNED if case.signs_time]
of = pytest.mark.parametrize


@pytest.fixture(params=CASES, ids=lambda case: case.source)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def read(case: Case, name: str) -> Any:
    (found,) = case.platform.read(body_of(case, name))
    return found


def test_a_person_who_writes_is_inbound_and_their_own_counterpart(case: Case) -> None:
    found = read(case, case.created)
    assert isinstance(found, Notification)
    assert found.direction is Direction.inbound
    assert found.conversation.counterpart_id == found.author.id
    assert found.event_id == f"{found.item_id}:created"
    assert found.text
    assert found.received_at == NOW
    assert found.source_time < NOW


def test_the_same_delivery_twice_is_the_same_event(case: Case) -> None:
    later = case.platform.read(body_of(case, case.created), NOW + timedelta(hours=3))
    assert [one.event_id for one in later if isinstance(one, Notification)] == [
        read(case, case.created).event_id
    ]


def test_events_mean_the_same_in_any_order(case: Case) -> None:
    names = [name for name in (case.created, case.edited, case.deleted, case.own_reply) if name]
    orders = [{name: read(case, name) for name in order} for order in itertools.permutations(names)]
    assert all(one == orders[0] for one in orders)


def test_a_deletion_names_the_item_and_holds_no_text(case: Case) -> None:
    created, deleted = read(case, case.created), read(case, case.deleted)
    assert deleted.action is Action.deleted
    assert deleted.item_id == created.item_id
    assert deleted.event_id == f"{created.item_id}:deleted"
    assert deleted.text == ""


@of("case", EDITING, ids=lambda case: case.source)
def test_an_edit_is_a_new_event_of_the_same_item(case: Case) -> None:
    assert case.edited is not None
    created, edited = read(case, case.created), read(case, case.edited)
    assert edited.action is Action.edited
    assert edited.item_id == created.item_id
    assert edited.event_id.startswith(f"{created.item_id}:edited:")
    assert edited.text != created.text


def test_our_own_reply_is_outbound_and_addressed_to_nobody_on_call(case: Case) -> None:
    reply = read(case, case.own_reply)
    assert reply.direction is Direction.outbound
    assert reply.in_reply_to == read(case, case.created).item_id
    assert not reply.addressed
    assert not reply.automated


def test_a_second_account_has_ids_of_its_own(case: Case) -> None:
    first, second = read(case, case.created), read(case, case.second_account)
    assert isinstance(second, Notification)
    if case.source in ("shop", "forum"):
        return  # a webhook is one account
    assert second.account_id != first.account_id
    assert second.item_id != first.item_id
    assert second.key != first.key


def test_an_account_that_nobody_listed_is_rejected_with_the_reason() -> None:
    for name in ("x", "meta", "mastodon", "bluesky"):
        (found,) = platform(name).read_file("unknown_account")
        assert isinstance(found, Rejected)
        assert found.reason is RejectReason.unknown_account


def test_a_kind_of_event_that_we_do_not_know_is_rejected_with_its_name(case: Case) -> None:
    found = read(case, case.unsupported)
    assert isinstance(found, Rejected)
    assert found.reason is RejectReason.unsupported
    assert found.detail


def test_a_time_ahead_of_receipt_is_clamped_to_it(case: Case) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    (found,) = case.platform.read(body_of(case, case.created), long_ago)
    assert isinstance(found, Notification)
    assert found.source_time == found.received_at == long_ago


@of("case", SIGNED, ids=lambda case: case.source)
def test_a_changed_body_is_refused(case: Case) -> None:
    body = body_of(case, case.created)
    delivery = Delivery(case.platform.sign(body), body + b" ")
    with pytest.raises(Refused):
        case.platform.source.verify(delivery, NOW)


def test_a_request_without_signature_is_refused(case: Case) -> None:
    body = body_of(case, case.created)
    with pytest.raises(Refused, match="signature_missing"):
        case.platform.source.verify(Delivery({}, body), NOW)


@of("case", SIGNED, ids=lambda case: case.source)
@pytest.mark.parametrize("junk", ["", "sha256=", "v1,", "v1,é", "\x00", "sha256=é", "a b,c v1"])
def test_a_signature_of_junk_is_refused(case: Case, junk: str) -> None:
    body = body_of(case, case.created)
    signed = case.platform.sign(body)
    name = next(key for key in signed if "signature" in key)
    with pytest.raises(Refused):
        case.platform.source.verify(Delivery({**signed, name: junk}, body), NOW)


@of("case", SIGNING_TIMES, ids=lambda case: case.source)
def test_an_old_signature_is_refused_where_the_platform_signs_a_time(case: Case) -> None:
    body = body_of(case, case.created)
    delivery = Delivery(case.platform.sign(body), body)
    with pytest.raises(Refused, match="timestamp_old"):
        case.platform.source.verify(delivery, LATER)


def test_another_apps_signature_speaks_only_for_its_own_accounts() -> None:
    for name in ("x", "meta"):
        one = platform(name)
        theirs = payload(name, "second_account")
        ours = orjson.loads(payload(name, "comment" if name == "meta" else "mention"))
        forged = orjson.dumps(ours)
        secret_of_second = one.source.sign(theirs, NOW)
        # The second app's secret over a payload that claims to be for the first app's account.
        signed = _resigned(name, forged)
        assert signed.keys() == secret_of_second.keys()
        delivery = Delivery(signed, forged)
        accounts = one.source.verify(delivery, NOW)
        (found,) = one.source.parse(delivery, accounts, Receipt(NOW))
        assert isinstance(found, Rejected)
        assert found.reason is RejectReason.unknown_account


def _resigned(name: str, body: bytes) -> dict[str, str]:
    if name == "x":
        return {
            "content-type": "application/json",
            x.SIGNATURE: x._signature(SECRETS["X_TWO"].encode(), body).decode(),
        }
    return {
        "content-type": "application/json",
        meta.SIGNATURE: meta._signature(SECRETS["META_SECRET_TWO"].encode(), body).decode(),
    }


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def _mutated(value: Any, data: st.DataObject) -> Any:
    """The value with one part, somewhere, replaced, dropped or repeated."""
    here = data.draw(st.integers(0, 3)) == 0
    if here or not isinstance(value, dict | list) or not value:
        return data.draw(_JSON)
    if isinstance(value, list):
        index = data.draw(st.integers(0, len(value) - 1))
        return [*value[:index], _mutated(value[index], data), *value[index:]]
    key = data.draw(st.sampled_from(sorted(value)))
    if data.draw(st.integers(0, 5)) == 0:
        return {name: one for name, one in value.items() if name != key}
    return {**value, key: _mutated(value[key], data)}


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_mutated_payload_never_raises_and_is_never_lost(case: Case, data: st.DataObject) -> None:
    names = sorted(path.stem for path in (PAYLOADS / case.platform.folder).glob("*.json"))
    name = data.draw(st.sampled_from(names))
    original = orjson.loads(body_of(case, name))
    body = orjson.dumps(_mutated(original, data))
    for found in case.platform.read(body):
        assert isinstance(found, Notification | Rejected | Ignored)
        if isinstance(found, Notification):
            assert len(found.to_bytes()) < 900_000


@given(body=st.binary(max_size=60) | _JSON.map(orjson.dumps))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_bytes_that_are_no_payload_never_raise(case: Case, body: bytes) -> None:
    delivery = Delivery({"content-type": "application/json"}, body)
    accounts: Any = dict(getattr(case.platform.source, "accounts", {}))
    if case.source in ("shop", "forum"):
        accounts = {case.platform.source.account.id: case.platform.source.account}  # type: ignore[attr-defined]
    for found in case.platform.source.parse(delivery, accounts, Receipt(NOW)):
        assert isinstance(found, Notification | Rejected | Ignored)


def test_forty_people_under_one_post_are_forty_conversations() -> None:
    found = platform("meta").read_file("forty_commenters")
    conversations = {
        (one.conversation.root, one.conversation.counterpart_id)
        for one in found
        if isinstance(one, Notification)
    }
    assert len(conversations) == 40
    assert {root for root, _ in conversations} == {"1010_55"}
    assert all(isinstance(one, Notification) and Kind.comment in one.kinds for one in found)
