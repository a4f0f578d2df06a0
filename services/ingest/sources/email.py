"""Email: what a mail means. Pure: how mails are fetched is in email_imap.py.

A mail's id is its Message-ID, the person is their address in lower case, the thread's root the first
id of References. What lies in the folder of sent mail is the brand's own and nothing else is: anybody
can write any From.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.contracts import identity
from services.contracts.events import Author, Kind, Mention
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Item, Receipt, unknown_author
from services.ingest.domain.outcome import Ignored, IgnoreReason, Parsed, Unreadable
from services.ingest.sources.email_message import Address, Mail
from services.ingest.sources.source import read_change

ID_LIMIT = 300
SUBJECT_LIMIT = 300
REFERENCES_KEPT = 8
MACHINES = ("mailer-daemon", "postmaster", "no-reply", "noreply", "donotreply", "do-not-reply")
REPORTS = ("delivery-status", "disposition-notification", "feedback-report")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as the server keeps it."""

    raw: bytes
    """Its beginning where it is over the size limit."""
    arrived_at: datetime | None
    """INTERNALDATE: our own server's clock."""
    sent: bool
    """It lies in the folder of sent mail."""
    whole: bool = True


def parse_letter(letter: Letter, account: OwnAccount, receipt: Receipt) -> Parsed:
    """One mail. Never raises."""
    return read_change(lambda: _read(letter, account), account, receipt, "mail")


def read_letter(letter: Letter, account: OwnAccount) -> Item:
    """A mail that we sent ourselves. Raises Unreadable for another."""
    found = _read(letter, account)
    if isinstance(found, Ignored):
        raise Unreadable(found.what)
    return found


def _read(letter: Letter, account: OwnAccount) -> Item | Ignored:
    mail = Mail(letter.raw, whole=letter.whole)
    body = mail.body()
    title = mail.header("subject")
    native_id = _native_id(mail, letter)
    author = _author(mail, account, native_id, sent=letter.sent)
    to = mail.addresses("to", "cc")
    others = [one for one in to if one.address not in account.own_ids]
    if not letter.sent and author.id in account.own_ids:
        if others:
            # A copy of what we wrote to somebody: the folder of sent mail has the original.
            return Ignored(IgnoreReason.not_ours, "copy of own mail")
        # We wrote to ourselves (a form on our own site): no answer to anybody. The copy in the folder
        # of sent mail is another item.
        native_id = f"received-{native_id}"
    thread = mail.message_ids("references") or mail.message_ids("in-reply-to")
    parent = next(iter(mail.message_ids("in-reply-to") or thread[-1:]), None)
    return Item(
        native_id=native_id,
        author=author,
        kinds=frozenset({Kind.direct}),
        root=_bounded(thread[0]) if thread else native_id,
        in_reply_to=_bounded(parent) if parent else None,
        answers=others[0].address if others else None,
        outbound=letter.sent,
        addressed=True,
        private=True,
        automated=is_automatic(mail),
        text=body.text,
        title=title,
        language=mail.tokens("content-language").split(",")[0] or None,
        links=body.links,
        media=body.media,
        mentions=tuple(Mention(id=one.address, handle=one.address) for one in others),
        happened_at=letter.arrived_at,
        claimed_at=mail.date(),
        address=None if letter.sent else _way_back(mail, author, account),
    )


def _way_back(mail: Mail, author: Author, account: OwnAccount) -> dict[str, str] | None:
    """What an answer needs: whom, and the thread's first and last ids (RFC 5322, 3.6.4)."""
    answer_to = [one.address for one in mail.addresses("reply-to")]
    to = [one for one in (*answer_to, author.id) if "@" in one and one not in account.own_ids]
    if not to:
        return None
    own = [one for one in mail.message_ids("message-id") if len(one) <= ID_LIMIT][:1]
    before = mail.message_ids("references") or mail.message_ids("in-reply-to")
    thread = [one for one in before if len(one) <= ID_LIMIT and one not in own]
    kept = list(dict.fromkeys([*thread[:1], *thread[-REFERENCES_KEPT:], *own]))
    return {
        "to": to[0],
        "subject": mail.header("subject")[:SUBJECT_LIMIT],
        "message_id": "".join(own),
        "references": " ".join(f"<{one}>" for one in kept),
    }


def _bounded(message_id: str) -> str:
    """A Message-ID as a native id: opaque, and never of any length that a sender likes."""
    if len(message_id) <= ID_LIMIT:
        return message_id
    return identity.content_hash({"message-id": message_id})


def _native_id(mail: Mail, letter: Letter) -> str:
    found = mail.message_ids("message-id")
    if found:
        return _bounded(found[0])
    # The same mail read again has the same hash, whatever its UID is by then.
    said = {name: mail.header(name) for name in ("from", "to", "date", "subject")}
    return identity.content_hash({**said, "text": mail.body().text})


def _author(mail: Mail, account: OwnAccount, native_id: str, *, sent: bool) -> Author:
    """Who wrote. A form that writes as ourselves or as no-reply@ names the person in Reply-To."""
    writers = mail.addresses("from") or mail.addresses("sender")
    writer = writers[0] if writers else None
    if sent:
        own = writer if writer and writer.address in account.own_ids else None
        return _of(own or Address("", account.native_id))
    if writer is None or writer.address in account.own_ids or _is_machine(writer):
        answer_to = mail.addresses("reply-to")
        strangers = [one for one in answer_to if one.address not in account.own_ids]
        writer = strangers[0] if strangers else writer
    return _of(writer) if writer else unknown_author(native_id)


def _is_machine(writer: Address) -> bool:
    return writer.address.split("@")[0] in MACHINES


def _of(address: Address) -> Author:
    return Author(id=address.address, handle=address.address, name=address.name or None)


def is_automatic(mail: Mail) -> bool:
    """A machine sent it: RFC 3834, mailing lists, out-of-office notes, bounces, receipts."""
    submitted = mail.tokens("auto-submitted").split(";")[0].strip()
    if submitted not in ("", "no"):
        return True
    if mail.tokens("precedence") in ("bulk", "list", "junk", "auto_reply"):
        return True
    marks = ("list-id", "x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")
    if any(mail.tokens(name) not in ("", "no") for name in marks):
        return True
    if mail.content_type == "multipart/report" and mail.parameter("report-type") in REPORTS:
        return True
    if mail.tokens("return-path") == "<>":
        return True
    writer = next(iter(mail.addresses("from")), None)
    # A form that sends from no-reply@ and names the person in Reply-To is that person's hand.
    return writer is not None and _is_machine(writer) and not mail.addresses("reply-to")
