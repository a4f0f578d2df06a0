"""A picture of everything that people see in chat, for a look with one's own eyes.

    python -m tests.browser.gallery FOLDER

Slack is drawn by the local chat's own page (its layout stands in for Slack's), Teams by Microsoft's renderer
in its light and dark theme, the phone's lock screen by a bubble of four lines. One sheet a kind, at phone and
desktop width. Needs Chromium (Debian: apt-get install chromium) and `npm ci` in tests/peers.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from pydantic import SecretStr

from deploy.local.chat.app import ChatSettings, create_app
from deploy.local.chat.workspace import Member
from services.alert.acting import AnswerForm, PrivateAnswer, Sending
from services.alert.chat import (
    card_words,
    slack_act_forms,
    slack_answers,
    slack_blocks,
    slack_boards,
)
from services.alert.chat.practice import slack as practice_slack
from services.alert.chat.slack_commands import ephemeral
from services.alert.chat.slack_home import home_of, home_view, not_listed_view, open_line
from services.alert.chat.slack_modals import modal
from services.alert.domain.answering import Caution, Warned, Way
from services.alert.domain.card import Card, CardAct, CardState, CardStatus, StatusKind
from services.alert.domain.cards import HEADLINE, cut, one_line
from services.alert.roster import OnCallRow, ShiftRow
from services.contracts.configuration import Person, SavedReply
from tests.alert.chat_builders import ALL_ACTS, card, configuration, line, row
from tests.browser import teams_sheets
from tests.browser.render_cards import HOSTILE, LONG, NOW, samples
from tests.browser.sample_boards import boards
from tests.serving import serve

SIZES = {"desk": (1560, 900), "phone": (390, 844)}
ARABIC = "مرحبا، لم يصل طلبي رقم 4711 بعد. متى يصل؟ 🙏"
EMOJI = "👩‍👩‍👧‍👦🏳️‍🌈 where is my 🧳?? 😡😡😡"
FORMS = (
    CardAct.snooze, CardAct.hand_over, CardAct.note, CardAct.promise, CardAct.answered_in_private,
)  # fmt: skip
Exhibit = tuple[str, str, Any]
"""(sheet, name, what is drawn)"""


def _people() -> list[Person]:
    return list(configuration().people)


def cards() -> Iterator[Exhibit]:
    """Every state, and the texts that break cards."""
    due = NOW + timedelta(minutes=14)
    every = {one.episode_id: one for one in samples()}
    for state in CardState:
        ended = None if state.live else f"{state.value} by Mia after 4 min"
        acts = tuple(CardAct)[:9] if state.live else (CardAct.reopen,)
        every.setdefault(
            state.value,
            card(episode_id=state.value, state=state, ended=ended, acts=acts, due_at=due),
        )
    every["all-acts"] = card(due_at=due, acts=tuple(CardAct))
    every["emoji"] = card(words=EMOJI * 5, who=EMOJI, due_at=due)
    for kind in StatusKind:
        status = CardStatus(kind, "Mia", NOW, ARABIC, ref="a1")
        every[f"status-{kind.value}"] = card(status=(status,), due_at=due)
    for name, one in every.items():
        yield "cards", name, slack_blocks.card_blocks(one)
        if one.state.live:
            # As the core words it: time left, platform, who, their words.
            said = "sensitive" if one.words is None else one.words
            told = f"12 min · {card_words.platform(one)} · {one.who} · {said}"
            one = replace(one, headline=cut(one_line(told), HEADLINE))
            yield (
                "pages",
                name,
                slack_blocks.page_blocks(one, "https://a.example", "https://b.example"),
            )
        yield "notifications", name, slack_blocks.card_text(one)
    for name, words in (("plain", "Hello?"), ("hostile", HOSTILE), ("long", LONG), ("rtl", ARABIC)):
        yield "lines", name, slack_blocks.line_blocks(line(words), card())


def board_kinds() -> Iterator[Exhibit]:
    """One of each kind."""
    for one in boards(configuration()):
        name = f"{one.kind.value}-{one.id}"
        yield "boards", name, slack_boards.board_blocks(one)
        yield "notifications", name, slack_boards.board_text(one)


def form_of(shown: Card, **changes: Any) -> AnswerForm:
    """As the core gives it."""
    way = Way(False, 280)
    made = AnswerForm(shown, (line(ARABIC), line(LONG)), way, None, "s", (), (), False)
    return replace(made, **changes)


def modals() -> Iterator[Exhibit]:
    """Every form."""
    for shown in (card(), card(who=HOSTILE, words=LONG)):
        kind = "hostile" if shown.who == HOSTILE else "plain"
        for act in (CardAct.not_for_us, CardAct.no_reply_needed):
            yield "modals", f"{act.value}-{kind}", modal(act, shown, "C1")
        for act in FORMS:
            found = [PrivateAnswer("x:1:2", NOW, HOSTILE), PrivateAnswer("x:1:3", NOW, ARABIC)]
            view = slack_act_forms.act_view(
                act, shown, "C1", now=NOW, zone="Europe/Berlin", people=_people(),
                private_answers=found,
            )  # fmt: skip
            yield "modals", f"{act.value}-{kind}", view
        form = form_of(shown)
        private = form_of(
            shown,
            way=replace(form.way, private=True),
            other=form.way,
            warned=tuple(Warned(one, HOSTILE, NOW) for one in Caution),
            saved=(SavedReply(id="s", name="Where is it", text="We look."),),
            needs_approval=True,
        )
        for name, one in (("public", form), ("private", private)):
            draft = slack_answers.draft_of(one, "C1")
            yield "modals", f"answer-{name}-{kind}", slack_answers.answer_view(one, draft)
    yield "modals", "reject", slack_act_forms.reject_view("a1", "C1")
    sending = Sending("a1", "ep-1", LONG, False, NOW)
    yield "modals", "sent", slack_answers.sent_view(sending, "C1", "Europe/Berlin")
    yield "modals", "said", slack_answers.said_view("Not sent", HOSTILE, "C1", "ep-1")


def home() -> Iterator[Exhibit]:
    """The Home tab, and what /presence answers."""
    mia = _people()[0]
    later = NOW + timedelta(hours=4)
    on_call = [
        OnCallRow("main", "UTC", "mia", "Mia", "l1", later, "bo", "Bo", None, None, "Mia until 18:00"),
        OnCallRow("night", "UTC", None, None, "closed", later, None, None, None, None, "closed until 8:00"),
    ]  # fmt: skip
    shifts = [ShiftRow("main", "UTC", NOW, later, "l1", None, None)]
    words = {"a": "My order never arrived", "b": HOSTILE, "c": ARABIC, "d": EMOJI, "e": LONG}
    rows = [
        row(
            episode_id=name, words=said, who=HOSTILE if name == "b" else f"Ana {name}", due_at=later
        )
        for name, said in words.items()
    ]
    rows[0] = replace(rows[0], holder="mia", claimed_by="Mia")
    rows[1] = replace(rows[1], urgent=True)
    rows.append(
        row(episode_id="s", sensitive=("threat",), words=None, holder="bo", claimed_by="Bo")
    )
    yield "home", "full", home_view(home_of(mia, on_call, shifts, rows))["blocks"]
    yield "home", "empty", home_view(home_of(mia, [], [], []))["blocks"]
    yield "home", "not listed", not_listed_view("U0X")["blocks"]
    listed = [slack_blocks.section(open_line(one, later, "UTC")) for one in rows]
    yield "commands", "open", ephemeral("6 people wait", listed)["blocks"]
    yield "commands", "taken over", ephemeral("You are on call on main until 18:00.")["blocks"]


def practice() -> Iterator[Exhibit]:
    """What a practice makes of them: the same, headed."""
    due = NOW + timedelta(minutes=14)
    plain = card(due_at=due, acts=tuple(CardAct)[:9], permalink=None)
    sharp = replace(
        plain, words=LONG, urgent=True, who=EMOJI, checklist=("Tell Mia",), acts=ALL_ACTS
    )
    ended = card(
        state=CardState.answered, ended="answered by Tom after 4 min", acts=(), permalink=None
    )
    for name, one in (("card", plain), ("long", sharp), ("ended", ended)):
        text, blocks = slack_blocks.card_text(one), slack_blocks.card_blocks(one)
        sent = practice_slack.message({"text": text, "blocks": blocks})
        yield "practice", name, sent["blocks"]
        yield "notifications", f"practice-{name}", sent["text"]
    for says, words in (
        ("Tom would have been paged now.", None),
        ("Tom's answer would have been posted in public:", "It is in Oslo"),
    ):
        ours = replace(line(words or ""), words=words, says=says)
        blocks = slack_blocks.line_blocks(ours, plain)
        sent = practice_slack.message({"text": says, "blocks": blocks, "thread_ts": "1.0"})
        yield "practice", says, sent["blocks"]
    form = form_of(plain)
    view = slack_answers.answer_view(form, slack_answers.draft_of(form, "C1"))
    yield "modals", "answer-practice", practice_slack.view(view)


def exhibits() -> list[Exhibit]:
    """All of it."""
    return [*cards(), *board_kinds(), *modals(), *home(), *practice()]


_DRAW = """async ({ exhibits, kind }) => {
  const { draw } = await import("/blocks.js");
  const { modal } = await import("/dialogs.js");
  // A form stands in the sheet instead of over it.
  HTMLDialogElement.prototype.showModal = function () { this.setAttribute("open", ""); };
  const names = { people: {}, channels: {} };
  document.body.replaceChildren();
  document.body.style.cssText = "display:block;overflow:visible;height:auto;padding:12px;column-width:460px";
  document.documentElement.style.cssText = "overflow:visible;height:auto";
  for (const [name, shown] of exhibits) {
    const frame = document.createElement("section");
    frame.style.cssText = "margin:0 0 18px;break-inside:avoid";
    const title = document.createElement("div");
    title.textContent = name;
    title.style.cssText = "font:11px monospace;opacity:.6;margin-bottom:4px";
    frame.append(title);
    document.body.append(frame);
    if (kind === "notifications") {
      const bubble = document.createElement("div");
      const said = document.createElement("textarea");
      said.innerHTML = shown;  // Slack's own three entities, as a phone shows them
      bubble.textContent = said.value;
      bubble.dir = "auto";
      bubble.style.cssText = "font:15px/1.3 system-ui;background:#8883;border-radius:14px;padding:10px 14px;"
        + "display:-webkit-box;-webkit-line-clamp:4;-webkit-box-orient:vertical;overflow:hidden";
      frame.append(bubble);
    } else if (kind === "modals") {
      const before = new Set(document.querySelectorAll("dialog"));
      modal(shown, names, { submit() {}, press() {} });
      for (const dialog of document.querySelectorAll("dialog")) {
        if (before.has(dialog)) continue;
        dialog.style.cssText = "position:static;margin:0;max-height:none;width:auto;max-width:100%";
        dialog.style.boxSizing = "border-box";
        frame.append(dialog);
      }
    } else {
      const message = document.createElement("article");
      message.className = "message";
      const body = document.createElement("div");
      body.append(...[draw(shown, names, () => {})].flat());
      message.append(body);
      frame.append(message);
    }
  }
  return document.documentElement.scrollWidth;
}"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A sheet that was drawn."""

    path: Path
    names: tuple[str, ...]
    overflows: bool
    """Something is wider than the screen."""


def draw(page: Page, chat: str, folder: Path) -> list[Picture]:
    """Every sheet at every width."""
    sheets: dict[str, list[tuple[str, Any]]] = {}
    for sheet, name, shown in exhibits():
        sheets.setdefault(sheet, []).append((name, shown))
    made = []
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for sheet, shown in sheets.items():
            page.goto(f"{chat}/")
            wide = page.evaluate(_DRAW, {"exhibits": shown, "kind": sheet})
            path = folder / f"{sheet}-{size}.png"
            page.screenshot(path=path, full_page=True)
            made.append(Picture(path, tuple(name for name, _ in shown), wide > width))
    page.goto("about:blank")  # the chat's own policy lets no script of another page run
    return [*made, *draw_teams(page, folder)]


def draw_teams(page: Page, folder: Path) -> list[Picture]:
    """Every sheet of Teams at every width, in both themes."""
    made = []
    for size, width in teams_sheets.WIDTHS.items():
        columns = 4 if size == "phone" else 2
        page.set_viewport_size({"width": columns * (width + 24) + 24, "height": 900})
        for sheet in teams_sheets.SHEETS:
            for scheme in teams_sheets.SCHEMES:
                page.set_content(teams_sheets.sheet(sheet, scheme, width))
                names = page.evaluate(
                    "[...document.querySelectorAll('small')].map(one => one.textContent)"
                )
                wide = page.evaluate("document.querySelectorAll('[data-wide]').length")
                path = folder / f"teams-{sheet}-{size}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
                made.append(Picture(path, tuple(names), bool(wide)))
    return made


def gallery(folder: Path) -> list[Picture]:
    """Draw all of it into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = SecretStr("a secret of the gallery")
    app = create_app(
        ChatSettings(members=[Member("U0MIA1", "Mia", "mia")], channels={"C1": "x"}, signing_secret=secret)
    )  # fmt: skip
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with serve(app) as chat, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            # Only the page's parts are wanted: not its list, nor the stream that fills it.
            page.route("**/main.js", lambda route: route.abort())
            return draw(page, chat, folder)
        finally:
            browser.close()


def main() -> int:
    """Say where they are; 1 where something is wider than its screen."""
    made = gallery(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"))
    print(json.dumps([{"picture": str(one.path), "overflows": one.overflows} for one in made]))
    return 1 if any(one.overflows for one in made) else 0


if __name__ == "__main__":
    sys.exit(main())
