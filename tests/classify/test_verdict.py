"""The rules of the verdict, one sentence each."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.classify.domain.verdict import decide, keep_from
from services.classify.engines.stub import StubEngine
from services.classify.model import BUILT_IN
from services.contracts.configuration import Costs
from services.contracts.events import Author, Kind, Label, Sensitive, Urgency
from tests.classify.building import NOW, notification, verdict_on

SPAM = StubEngine(Label.spam, 0.99)
NEWS = StubEngine(Label.news, 0.99)
UNSURE = StubEngine(Label.spam, 0.8)


def test_what_looks_like_spam_but_is_addressed_to_us_is_held_and_never_dropped() -> None:
    text = "Best crypto profits"
    for kinds in ({Kind.direct}, {Kind.comment}, {Kind.review}):
        item = notification(text, kinds=frozenset(kinds), addressed=True)
        verdict = verdict_on(item, StubEngine(Label.spam, 0.999))
        assert verdict.label is Label.spam
        assert verdict.held
    assert not verdict_on(notification(text), SPAM).held


def test_unsure_means_conversation_where_somebody_waits() -> None:
    verdict = verdict_on("Where is my parcel? Please help", UNSURE)
    assert verdict.scores[Label.spam] > verdict.scores[Label.conversation]
    assert verdict.label is Label.conversation
    assert any("not surely enough" in reason.says for reason in verdict.reasons)


def test_where_nobody_waits_the_likeliest_label_is_the_truest() -> None:
    assert verdict_on("Wow", UNSURE).label is Label.spam


def test_thresholds_come_from_the_costs() -> None:
    even = Costs(lost_person=1.0, extra_card=1.0)
    assert verdict_on("Where is my parcel?", UNSURE, costs=even).label is Label.spam
    assert keep_from(Costs(lost_person=20, extra_card=1), 1.0) == pytest.approx(1 / 21)
    assert keep_from(even, 1.0) == pytest.approx(0.5)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.01, 1.0), st.floats(1.0, 100.0))
@settings(max_examples=60, deadline=None)
def test_a_dearer_person_is_never_lost_more_easily(
    conversation: float, spam: float, need: float, cost: float
) -> None:
    total = conversation + spam + 0.1
    scores = {
        Label.conversation: conversation / total,
        Label.spam: spam / total,
        Label.news: 0.1 / total,
    }
    cheap = decide(scores, keep_from(Costs(lost_person=cost), need))
    dear = decide(scores, keep_from(Costs(lost_person=cost * 2), need))
    assert dear is Label.conversation or cheap is not Label.conversation


def test_a_sensitive_item_is_for_a_person_whatever_the_engine_says() -> None:
    verdict = verdict_on("I will kill myself because of you", SPAM)
    assert verdict.label is Label.conversation
    assert verdict.sensitive == {Sensitive.self_harm}
    assert verdict.needs_answer > 0.9
    assert verdict.urgency is Urgency.high
    assert verdict.reasons[0].layer == "sensitive"


def test_a_headline_that_speaks_to_nobody_raises_no_alarm() -> None:
    headline = "Three injured in factory explosion, police say"
    assert verdict_on(headline, NEWS).sensitive == frozenset()
    addressed = notification(headline, addressed=True, kinds=frozenset({Kind.comment}))
    assert Sensitive.safety in verdict_on(addressed, NEWS).sensitive


def test_a_flag_in_another_language_than_the_guessed_one_still_counts() -> None:
    item = notification("Ich will sterben", language_hint="en")
    assert Sensitive.self_harm in verdict_on(item).sensitive


def test_an_article_is_news_even_with_words_of_danger_in_it() -> None:
    article = notification(
        "Brand recalls toaster after fire", kinds=frozenset({Kind.article}), title="Recall"
    )
    verdict = verdict_on(article, StubEngine())
    assert verdict.label is Label.news
    assert verdict.needs_answer < 0.1


def test_a_known_author_and_a_private_message_speak_for_a_conversation() -> None:
    plain = verdict_on(notification("hello there"), UNSURE)
    known = notification("hello there", author=Author(id="7", known=True))
    private = notification("hello there", private=True, addressed=True)
    for better in (verdict_on(known, UNSURE), verdict_on(private, UNSURE)):
        assert better.scores[Label.conversation] > plain.scores[Label.conversation]


def test_a_link_from_a_young_account_and_a_list_of_strangers_speak_for_spam() -> None:
    text = "look at this https://example.org/x"
    plain = verdict_on(notification(text))
    young = Author(id="7", created_at=NOW - timedelta(days=2))
    fresh = verdict_on(notification(text, links=("https://example.org/x",), author=young))
    crowd = verdict_on(notification("@a @b @c @d @e @f @g " + text))
    assert fresh.scores[Label.spam] > plain.scores[Label.spam]
    assert any("2 days old" in reason.says for reason in fresh.reasons)
    assert any("7 accounts" in reason.says for reason in crowd.reasons)


@pytest.mark.parametrize(
    ("asks", "idle"),
    [
        ("Where is my parcel?", "Thanks!"),
        ("Wann kommt mein Paket", "Danke, alles gut!"),
        ("mi pedido no llegó, ayuda por favor", "gracias, ya funciona"),
        ("荷物が届かないのですが", "ありがとうございます"),
        ("мой заказ не пришел", "спасибо, все работает"),
        ("طلبي ما وصل متى يوصل", "شكرا لكم"),
        ("मेरा ऑर्डर नहीं मिला", "धन्यवाद"),
        ("cadê meu pedido?", "valeu, deu certo"),
        ("mon colis n'est pas arrivé, que faire ?", "merci beaucoup"),
        ("Thanks for nothing, it still doesn't work!", "🎉🎉"),
    ],
)
def test_a_question_needs_an_answer_and_thanks_do_not(asks: str, idle: str) -> None:
    assert verdict_on(asks, StubEngine()).needs_answer >= 0.5
    assert verdict_on(idle, StubEngine()).needs_answer < 0.5


@pytest.mark.parametrize(
    "said",
    [
        "@auroraair thank you!",
        "@auroraair Thanks!",
        "@auroraair danke!",
        "@auroraair ¡gracias!",
        "@auroraair great, thank you.",
    ],
)
def test_a_short_thank_you_beneath_our_answer_waits_for_nobody_by_the_shipped_weights(
    said: str,
) -> None:
    kinds = frozenset({Kind.mention, Kind.reply})
    verdict = verdict_on(notification(said, kinds=kinds, addressed=True))
    assert verdict.needs_answer < 0.1


@pytest.mark.parametrize(
    "said",
    ["@auroraair thanks, and now?", "@auroraair thanks for nothing!", "@auroraair still nothing!"],
)
def test_a_few_words_that_ask_or_complain_wait_whatever_they_thank_for(said: str) -> None:
    kinds = frozenset({Kind.mention, Kind.reply})
    verdict = verdict_on(notification(said, kinds=kinds, addressed=True))
    assert verdict.needs_answer >= 0.5


def test_in_a_language_without_a_word_list_a_person_is_taken_to_wait() -> None:
    finnish = notification("Junani on taas myöhässä eikä kukaan vastaa", language_hint="fi")
    assert verdict_on(finnish, StubEngine()).needs_answer >= 0.5


def test_what_cannot_wait_is_urgent_and_thanks_are_not() -> None:
    urgent = "Stuck at the gate, boarding in 10 minutes, please help me now?"
    assert verdict_on(urgent, StubEngine()).urgency is Urgency.high
    assert verdict_on("Thanks!", StubEngine()).urgency is Urgency.low
    assert verdict_on("How do I change my address?", StubEngine()).urgency is Urgency.normal


def test_every_verdict_says_why_and_its_scores_add_up() -> None:
    for text in ("Where is my parcel?", "Buy followers now https://bit.ly/x", "", "🙂"):
        verdict = verdict_on(text)
        assert verdict.reasons
        assert sum(verdict.scores.values()) == pytest.approx(1.0, abs=0.001)
        assert verdict.model.startswith(f"{BUILT_IN}@")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 100_000,
        "\u200b\u2060\u00ad",
        "🙂" * 500,
        "\u202eabc مرحبا שלום \u202c",
        "аbс привеt hello 你好 नमस्ते",
        "\x00\x01\x1f\x7f",
        "Z̸̢a̶l̷g̵o̴ " * 50,
        "?" * 5_000,
        "@" * 1_000,
        "http://" * 500,
        "." * 9_000,
        "a.b" * 3_000,
        "w.w-" * 2_000,
        "a@b." * 2_000,
    ],
)
def test_strange_texts_get_a_verdict_like_any_other(text: str) -> None:
    verdict = verdict_on(text)
    assert sum(verdict.scores.values()) == pytest.approx(1.0, abs=0.001)


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_whatever_a_person_writes_to_us_directly_is_never_dropped_unheld(text: str) -> None:
    item = notification(text, kinds=frozenset({Kind.direct}), addressed=True, private=True)
    verdict = verdict_on(item)
    assert verdict.label is Label.conversation or verdict.held


@pytest.mark.parametrize(
    "text",
    [
        "@auroraair thank you!",
        "@auroraair thanks for your help!",
        "@auroraair danke für die Hilfe!",
        "@auroraair obrigado pela ajuda!",
        "@auroraair 助けてくれてありがとう",
        "@auroraair спасибо за помощь",
    ],
)
def test_thanks_after_an_answer_open_nothing(text: str) -> None:
    assert verdict_on(notification(text)).needs_answer < 0.2


@pytest.mark.parametrize(
    "text", ["@auroraair please advise, thanks", "@auroraair Danke. Brauche Hilfe"]
)
def test_thanks_beside_a_plea_are_manners(text: str) -> None:
    assert verdict_on(notification(text)).needs_answer > 0.5


def test_a_handle_alone_makes_nobody_wait() -> None:
    assert verdict_on(notification("@auroraair nice sunset from seat 4A")).needs_answer < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "@auroraair how do I change the name on ticket {} to Turin? Nobody answers the phone",
        "@auroraair is gate {} in Cork open for wheelchair users? I need help to board",
        "@auroraair what is the status of claim {}?",
        "@auroraair wann kommt meine Bestellung {}?",
    ],
)
@pytest.mark.parametrize("number", ["0451234567", "Q0000123", "2026-11-0045123"])
def test_a_reference_number_takes_no_questions_card_away(text: str, number: str) -> None:
    assert verdict_on(notification(text.format(number))).needs_answer > 0.7
