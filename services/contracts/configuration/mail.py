"""A mailbox: where it is read, where answers go out, and how to log in."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import Field, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.values import SecretName, Section


class MailSecurity(StrEnum):
    """How a connection to a mail server is protected."""

    tls = "tls"
    """TLS from the first byte (IMAP 993, SMTP 465)."""
    starttls = "starttls"
    """TLS on request, and required (IMAP 143, SMTP 587)."""
    none = "none"
    """In the clear: only to a server on this machine."""


class MailServer(Section):
    """Where a mail server listens."""

    host: str = Field(min_length=1)
    port: int | None = Field(None, ge=1, le=65_535)
    """Left out, the usual one of the protocol and its security."""
    security: MailSecurity = MailSecurity.tls

    @model_validator(mode="after")
    def _a_password_never_travels_in_the_clear(self) -> MailServer:
        if self.security is MailSecurity.none and not _is_loopback(self.host):
            raise ValueError(f"security none sends the password in the clear to {self.host}")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MailLogin(StrEnum):
    """What the secret is."""

    password = "password"
    """A password, or an app password (Gmail, iCloud, Yahoo, Fastmail)."""
    xoauth2 = "xoauth2"
    """An OAuth 2 access token, which something outside keeps fresh in its file (Microsoft 365)."""


class EmailSettings(Section):
    """A mailbox that is read by IMAP, and answered from by SMTP."""

    imap: MailServer
    smtp: MailServer | None = None
    """Left out, mail is read and cannot be answered."""
    user: str | None = None
    """The name to log in with; left out, the account's address."""
    login: MailLogin = MailLogin.password
    secret: SecretName = "PRESENCE_EMAIL_PASSWORD"
    """Environment variable with the password or token, read anew at every login."""
    mailboxes: tuple[str, ...] = Field(("INBOX",), min_length=1)
    """Folders that people's mail arrives in."""
    sent: str | None = None
    """The folder of sent mail; left out, the one that the server marks as such."""
    files_sent: bool = False
    """Whether the SMTP server itself files what it sends there (Gmail and Microsoft 365 do)."""
    aliases: tuple[str, ...] = ()
    """Further addresses of this mailbox: mail from them is the brand's own."""
    from_name: str | None = None
    """The name that answers are sent under; left out, they carry the bare address."""
    backfill_limit: int = Field(2_000, ge=1)
    """At most so many mails of one folder are read after a gap; what is beyond is counted and told."""
    size_limit: int = Field(262_144, ge=16_384)
    """Bytes of one mail that are read: enough for its words. Attachments are named, not loaded."""
