"""The published schema of Adaptive Cards, for whatever is sent to Teams."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema


@cache
def _validator() -> jsonschema.Draft6Validator:
    published = files("adaptive_cards").joinpath("schemas/schema-1.5.json").read_text()
    # A misprint in it: the property is `rtl`, in its documentation and in Microsoft's renderer.
    return jsonschema.Draft6Validator(json.loads(published.replace('"rtl?"', '"rtl"')))


def is_a_card(content: dict[str, Any]) -> None:
    """Raises for what the schema refuses, without Teams' own addition to it."""
    assert content["version"] == "1.5"
    _validator().validate({name: one for name, one in content.items() if name != "msteams"})
