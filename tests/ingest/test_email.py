"""What a mail means: mails as the world writes them, and what is made of them."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.contracts.events import Direction, Kind, Notification
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.item import Receipt
from services.ingest.domain.outcome import Ignored, Parsed
from services.ingest.domain.quotes import without_quotes
from services.ingest.sources.email import Letter, parse_letter
from services.ingest.sources.email_message import CUT
from tests.ingest import mails
from tests.ingest.brand import NOW
from tests.ingest.mails import HEAD, MACHINES, PHOTO, PLAIN, SAID, TEXT_PART, WORDS, mail, parts

AIR = OwnAccount(
    platform="email",
    id="care@air.example",
    native_id="care@air.example",
    brand="air",
    own_ids=frozenset({"care@air.example", "help@air.example"}),
)
ARRIVED = datetime(2026, 11, 21, 8, 0, 5, tzinfo=UTC)


def parsed(raw: bytes, *, sent: bool = False, whole: bool = True) -> Parsed:
    return parse_letter(Letter(raw, ARRIVED, sent=sent, whole=whole), AIR, Receipt(NOW))


def read(raw: bytes, *, sent: bool = False, whole: bool = True) -> Notification:
    found = parsed(raw, sent=sent, whole=whole)
    assert isinstance(found, Notification), found
    return found


def test_a_mail_is_a_private_word_to_us_from_a_person() -> None:
    found = read(WORDS["plain"])
    assert found.direction is Direction.inbound
    assert found.kinds == {Kind.direct}
    assert found.addressed
    assert found.private
    assert not found.automated
    assert (found.author.id, found.author.name) == ("kim@people.example", "Kim Ito")
    assert found.conversation.counterpart_id == "kim@people.example"
    assert found.conversation.root == "one@people.example"
    assert found.title == "Lost bag"
    assert found.source_time == ARRIVED, "our own server's clock"
    assert found.claimed_time == datetime(2026, 11, 21, 7, 59, tzinfo=UTC)


@pytest.mark.parametrize("name", WORDS)
def test_the_words_are_read_whatever_they_are_wrapped_in(name: str) -> None:
    found = read(WORDS[name])
    assert found.text == SAID
    assert not found.automated


@pytest.mark.parametrize("name", MACHINES)
def test_what_a_machine_sent_is_marked_so(name: str) -> None:
    found = read(MACHINES[name])
    assert found.automated
    assert found.direction is Direction.inbound


def test_auto_submitted_no_is_a_person() -> None:
    assert not read(mail(PLAIN + "Auto-Submitted: no", SAID)).automated


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("utf-8", "latin-1"),
        ("iso-8859-1", "utf-8"),
        ("windows-1252", "windows-1252"),
        ("us-ascii", "utf-8"),
        ("x-unknown", "utf-8"),
    ],
)
def test_a_charset_that_is_declared_wrongly_costs_no_letter(declared: str, written: str) -> None:
    head = HEAD + f"Content-Type: text/plain; charset={declared}\nContent-Transfer-Encoding: 8bit"
    assert read(mail(head, "Grüße für Zoë", charset=written)).text == "Grüße für Zoë"


@pytest.mark.parametrize("charset", ["iso-2022-jp", "shift_jis", "euc-jp"])
def test_japanese_charsets_are_read(charset: str) -> None:
    words = "荷物がなくなりました"
    head = HEAD + f"Content-Type: text/plain; charset={charset}"
    assert read(mail(head, words, charset=charset)).text == words


def test_iso_2022_jp_is_known_by_its_escapes() -> None:
    assert read(mail(HEAD, "荷物です", charset="iso-2022-jp")).text == "荷物です"


@pytest.mark.parametrize(
    ("subject", "meant"),
    [
        ("=?utf-8?q?Koffer_gr=C3=BCn?=", "Koffer grün"),
        ("=?iso-2022-jp?B?GyRCMlk+cBsoQg==?=", "荷情"),
        # One letter split over two words, as careless programs do.
        ("=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        ("Koffer grün (raw)", "Koffer grün (raw)"),
        ("=?x-klingon?q?Qapla?=", "Qapla"),
        ("=?utf-8?b?!!!?= lost", "lost"),
    ],
)
def test_subjects_are_decoded_or_left_as_they_are(subject: str, meant: str) -> None:
    title = read(mail(HEAD.replace("Lost bag", subject), SAID)).title
    assert title is not None
    assert meant in title


def test_a_name_in_encoded_words_is_read() -> None:
    head = HEAD.replace("Kim Ito", "=?utf-8?q?Zo=C3=AB_M=C3=BCller?=")
    assert read(mail(head, SAID)).author.name == "Zoë Müller"


def test_an_answer_is_in_its_thread() -> None:
    found = read(mails.reply("Any news?"))
    assert found.conversation.root == "one@people.example"
    assert found.in_reply_to == read(WORDS["plain"]).item_id.replace("one%40", "answer%40").replace(
        "people.example", "air.example"
    )


def test_without_references_the_answered_mail_is_the_thread() -> None:
    head = PLAIN.replace("one@", "three@") + "In-Reply-To: <answer@air.example>"
    assert read(mail(head, SAID)).conversation.root == "answer@air.example"


def test_without_message_id_the_same_mail_is_the_same_item_and_another_is_not() -> None:
    head = PLAIN.replace("Message-ID: <one@people.example>\n", "")
    first, again = read(mail(head, SAID)), read(mail(head, SAID))
    assert first.event_id == again.event_id
    assert first.conversation.root is not None
    assert read(mail(head, "Another.")).event_id != first.event_id


def test_without_date_the_servers_time_counts() -> None:
    found = read(mail(PLAIN.replace("Date: Sat, 21 Nov 2026 08:59:00 +0100\n", ""), SAID))
    assert found.claimed_time is None
    assert found.source_time == ARRIVED


def test_a_server_without_a_time_leaves_the_receipt() -> None:
    letter = Letter(WORDS["plain"], None, sent=False)
    found = parse_letter(letter, AIR, Receipt(NOW))
    assert isinstance(found, Notification)
    assert found.source_time == NOW


def test_a_mail_from_nobody_is_still_a_person() -> None:
    found = read(mail("Subject: Help\nMessage-ID: <x@y>", SAID))
    assert found.author.id.startswith("unknown-")
    assert found.text == SAID


def test_attachments_are_named_and_not_loaded() -> None:
    found = read(parts("multipart/mixed", TEXT_PART, PHOTO))
    assert [(one.kind, one.alt, one.url) for one in found.media] == [
        ("image", "Koffer grün.jpg", None)
    ]
    assert found.text == SAID


def test_a_mail_of_an_attachment_only_has_its_subject() -> None:
    found = read(parts("multipart/mixed", PHOTO))
    assert (found.text, found.title) == ("", "Lost bag")
    assert len(found.media) == 1


def test_a_forwarded_mail_as_a_part_is_named_and_not_read() -> None:
    inner = mails.part("Content-Type: message/rfc822", WORDS["plain"].decode())
    found = read(parts("multipart/mixed", mails.part("Content-Type: text/plain", "See."), inner))
    assert found.text == "See."
    assert [one.kind for one in found.media] == ["message"]


def test_a_forwarded_mail_in_the_text_is_kept() -> None:
    text = (
        "---------- Forwarded message ---------\nFrom: Bo <bo@people.example>\nDate: Sat, 21 Nov 2026\n"
        "Subject: Refund\nTo: Kim\n\nWhere is my refund?"
    )
    assert "Where is my refund?" in read(mail(PLAIN, text)).text


def test_answers_between_quoted_lines_are_kept() -> None:
    text = "On 21.11.2026 Air <a@b.example> wrote:\n> Which flight?\nAX 12.\n> Which day?\nMonday."
    assert read(mail(PLAIN, text)).text == "AX 12.\nMonday."


@pytest.mark.parametrize(
    "text",
    [
        "He wrote:\nnothing at all.",
        "From: Berlin to Rome I had no seat.\nPlease refund.",
        "What I wrote at 10:30 to you was clear",
        "> only a quote",
        "- first\n- second",
        "Thanks,\nmy bag is still lost.",
    ],
)
def test_words_that_look_like_quotes_are_no_quotes(text: str) -> None:
    assert without_quotes(text) == text


def test_links_are_found_in_both_forms() -> None:
    plain = read(mail(PLAIN, "See https://people.example/photo."))
    html = read(
        mail(
            HEAD + "Content-Type: text/html",
            '<a href="https://people.example/a">photo</a><a href="javascript:x()">no</a>',
        )
    )
    assert plain.links == ("https://people.example/photo",)
    assert html.links == ("https://people.example/a",)


def test_the_beginning_of_a_huge_mail_is_read_and_marked() -> None:
    raw = mail(PLAIN, "My bag is lost. " + "x" * 300_000)[:262_144]
    found = read(raw, whole=False)
    assert found.text.startswith(SAID)
    assert found.text.endswith(CUT)


def test_sent_mail_is_ours_and_answers_the_person() -> None:
    head = """From: Mia <help@air.example>
To: Kim <kim@people.example>, Bo <bo@people.example>
Subject: Re: Lost bag
Message-ID: <answer@air.example>
In-Reply-To: <one@people.example>
References: <one@people.example>
"""
    found, question = read(mail(head, "We found it."), sent=True), read(WORDS["plain"])
    assert found.direction is Direction.outbound
    assert found.author.id == "help@air.example"
    assert found.conversation == question.conversation
    assert found.key == question.key
    assert found.in_reply_to == question.item_id
    assert [one.id for one in found.mentions] == ["kim@people.example", "bo@people.example"]
    assert not found.addressed


def test_mail_that_only_claims_to_be_ours_answers_nobody() -> None:
    forged = PLAIN.replace("Kim@People.example", "care@air.example")
    to_us = read(mail(forged, "Pay here"))
    assert to_us.direction is Direction.inbound
    to_kim = parsed(mail(forged.replace("<care@air.example>\nS", "<kim@x.example>\nS"), "Pay"))
    assert isinstance(to_kim, Ignored)


def test_a_copy_in_the_inbox_does_not_hide_the_sent_one() -> None:
    own = mail(PLAIN.replace("Kim@People.example", "care@air.example"), "A test to ourselves")
    assert read(own).event_id != read(own, sent=True).event_id


@pytest.mark.parametrize("writer", ["care@air.example", "no-reply@forms.example"])
def test_a_form_is_the_person_in_reply_to(writer: str) -> None:
    head = PLAIN.replace("Kim@People.example", writer) + "Reply-To: Bo <bo@people.example>"
    found = read(mail(head, SAID))
    assert found.author.id == "bo@people.example"
    assert found.direction is Direction.inbound
    assert not found.automated


def test_lines_smuggled_into_a_header_stay_in_it() -> None:
    smuggled = base64.b64encode(b"Hi\r\nBcc: all@people.example").decode()
    found = read(mail(HEAD.replace("Lost bag", f"=?utf-8?b?{smuggled}?="), SAID))
    assert found.title == "Hi Bcc: all@people.example"


def test_a_message_id_of_any_length_makes_an_id() -> None:
    long = read(mail(PLAIN.replace("one@people.example", "x" * 800 + "@y"), SAID))
    assert len(long.item_id) < 400


def test_parts_within_parts_beyond_reason_leave_the_head() -> None:
    raw = WORDS["plain"]
    for depth in range(400):
        raw = parts("multipart/mixed", raw, boundary=f"=_{depth}")
    assert read(raw).title == "Lost bag"


def test_a_thousand_recipients_are_not_a_thousand_mentions() -> None:
    many = ", ".join(f"p{n}@people.example" for n in range(1_000))
    found = read(mail(PLAIN.replace("<care@air.example>", f"<care@air.example>, {many}"), SAID))
    assert len(found.mentions) <= 100


EVERYTHING = [*WORDS.values(), *MACHINES.values()]


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "undefined", "x-none"])
def test_eight_bit_words_under_a_charset_that_is_none_are_read(charset: str) -> None:
    raw = mail(f"{HEAD}Content-Type: text/plain; charset={charset}\n", "My bag is lost. ")
    found = parsed(raw + "Grün".encode())
    assert isinstance(found, Notification), found
    assert found.text.startswith("My bag is lost.")


@settings(max_examples=150, deadline=None)
@given(
    raw=st.sampled_from(EVERYTHING),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.binary(max_size=12)), max_size=6
    ),
    sent=st.booleans(),
)
def test_no_mail_raises(raw: bytes, cuts: list[tuple[float, int, bytes]], sent: bool) -> None:
    for where, gone, put in cuts:
        at = int(where * len(raw))
        raw = raw[:at] + put + raw[at + gone :]
    found = parsed(raw, sent=sent)
    assert isinstance(found, Notification | Ignored), found


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise(raw: bytes) -> None:
    assert isinstance(parsed(raw), Notification | Ignored)


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=">:\n wroteabc19@<>-_", max_size=200))
def test_removing_quotes_never_leaves_nothing(text: str) -> None:
    assert bool(without_quotes(text)) == bool(text.strip())


def test_the_author_lists_of_the_brand_hold_addresses() -> None:
    account = replace(AIR, listed_authors=frozenset({"kim@people.example"}))
    letter = Letter(WORDS["plain"], ARRIVED, sent=False)
    found = parse_letter(letter, account, Receipt(NOW))
    assert isinstance(found, Notification)
    assert found.author.known
