"""The forms that a press in Teams opens, for the presser alone, and how they are read."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.alert.acting import AnswerForm, PrivateAnswer, Sending, Written
from services.alert.chat import card_words
from services.alert.chat.adaptive_card import (
    LINE_WORDS_LIMIT,
    Element,
    content_of,
    quoted,
    rich,
    row,
    text_run,
)
from services.alert.chat.bot_cards import ABOUT, VERB
from services.alert.chat.slack_act_forms import LATER, NEXT, NOTE_LIMIT, PROMISE_LIMIT, later
from services.alert.chat.slack_modals import CLOSE_REASONS, RELABELS, WHY_LIMIT
from services.alert.chat.text import clip, clock_time, one_line, second_of_day
from services.alert.domain.answering import Warned, mark
from services.alert.domain.card import Card, CardAct
from services.contracts.configuration import Person

SEND, SWITCH, UNDO, REJECT = "send", "switch", "undo_sent", "rejected"
TEXT, CHOICE, BEYOND, SAVED = "text", "choice", "beyond", "saved"
ANSWER_LIMIT = 10_000
SENT_LIMIT = 2_000
_SAVED_MOST, _CAUTIONS = 50, 10


def submit(label: str, verb: str, about: str, **kept: Any) -> Element:
    """A button that sends the form."""
    return {"type": "Action.Submit", "title": label, "data": {VERB: verb, ABOUT: about, **kept}}


def first(button: Element) -> Element:
    """The one to press."""
    return {**button, "style": "positive"}


def _heading(card: Card) -> Element:
    """PUBLIC or PRIVATE, on a ground of its own: nobody takes one for the other."""
    says = rich(text_run(card_words.where_to_answer(card), weight="Bolder", size="Large"))
    style = "warning" if card.public else "good"
    return {"type": "Container", "style": style, "items": [says], "bleed": True}


def _cautions(warned: Sequence[Warned], card: Card, *, asked: bool) -> list[Element]:
    said = [f"⚠️ {card_words.caution(one, card)}" for one in warned[:_CAUTIONS]]
    said += ["Send it once more to send it all the same."] if asked else []
    items = [row(one, color="Attention") for one in said]
    return [{"type": "Container", "items": items}] if items else []


def choice(label: str, options: Iterable[tuple[str, str]], *, expanded: bool = True) -> Element:
    """A question with one answer; the first is chosen.

    Expanded choices are read as Markdown by the renderer: only our own words may stand in them.
    """
    shown = [{"title": clip(one_line(text), 90), "value": value} for value, text in options]
    return {
        "type": "Input.ChoiceSet",
        "id": CHOICE,
        "label": label,
        "style": "expanded" if expanded and len(shown) <= 6 else "compact",
        "value": shown[0]["value"] if shown else "",
        "wrap": True,
        "choices": shown,
    }


def words(label: str, most: int, value: str = "", *, needed: bool = True) -> Element:
    """A place to write."""
    return {
        "type": "Input.Text",
        "id": TEXT,
        "label": label,
        "isMultiline": True,
        "maxLength": most,
        "value": value,
        "isRequired": needed,
        **({"errorMessage": "Write something first."} if needed else {}),
    }


def lost_form(says: str, text: str) -> Element:
    """Nothing can be sent any more: why, and all that was typed, for whoever wants to keep it."""
    typed = words("Your text", ANSWER_LIMIT, text, needed=False)
    return content_of([row(says, weight="Bolder"), typed], [], clip(says, 150))


def answer_form(
    form: AnswerForm, *, text: str = "", asked: Sequence[Warned] = (), refused: str = ""
) -> Element:
    """Headed PUBLIC or PRIVATE; `asked` are cautions that sending once more accepts.

    `refused` says why what was sent before could not be.
    """
    card = replace(form.card, public=not form.way.private)
    where = card_words.where_to_answer(card)
    warned = asked or form.warned
    usually = "at most" if form.way.firm else "usually at most"
    limit = f"{card_words.platform(form.card)} takes {usually} {form.way.limit} characters."
    body: list[Element] = [
        _heading(card),
        row(f"To {card_words.who(form.card)}"),
        *(quoted(one.words, LINE_WORDS_LIMIT) for one in form.words if one.words is not None),
        *_cautions(warned, card, asked=bool(asked)),
        *([row(refused, weight="Bolder", color="Attention")] if refused else []),
        words("Your answer", min(form.way.limit * 2, ANSWER_LIMIT), text or form.text),
        row(limit, isSubtle=True),
    ]
    kept = {
        "private": form.way.private,
        "seen": form.seen,
        "request": secrets.token_hex(12),
        "accepted": [one.key for one in warned[:_CAUTIONS]],
        "answer": form.answer_id,
    }
    episode = form.card.episode_id
    label = "Ask for approval" if form.needs_approval else "Send again" if asked else "Send"
    buttons = [first(submit(label, SEND, episode, **kept))]
    if form.other is not None and form.answer_id is None:
        other = "Answer in private instead" if form.other.private else "Answer in public instead"
        buttons.append(submit(other, SWITCH, episode, private=form.other.private))
    for one in form.saved[:_SAVED_MOST]:
        begin = submit(f"Begin with: {clip(one_line(one.name), 40)}", SWITCH, episode)
        begin["data"] |= {"private": form.way.private, SAVED: one.id, "answer": form.answer_id}
        buttons.append({**begin, "mode": "secondary", "associatedInputs": "none"})
    return content_of(body, buttons, where)


def written(data: Mapping[str, Any]) -> Written:
    """What was sent. Raises KeyError or TypeError for what is not ours."""
    return Written(
        request=str(data["request"])[:64],
        episode_id=str(data[ABOUT]),
        text=str(data.get(TEXT) or "")[:ANSWER_LIMIT],
        private=bool(data["private"]),
        seen=str(data["seen"]),
        accepted=frozenset(str(one) for one in data["accepted"]),
    )


def sent_form(sending: Sending, zone: str) -> Element:
    """In place of the form: when it goes out, and the way back until then."""
    says = "A second person sends it: they are asked beneath the card."
    if sending.send_at is not None:
        at = second_of_day(sending.send_at, zone)
        says = f"Goes out at {at}. Until then you can take it back, here or on the card."
    body = [row(says, weight="Bolder"), quoted(sending.text, SENT_LIMIT)]
    return content_of(body, [submit("Undo", UNDO, sending.answer_id)], says)


def reject_form(answer_id: str) -> Element:
    """Why a trainee's answer is not sent."""
    asked = words("Why? They read it beneath the card", 500, needed=False)
    return content_of([asked], [submit("Do not send it", REJECT, answer_id)], "Do not send it")


def act_form(
    act: CardAct,
    card: Card,
    *,
    now: datetime,
    zone: str,
    people: Sequence[Person] = (),
    private_answers: Sequence[PrivateAnswer] = (),
) -> Element:
    """The form of this act."""
    about = row(card_words.title(card), weight="Bolder")
    times = [(key, text) for key, text in LATER.items() if later(key, now, zone) > now]
    match act:
        case CardAct.no_reply_needed:
            reasons = [(one.value, text) for one, text in CLOSE_REASONS.items()]
            form, label = [choice("Why does nobody have to answer?", reasons)], "Close it"
        case CardAct.not_for_us:
            labels = [(one.value, text) for one, text in RELABELS.items()]
            why = "Why? Needed where somebody wrote to us directly or it looks sensitive."
            form = [choice("What is it?", labels), words(why, WHY_LIMIT, needed=False)]
            label = "Move it"
        case CardAct.snooze:
            beyond = {"type": "Input.Toggle", "id": BEYOND, "title": "Also past the due time"}
            form, label = [choice("Until when?", times, expanded=False), beyond], "Snooze"
        case CardAct.hand_over:
            whom = [(NEXT, "Whoever is next in the rota"), *((one.id, one.name) for one in people)]
            form, label = [choice("To whom?", whom[:100], expanded=False)], "Hand over"
        case CardAct.note:
            form, label = [words("Only the team reads it", NOTE_LIMIT)], "Note it"
        case CardAct.promise:
            what = words("What was promised to them?", PROMISE_LIMIT)
            form, label = [what, choice("By when?", times, expanded=False)], "Note it"
        case CardAct.answered_in_private:
            found = [
                (mark(one.item_id), f"{clock_time(one.at, zone)} {clip(one_line(one.text), 70)}")
                for one in private_answers[:10]
            ]
            form = [choice("Which private message answered it?", found, expanded=False)]
            label = "It counts"
        case _:
            raise ValueError(f"{act.value} has no form")
    send = submit(label, act.value, card.episode_id, request=secrets.token_hex(12))
    return content_of([about, *form], [first(send)], card_words.ACT_LABELS[act])
