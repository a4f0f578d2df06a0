"""The AsyncAPI document says what the registry says, in the form that AsyncAPI 3.0 asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.contracts import asyncapi
from services.contracts.topics import TOPICS, Keeping, Topic

SCHEMA = json.loads(
    (Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.document()


def test_it_is_an_asyncapi_3_document(document: dict[str, Any]) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.Draft7Validator(SCHEMA).validate(document)


def test_the_check_itself_can_fail(document: dict[str, Any]) -> None:
    broken = {**document, "channels": {"x": {"addres": "presence.notifications"}}}
    assert list(jsonschema.Draft7Validator(SCHEMA).iter_errors(broken))


def test_every_topic_is_a_channel_and_nothing_else_is(document: dict[str, Any]) -> None:
    assert set(document["channels"]) == {topic.name for topic in TOPICS}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_channel_says_what_the_registry_says(document: dict[str, Any], topic: Topic) -> None:
    channel = document["channels"][topic.name]
    kept = channel["bindings"]["kafka"]["topicConfiguration"]
    assert channel["address"] == topic.name
    assert topic.key in channel["description"]
    assert kept["cleanup.policy"] == [topic.keeping.value]
    if topic.keeping is Keeping.compact:
        assert "retention.ms" not in kept
    else:
        assert topic.retention is not None
        assert kept["retention.ms"] == topic.retention.total_seconds() * 1000


def test_every_writer_sends_and_every_reader_receives(document: dict[str, Any]) -> None:
    said = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"])
        for operation in document["operations"].values()
    }
    registered = {
        (service.value, action, f"#/channels/{topic.name}")
        for topic in TOPICS
        for action, services in (("send", topic.writers), ("receive", topic.readers))
        for service in services
    }
    assert said == registered


def _references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [ref for value in part.values() for ref in _references(value)]
    if isinstance(part, list):
        return [ref for value in part for ref in _references(value)]
    return []


def test_every_reference_leads_somewhere_and_no_schema_is_orphaned(
    document: dict[str, Any],
) -> None:
    references = set(_references(document))
    for reference in references:
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    prefix = "#/components/schemas/"
    named = {ref.removeprefix(prefix) for ref in references if ref.startswith(prefix)}
    assert named == set(document["components"]["schemas"])


def test_the_examples_in_it_satisfy_its_own_schemas(document: dict[str, Any]) -> None:
    for name, message in document["components"]["messages"].items():
        if "examples" not in message:
            assert name == "DeadLetter"
            continue
        assert message["examples"], f"{name} has no example"
        schema = {**message["payload"], "components": document["components"]}
        for example in message["examples"]:
            jsonschema.Draft202012Validator(schema).validate(example["payload"])
