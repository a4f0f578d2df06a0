"""One mail as bytes (RFC 5322, MIME) read into plain values. Whatever is wrong in it stays readable.

Python's own parser with its oldest policy: that one never raises on a header. Charsets are declared
wrongly so often that a declaration is only the first guess.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parsedate_to_datetime

from services.contracts.events import Media
from services.ingest.domain.item import MEDIA_KEPT
from services.ingest.domain.quotes import markup_without_quotes, without_quotes
from services.ingest.domain.text import TEXT_LIMIT, clean, from_html, web_links

HEADER_LIMIT = 8_000
"""Characters of one header that are read."""
PARTS_READ = 200
ADDRESSES_READ = 100
CUT = "[… the mail goes on: Presence reads only its beginning]"

_ALIASES = {
    # What browsers and mail programs mean by these names is the larger set.
    "iso8859-1": "windows-1252", "ascii": "windows-1252", "gb2312": "gb18030", "gbk": "gb18030",
    "shift_jis": "cp932", "euc_kr": "cp949", "iso2022_jp": "iso2022_jp_ext", "big5": "big5hkscs",
}  # fmt: skip
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
"""Codecs of Python's that are no charsets of mail; some are slow on purpose-made input."""
_ADDRESS = re.compile(r"[^\s<>@\",;:()]{1,100}@[^\s<>@\",;:()]{1,200}")
_LINK = re.compile(r"https?://[^\s<>\"'\])}]{1,2000}")


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox; `address` in lower case."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a person reads."""

    text: str
    links: tuple[str, ...]
    media: tuple[Media, ...]


class Mail:
    """See the module. No method raises."""

    def __init__(self, raw: bytes, *, whole: bool = True) -> None:
        self._whole = whole
        try:
            self._message: Message = message_from_bytes(raw)
        except (ValueError, LookupError, TypeError, RecursionError):
            # Parts within parts beyond any reason: its head says who wrote and about what.
            self._message = BytesHeaderParser().parsebytes(raw[:65_536])

    def header(self, name: str) -> str:
        """The first header of that name as a person reads it, on one line; "" for none."""
        return _decoded(self._raw(name))

    def tokens(self, name: str) -> str:
        """A header that only machines write, in lower case."""
        return " ".join(self._raw(name).split()).lower()

    def addresses(self, *names: str) -> list[Address]:
        """Everybody in these headers, once each, in order."""
        values = [value for name in names for value in self._all(name)]
        found: dict[str, Address] = {}
        for name, address in _mailboxes(values)[:ADDRESSES_READ]:
            address = _printable(address).lower()
            if "@" in address and " " not in address and len(address) <= 320:
                found.setdefault(address, Address(_decoded(name), address))
        return list(found.values())

    def message_ids(self, name: str) -> list[str]:
        """The ids in angle brackets; a bare one too."""
        raw = " ".join(value[-HEADER_LIMIT:] for value in self._all(name, None))
        found = re.findall(r"<([^<>]{1,900})>", raw) or raw.split()[:1]
        cleaned = ("".join(_printable(one).split()) for one in found)
        return [one for one in cleaned if one]

    def date(self) -> datetime | None:
        """What the sender claims, in UTC."""
        try:
            moment = parsedate_to_datetime(self._raw("date"))
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            return None

    @property
    def content_type(self) -> str:
        """Like multipart/report."""
        return self._message.get_content_type()

    def parameter(self, name: str) -> str:
        """Of the content type, in lower case."""
        return _parameter(self._message, name)

    def body(self) -> Body:
        """The newest words, links in them, and attachments by name."""
        texts: list[str] = []
        links: list[str] = []
        media: list[Media] = []
        for part in _parts(self._message):
            kind = part.get_content_type()
            if kind in ("text/plain", "text/html") and not _is_attachment(part):
                text, found = _read(part)
                texts.append(text)
                links.extend(found)
            elif not part.is_multipart() or kind == "message/rfc822":
                media.append(Media(kind=kind.split("/")[0], alt=_filename(part) or kind))
        text = "\n\n".join(one for one in texts if one)
        if not self._whole:
            text = f"{clean(text, TEXT_LIMIT - len(CUT) - 2)}\n\n{CUT}".strip()
        return Body(text, web_links(links), tuple(media[:MEDIA_KEPT]))

    def _all(self, name: str, limit: int | None = HEADER_LIMIT) -> list[str]:
        found = []
        for key, value in self._message.raw_items():
            if key.lower() == name:
                found.append(_eight_bit(str(value))[:limit])
        return found[:20]

    def _raw(self, name: str) -> str:
        return next(iter(self._all(name)), "")


def _mailboxes(values: list[str]) -> list[tuple[str, str]]:
    """Names and addresses; out of a list that breaks the grammar at least what has an @."""
    found = getaddresses(values)
    if any("@" in address for _, address in found):
        return found
    return [("", one) for value in values for one in _ADDRESS.findall(value)]


def _printable(text: str) -> str:
    """Nothing that could begin a header or a line of its own."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _eight_bit(value: str) -> str:
    """Bytes that have no business in a header: most often UTF-8, else Western."""
    if value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    return _text_of(raw, None)


def _decoded(value: str) -> str:
    """RFC 2047 words decoded; what is none of them as it stands."""
    if "=?" in value:
        with suppress(HeaderParseError, ValueError, LookupError, TypeError):
            value = "".join(
                one if isinstance(one, str) else _text_of(one, charset)
                for one, charset in decode_header(value)
            )
    return " ".join(_printable(value).split())


def _codec(charset: str | None) -> str | None:
    try:
        name = codecs.lookup((charset or "").strip().strip("\"'").split("*")[0]).name
    except (LookupError, ValueError, TypeError):
        return None
    name = _ALIASES.get(name, name)
    return None if name in _NO_CHARSETS else name


def _text_of(raw: bytes, charset: str | None) -> str:
    """Decoded as declared where that works, else as what it looks like. Loses nothing but accents."""
    guesses = [_codec(charset)]
    if b"\x1b$" in raw or b"\x1b(" in raw:
        guesses.insert(0, "iso2022_jp_ext")
    guesses += ["utf-8", "windows-1252"]
    if guesses[0] == "windows-1252":
        # Declared as Western and valid as UTF-8 beyond ASCII: it is UTF-8.
        guesses.insert(0, "utf-8")
    for guess in guesses:
        if guess is None:
            continue
        try:
            return raw.decode(guess)
        except (ValueError, LookupError, TypeError):
            continue
    return raw.decode("latin-1")


def _parts(message: Message) -> Iterator[Message]:
    """The leaves that a person sees: of alternatives the plain one, unless it is empty."""
    waiting, read = [message], 0
    while waiting and read < PARTS_READ:
        part = waiting.pop(0)
        read += 1
        # Of a leaf even asking for it may raise: it is decoded by whatever charset the mail claims.
        payload = part.get_payload() if part.is_multipart() else None
        if not part.is_multipart() or part.get_content_type() == "message/rfc822":
            yield part
        elif isinstance(payload, list):
            inner = [one for one in payload if isinstance(one, Message)]
            if part.get_content_type() == "multipart/alternative":
                inner = _best(inner)
            waiting[:0] = inner


def _best(alternatives: list[Message]) -> list[Message]:
    for one in alternatives:
        if one.get_content_type() == "text/plain" and _decoded_payload(one).strip():
            return [one]
    # The last is the richest: HTML, or a part that holds it.
    return alternatives[-1:]


def _decoded_payload(part: Message) -> str:
    try:
        raw = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        raw = None
    return _text_of(raw, _parameter(part, "charset")) if isinstance(raw, bytes) else ""


def _read(part: Message) -> tuple[str, tuple[str, ...]]:
    text = _decoded_payload(part).replace("\r\n", "\n").replace("\r", "\n")
    if part.get_content_type() == "text/html":
        text, links = from_html(markup_without_quotes(text[: TEXT_LIMIT * 4]))
        return without_quotes(_squeezed(text)), links
    if _parameter(part, "format") == "flowed":
        text = _unflowed(text, delsp=_parameter(part, "delsp") == "yes")
    text = without_quotes(text[: TEXT_LIMIT * 4])
    return text, tuple(one.rstrip(".,;:!?") for one in _LINK.findall(text))


def _squeezed(text: str) -> str:
    """Layout tables leave many empty lines."""
    return re.sub(r"\n{3,}", "\n\n", text.replace("\u00a0", " "))


def _unflowed(text: str, *, delsp: bool) -> str:
    """RFC 3676: a line that ends in a space goes on in the next of the same quote depth."""
    lines: list[tuple[int, str, bool]] = []
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        content = bare.removeprefix(" ")
        goes_on = content.endswith(" ") and content != "-- "
        if lines and lines[-1][2] and lines[-1][0] == depth:
            before = lines.pop()[1]
            content = (before[:-1] if delsp else before) + content
        lines.append((depth, content, goes_on))
    return "\n".join(f"{'>' * depth} {line}" if depth else line for depth, line, _ in lines)


def _parameter(part: Message, name: str) -> str:
    try:
        found = part.get_param(name)
    except (ValueError, LookupError, TypeError):
        return ""
    if isinstance(found, tuple):  # RFC 2231: charset, language, value
        found = found[2]
    return str(found or "").strip().lower()


def _filename(part: Message) -> str:
    try:
        found = part.get_filename()
    except (ValueError, LookupError, TypeError):
        return ""
    return _decoded(_eight_bit(found or ""))[:200]


def _is_attachment(part: Message) -> bool:
    try:
        return part.get_content_disposition() == "attachment"
    except (ValueError, LookupError, TypeError):
        return False
