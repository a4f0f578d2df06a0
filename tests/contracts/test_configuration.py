"""presence.yaml: values, references, and an example that uses every key."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from deploy.artefacts import configuration_schema
from services.contracts.configuration import Configuration, parse_duration, problems
from services.contracts.configuration.values import TimeOfDay, write_duration

EXAMPLE = Path(__file__).resolve().parents[2] / "presence.example.yaml"
SCHEMA = configuration_schema()


@pytest.fixture
def example() -> dict[str, Any]:
    loaded = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return copy.deepcopy(loaded)


def _found(file: dict[str, Any]) -> dict[str, str]:
    """What problems() says, by the dotted path of where."""
    found = problems(Configuration.model_validate(file))
    return {".".join(str(part) for part in one.where): one.says for one in found}


# -- values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("15m", 900), ("1h30m", 5_400), ("7d", 604_800), ("0s", 0)],
)
def test_a_duration_is_read_as_it_is_said(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", "15 m", "m", "-5m", "1.5h", "15min", 900, None])
def test_anything_else_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="45s, 15m, 1h30m or 7d"):
        parse_duration(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_written_reads_as_itself(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(write_duration(duration)) == duration


def test_a_time_of_day_survives_the_base_sixty_of_yaml() -> None:
    read = TypeAdapter(TimeOfDay).validate_python
    assert yaml.safe_load("9:30") == 570
    assert read(yaml.safe_load("9:30")) == read("09:30") == time(9, 30)
    for wrong in ("24:00", "9", "09:60", True, 1440):
        with pytest.raises(ValidationError):
            read(wrong)


# -- the example


def test_the_example_is_valid_and_every_reference_in_it_leads_somewhere(
    example: dict[str, Any],
) -> None:
    assert _found(example) == {}


def test_the_example_satisfies_the_published_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    # As editors read it: dates and times are text to a JSON schema.
    as_text = yaml.load(EXAMPLE.read_text(encoding="utf-8"), Loader=_DatesAsText)
    jsonschema.Draft202012Validator(SCHEMA).validate(as_text)


class _DatesAsText(yaml.SafeLoader):
    """Leaves dates and times as they are written."""


_DatesAsText.add_constructor("tag:yaml.org,2002:timestamp", lambda _loader, node: str(node.value))


def _key_paths(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the schema with where it stands; members of a list share their path."""
    if "$ref" in schema:
        yield from _key_paths(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
    for name, inner in schema.get("properties", {}).items():
        yield (*path, name)
        yield from _key_paths(inner, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from _key_paths(schema["items"], path)
    for union in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(union, []):
            yield from _key_paths(option, path)


def _used_paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, str(key))
            yield from _used_paths(inner, (*path, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _used_paths(inner, path)


def test_the_example_uses_every_key_of_the_schema(example: dict[str, Any]) -> None:
    known = set(_key_paths(SCHEMA))
    assert len(known) > 80
    # A target and a destination are the same things wherever they stand: each is shown whole once.
    elsewhere = {("policies", "fallback"), ("practice", "destinations")}
    unused = {path for path in known - set(_used_paths(example)) if path[:2] not in elsewhere}
    assert not unused, sorted(unused)


def test_the_example_explains_its_keys() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=docs/presence.schema.json"
    comments = [line for line in lines if line.lstrip().startswith("#")]
    assert len(comments) > 60


# -- mistakes


def test_an_unknown_key_is_refused_wherever_it_stands(example: dict[str, Any]) -> None:
    for place in (example, example["accounts"][0]["settings"], example["routes"][0]["match"]):
        place["colour"] = "blue"
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            Configuration.model_validate(example)
        del place["colour"]


@pytest.mark.parametrize(
    "section",
    ["brands", "accounts", "people", "rotas", "policies", "routes", "destinations", "hours"],
)
def test_an_id_that_is_there_twice_is_named_with_its_place(
    example: dict[str, Any], section: str
) -> None:
    example[section].insert(0, copy.deepcopy(example[section][0]))
    found = _found(example)
    assert found[f"{section}.1.id"].endswith("is there twice")


def test_the_same_native_id_on_two_platforms_is_no_duplicate(example: dict[str, Any]) -> None:
    example["accounts"][1]["id"] = example["accounts"][2]["id"]
    assert _found(example) == {}


REFERENCES: list[tuple[tuple[str | int, ...], str]] = [
    (("accounts", 0, "brand"), "brand"),
    (("people", 0, "brands", 0), "brand"),
    (("rotas", 0, "open_hours"), "hours"),
    (("rotas", 0, "layers", 0, "rotation", "members", 1), "person"),
    (("rotas", 0, "overrides", 0, "person"), "person"),
    (("policies", 0, "hours"), "hours"),
    (("policies", 0, "steps", 0, "targets", 0, "rota"), "rota"),
    (("policies", 0, "steps", 2, "targets", 1, "channel"), "destination"),
    (("policies", 0, "fallback", "person"), "person"),
    (("routes", 0, "policy"), "policy"),
    (("routes", 0, "destinations", 0), "destination"),
    (("routes", 1, "match", "brands", 0), "brand"),
    (("routes", 1, "match", "authors", 0), "author list"),
    (("routes", 1, "match", "hours"), "hours"),
    (("targets", "hours"), "hours"),
]


@pytest.mark.parametrize(("where", "kind"), REFERENCES, ids=lambda value: str(value))
def test_a_reference_that_leads_nowhere_says_where_it_is_and_what_there_is(
    example: dict[str, Any], where: tuple[str | int, ...], kind: str
) -> None:
    place: Any = example
    for part in where[:-1]:
        place = place[part]
    place[where[-1]] = "nobody-knows"
    found = _found(example)
    assert list(found) == [".".join(str(part) for part in where)]
    (says,) = found.values()
    assert says.startswith(f"no {kind} 'nobody-knows' (there is: ")


def test_a_route_after_one_that_takes_everything_is_never_reached(example: dict[str, Any]) -> None:
    example["routes"].insert(0, {"id": "all", "policy": "team", "destinations": ["care"]})
    assert _found(example) == {"routes.0.id": "matches everything, so no route after it is reached"}


def test_without_a_default_route_the_file_is_refused(example: dict[str, Any]) -> None:
    del example["routes"][-1]
    assert _found(example) == {
        "routes.1.match": "the last route is the default: leave its match out"
    }


def test_a_target_is_one_thing_only(example: dict[str, Any]) -> None:
    target = example["policies"][0]["steps"][0]["targets"][0]
    target["person"] = "mara"
    with pytest.raises(ValidationError, match="one of rota, person, channel or everybody"):
        Configuration.model_validate(example)


def test_a_length_goes_with_a_custom_rotation_only(example: dict[str, Any]) -> None:
    rotation = example["rotas"][0]["layers"][0]["rotation"]
    rotation["length"] = "3d"
    with pytest.raises(ValidationError, match="goes with `every: custom`"):
        Configuration.model_validate(example)


def test_an_override_that_ends_before_it_begins_is_refused(example: dict[str, Any]) -> None:
    override = example["rotas"][0]["overrides"][0]
    override["from"], override["to"] = override["to"], override["from"]
    with pytest.raises(ValidationError, match="ends after it begins"):
        Configuration.model_validate(example)


def test_a_zone_that_nobody_keeps_is_refused(example: dict[str, Any]) -> None:
    example["rotas"][0]["zone"] = "Europe/Atlantis"
    with pytest.raises(ValidationError, match="no IANA time zone"):
        Configuration.model_validate(example)


def test_a_secret_itself_is_refused_where_its_name_belongs(example: dict[str, Any]) -> None:
    example["destinations"][0]["bot_token"] = "xoxb-1234-abcd"
    with pytest.raises(ValidationError, match="pattern"):
        Configuration.model_validate(example)


def test_what_is_left_out_takes_the_documented_default(example: dict[str, Any]) -> None:
    for section in ("hours", "targets", "classify", "ingest", "retention"):
        del example[section]
    file = Configuration.model_validate(example)
    assert file.targets.first_response == timedelta(minutes=15)
    assert file.retention.event_ids == timedelta(days=14)
    assert file.classify.costs.lost_person == 5
    assert file.accounts[1].quiet_start == timedelta(days=7)
