"""The registry of topics against itself and against the code of the services."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import services
from services.contracts import topics
from services.contracts.topics import EVENT_TOPICS, TOPICS, Keeping, Service, Topic

ROOT = Path(services.__file__).parent
CONSTANTS = {
    name: value for name, value in vars(topics).items() if isinstance(value, Topic)
}  # NOTIFICATIONS → its topic


def _modules(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted((ROOT / package).rglob("*.py")):
        yield file, ast.parse(file.read_text(encoding="utf-8"))


def _topics_named_in(tree: ast.AST) -> set[str]:
    """Registry constants by the names under which they are imported or reached."""
    named = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "services.contracts.topics"
        for alias in node.names
    }
    named |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "topics"
    }
    return {CONSTANTS[name].name for name in named if name in CONSTANTS}


def _written_out(tree: ast.AST) -> set[str]:
    known = {topic.name for topic in TOPICS}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known
    }


def test_no_topic_is_registered_twice() -> None:
    names = [topic.name for topic in TOPICS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_writers_and_readers_and_a_sentence(topic: Topic) -> None:
    assert topic.writers
    assert topic.readers
    assert topic.says.endswith(".")
    assert (topic.retention is None) == (topic.keeping is Keeping.compact)


def test_every_topic_of_events_has_an_event_and_dead_letters_have_none() -> None:
    assert all(topic.event is not None for topic in EVENT_TOPICS)
    rest = [topic for topic in TOPICS if topic not in EVENT_TOPICS]
    assert all(topic.event is None and topic.name.endswith(".dlq") for topic in rest)


def test_dead_letters_are_written_by_those_who_read_the_origin() -> None:
    for topic in EVENT_TOPICS:
        if topic.dead_letters:
            dead = topics.topic_named(topic.dlq)
            assert dead.writers == topic.readers
            assert dead.readers == (Service.operator,)
            assert dead.retention is not None
            assert topic.retention is not None
            assert dead.retention >= topic.retention


def test_every_constant_is_in_the_registry() -> None:
    assert {topic.name for topic in CONSTANTS.values()} <= {topic.name for topic in TOPICS}


@pytest.mark.parametrize("service", ["ingest", "classify", "alert"])
def test_a_service_names_only_topics_that_it_is_registered_for(service: str) -> None:
    allowed = {topic.name for topic in TOPICS if Service(service) in topic.writers + topic.readers}
    for file, tree in _modules(service):
        strangers = (_topics_named_in(tree) | _written_out(tree)) - allowed
        assert not strangers, f"{file.relative_to(ROOT)} names {strangers}: see contracts/topics.py"


def test_topic_names_are_written_out_in_the_registry_only() -> None:
    for package in ("ingest", "classify", "alert", "runtime", "cli"):
        for file, tree in _modules(package):
            written = _written_out(tree)
            assert not written, f"{file.relative_to(ROOT)} writes {written} out: import the topic"


def test_the_walk_finds_a_topic_however_it_is_named() -> None:
    imported = ast.parse("from services.contracts.topics import EPISODES")
    reached = ast.parse("from services.contracts import topics\nprint(topics.EPISODES.name)")
    spelled = ast.parse("name = 'presence.episodes'")
    assert _topics_named_in(imported) == _topics_named_in(reached) == {"presence.episodes"}
    assert _written_out(spelled) == {"presence.episodes"}
