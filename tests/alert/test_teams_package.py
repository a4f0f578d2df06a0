"""The Teams app package is what Teams takes: its published limits, and our own routes and scopes."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import pytest

from deploy.teams_package import FOLDER, manifest, write

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


@pytest.mark.parametrize(("name", "size"), [("color.png", 192), ("outline.png", 32)])
def test_the_icons_have_the_size_that_teams_asks_for(name: str, size: int) -> None:
    head = (FOLDER / name).read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert struct.unpack(">II", head[16:24]) == (size, size)


@pytest.mark.parametrize(("app", "url"), [("no-guid", URL), (APP, "http://presence.example")])
def test_what_teams_would_refuse_is_refused(app: str, url: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|https"):
        manifest(app, url)
