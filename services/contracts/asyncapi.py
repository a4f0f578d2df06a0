"""The AsyncAPI 3.0 document of every topic, made from the registry.

FastStream's own document knows nothing of raw handlers, so it would show empty payloads. This one
comes from `services.contracts.topics` and the pydantic events; docs/asyncapi.json is its published
copy (`make artefacts`), and `make check` refuses a stale one.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from services.contracts import examples
from services.contracts.base import Contract
from services.contracts.topics import (
    EVENT_TOPICS,
    MAX_RECORD_BYTES,
    PARTITIONS,
    TOPICS,
    Header,
    Service,
    Topic,
)

__all__ = ["VERSION", "document"]

VERSION = "1"
"""Of the contracts as a whole: the highest `schema_version` of any event."""

_REF = "#/components/schemas/{model}"
_DEAD_LETTER = "DeadLetter"
_KAFKA_BINDING = "0.5.0"

_HEADER_SAYS: dict[Header, str] = {
    Header.event_id: "Id of the event in the value: repeated deliveries are recognised by it.",
    Header.trace: "W3C trace context.",
    Header.schema_version: "The event's schema_version, for readers that do not open the value.",
    Header.reason: "Why the record could not be handled: one word of a bounded set.",
    Header.detail: "The same in a sentence. Never holds a person's words.",
    Header.origin_topic: "The topic the record came from.",
    Header.origin_partition: "Its partition.",
    Header.origin_offset: "Its offset.",
    Header.origin_timestamp: "Its timestamp, in milliseconds since the epoch.",
    Header.origin_sha256: "Only where the original was truncated: the hash of all of it.",
    Header.origin_headers: "Of a webhook's request, as JSON: what it takes to read it again.",
    Header.failed_at: "When it was given up.",
    Header.service: "The service that gave it up.",
}
_EVENT_HEADERS = (Header.event_id, Header.schema_version, Header.trace)
_DEAD_LETTER_HEADERS = tuple(header for header in Header if header not in _EVENT_HEADERS)


def _headers(names: tuple[Header, ...]) -> dict[str, Any]:
    properties = {
        name.value: {"type": "string", "description": _HEADER_SAYS[name]} for name in names
    }
    return {"type": "object", "properties": properties}


def _first_line(event: type[Contract]) -> str:
    return (event.__doc__ or "").strip().splitlines()[0]


def _message(event: type[Contract], key: str) -> dict[str, Any]:
    return {
        "name": event.__name__,
        "title": event.__name__,
        "summary": _first_line(event),
        "contentType": "application/json",
        "headers": _headers(_EVENT_HEADERS),
        "payload": {"$ref": _REF.format(model=event.__name__)},
        "bindings": {"kafka": _key_binding(key)},
        "examples": [
            {"name": example.case, "payload": example.payload} for example in examples.of(event)
        ],
    }


def _dead_letter_message() -> dict[str, Any]:
    return {
        "name": _DEAD_LETTER,
        "title": "Dead letter",
        "summary": "The original bytes of a record that could not be handled, with the reason.",
        "contentType": "application/octet-stream",
        "headers": _headers(_DEAD_LETTER_HEADERS),
        "payload": {
            "type": "string",
            "format": "binary",
            "description": "As it was received; over 900 kB truncated, with its hash in a header.",
        },
        "bindings": {"kafka": _key_binding("that of the original record")},
    }


def _key_binding(key: str) -> dict[str, Any]:
    return {
        "key": {"type": "string", "description": f"UTF-8: {key}."},
        "bindingVersion": _KAFKA_BINDING,
    }


def _message_name(topic: Topic) -> str:
    return topic.event.__name__ if topic.event else _DEAD_LETTER


def _channel(topic: Topic) -> dict[str, Any]:
    name = _message_name(topic)
    configuration: dict[str, Any] = {
        "cleanup.policy": [topic.keeping.value],
        "max.message.bytes": MAX_RECORD_BYTES,
    }
    if topic.retention is not None:
        configuration["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{topic.says} Key: {topic.key}.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": PARTITIONS,
                "topicConfiguration": configuration,
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _operation(service: Service, action: str, topic: Topic) -> dict[str, Any]:
    return {
        "action": action,
        "summary": f"{service.value} {'writes' if action == 'send' else 'reads'} {topic.name}.",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{_message_name(topic)}"}],
        "tags": [{"name": service.value}],
    }


def _operations() -> dict[str, Any]:
    """One per service and topic. Seen from that service, as AsyncAPI 3 has it: send is write."""
    found: dict[str, Any] = {}
    for topic in TOPICS:
        for writer in topic.writers:
            found[f"{writer.value}.writes.{topic.name}"] = _operation(writer, "send", topic)
        for reader in topic.readers:
            found[f"{reader.value}.reads.{topic.name}"] = _operation(reader, "receive", topic)
    return found


def _components() -> dict[str, Any]:
    keyed = {topic.event: topic.key for topic in EVENT_TOPICS if topic.event is not None}
    _, schemas = models_json_schema(
        [(event, "validation") for event in keyed], ref_template=_REF, title="Presence"
    )
    messages = {event.__name__: _message(event, key) for event, key in keyed.items()}
    messages[_DEAD_LETTER] = _dead_letter_message()
    return {"messages": messages, "schemas": schemas["$defs"]}


def document() -> dict[str, Any]:
    """The whole document; equal code gives an equal document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Presence",
            "version": VERSION,
            "description": (
                "What Presence's three services say to each other over Apache Kafka. "
                "Readers drop fields they do not know; times are UTC; ids are opaque."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Apache Kafka 4, KRaft.",
                "variables": {
                    "bootstrap": {
                        "default": "localhost:9092",
                        "description": "PRESENCE_KAFKA, the bootstrap servers.",
                    }
                },
            }
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": _components(),
    }
