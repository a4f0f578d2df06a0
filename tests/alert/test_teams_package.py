"""The Teams app package is what Teams takes: its published limits, and our own routes and scopes."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path

import jsonschema
import pytest

from deploy.teams_package import FOLDER, manifest, write
from tests.npm_peers import peer

APP = "0f3a1c5e-6d2b-4a7e-9b1d-2c3d4e5f6a7b"
URL = "https://presence.air.example/"


def test_the_package_holds_a_manifest_and_both_icons_at_its_top(tmp_path: Path) -> None:
    write(APP, URL, tmp_path / "app.zip")
    with zipfile.ZipFile(tmp_path / "app.zip") as package:
        assert sorted(package.namelist()) == ["color.png", "manifest.json", "outline.png"]
        filled = package.read("manifest.json").decode()
    assert "{{" not in filled
    read = json.loads(filled)
    assert read["bots"][0]["botId"] == read["id"] == APP
    assert read["validDomains"] == ["presence.air.example"]


def test_the_manifest_keeps_the_published_limits() -> None:
    read = json.loads(manifest(APP, URL))
    required = {"$schema", "manifestVersion", "version", "id", "developer", "name", "description"}
    assert required | {"icons", "accentColor"} <= read.keys()
    limits = {("name", "short"): 30, ("name", "full"): 100}
    limits |= {("description", "short"): 80, ("description", "full"): 4_000}
    for (part, length), most in limits.items():
        assert 0 < len(read[part][length]) <= most
    for address in ("websiteUrl", "privacyUrl", "termsOfUseUrl"):
        assert read["developer"][address].startswith("https://")
    assert set(read["bots"][0]["scopes"]) == {"team", "personal"}  # a channel, and pages


@pytest.mark.integration
def test_the_manifest_is_one_by_microsofts_own_schema() -> None:
    read = json.loads(manifest(APP, URL))
    schemas = "@microsoft/app-manifest/build/json-schemas/teams"
    schema = json.loads(
        peer(f"{schemas}/v{read['manifestVersion']}/MicrosoftTeams.schema.json").read_bytes()
    )
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(read)


def test_the_outline_is_white_on_nothing_as_teams_asks() -> None:
    head, data = (FOLDER / "outline.png").read_bytes().split(b"IDAT", 1)
    assert head[24:26] == bytes([8, 6])  # eight bits a channel, with transparency
    rows = zlib.decompressobj().decompress(data)
    assert {rows[place] for place in range(0, len(rows), 32 * 4 + 1)} == {0}  # rows as they are
    pixels = [
        row for start in range(1, len(rows), 129) for row in _pixels(rows[start : start + 128])
    ]
    assert {pixel[:3] for pixel in pixels if pixel[3]} == {b"\xff\xff\xff"}
    assert {pixel[3] for pixel in pixels} >= {0, 255}


def _pixels(row: bytes) -> list[bytes]:
    return [row[place : place + 4] for place in range(0, len(row), 4)]


@pytest.mark.parametrize(("name", "size"), [("color.png", 192), ("outline.png", 32)])
def test_the_icons_have_the_size_that_teams_asks_for(name: str, size: int) -> None:
    head = (FOLDER / name).read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert struct.unpack(">II", head[16:24]) == (size, size)


@pytest.mark.parametrize(("app", "url"), [("no-guid", URL), (APP, "http://presence.example")])
def test_what_teams_would_refuse_is_refused(app: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|https"):
        manifest(app, url)
