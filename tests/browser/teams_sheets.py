"""Everything that Teams shows of Presence, drawn by Microsoft's own renderer of Adaptive Cards.

Cards stand at the width that a channel gives them on a desk and on a phone, in Teams' light and dark
theme. Six buttons stand in a row, as in Teams; those that are "secondary" stand under "…".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.alert.acting import AnswerForm, PrivateAnswer, Sending
from services.alert.chat import adaptive_boards, adaptive_card, bot_cards, bot_forms
from services.alert.chat.links import Links
from services.alert.chat.practice import teams as practice
from services.alert.domain.answering import Caution, Warned, Way
from services.alert.domain.card import Card, CardAct, CardState, CardStatus, LineAct, StatusKind
from services.alert.ports import MessageRef, PersonRef
from services.contracts.configuration import SavedReply
from tests.alert.chat_builders import SECRET, card, configuration, line
from tests.browser.render_cards import HOSTILE, LONG, NOW, samples
from tests.browser.sample_boards import boards

# From `npm ci` in tests/peers.
RENDERER = Path(__file__).parent.parent / "peers/node_modules/adaptivecards/dist/adaptivecards.js"
WIDTHS = {"desk": 640, "phone": 344}
ARABIC = "مرحبا، لم يصل طلبي رقم 4711 بعد. متى يصل؟ 🙏"
EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈 where is my 🧳?? 😡😡😡"
MENTION = "<at>Mia</at> [Your bank](https://evil.example) **bold** # big <b>hi</b> &amp; {{x}}"
FORMS = tuple(act for act in CardAct if act not in bot_cards.AT_ONCE | {CardAct.answer})
Exhibit = tuple[str, str, dict[str, Any]]
"""(sheet, name, message or form)"""

_COLOURS = {
    # text, subtle, card, emphasis, accent, good, warning, attention, page
    "light": "#242424 #616161 #ffffff #f5f5f5 #5b5fc7 #237b4b #835c00 #c4314b #f5f5f5",
    "dark": "#ffffff #adadad #292929 #1f1f1f #a6a7dc #92c353 #f8d22a #f9526b #141414",
}


def host_config(scheme: str) -> dict[str, Any]:
    """How Teams sets the renderer up: sizes, spacing and the colours of a theme."""
    text, subtle, ground, emphasis, accent, good, warning, attention, _ = _COLOURS[scheme].split()
    named = {
        "default": {"default": text, "subtle": subtle},
        **{
            name: {"default": colour, "subtle": colour}
            for name, colour in (
                ("accent", accent), ("good", good), ("warning", warning), ("attention", attention),
            )
        },
    }  # fmt: skip
    grounds = {"default": ground, "emphasis": emphasis}
    font = {
        "fontFamily": '"Segoe UI", "Noto Sans", system-ui, sans-serif',
        "fontSizes": {"small": 12, "default": 14, "medium": 16, "large": 18},
        "fontWeights": {"lighter": 200, "default": 400, "bolder": 600},
    }
    return {
        "supportsInteractivity": True,
        "separator": {"lineThickness": 1, "lineColor": "#55888888"},
        "spacing": {"small": 8, "default": 12, "medium": 16, "large": 20, "padding": 16},
        "fontTypes": {"default": font, "monospace": font},
        "containerStyles": {
            name: {"backgroundColor": colour, "foregroundColors": named}
            for name, colour in grounds.items()
        }
        | _signals(),
        "actions": {
            "maxActions": 6,
            "buttonSpacing": 8,
            "actionsOrientation": "horizontal",
            "actionAlignment": "left",
        },
    }


def _signals() -> dict[str, Any]:
    """Grounds that say something: light in both themes, with dark text."""
    dark = {"default": "#201f1f", "subtle": "#2d2c2c"}
    grounds = {"good": "#ccffcc", "warning": "#ffe2b2", "attention": "#ffc5b2"}
    return {
        name: {"backgroundColor": colour, "foregroundColors": {"default": dark}}
        for name, colour in grounds.items()
    }


def cards() -> Iterator[tuple[str, Card]]:
    """Every state, and the texts that break cards."""
    due = NOW + timedelta(minutes=14)
    for one in samples():
        yield one.episode_id, one
    for state in CardState:
        ended = None if state.live else f"{state.value} by Mia after 4 min"
        acts = tuple(CardAct)[:9] if state.live else (CardAct.reopen, CardAct.note)
        claimed = "Mia" if state is CardState.claimed else None
        facts = {"state": state, "ended": ended, "acts": acts, "claimed_by": claimed}
        yield f"state-{state.value}", card(due_at=due, **facts)
    direct = {"public": False, "platform": "email", "account": "help@air.example"}
    yield "private", card(due_at=due, words=None, masked="private message", **direct)
    yield "emoji", card(words=EMOJI * 5, who=EMOJI, due_at=due)
    yield "mention", card(words=MENTION, who=MENTION, why=MENTION, due_at=due)
    unbroken = "https://shop.example/" + "a1b2c3d4e5" * 40
    yield "unbroken", card(words=unbroken, who="Donaudampfschiff" * 6, why=unbroken, due_at=due)
    yield "rtl", card(words=ARABIC * 3, who="ليلى (@layla)", due_at=due)
    for kind in StatusKind:
        status = CardStatus(kind, "Mia", NOW, ARABIC, ref="a1")
        acts = tuple(act for act in CardAct if act not in (CardAct.claim, CardAct.reopen))
        held = card(due_at=due, acts=acts, state=CardState.claimed, claimed_by="Mia")
        yield f"status-{kind.value}", replace(held, status=(status,))


def _form_of(shown: Card, **changes: Any) -> AnswerForm:
    made = AnswerForm(shown, (line(ARABIC), line(LONG)), Way(False, 280), None, "s", (), (), False)
    return replace(made, **changes)


def _forms() -> Iterator[tuple[str, dict[str, Any]]]:
    people = list(configuration().people)
    found = [PrivateAnswer("x:1:2", NOW, HOSTILE), PrivateAnswer("x:1:3", NOW, ARABIC)]
    for kind, shown in (("plain", card()), ("hostile", card(who=MENTION, words=LONG))):
        for act in FORMS:
            made = bot_forms.act_form(
                act, shown, now=NOW, zone="Europe/Berlin", people=people, private_answers=found
            )
            yield f"{act.value}-{kind}", made
        public = _form_of(shown)
        private = _form_of(
            replace(shown, public=False),
            way=Way(True, 1_000, firm=False),
            other=Way(False, 280),
            warned=tuple(Warned(one, MENTION, NOW) for one in Caution),
            saved=(SavedReply(id="s", name="Where is it", text="We look."),),
            needs_approval=True,
        )
        yield f"answer-public-{kind}", bot_forms.answer_form(public)
        yield f"answer-private-{kind}", bot_forms.answer_form(private)
        asked = private.warned[:2]
        again = bot_forms.answer_form(public, text="Call me on 555 0100", asked=asked)
        yield f"answer-again-{kind}", again
    yield "reject", bot_forms.reject_form("a1")
    yield "sent", bot_forms.sent_form(Sending("a1", "ep-1", LONG, False, NOW), "Europe/Berlin")
    yield "refused", bot_forms.answer_form(_form_of(card()), text=LONG, refused="It is too long.")
    yield "lost", bot_forms.lost_form("They deleted it.", MENTION)


def exhibits() -> Iterator[Exhibit]:
    """All of it."""
    links = Links("https://presence.example", SecretStr(SECRET))
    mia = PersonRef("mia", "Mia", "mia@air.example")
    for name, shown in cards():
        yield "cards", name, bot_cards.card_message(shown, links, NOW)
    practised = bot_cards.card_message(card(acts=tuple(CardAct)[:9], permalink=None), links, NOW)
    yield "cards", "practice", practice.message(practised)
    asked = replace(line(None), says="Tom wrote an answer", about="a-1", asks=(*LineAct,))
    for name, said in (("plain", line()), ("hostile", line(MENTION)), ("asks", asked)):
        yield "beneath", f"line-{name}", bot_cards.line_message(said, card(), links)
    card_ref = MessageRef("c", "1", "https://teams.microsoft.com/l/message/c/1")
    for name, one in (("card", card()), ("board", boards(configuration())[0])):
        yield "beneath", f"page-{name}", bot_cards.page_message(mia, one, card_ref, links)
        yield "beneath", f"mention-{name}", bot_cards.mention_message(mia, "29:mia", one, links)
    yield "beneath", "greeting", bot_cards.greeting_message(links.public_url, "19:c@t", "aad-mia")
    pressed = {bot_cards.VERB: CardAct.answer.value, bot_cards.ABOUT: "ep-1"}
    yield "beneath", "no-dialog", bot_cards.no_dialog_message(pressed, links)
    yield "beneath", "sign-in", bot_cards.sign_in_message("https://presence.example/sign-in/x")
    yield "beneath", "told", adaptive_card.told_message(f"Nobody is on call for Air. {MENTION}")
    for name, shown in cards():
        if shown.state.live and not name.startswith("status"):
            yield "webhook", name, adaptive_card.card_message(shown, links, NOW)
    claimed, answered = (
        samples()[1],
        card(state=CardState.answered, ended="answered by Mia", acts=()),
    )
    for name, one in (("claimed", claimed), ("answered", answered)):
        yield "webhook", f"follow-up-{name}", adaptive_card.follow_up_message(one, NOW)
    yield "webhook", "page", adaptive_card.page_message(mia, card(), links)
    yield "webhook", "line", adaptive_card.line_message(line(MENTION), card(), links)
    for board in boards(configuration()):
        name = f"{board.kind.value}-{board.id}"
        yield "boards", name, bot_cards.board_message(board, links, NOW)
        if board.id in ("b-0", "b-1"):
            yield "webhook", name, adaptive_boards.board_message(board, links, NOW)
    for name, form in _forms():
        yield "forms", name, form


def content_of(made: dict[str, Any]) -> dict[str, Any]:
    """The card in a message; a form is one itself."""
    content: dict[str, Any] = made["attachments"][0]["content"] if "summary" in made else made
    return content


def sheet(name: str, scheme: str, width: int) -> str:
    """One sheet as a page; `document.querySelectorAll('[data-wide]')` are the cards that stick out."""
    shown = [
        (title, made.get("summary"), content_of(made))
        for on, title, made in exhibits()
        if name in (on, "notifications") and (name != "notifications" or "summary" in made)
    ]
    # `<` as an escape: a card's text must not end the script that holds it.
    data = json.dumps(shown).replace("<", "\\u003c")
    text, _, ground, _, accent, *_, page = _COLOURS[scheme].split()
    return f"""<!doctype html><meta charset="utf-8"><style>
body {{ background: {page}; color: {text}; font: 14px/1.4 "Segoe UI", "Noto Sans", system-ui; margin: 12px;
  column-width: {width}px; column-gap: 24px }}
section {{ break-inside: avoid; margin: 0 0 18px; width: {width}px }}
small {{ font: 11px monospace; opacity: .6 }}
.card, .bubble {{ background: {ground}; border-radius: 6px; box-shadow: 0 1px 3px #0004 }}
.bubble {{ padding: 10px 14px; display: -webkit-box; -webkit-line-clamp: 4; -webkit-box-orient: vertical;
  overflow: hidden }}
.ac-pushButton {{ border: 1px solid #8888; border-radius: 4px; background: none; color: inherit;
  font: 600 14px "Segoe UI", "Noto Sans", system-ui; padding: 5px 12px; margin-bottom: 4px }}
.style-positive {{ background: {accent}; color: {ground} }}
.ac-actionSet {{ flex-wrap: wrap }}
input, textarea, select {{ font: inherit; color: inherit; background: none; border: 1px solid #8888;
  border-radius: 4px; max-width: 100% }}
</style><body><script>{RENDERER.read_text(encoding="utf-8")}</script><script>
{{  // a page that is drawn again keeps what was declared before
const config = new AdaptiveCards.HostConfig({json.dumps(host_config(scheme))});
for (const [name, summary, content] of {data}) {{
  const section = document.createElement("section");
  section.append(Object.assign(document.createElement("small"), {{ textContent: name }}));
  document.body.append(section);
  if ({json.dumps(name == "notifications")}) {{
    const bubble = Object.assign(document.createElement("div"), {{ className: "bubble", dir: "auto" }});
    bubble.textContent = summary;
    section.append(bubble);
    continue;
  }}
  const card = new AdaptiveCards.AdaptiveCard();
  card.hostConfig = config;
  card.parse(content);
  const drawn = document.createElement("div");
  drawn.className = "card";
  drawn.append(card.render());
  section.append(drawn);
  if (drawn.scrollWidth > drawn.clientWidth) section.dataset.wide = name;
}}
}}</script>"""


SCHEMES = tuple(_COLOURS)
SHEETS = ("cards", "beneath", "webhook", "boards", "forms", "notifications")
