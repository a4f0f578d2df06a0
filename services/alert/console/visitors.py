"""Who is looking: sessions, forms that only our own pages can send, and what loopback may see."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import Request, Response
from pydantic import SecretStr

from services.alert.chat.links import SESSION_AGE, LinkError, Links
from services.alert.ports import Actor
from services.contracts.configuration import Configuration, Person

SESSION_COOKIE = "presence_session"
FORM_COOKIE = "presence_form"


def loopback_host(host: str | None) -> bool:
    """Whether a host name or address is this machine itself."""
    if host is None:
        return False
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str | None:
    """The host that a header names; None where it is no address at all."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class Visitors:
    """Knows a person by a signed cookie, and only while presence.yaml lists them."""

    def __init__(
        self,
        links: Links,
        configuration: Callable[[], Configuration],
        api_token: SecretStr | None,
    ) -> None:
        self._links = links
        self._configuration = configuration
        self._api_token = api_token
        public = urlsplit(links.public_url)
        self._secure = public.scheme == "https"
        self._local = loopback_host(public.hostname)
        self._origin = f"{public.scheme}://{public.netloc}"

    def person(self, request: Request) -> Person | None:
        """The person of the session."""
        value = request.cookies.get(SESSION_COOKIE)
        if not value:
            return None
        try:
            return self._configuration().person(self._links.read_session(value))
        except LinkError:
            return None

    def sign_in(self, response: Response, person: Person) -> None:
        """Start a session."""
        self._cookie(response, SESSION_COOKIE, self._links.session(person.id))

    def sign_out(self, response: Response) -> None:
        """End the session in this browser."""
        response.delete_cookie(SESSION_COOKIE, secure=self._secure, httponly=True, samesite="lax")

    def at_home(self, request: Request) -> bool:
        """Whether the list may be read without a session: Presence runs for this machine alone.

        The public address is a loopback one, the browser is on this machine, and it asked for this
        machine by name: a page elsewhere that has its own name point here (DNS rebinding) does not.
        """
        client = request.client.host if request.client else None
        asked = _host_of(f"//{request.headers.get('host', '')}")
        return self._local and loopback_host(client) and loopback_host(asked)

    def may_read(self, request: Request) -> bool:
        """Whether this request may read the episodes."""
        return self._bearer(request) or self.person(request) is not None or self.at_home(request)

    def actor(self, request: Request) -> Actor | None:
        """Who changes something through the API: a script with the token, or a session's person.

        A session counts only from our own pages: the browser names the page that asks.
        """
        if self._bearer(request):
            return Actor("api token", "api")
        person = self.person(request)
        if person is None or not self._ours(request, request.headers.get("origin")):
            return None
        return Actor(person.id, "console")

    def _bearer(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self._api_token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(
            token.strip().encode(), self._api_token.get_secret_value().encode()
        )

    def form_nonce(self, request: Request) -> str:
        """This browser's nonce, or a new one."""
        nonce = request.cookies.get(FORM_COOKIE, "")
        return nonce if 20 <= len(nonce) <= 100 else secrets.token_urlsafe(24)

    def form_field(self, nonce: str) -> str:
        """The hidden field of every form that acts."""
        return self._links.form(nonce)

    def keep_nonce(self, response: Response, nonce: str) -> None:
        """Let the browser hold its half."""
        # Lax: a form of a page that was reached from a chat's link must find it.
        self._cookie(response, FORM_COOKIE, nonce)

    def from_our_page(self, request: Request, field: str) -> bool:
        """Whether a form was sent by a page that we gave to this very browser."""
        if not self._ours(request, request.headers.get("origin")):
            return False
        nonce = request.cookies.get(FORM_COOKIE, "")
        try:
            held = self._links.read_form(field)
        except LinkError:
            return False
        # As bytes: compare_digest takes no other letters than ASCII, and a cookie may hold any.
        return bool(nonce) and hmac.compare_digest(held.encode(), nonce.encode())

    def _ours(self, request: Request, origin: str | None) -> bool:
        if origin is None or origin == self._origin:
            return True
        return self.at_home(request) and loopback_host(_host_of(origin))

    def _cookie(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(
            name,
            value,
            max_age=int(SESSION_AGE.total_seconds()),
            httponly=True,
            secure=self._secure,
            samesite="lax",
            path="/",
        )
