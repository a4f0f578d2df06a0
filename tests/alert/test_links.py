"""Signed links: what they say, and that nobody else can make or change one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.alert.chat.links import EpisodeLink, LinkError, LinkRefusal, Links
from services.alert.domain.card import CardAct
from services.runtime.clock import ManualClock
from tests.alert.chat_builders import NOON, SECRET

HOUR = 3_600


def _links(clock: ManualClock | None = None, secret: str = SECRET) -> Links:
    return Links("https://presence.example/", SecretStr(secret), clock or ManualClock(NOON))


def test_a_link_names_the_episode_the_act_and_nobody() -> None:
    links = _links()
    url = links.episode("ep-1", act=CardAct.claim)
    assert url.startswith("https://presence.example/a/")
    token = url.rsplit("/", 1)[1]
    assert links.read_episode(token) == EpisodeLink("ep-1", CardAct.claim, None)


async def test_a_channels_link_ends_after_a_week_and_a_personal_one_after_twelve_hours() -> None:
    clock = ManualClock(NOON)
    links = _links(clock)
    shared, personal = links.episode_token("ep-1"), links.episode_token("ep-1", "mia")
    await clock.forward(11 * HOUR)
    assert links.read_episode(personal).person_id == "mia"
    await clock.forward(2 * HOUR)
    with pytest.raises(LinkError) as ended:
        links.read_episode(personal)
    assert ended.value.refusal is LinkRefusal.expired
    assert links.read_episode(shared).episode_id == "ep-1"
    await clock.forward(7 * 24 * HOUR)
    with pytest.raises(LinkError):
        links.read_episode(shared)


def test_one_kind_of_token_never_passes_for_another() -> None:
    links = _links()
    session, episode, form = (
        links.session("mia"),
        links.episode_token("ep-1", "mia"),
        links.form("n"),
    )
    sign_in = links.sign_in("mia").rsplit("/", 1)[1]
    for token, readers in (
        (session, (links.read_episode, links.read_sign_in, links.read_form)),
        (episode, (links.read_session, links.read_sign_in, links.read_form)),
        (form, (links.read_session, links.read_sign_in, links.read_episode)),
        (sign_in, (links.read_session, links.read_form, links.read_episode)),
    ):
        for read in readers:
            with pytest.raises(LinkError):
                read(token)


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    links = _links()
    token = links.episode_token("ep-1", "mia")
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        try:
            said = links.read_episode(changed)
        except LinkError:
            return
        # The last character of base64 has spare bits: the same claims, never other ones.
        assert said == EpisodeLink("ep-1", None, "mia")


def test_another_installations_token_is_refused() -> None:
    token = _links(secret="another secret, as long as it has to be").session("mia")
    with pytest.raises(LinkError):
        _links().read_session(token)


def test_a_short_secret_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        _links(secret="short")


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(vars(_links()))
