"""Known spam signs: what hides, what is abused, what pretends to be the brand; and what the team says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from services.classify.domain.evidence import Evidence
from services.classify.domain.signs import SpamSigns, host_of
from services.classify.sign_lists import LISTS, shipped_signs, spam_signs
from services.contracts.configuration import Configuration
from services.contracts.events import Author
from services.runtime import configuration
from services.runtime.errors import WrongConfiguration
from tests.classify.building import notification, reading

EXAMPLE = Path(__file__).parents[2] / "presence.example.yaml"
SIGNS = Path(__file__).parents[2] / "services" / "classify" / "signs"


@pytest.fixture(scope="module")
def example() -> Configuration:
    return configuration.load(EXAMPLE).configuration


@pytest.fixture(scope="module")
def signs(example: Configuration) -> SpamSigns:
    return spam_signs(example)


def found(signs: SpamSigns, text: str, *links: str, handle: str = "anna") -> list[Evidence]:
    item = notification(text, links=links, author=Author(id="7", handle=handle))
    return signs.find(item, reading(text, links=len(links)))


def names(signs: SpamSigns, text: str, *links: str) -> set[str]:
    return {one.name for one in found(signs, text, *links)}


@pytest.mark.parametrize(
    "link",
    [
        "https://example-air.com.refund-desk.top/claim",
        "https://exarnple-air.com/login",
        "http://example-air.top",
        "https://login-example-air.net",
        "https://example-air-support.online/x",
        "https://www.examp1e-air.com",
        "https://xn--xample-air-n5h.com/",
        "https://еxample-air.com/",
    ],
)
def test_domains_that_look_like_the_brands_and_are_not_weigh_much(
    signs: SpamSigns, link: str
) -> None:
    (sign,) = [one for one in found(signs, "see", link) if one.name == "look-alike domain"]
    assert sign.shift.spam >= 3
    assert "example-air" in sign.says


@pytest.mark.parametrize(
    "link",
    [
        "https://example-air.com/booking?next=https://evil.top",
        "https://shop.example-air.de/x",
        "https://www.example-air.com",
        "https://example-air.fr/bonjour",
        "https://example.com/air",
        "https://exair.link/abc",
        "https://chair.example",
        "https://example-air.zendesk.com/hc",
        "not a link",
        "https://[::1",
    ],
)
def test_the_brands_own_and_everybody_elses_links_are_no_sign(signs: SpamSigns, link: str) -> None:
    assert names(signs, "Where is my refund?", link) == set()


def test_a_shortener_alone_is_no_sign_and_beside_a_pitch_it_is(signs: SpamSigns) -> None:
    assert names(signs, "my boarding pass is here", "https://cutt.ly/x") == set()
    assert names(signs, "guaranteed profit, crypto signals", "https://dub.sh/x") == {
        "shortened link"
    }


def test_an_abused_ending_and_an_open_host_are_named_and_weigh_little(signs: SpamSigns) -> None:
    (ending,) = found(signs, "have a look", "https://win-big.cyou/x")
    assert ending.name == "abused ending"
    assert 0 < ending.shift.spam < 1
    assert names(signs, "free crypto airdrop", "https://drop.pages.dev") == {"open host"}
    assert names(signs, "my photos", "https://anna.pages.dev") == set()


def test_what_the_team_lists_counts_and_what_it_trusts_never(signs: SpamSigns) -> None:
    assert names(signs, "hello", "https://a.cheap-followers.example/x") == {"blocked domain"}
    assert names(signs, "write to @Refund_Desk_24 they helped me") == {"blocked handle"}
    by_them = found(signs, "hello", handle="refund_desk_24")
    assert "written by" in by_them[0].says


def test_of_many_links_only_the_heaviest_of_a_kind_counts(signs: SpamSigns) -> None:
    links = [f"https://a{n}.cyou" for n in range(20)]
    assert len(found(signs, "look", *links)) == 1


def test_every_list_names_its_source_and_holds_plain_entries() -> None:
    assert {file.stem for file in SIGNS.glob("*.yaml")} == set(LISTS)
    for file in SIGNS.glob("*.yaml"):
        content = yaml.safe_load(file.read_text())
        assert len(content["source"]) > 20, file.name
        entries = content["entries"]
        assert len(entries) == len(set(entries)), file.name
        assert all(entry == entry.casefold().strip(". ") for entry in entries), file.name
    assert "bit.ly" in shipped_signs().shorteners


def test_a_folder_of_the_teams_own_replaces_lists_by_name(
    example: Configuration, tmp_path: Path
) -> None:
    (tmp_path / "shorteners.yaml").write_text("source: ours\nentries: [Go.Acme.Example]\n")
    own = example.classify.signs.model_copy(update={"lists": str(tmp_path)})
    chosen = example.model_copy(
        update={"classify": example.classify.model_copy(update={"signs": own})}
    )
    assert spam_signs(chosen).shorteners == {"go.acme.example"}
    assert "top" in spam_signs(chosen).abused_endings
    (tmp_path / "lures.yaml").write_text("entries: [x]\n")
    with pytest.raises(WrongConfiguration, match=r"lures\.yaml is no list"):
        spam_signs(chosen)


def test_hosts_are_read_as_people_see_them() -> None:
    host = host_of("https://WWW.Shop.Acme.co.uk:8443/x?y=@z")
    assert host is not None
    assert (host.full, host.registered, host.name, host.ending) == (
        "shop.acme.co.uk",
        "acme.co.uk",
        "acme",
        "uk",
    )
