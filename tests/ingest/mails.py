"""Mails as servers hand them out, odd ones above all. Written by us after RFC 5322, 2045 and 3676."""

from __future__ import annotations

import base64


def mail(head: str, body: str | bytes = b"", *, charset: str = "utf-8") -> bytes:
    """A head (one header a line, as written here) and a body, with the line ends of the wire."""
    lines = head.strip().split("\n")
    raw = body.encode(charset) if isinstance(body, str) else body
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + crlf(raw)


def crlf(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


HEAD = """From: Kim Ito <Kim@People.example>
To: Example Air <care@air.example>
Subject: Lost bag
Date: Sat, 21 Nov 2026 08:59:00 +0100
Message-ID: <one@people.example>
"""
PLAIN = HEAD + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"


def reply(body: str) -> bytes:
    return mail(
        PLAIN.replace("one@", "two@")
        + "In-Reply-To: <answer@air.example>\nReferences: <one@people.example> <answer@air.example>",
        body,
    )


def parts(kind: str, *inner: bytes, boundary: str = "=_b", head: str = HEAD) -> bytes:
    """A multipart mail of ready-made parts."""
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), one) for one in inner)
    declared = f'MIME-Version: 1.0\nContent-Type: {kind}; boundary="{boundary}"'
    return mail(head + declared, body + b"--%s--\r\n" % boundary.encode())


def part(head: str, body: str | bytes) -> bytes:
    return mail(head, body)


TEXT_PART = part("Content-Type: text/plain; charset=utf-8", "My bag is lost.")
HTML_PART = part("Content-Type: text/html; charset=utf-8", "<p>My bag is <b>lost</b>.</p>")
PHOTO = part(
    "Content-Type: image/jpeg\nContent-Transfer-Encoding: base64\n"
    "Content-Disposition: attachment; filename*=utf-8''Koffer%20gr%C3%BCn.jpg",
    base64.b64encode(b"\xff\xd8" * 40),
)

SAID = "My bag is lost."
"""What every mail of WORDS says, whatever it is wrapped in."""

WORDS: dict[str, bytes] = {
    "plain": mail(PLAIN, SAID),
    "no charset named": mail(HEAD, SAID),
    "bare line feeds": mail(PLAIN, SAID).replace(b"\r\n", b"\n"),
    "quoted printable": mail(
        HEAD + "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable",
        "My bag is=20=\nlost.",
    ),
    "base64": mail(
        HEAD + "Content-Type: text/plain\nContent-Transfer-Encoding: base64",
        base64.b64encode(SAID.encode()),
    ),
    "an encoding that nobody knows": mail(
        HEAD + "Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode-2", SAID
    ),
    "a charset that nobody knows": mail(HEAD + "Content-Type: text/plain; charset=x-klingon", SAID),
    "a charset that is a codec": mail(HEAD + "Content-Type: text/plain; charset=punycode", SAID),
    "only HTML": mail(
        HEAD + "Content-Type: text/html; charset=utf-8",
        "<html><head><style>p {color: red}</style></head><body><table><tr><td>"
        "<p>My bag is lost.</p></td></tr></table></body></html>",
    ),
    "alternatives": parts("multipart/alternative", TEXT_PART, HTML_PART),
    "alternatives whose plain one is empty": parts(
        "multipart/alternative", part("Content-Type: text/plain", " \n"), HTML_PART
    ),
    "nested parts": parts(
        "multipart/mixed",
        parts(
            "multipart/related",
            parts("multipart/alternative", TEXT_PART, HTML_PART, boundary="=_3", head=""),
            boundary="=_2",
            head="",
        ),
        PHOTO,
    ),
    "a multipart without its end": parts("multipart/mixed", TEXT_PART).replace(b"--=_b--", b""),
    "flowed": mail(
        HEAD + "Content-Type: text/plain; charset=utf-8; format=flowed", "My bag is \nlost."
    ),
    "flowed with deleted spaces": mail(
        HEAD + "Content-Type: text/plain; format=flowed; delsp=yes", "My bag is  \nlost."
    ),
    "signed": mail(PLAIN, "My bag is lost.\n\n-- \nKim Ito\n+81 90 0000 0000\n"),
    "answered above, English": reply(
        "My bag is lost.\n\nOn Sat, 21 Nov 2026 at 08:59, Example Air <care@air.example> wrote:\n"
        "> Dear Kim,\n> what happened?\n"
    ),
    "answered above, broken in two lines": reply(
        "My bag is lost.\n\nOn Sat, 21 Nov 2026 at 08:59, Example Air the Friendly Airline\n"
        "<care@air.example> wrote:\n\n> Dear Kim,\n"
    ),
    "answered above, German": reply(
        "My bag is lost.\n\nAm 21.11.2026 um 08:59 schrieb Example Air <care@air.example>:\n\n"
        "> Guten Tag,\n> was ist passiert?\n"
    ),
    "answered above, French": reply(
        "My bag is lost.\n\nLe sam. 21 nov. 2026 à 08:59, Example Air <care@air.example> a écrit :\n\n"
        "> Bonjour,\n"
    ),
    "answered above, Spanish": reply(
        "My bag is lost.\n\nEl sáb, 21 nov 2026 a las 8:59, Example Air (<care@air.example>) escribió:\n\n"
        "> Hola\n"
    ),
    "answered above, Japanese": reply(
        "My bag is lost.\n\n2026年11月21日(土) 8:59 Example Air <care@air.example>のメール:\n\n> こんにちは\n"
    ),
    "answered above, Outlook in German": reply(
        "My bag is lost.\n\nVon: Example Air <care@air.example>\nGesendet: Samstag, 21. November 2026 08:59\n"
        "An: Kim Ito\nBetreff: Lost bag\n\nGuten Tag,\nwas ist passiert?\n"
    ),
    "answered above, Outlook in Japanese": reply(
        "My bag is lost.\n\n差出人: Example Air\n送信日時: 2026年11月21日\n宛先: Kim\n"
        "件名: Lost bag\n\n質問\n"
    ),
    "answered above, a line": reply(
        "My bag is lost.\n\n-----Original Message-----\nFrom: Example Air\nWhat happened?\n"
    ),
    "answered above, Gmail's HTML": mail(
        HEAD + "Content-Type: text/html; charset=utf-8",
        '<div dir="ltr">My bag is lost.</div><br><div class="gmail_quote"><div class="gmail_attr">'
        "On Sat wrote:</div><blockquote>Dear Kim</blockquote></div>",
    ),
    "answered above, Outlook's HTML": mail(
        HEAD + "Content-Type: text/html; charset=utf-8",
        '<div>My bag is lost.</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b>'
        " Air</div><div>What happened?</div>",
    ),
}

MACHINES: dict[str, bytes] = {
    "out of office": mail(PLAIN + "Auto-Submitted: auto-replied", "I am away."),
    "autoreply of an old kind": mail(PLAIN + "X-Autoreply: yes", "I am away."),
    "bulk": mail(PLAIN + "Precedence: bulk", "Offers!"),
    "list": mail(PLAIN + "List-Id: Travellers <travel.lists.example>", "Offers!"),
    "bounce": parts(
        "multipart/report; report-type=delivery-status",
        part("Content-Type: text/plain", "Could not be delivered."),
        part(
            "Content-Type: message/delivery-status",
            "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; kim@people.example\nAction: failed\n",
        ),
        head=HEAD.replace("Kim Ito <Kim@People.example>", "MAILER-DAEMON@mx.example"),
    ),
    "a bounce of an old kind": mail("Return-Path: <>\n" + PLAIN, "Undelivered."),
    "no-reply": mail(PLAIN.replace("Kim@People", "no-reply@shop"), "Do not answer."),
}
