"""presence.yaml is read with the line of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime import configuration
from services.runtime.errors import WrongConfiguration

GOOD = """\
version: 1
brands:
  - {id: aurora, name: Aurora Air}
accounts:
  - {id: "42", brand: aurora, platform: x, handle: auroraair}
people:
  - {id: mia, name: Mia, zone: Europe/Berlin}
rotas:
  - id: social
    zone: Europe/Berlin
    layers:
      - id: week
        rotation: {every: weekly, handoff: 9:00, starts: 2026-01-05, members: [mia]}
policies:
  - id: team
    answer_within: 15m
    steps:
      - {at: "0%", targets: [{rota: social}]}
destinations:
  - {id: social, kind: slack, channel: C1}
routes:
  - {id: default, policy: team, destinations: [social]}
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(WrongConfiguration) as caught:
        configuration.parse(text)
    return str(caught.value).splitlines()


def test_a_good_file_is_read() -> None:
    file = configuration.parse(GOOD)
    assert file.rotas[0].layers[0].rotation.handoff.hour == 9
    assert file.targets.first_response.total_seconds() == 900


def test_an_unknown_key_is_named_with_its_line() -> None:
    assert mistakes(GOOD.replace("name: Mia,", "name: Mia, nickname: M,")) == [
        "presence.yaml:7: people[0].nickname: unknown key"
    ]


def test_a_reference_that_leads_nowhere_is_named_with_its_line_and_the_choices() -> None:
    assert mistakes(GOOD.replace("policy: team", "policy: tema")) == [
        "presence.yaml:22: routes[0].policy: no policy 'tema' (there is: team)"
    ]


def test_every_mistake_is_told_at_once() -> None:
    text = GOOD.replace("zone: Europe/Berlin}", "zone: Mars/Base}").replace("15m", "soon")
    found = mistakes(text)
    assert [line.split(":")[1] for line in found] == ["7", "16"]
    assert "IANA time zone" in found[0]
    assert "write a duration as 45s" in found[1]


def test_a_wrong_value_inside_an_account_points_into_its_platforms_settings() -> None:
    text = GOOD.replace("handle: auroraair}", "settings: {consumer_secret: lower}}")
    assert mistakes(text)[0].startswith("presence.yaml:5: accounts[0].settings.consumer_secret")


def test_a_key_that_is_there_twice_is_refused() -> None:
    assert mistakes(GOOD + "version: 1\n") == ["presence.yaml: line 23: version is there twice"]


def test_broken_yaml_says_the_line() -> None:
    assert mistakes("version: 1\nbrands: [")[0].startswith("presence.yaml:2")


def test_an_empty_file_is_refused() -> None:
    assert mistakes("")


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WrongConfiguration, match=r"presence\.example\.yaml"):
        configuration.load(tmp_path / "presence.yaml")
