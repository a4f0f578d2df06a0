"""The words of this mail, without those of the mails that it answers.

Line by line, in one pass, with no pattern that a hostile mail could make slow. When in doubt words
stay: a quote too many costs a glance, a lost sentence costs a customer. A mail that would be empty
without its quotes (somebody forwards, or answers within them) is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from selectolax.lexbor import LexborHTMLParser

ATTRIBUTION_LINES = 4
"""“On … <address> wrote:” is broken by mail clients into at most so many lines."""
ATTRIBUTION_LIMIT = 400
HEADER_BLOCK_LINES = 10

_WROTE = (
    "wrote", "writes", "schrieb", "a écrit", "escribió", "escribio", "ha scritto", "escreveu",
    "schreef", "skrev", "kirjoitti", "napisał", "napisał(a)", "napsal", "napsal(a)", "írta", "a scris",
    "написал", "написала", "пише", "пишет", "yazdı", "έγραψε", "כתב", "كتب", "viết", "menulis",
    "のメール", "書きました", "写道", "寫道", "님이 작성", "작성",
)  # fmt: skip
_DATED = re.compile(r"\d{1,4}\D{1,12}\d{1,4}|\d{1,2}:\d{2}|<[^<>\s]{1,200}@[^<>\s]{1,200}>")
_ORIGINAL = re.compile(
    r"\W{0,3}[-_*=—]{2,}\s*(?:original message|original appointment|ursprüngliche nachricht|"
    r"originalnachricht|message d.origine|message original|mensaje original|mensagem original|"
    r"messaggio originale|oorspronkelijk bericht|oprindelig meddelelse|ursprungligt meddelande|"
    r"alkuperäinen viesti|původní zpráva|wiadomość oryginalna|исходное сообщение|"
    r"元のメッセージ|原始邮件|原始郵件|원본 메시지|orijinal ileti)\s*[-_*=—]{2,}\W{0,3}",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"[-_=]{3,}\s*(?:forwarded message|weitergeleitete nachricht|message transféré|mensaje reenviado|"
    r"messaggio inoltrato|mensagem encaminhada|doorgestuurd bericht|転送|转发)|^begin forwarded message:",
    re.IGNORECASE,
)
_NAMES = {
    "from": (
        "from", "von", "de", "da", "van", "fra", "från", "od", "от", "lähettäjä", "差出人",
        "发件人", "寄件者", "보낸 사람", "gönderen",
    ),
    "date": (
        "sent", "date", "gesendet", "datum", "envoyé", "enviado", "enviado el",
        "enviada em", "fecha", "data", "inviato", "verzonden", "sendt", "dato", "skickat",
        "wysłano", "odesláno", "дата", "отправлено", "送信日時", "日付", "发送时间", "寄件日期", "보낸 날짜",
        "lähetetty", "gönderildi",
    ),
    "to": (
        "to", "an", "à", "para", "a", "aan", "til", "till", "do", "komu", "кому", "宛先",
        "收件人", "받는 사람", "vastaanottaja", "kime",
    ),
    "subject": (
        "subject", "betreff", "objet", "asunto", "assunto", "oggetto", "onderwerp", "emne",
        "ämne", "temat", "předmět", "тема", "件名", "主题", "主旨", "제목", "aihe", "konu",
    ),
}  # fmt: skip
_FIELD = {name: field for field, names in _NAMES.items() for name in names}
_SIGNATURE_LINES = 12


def without_quotes(text: str) -> str:
    """Plain text without quoted mails and without a marked signature."""
    lines = text.split("\n")
    kept = _own_lines(lines)
    own = "\n".join(_without_signature(kept)).strip()
    return own or text.strip()


def _own_lines(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if _FORWARD.search(line[:200]):
            # What somebody forwards is what they want to be read.
            return [*kept, *lines[at:]]
        if _ORIGINAL.fullmatch(line.strip()) or _begins_header_block(lines, at):
            break
        length = _attribution(lines, at)
        if length:
            after = next((one for one in lines[at + length :] if one.strip()), "")
            if not after.startswith(">"):
                # Whole mails below, without marks; the rest belongs to somebody else.
                break
            at += length
            continue
        if not line.lstrip().startswith(">"):
            kept.append(line)
        at += 1
    return kept


def _attribution(lines: Sequence[str], at: int) -> int:
    """How many lines from here say who wrote what follows; 0 for none."""
    if not lines[at].strip() or lines[at].lstrip().startswith(">"):
        return 0
    joined = ""
    for length in range(1, ATTRIBUTION_LINES + 1):
        if at + length > len(lines):
            return 0
        line = lines[at + length - 1].strip()
        joined = f"{joined} {line}".strip()
        if not line or len(joined) > ATTRIBUTION_LIMIT:
            return 0
        if joined.endswith((":", "：")):
            said = joined[:-1].rstrip().casefold()
            return length if _says_who_wrote(said, joined) else 0
    return 0


def _says_who_wrote(said: str, joined: str) -> bool:
    """A date or an address, and the word for writing: at its end, or before the name as in German."""
    return bool(_DATED.search(joined)) and any(
        said.endswith(word) or f" {word} " in said for word in _WROTE
    )


def _begins_header_block(lines: Sequence[str], at: int) -> bool:
    """Outlook's way to quote: From, Sent, To, Subject as lines, in the writer's language."""
    if _field(lines[at]) != "from":
        return False
    found = {_field(line) for line in lines[at : at + HEADER_BLOCK_LINES]}
    return {"from", "subject"} <= found and bool(found & {"date", "to"})


def _field(line: str) -> str | None:
    name, colon, value = line.strip().strip("*").replace("：", ":").partition(":")
    if not colon or not value.strip(" *") or len(name) > 30:
        return None
    return _FIELD.get(name.strip(" *\u00a0").casefold())


def _without_signature(lines: list[str]) -> list[str]:
    """RFC 3676: what follows a line of “-- ” is a signature. A long one is none."""
    for at, line in enumerate(lines):
        if line.rstrip("\r") in ("-- ", "--") and len(lines) - at <= _SIGNATURE_LINES:
            return lines[:at]
    return lines


_QUOTING = (
    "blockquote[type=cite]", ".gmail_quote", ".gmail_quote_container", ".gmail_attr", ".yahoo_quoted",
    ".moz-cite-prefix", ".protonmail_quote", ".tutanota_quote", ".zmail_extra", "#isReplyContent",
    "blockquote.cite", "#mail-editor-reference-message-container",
)  # fmt: skip
_REST_IS_QUOTED = ("#divRplyFwdMsg", "#appendonsend", "#OLK_SRC_BODY_SECTION", "#reply-intro")


def markup_without_quotes(markup: str) -> str:
    """HTML without what mail clients mark as quoted."""
    tree = LexborHTMLParser(markup)
    before = tree.html or ""
    for selector in _REST_IS_QUOTED:
        for node in tree.css(selector):
            follower = node.next
            while follower is not None:
                following = follower.next
                follower.decompose()
                follower = following
            node.decompose()
    for node in tree.css(",".join(_QUOTING)):
        if not _FORWARD.search((node.text() or "")[:200]):
            node.decompose()
    body = tree.body
    return tree.html or "" if body is not None and body.text().strip() else before
