"""Write the published documents that are made from code, or check that they are current.

docs/asyncapi.json is made from the registry of topics, docs/presence.schema.json (for editors, see
the first line of presence.example.yaml) from the models of presence.yaml.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.grafana import response_time
from services.contracts import asyncapi
from services.contracts.configuration import Configuration

ROOT = Path(__file__).resolve().parent.parent


def configuration_schema() -> dict[str, Any]:
    """The JSON schema of presence.yaml, by the names that are written in it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Configuration.model_json_schema(by_alias=True, mode="validation"),
    }


ARTEFACTS: dict[str, Callable[[], dict[str, Any]]] = {
    "docs/asyncapi.json": asyncapi.document,
    "docs/presence.schema.json": configuration_schema,
    "deploy/grafana/dashboards/response-time.json": response_time.dashboard,
}


def written(content: dict[str, Any]) -> str:
    """As it stands in the file: readable, and equal content gives equal bytes."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def stale(root: Path = ROOT) -> list[str]:
    """The artefacts under `root` that do not match the code."""
    found = []
    for name, make in ARTEFACTS.items():
        file = root / name
        if not file.exists() or file.read_text(encoding="utf-8") != written(make()):
            found.append(name)
    return found


def main(arguments: list[str]) -> int:
    """Write every artefact, or with `--check` name the stale ones and return 1."""
    if "--check" in arguments:
        names = stale()
        for name in names:
            sys.stderr.write(f"{name} does not match the code: run `make artefacts`\n")
        return 1 if names else 0
    for name, make in ARTEFACTS.items():
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written(make()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
