"""Answers by mail: aiosmtpd takes them, Dovecot files them; neither is ours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd import smtp as smtpd
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from pydantic import SecretStr

from deploy.local import ports
from services.contracts.configuration.mail import EmailSettings
from services.contracts.events import Notification
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address, Heard, address_of
from services.ingest.domain.item import Receipt, notification
from services.ingest.domain.replying import Certainty, Draft, RefusalCause
from services.ingest.sources.email import Letter, parse_letter
from services.ingest.speaking.email import EmailSpeaker
from services.ingest.speaking.port import Ambiguous, SpeakReason
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, Transient
from tests.ingest.brand import NOW
from tests.ingest.mails import PLAIN, mail
from tests.integration.mail_server import PASSWORD, MailServer, mail_server
from tests.integration.test_email_feed import feed_of

__all__ = ["mail_server"]  # the fixture
pytestmark = [
    pytest.mark.integration,
    # aiosmtpd's own warnings about itself.
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:aiosmtpd"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]
_users = itertools.count(1)
DRAFT = Draft(
    "We found your bag, Kim.\n.\nIt is green: grün.\nFrom Berlin it comes tomorrow.", private=True
)


class Sink:
    """What the server does with a mail."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.recipient_says = "250 OK"
        self.data_says = "250 OK"
        self.hangs_up: str | None = None
        self.files: Any = None

    async def handle_RCPT(  # noqa: N802
        self, server: smtpd.SMTP, session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if self.recipient_says.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.recipient_says

    async def handle_DATA(self, server: smtpd.SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data_says.startswith("2") and self.hangs_up != "before":
            self.taken.append(envelope)
            if self.files:
                self.files(envelope.original_content)
        connection: Any = server.transport
        if self.hangs_up:
            connection.abort()
        return self.data_says

    @property
    def mails(self) -> list[EmailMessage]:
        contents = (one.original_content or b"" for one in self.taken)
        return [message_from_bytes(one, policy=policy.default) for one in contents]


@pytest.fixture
def user() -> str:
    return f"speak{next(_users)}@air.example"


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def smtp(sink: Sink) -> Iterator[Controller]:
    def knows(
        server: smtpd.SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        return AuthResult(success=given.password == PASSWORD.encode(), handled=False)

    controller = Controller(
        sink, hostname="127.0.0.1", port=ports.pick(None), authenticator=knows,
        auth_require_tls=False, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield controller
    controller.stop()


def speaker_of(
    server: MailServer, takes: Controller, user: str, password: str = PASSWORD, **more: Any
) -> EmailSpeaker:
    local = {"host": "127.0.0.1", "security": "none"}
    settings = EmailSettings.model_validate(
        {
            "imap": {**local, "port": server.port},
            "smtp": {**local, "port": takes.port},
            "from_name": "Example Air, Bags",
            **more,
        }
    )
    return EmailSpeaker(own(user), settings, lambda: SecretStr(password), SystemClock())


def own(user: str) -> OwnAccount:
    return OwnAccount("email", user, user, "air", frozenset({user}))


def question(user: str, head: str = PLAIN) -> Address:
    letter = Letter(mail(head, "My bag is lost."), NOW, sent=False)
    found = parse_letter(letter, own(user), Receipt(NOW))
    assert isinstance(found, Heard)
    return address_of(found)


async def test_an_answer_goes_out_in_its_thread_and_is_filed_as_the_same_event(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str
) -> None:
    feed = feed_of(mail_server, user)
    await feed.identify()
    head = PLAIN + "References: <root@people.example> <middle@air.example>"
    speaker, address = speaker_of(mail_server, smtp, user), question(user, head)
    assert speaker.check(DRAFT, address, NOW) is None
    posted = await speaker.post(DRAFT, address, "reply-1")
    (taken,) = sink.mails
    (event,) = (await feed.page("sent", "")).events
    await feed.close()
    filed = await feed.parse(event, Receipt(NOW + timedelta(days=9_000)))
    assert taken["From"] == f'"Example Air, Bags" <{user}>'
    assert taken["To"] == "kim@people.example"
    assert taken["Subject"] == "Re: Lost bag"
    assert taken["In-Reply-To"] == "<one@people.example>"
    assert taken["References"].split() == [
        "<root@people.example>", "<middle@air.example>", "<one@people.example>",
    ]  # fmt: skip
    assert taken.get_content().replace("\r\n", "\n").strip() == DRAFT.text
    assert isinstance(filed, Notification)
    ours = notification(posted.item, own(user), Receipt(NOW + timedelta(days=9_000)))
    assert filed.event_id == ours.event_id
    assert ours.text == DRAFT.text
    assert ours.direction.value == "outbound"
    assert ours.conversation.root == "root@people.example"
    assert ours.conversation.counterpart_id == "kim@people.example"


async def test_every_try_of_one_reply_is_the_same_mail(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str
) -> None:
    speaker, address = speaker_of(mail_server, smtp, user), question(user)
    for key in ("reply-1", "reply-1", "reply-2"):
        await speaker.post(DRAFT, address, key)
    first, again, other = (one["Message-ID"] for one in sink.mails)
    assert first == again
    assert first != other


async def test_the_servers_no_is_told_in_its_words(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str
) -> None:
    speaker, address = speaker_of(mail_server, smtp, user), question(user)
    sink.recipient_says = "550 5.1.1 No such person"
    with pytest.raises(Permanent, match="No such person"):
        await speaker.post(DRAFT, address, "reply")
    sink.recipient_says, sink.data_says = "250 OK", "451 4.7.1 Too many, come later"
    with pytest.raises(Transient) as limited:
        await speaker.post(DRAFT, address, "reply")
    assert limited.value.reason is SpeakReason.rate_limited
    assert limited.value.retry_after
    sink.data_says = "554 5.7.1 Looks like spam"
    with pytest.raises(Permanent, match="Looks like spam"):
        await speaker.post(DRAFT, address, "reply")
    wrong = speaker_of(mail_server, smtp, user, password="wrong")
    with pytest.raises(Permanent) as refused:
        await wrong.post(DRAFT, address, "reply")
    assert refused.value.reason is SpeakReason.credentials
    assert sink.taken == []


async def test_a_server_that_is_not_there_surely_sent_nothing(
    mail_server: MailServer, smtp: Controller, user: str
) -> None:
    speaker = speaker_of(
        mail_server, smtp, user, smtp={"host": "127.0.0.1", "port": 9, "security": "none"}
    )
    with pytest.raises(Transient):
        await speaker.post(DRAFT, question(user), "reply")


async def test_a_lost_confirmation_is_ambiguous_and_nothing_tells_where_the_server_does_not_file(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str
) -> None:
    speaker = speaker_of(mail_server, smtp, user)
    sink.hangs_up = "after"
    with pytest.raises(Ambiguous):
        await speaker.post(DRAFT, question(user), "reply")
    assert speaker.certainty is Certainty.none


@pytest.mark.parametrize("arrived", [True, False])
async def test_where_the_server_files_what_it_sends_a_lost_answer_is_found(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str,
    arrived: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("services.ingest.speaking.email.LOOK_EVERY", 0.05)
    speaker, address = speaker_of(mail_server, smtp, user, files_sent=True), question(user)
    assert speaker.certainty is Certainty.by_reading
    sink.files = lambda raw: mail_server.put(user, raw, "Sent")
    began = SystemClock().now() - timedelta(seconds=1)
    other = Draft("Another answer to the same mail.", private=True)
    await speaker.post(other, address, "another")
    sink.hangs_up = "after" if arrived else "before"
    with pytest.raises(Ambiguous):
        await speaker.post(DRAFT, address, "reply")
    found = await speaker.find(DRAFT, address, began)
    assert (found is not None) is arrived
    if found is not None:
        sink.hangs_up = None
        again = await speaker.post(DRAFT, address, "reply")
        assert found.item.native_id == again.item.native_id
    assert await speaker.find(DRAFT, address, began + timedelta(days=2)) is None


def refused(speaker: EmailSpeaker, draft: Draft, address: Address) -> RefusalCause | None:
    found = speaker.check(draft, address, NOW)
    return found.cause if found else None


async def test_what_cannot_be_sent_is_said_before(
    mail_server: MailServer, smtp: Controller, user: str
) -> None:
    speaker, address = speaker_of(mail_server, smtp, user), question(user)
    public = Draft("Hello", private=False)
    assert refused(speaker, public, address) is RefusalCause.visibility
    long = Draft("x" * 50_000, private=True)
    assert refused(speaker, long, address) is RefusalCause.too_long
    abroad = question(user, PLAIN.replace("Kim@People", "キム@people"))
    assert refused(speaker, DRAFT, abroad) is RefusalCause.no_address
    assert refused(speaker, DRAFT, address) is None


async def test_a_subject_and_a_name_cannot_smuggle_headers_into_the_answer(
    mail_server: MailServer, smtp: Controller, sink: Sink, user: str
) -> None:
    head = PLAIN.replace("Lost bag", "=?utf-8?q?Hi=0D=0ABcc:_all@people.example?=")
    await speaker_of(mail_server, smtp, user).post(DRAFT, question(user, head), "reply")
    (taken,) = sink.mails
    assert taken["Bcc"] is None
    assert taken["Subject"] == "Re: Hi Bcc: all@people.example"
