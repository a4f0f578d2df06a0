"""Answers by SMTP: a plain mail in the thread, filed with what was sent.

Its Message-ID comes from the reply's id, so every try of one reply is the same mail, and the copy in
the folder of sent mail is the same event as the one that is published here. Whether a mail whose
confirmation was lost went out can be read only where the server itself files what it sends
(`files_sent`); elsewhere nothing tells, and a person decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.charset import QP, Charset
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr
from functools import partial

import aiosmtplib
from pydantic import SecretStr

from services.contracts.configuration import Account, EmailAccount
from services.contracts.configuration.mail import EmailSettings, MailLogin, MailSecurity
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.sources.email import Letter, read_letter
from services.ingest.sources.email_message import Mail
from services.ingest.sources.imap_connection import ImapConnection
from services.ingest.sources.pulled import PullReason
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

log = get_logger(__name__)
Secrets = Callable[[str], SecretStr]

TEXT_LIMIT = 40_000
"""Characters: as many as an answer that comes back through the folder of sent mail is read."""
ANSWERING = 20.0
"""Seconds for each of the server's answers."""
LOOKS, LOOK_EVERY = 4, 3.0
"""A server that files what it sends may take some seconds for it."""
LOOKED_AT = 50
"""Mails of one thread that are compared."""


class EmailSpeaker:
    """One mailbox's mouth."""

    key_lifetime = timedelta(0)

    def __init__(
        self,
        account: OwnAccount,
        settings: EmailSettings,
        secret: Callable[[], SecretStr],
        clock: Clock,
    ) -> None:
        self.account = account
        self.certainty = Certainty.by_reading if settings.files_sent else Certainty.none
        self._settings = settings
        self._name = settings.from_name or ""
        self._secret = secret
        self._clock = clock

    async def prepare(self) -> None:
        """Nothing to learn."""

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """See Speaker."""
        to = address.details.get("to", "")
        if not to:
            return Refusal(RefusalCause.no_address, "the mail has no address to answer to")
        if not to.isascii():
            says = f"{to} needs a mail program that writes to international addresses"
            return Refusal(RefusalCause.no_address, says)
        if not draft.private:
            return Refusal(RefusalCause.visibility, "a mail is answered in private only")
        if len(draft.text) > TEXT_LIMIT:
            says = f"the answer has {len(draft.text)} characters, at most {TEXT_LIMIT} are sent"
            return Refusal(RefusalCause.too_long, says)
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker."""
        now = self._clock.now()
        raw = self._mail(draft, address, key, now)
        await self._send(raw, address.details["to"])
        if not self._settings.files_sent:
            await self._file(raw, now)
        return self._posted(raw, now)

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """Look into the folder of sent mail for the same words in answer to the same mail."""
        for look in range(LOOKS):
            if look:
                await self._clock.sleep(LOOK_EVERY)
            found = await self._look(draft, address, since)
            if found is not None:
                return found
        return None

    async def close(self) -> None:
        """No connection is kept."""

    def _mail(self, draft: Draft, address: Address, key: str, now: datetime) -> bytes:
        """Everything that came from outside is printable and on one line (see sources.email)."""
        plain = Charset("utf-8")
        plain.body_encoding = QP
        mail = MIMEText(draft.text.replace("\r\n", "\n"), "plain", plain)  # type: ignore[arg-type]
        own = self.account.native_id
        digest = hashlib.sha256(f"{self.account.id} {key}".encode()).hexdigest()[:32]
        mail["From"] = formataddr((self._name, own))
        mail["To"] = address.details["to"]
        mail["Subject"] = Header(_answered(address.details.get("subject", "")), "utf-8").encode()
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<presence.{digest}@{own.rpartition('@')[2]}>"
        if parent := address.details.get("message_id"):
            mail["In-Reply-To"] = f"<{parent}>"
            mail["References"] = address.details.get("references") or f"<{parent}>"
        return mail.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    def _posted(self, raw: bytes, at: datetime) -> Posted:
        found = read_letter(Letter(raw, at, sent=True), self.account)
        return Posted(found)

    async def _send(self, raw: bytes, to: str) -> None:
        server = self._settings.smtp
        assert server is not None
        tls = server.security is MailSecurity.tls
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port or (465 if tls else 587),
            use_tls=tls,
            start_tls=server.security is MailSecurity.starttls,
            timeout=ANSWERING,
        )
        try:
            await self._begin(smtp, to)
            try:
                await smtp.data(raw)
            except aiosmtplib.SMTPResponseException as error:
                # Its own word: not taken. A server that hangs up gives none.
                raise _said(error) from error
            except (aiosmtplib.SMTPException, OSError) as error:
                raise Ambiguous(SpeakReason.disconnected, type(error).__name__) from error
        finally:
            smtp.close()

    async def _begin(self, smtp: aiosmtplib.SMTP, to: str) -> None:
        """Up to the words themselves: what fails here was surely not sent."""
        try:
            await smtp.connect()
            await smtp.ehlo()
            user = self._settings.user or self.account.native_id
            secret = self._secret().get_secret_value()
            if self._settings.login is MailLogin.xoauth2:
                await smtp.auth_xoauth2(user, secret)
            elif smtp.supports_extension("auth"):
                await smtp.login(user, secret)
            await smtp.mail(self.account.native_id)
            await smtp.rcpt(to)
        except aiosmtplib.SMTPAuthenticationError as error:
            raise Permanent(SpeakReason.credentials, _words(error.message)) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _said(error) from error
        except (TimeoutError, aiosmtplib.SMTPTimeoutError) as error:
            raise Transient(SpeakReason.timeout, "no answer") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Transient(SpeakReason.unreachable, type(error).__name__) from error

    async def _file(self, raw: bytes, at: datetime) -> None:
        """Where the server does not. The answer is out, so a failure here is told and no more."""
        try:
            async with _Sent(self._settings, self.account, self._secret) as (sent, folder):
                await sent.append(folder, raw, at)
        except (Transient, Permanent) as error:
            log.warning(
                "an answer was sent but not filed with the sent mail",
                account=self.account.id,
                says=str(error),
            )

    async def _look(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        wanted = Mail(self._mail(draft, address, "", since)).body().text
        try:
            async with _Sent(self._settings, self.account, self._secret) as (sent, folder):
                await sent.examine(folder)
                uids = await sent.answers_to(
                    address.details.get("message_id") or None, address.details["to"], since
                )
                found = await sent.fetch(uids[-LOOKED_AT:], self._settings.size_limit)
        except (Transient, Permanent) as error:
            raise type(error)(_speaking(error), error.detail) from error
        for one in found:
            arrived = one.arrived_at or since
            if arrived >= since.replace(microsecond=0) and Mail(one.raw).body().text == wanted:
                return self._posted(one.raw, arrived.astimezone(UTC))
        return None


class _Sent:
    """A connection for as long as it takes, and the folder of sent mail."""

    def __init__(
        self, settings: EmailSettings, account: OwnAccount, secret: Callable[[], SecretStr]
    ) -> None:
        self._folder = settings.sent
        self._imap = ImapConnection(settings, settings.user or account.native_id, secret)

    async def __aenter__(self) -> tuple[ImapConnection, str]:
        try:
            await self._imap.open()
            folder = self._folder or await self._imap.sent_folder()
        except BaseException:
            self._imap.close()
            raise
        if folder is None:
            self._imap.close()
            raise Permanent(PullReason.unexpected, "no folder of sent mail: set settings.sent")
        return self._imap, folder

    async def __aexit__(self, *_: object) -> None:
        self._imap.close()


def _answered(subject: str) -> str:
    return (
        subject if subject.lower().startswith(("re:", "aw:", "sv:")) else f"Re: {subject}".strip()
    )


def _said(error: aiosmtplib.SMTPResponseException) -> Transient | Permanent:
    """In the server's words: 4xx is for now, 5xx for good (RFC 5321)."""
    words = _words(f"{error.code} {error.message}")
    if 400 <= error.code < 500:
        # 421, 450 to 452: too much at once, in the words of the large providers.
        limited = error.code in (421, 450, 451, 452)
        reason = SpeakReason.rate_limited if limited else SpeakReason.server_error
        return Transient(reason, words, retry_after=60.0 if limited else None)
    if error.code < 400:
        return Transient(SpeakReason.disconnected, words)
    return Permanent(SpeakReason.refused, words)


def _words(said: str) -> str:
    return "".join(char if char.isprintable() else " " for char in said)[:300]


def _speaking(error: Transient | Permanent) -> SpeakReason:
    try:
        return SpeakReason(str(error.reason))
    except ValueError:
        return SpeakReason.unexpected


def build(account: Account, own: OwnAccount, secrets: Secrets, clock: Clock) -> EmailSpeaker | None:
    """A speaker where an SMTP server is configured."""
    if not isinstance(account, EmailAccount) or account.settings.smtp is None:
        return None
    # Said at the start when it is missing; read anew at every login, since tokens are renewed.
    secrets(account.settings.secret)
    return EmailSpeaker(own, account.settings, partial(secrets, account.settings.secret), clock)
