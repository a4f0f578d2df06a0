"""Signed, expiring links. A link names an episode, never who presses: the page finds that out.

Kinds of token, each with a salt of its own so that one never passes for another:

- **episode**: in a channel's card. Carries the episode and what the button said; no person.
- **board**: the same for a board, with what the button was about.
- **episode with a person**: in a direct message that only that person received; identifies them.
- **sign-in**: sent to a person on request; ends after 15 minutes and works once.
- **calendar**: in the address that a person's calendar program looks at; does not end.
- **session** and **form**: what the cookie and the hidden field hold.
- **said**: what became of a press, on the way from the form to the page that shows it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from itsdangerous import (
    BadData,
    SignatureExpired,
    TimestampSigner,
    URLSafeSerializer,
    URLSafeTimedSerializer,
)
from pydantic import SecretStr

from services.alert.domain.card import CardAct
from services.runtime.clock import Clock, SystemClock

CARD_LINK_AGE = timedelta(days=7)
PERSONAL_LINK_AGE = timedelta(hours=12)
SIGN_IN_AGE = timedelta(minutes=15)
SESSION_AGE = timedelta(days=30)
FORM_AGE = timedelta(hours=12)
SAID_AGE = timedelta(hours=1)
SHORTEST_SECRET = 32


class LinkRefusal(StrEnum):
    """Why a token is not accepted."""

    expired = "expired"
    invalid = "invalid"


class LinkError(Exception):
    """The token is no longer, or never was, one of ours."""

    def __init__(self, refusal: LinkRefusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class EpisodeLink:
    """What an episode's link says."""

    episode_id: str
    act: CardAct | None
    person_id: str | None


@dataclass(frozen=True, slots=True)
class BoardLink:
    """What a board's link says."""

    board_id: str
    act: str | None
    target: str
    person_id: str | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a sign-in link says."""

    person_id: str
    nonce: str
    """Unique; used once."""
    then: str
    """The path to go on to."""


@dataclass(frozen=True, slots=True)
class CalendarLink:
    """Whose shifts a calendar's address shows: a person's, or a rota's."""

    person_id: str | None
    rota: str | None


class Links:
    """Makes and reads the links of one installation. Raises LinkError for what it did not sign."""

    _episodes = "episode"
    """What an episode's tokens are for: those of a practice pass for nothing else."""

    def __init__(self, public_url: str, secret: SecretStr, clock: Clock | None = None) -> None:
        if len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(
                f"PRESENCE_LINK_SECRET must have at least {SHORTEST_SECRET} characters "
                "(make one with: openssl rand -hex 32)"
            )
        self.public_url = public_url.rstrip("/")
        self._secret = secret
        self._clock = clock or SystemClock()

    def episode(
        self, episode_id: str, person_id: str | None = None, act: CardAct | None = None
    ) -> str:
        """The address of an episode's page; with a person only for what that person alone receives."""
        return f"{self.public_url}/a/{self.episode_token(episode_id, person_id, act)}"

    def episode_token(
        self, episode_id: str, person_id: str | None = None, act: CardAct | None = None
    ) -> str:
        """The token of that address."""
        claims = {"e": episode_id}
        if person_id is not None:
            claims["p"] = person_id
        if act is not None:
            claims["a"] = act.value
        return self._sign(self._episodes, claims)

    def read_episode(self, token: str) -> EpisodeLink:
        """What the token of an episode's page says."""
        claims = self._read(self._episodes, token, CARD_LINK_AGE)
        if "p" in claims:
            claims = self._read(self._episodes, token, PERSONAL_LINK_AGE)
        act = claims.get("a")
        return EpisodeLink(claims["e"], CardAct(act) if act else None, claims.get("p"))

    def board(
        self, board_id: str, person_id: str | None = None, act: str | None = None, target: str = ""
    ) -> str:
        """The address of a board's page; with a person only for what that person alone receives."""
        claims = {"b": board_id, "p": person_id, "a": act, "t": target or None}
        token = self._sign("board", {name: one for name, one in claims.items() if one is not None})
        return f"{self.public_url}/b/{token}"

    def read_board(self, token: str) -> BoardLink:
        """What the token of a board's page says."""
        claims = self._read("board", token, CARD_LINK_AGE)
        if "p" in claims:
            claims = self._read("board", token, PERSONAL_LINK_AGE)
        return BoardLink(claims["b"], claims.get("a"), claims.get("t", ""), claims.get("p"))

    def sign_in(self, person_id: str, then: str = "/") -> str:
        """The address of a personal sign-in page."""
        claims = {"p": person_id, "n": secrets.token_urlsafe(12), "t": then}
        return f"{self.public_url}/sign-in/{self._sign('sign-in', claims)}"

    def read_sign_in(self, token: str) -> SignIn:
        """What the token of a sign-in page says."""
        claims = self._read("sign-in", token, SIGN_IN_AGE)
        return SignIn(claims["p"], claims["n"], claims["t"])

    def calendar(self, *, person: str | None = None, rota: str | None = None) -> str:
        """The address of a calendar of shifts. It does not end: calendar programs keep it for years."""
        claims = {"p": person} if person is not None else {"r": rota}
        token = URLSafeSerializer(self._secret.get_secret_value(), salt="presence.calendar")
        return f"{self.public_url}/calendars/{token.dumps(claims)}.ics"

    def read_calendar(self, token: str) -> CalendarLink:
        """What the token of a calendar's address says."""
        serializer = URLSafeSerializer(self._secret.get_secret_value(), salt="presence.calendar")
        try:
            claims = serializer.loads(token)
        except BadData as error:
            raise LinkError(LinkRefusal.invalid) from error
        if not isinstance(claims, dict):
            raise LinkError(LinkRefusal.invalid)
        return CalendarLink(claims.get("p"), claims.get("r"))

    def session(self, person_id: str) -> str:
        """The session cookie's value."""
        return self._sign("session", {"p": person_id})

    def read_session(self, value: str) -> str:
        """The person of a session."""
        return str(self._read("session", value, SESSION_AGE)["p"])

    def form(self, nonce: str) -> str:
        """The hidden field that goes with a browser's own nonce."""
        return self._sign("form", {"n": nonce})

    def read_form(self, value: str) -> str:
        """The nonce of a hidden field."""
        return str(self._read("form", value, FORM_AGE)["n"])

    def said(self, about: str, result: str, says: str) -> str:
        """What became of a press, for the address of the page that shows it: nobody else writes there."""
        return self._sign("said", {"b": about, "r": result, "s": says})

    def read_said(self, about: str, value: str) -> tuple[str, str] | None:
        """The result and the words; None for what is not about this, too old, or not ours."""
        try:
            claims = self._read("said", value, SAID_AGE)
        except LinkError:
            return None
        return (claims["r"], claims["s"]) if claims["b"] == about else None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        clock = self._clock

        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock.now().timestamp())

        return URLSafeTimedSerializer(
            self._secret.get_secret_value(),
            salt=f"presence.{purpose}",
            signer=Signer,
            signer_kwargs={"key_derivation": "hmac"},
        )

    def _sign(self, purpose: str, claims: dict[str, str]) -> str:
        return str(self._serializer(purpose).dumps(claims))

    def _read(self, purpose: str, token: str, age: timedelta) -> dict[str, Any]:
        try:
            claims = self._serializer(purpose).loads(token, max_age=int(age.total_seconds()))
        except SignatureExpired as error:
            raise LinkError(LinkRefusal.expired) from error
        except BadData as error:
            raise LinkError(LinkRefusal.invalid) from error
        if not isinstance(claims, dict):
            raise LinkError(LinkRefusal.invalid)
        return claims


class PracticeLinks(Links):
    """Links to a practice's episodes, by the same secret: no real token passes for one, nor the other way.

    Their tokens say themselves whose they are, so that a page is found for them before anything is read.
    """

    _episodes = "practice-episode"
    mark = "practice."

    def episode_token(
        self, episode_id: str, person_id: str | None = None, act: CardAct | None = None
    ) -> str:
        """See Links."""
        return self.mark + super().episode_token(episode_id, person_id, act)

    def read_episode(self, token: str) -> EpisodeLink:
        """See Links."""
        if not token.startswith(self.mark):
            raise LinkError(LinkRefusal.invalid)
        return super().read_episode(token.removeprefix(self.mark))
