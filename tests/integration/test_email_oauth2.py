"""XOAUTH2 (Microsoft 365, Gmail): Dovecot asks whom a token is of; aiosmtpd takes mail for one."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd import smtp as smtpd
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.local import ports
from services.contracts.configuration.mail import EmailSettings
from services.ingest.domain.accounts import OwnAccount
from services.ingest.sources.email_imap import EmailAccountFeed
from services.ingest.sources.pulled import PullReason
from services.ingest.speaking.email import EmailSpeaker
from services.ingest.speaking.port import SpeakReason
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from services.runtime.settings import secret
from tests.integration.mail_server import MailServer, missing
from tests.integration.test_email_feed import INBOX, letter, words
from tests.integration.test_email_speaker import DRAFT, Sink, question
from tests.serving import serve

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]
USER = "care@air.example"


class Tokens:
    """An authorisation server: which access tokens hold, and whom they are of."""

    def __init__(self) -> None:
        self.of = {"first": USER}
        self.app = Starlette(routes=[Route("/introspect", self.introspect)])
        self.app.state.stop = lambda: None

    async def introspect(self, request: Request) -> JSONResponse:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.of:
            return JSONResponse({"active": False})
        return JSONResponse({"active": True, "username": self.of[token]})


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def mailbox(tokens: Tokens) -> Iterator[MailServer]:
    if says := missing():
        if os.environ.get("CI", "").lower() in {"true", "1"}:
            pytest.fail(says, pytrace=False)
        pytest.skip(says)
    with serve(tokens.app) as url:
        server = MailServer(introspection=f"{url}/introspect")
        server.start()
        yield server
        server.remove()


class TokenSink(Sink):
    """aiosmtpd knows no XOAUTH2 of itself; the exchange is the one that Gmail documents."""

    def __init__(self, tokens: Tokens) -> None:
        super().__init__()
        self._tokens = tokens

    async def auth_XOAUTH2(self, server: smtpd.SMTP, given: list[str]) -> AuthResult:  # noqa: N802
        said = base64.b64decode(given[1]).decode()
        user, bearer = said.removesuffix("\x01\x01").split("\x01")
        name, token = user.removeprefix("user="), bearer.removeprefix("auth=Bearer ")
        if self._tokens.of.get(token) == name:
            return AuthResult(success=True, auth_data=LoginPassword(name.encode(), b""))
        # An error as JSON, which the client answers with an empty line before it hears no.
        await server.challenge_auth('{"status":"400"}')
        return AuthResult(success=False, handled=False)


@pytest.fixture
def takes(tokens: Tokens) -> Iterator[tuple[Controller, TokenSink]]:
    taken = TokenSink(tokens)
    controller = Controller(
        taken, hostname="127.0.0.1", port=ports.pick(None), auth_require_tls=False,
        auth_required=True,
    )  # fmt: skip
    controller.start()
    yield controller, taken
    controller.stop()


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where something outside keeps the access token fresh."""
    file = tmp_path / "token"
    file.write_text("first\n")
    monkeypatch.setenv("MAIL_TOKEN_FILE", str(file))
    return file


def read_anew() -> SecretStr:
    return secret("MAIL_TOKEN")


def settings(mailbox: MailServer, **more: Any) -> EmailSettings:
    imap = {"host": "127.0.0.1", "port": mailbox.port, "security": "none"}
    return EmailSettings.model_validate({"imap": imap, "login": "xoauth2", **more})


OWN = OwnAccount("email", USER, USER, "air", frozenset({USER}))


async def test_a_mailbox_is_read_with_a_token_and_with_the_next_one_after_it_ended(
    mailbox: MailServer, tokens: Tokens, token_file: Path
) -> None:
    mailbox.put(USER, letter("where is my bag"))
    feed = EmailAccountFeed(OWN, settings(mailbox), read_anew, SystemClock())
    await feed.identify()
    page = await feed.page(INBOX, None)
    assert await words(feed, page.events) == ["where is my bag"]
    tokens.of = {"second": USER}
    with pytest.raises(Permanent) as refused:
        await feed.identify()
    assert refused.value.reason is PullReason.credentials
    assert "first" not in str(refused.value)
    token_file.write_text("second\n")
    await feed.identify()
    await feed.close()


async def test_a_token_of_somebody_else_opens_no_mailbox(
    mailbox: MailServer, tokens: Tokens, token_file: Path
) -> None:
    tokens.of = {"first": "mia@air.example"}
    feed = EmailAccountFeed(OWN, settings(mailbox), read_anew, SystemClock())
    with pytest.raises(Permanent) as refused:
        await feed.identify()
    assert refused.value.reason is PullReason.credentials
    await feed.close()


async def test_an_answer_goes_out_and_is_filed_with_a_token(
    mailbox: MailServer,
    tokens: Tokens,
    token_file: Path,
    takes: tuple[Controller, TokenSink],
) -> None:
    controller, taken = takes
    smtp = {"host": "127.0.0.1", "port": controller.port, "security": "none"}
    speaker = EmailSpeaker(OWN, settings(mailbox, smtp=smtp), read_anew, SystemClock())
    await speaker.post(DRAFT, question(USER), "reply-1")
    assert [one["To"] for one in taken.mails] == ["kim@people.example"]
    feed = EmailAccountFeed(OWN, settings(mailbox), read_anew, SystemClock())
    await feed.identify()
    assert len((await feed.page("sent", None)).events) == 1, "filed with the sent mail"
    await feed.close()
    tokens.of.clear()
    with pytest.raises(Permanent) as refused:
        await speaker.post(DRAFT, question(USER), "reply-2")
    assert refused.value.reason is SpeakReason.credentials
    assert len(taken.mails) == 1
