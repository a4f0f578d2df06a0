"""Golden messages: every one reads, writes itself again, and belongs to a registered event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from services.contracts import examples
from services.contracts.base import Contract
from services.contracts.events import (
    Action,
    ClassifiedNotification,
    Direction,
    Kind,
    Label,
    Notification,
    Sensitive,
)
from services.contracts.examples import Example
from services.contracts.topics import EVENT_TOPICS

EVENTS: dict[str, type[Contract]] = {
    topic.event.__name__: topic.event for topic in EVENT_TOPICS if topic.event is not None
}
EXAMPLES = examples.every()

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def _read(example: Example) -> Contract:
    return EVENTS[example.event].model_validate_json(json.dumps(example.payload))


def _current_version(event: type[Contract]) -> int:
    versions: tuple[int, ...] = get_args(event.model_fields["schema_version"].annotation)
    return max(versions)


def _times(example: Example) -> list[str]:
    event = _read(example)
    return [key for key in example.payload if isinstance(getattr(event, key), datetime)]


def _required_only(event: type[BaseModel], value: BaseModel) -> dict[str, Any]:
    """What an older writer that knew no optional field would have sent."""
    written = {}
    for name, field in event.model_fields.items():
        if not field.is_required():
            continue
        inner = getattr(value, name)
        if isinstance(inner, BaseModel):
            written[name] = _required_only(type(inner), inner)
        else:
            written[name] = json.loads(value.model_dump_json(include={name}))[name]
    return written


@each_example
def test_an_example_reads_and_writes_itself_again(example: Example) -> None:
    assert json.loads(_read(example).to_bytes()) == example.payload


@each_example
def test_an_example_belongs_to_a_registered_event_and_says_its_version(example: Example) -> None:
    assert example.event in EVENTS
    assert example.payload["schema_version"] == example.version


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_every_version_of_an_event_has_several_examples(name: str) -> None:
    for version in range(1, _current_version(EVENTS[name]) + 1):
        cases = [one for one in EXAMPLES if one.event == name and one.version == version]
        assert len(cases) >= 2, f"write services/contracts/examples/{name}.v{version}.<case>.json"


@each_example
def test_a_newer_writer_may_add_fields(example: Example) -> None:
    newer = _with_a_new_field_everywhere(example.payload)
    event = EVENTS[example.event].model_validate_json(json.dumps(newer))
    assert event == _read(example)


def _with_a_new_field_everywhere(value: Any, inside: str = "") -> Any:
    if isinstance(value, list):
        return [_with_a_new_field_everywhere(one, inside) for one in value]
    if not isinstance(value, dict):
        return value
    wider = {key: _with_a_new_field_everywhere(one, key) for key, one in value.items()}
    # `scores` is a mapping of labels, not a record with fields.
    return wider if inside == "scores" else {**wider, "a_field_of_tomorrow": {"any": ["thing"]}}


@each_example
def test_an_older_writer_may_leave_out_everything_optional(example: Example) -> None:
    event = EVENTS[example.event]
    older = _required_only(event, _read(example))
    assert set(older) < set(example.payload)
    read = event.model_validate_json(json.dumps(older))
    assert _required_only(event, read) == older


@each_example
def test_a_naive_time_is_refused_wherever_it_stands(example: Example) -> None:
    event = EVENTS[example.event]
    times = _times(example)
    for key in times:
        naive = {**example.payload, key: example.payload[key].removesuffix("Z")}
        with pytest.raises(ValidationError, match="timezone"):
            event.model_validate_json(json.dumps(naive))
    assert times


@each_example
def test_every_zone_becomes_utc(example: Example) -> None:
    event = EVENTS[example.event]
    times = _times(example)
    elsewhere = dict(example.payload)
    for key in times:
        moment = datetime.fromisoformat(example.payload[key])
        elsewhere[key] = moment.astimezone(_NEPAL).isoformat()
    read = event.model_validate_json(json.dumps(elsewhere))
    assert read == _read(example)
    assert all(getattr(read, key).tzinfo is UTC for key in times)


_NEPAL = datetime.fromisoformat("2026-01-01T00:00:00+05:45").tzinfo


@each_example
def test_an_event_cannot_be_changed(example: Example) -> None:
    event = _read(example)
    field = next(iter(type(event).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(event, field, getattr(event, field))


def test_the_examples_show_what_readers_must_cope_with() -> None:
    read = [_read(one) for one in EXAMPLES if one.event == "Notification"]
    notifications = [one for one in read if isinstance(one, Notification)]
    assert {one.action for one in notifications} == set(Action)
    assert {one.direction for one in notifications} == set(Direction)
    assert any(one.private for one in notifications)
    assert any({Kind.mention, Kind.reply} <= one.kinds for one in notifications)
    verdicts = [
        one.payload["verdict"]
        for one in EXAMPLES
        if one.event == "ClassifiedNotification" and "verdict" in one.payload
    ]
    assert {verdict["label"] for verdict in verdicts} == set(Label)
    assert any(set(verdict["sensitive"]) & set(Sensitive) for verdict in verdicts)
    assert any(verdict["held"] for verdict in verdicts)


def test_sets_are_written_in_one_order_so_that_equal_events_have_equal_bytes() -> None:
    payload = next(one for one in EXAMPLES if one.name.endswith("mention-and-reply")).payload
    forwards = Notification.model_validate({**payload, "kinds": ["mention", "reply"]})
    backwards = Notification.model_validate({**payload, "kinds": ["reply", "mention"]})
    assert forwards.to_bytes() == backwards.to_bytes()


def test_a_source_time_in_the_future_of_its_receipt_is_refused() -> None:
    payload = next(one for one in EXAMPLES if one.event == "Notification").payload
    received = datetime.fromisoformat(payload["received_at"])
    later = (received + timedelta(milliseconds=1)).isoformat()
    with pytest.raises(ValidationError, match="clamp the future"):
        Notification.model_validate({**payload, "source_time": later})


@pytest.mark.parametrize(
    ("case", "judged"),
    [
        ("x-mention", True),
        ("direct-message", True),
        ("x-outbound-reply", False),
        ("edit", False),
        ("delete", False),
        ("mastodon-favourite", False),
    ],
)
def test_only_inbound_creations_that_say_something_are_judged(case: str, judged: bool) -> None:
    payload = next(one for one in EXAMPLES if one.name == f"Notification.v1.{case}").payload
    assert Notification.model_validate(payload).needs_verdict is judged


def test_written_around_the_original_bytes_an_event_reads_as_written_anew() -> None:
    for example in examples.of(ClassifiedNotification):
        whole = ClassifiedNotification.model_validate(example.payload)
        original = whole.notification.to_bytes()
        written = ClassifiedNotification.bytes_around(original, whole.verdict, whole.classified_at)
        assert ClassifiedNotification.model_validate_json(written) == whole, example.name
        assert written == whole.to_bytes(), example.name
