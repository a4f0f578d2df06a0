"""`/a/{token}/answer` and `/a/{token}/do`: answering and the other acts, as forms that a phone can fill in.

Nothing here answers a GET: to open the answer's form tells others that somebody is writing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from services.alert.acting import AnswerForm, Answering, Doing, Done, Written
from services.alert.chat import card_words
from services.alert.chat.acts import said
from services.alert.chat.links import EpisodeLink, LinkError, Links
from services.alert.chat.slack_act_forms import LATER, NEXT, later
from services.alert.console.pressing import Pressing
from services.alert.domain.answering import Warned
from services.alert.domain.card import Card, CardAct, LineAct, StatusKind
from services.alert.ports import Actor, ActResult
from services.contracts.configuration import Configuration, Person
from services.runtime.clock import Clock

Field = Annotated[str, Form(max_length=4_000)]
Text = Annotated[str, Form(max_length=50_000)]
_WORDS, _WHY = 3_000, 500


class ActPages:
    """The forms behind an episode's page. The page has found out who presses."""

    def __init__(
        self,
        links: Links,
        pressing: Pressing,
        answers: Answering,
        doings: Doing,
        configuration: Callable[[], Configuration],
        clock: Clock,
    ) -> None:
        self._links = links
        self._pressing = pressing
        self._answers = answers
        self._doings = doings
        self._configuration = configuration
        self._clock = clock

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(include_in_schema=False)
        router.post("/a/{token}/answer")(self.answer)
        router.post("/a/{token}/do")(self.do)
        return router

    async def answer(
        self,
        request: Request,
        token: str,
        form: Field = "",
        step: Field = "open",
        private: Field = "",
        sent_with: Field = "",
        seen: Field = "",
        accepted: Field = "",
        ref: Field = "",
        text: Text = "",
    ) -> Response:
        """Open the form, turn it public or private, or send it. `ref`: the trainee's answer that it edits."""
        known = self._who(request, token, form)
        if isinstance(known, Response):
            return known
        link, person = known
        by = Actor(person.id, "link")
        wanted = {"yes": True, "no": False}.get(private)
        if step != "send":
            found = await self._opened(link.episode_id, by, ref, wanted)
            return self._form(request, token, person, found, text=text)
        written = Written(
            request=sent_with,
            episode_id=link.episode_id,
            text=text,
            private=bool(wanted),
            seen=seen,
            accepted=frozenset(accepted.split()),
        )
        if ref:
            done = await self._answers.approve(ref, by, written)
        else:
            done = await self._answers.send(written, by)
        if done.result is ActResult.cautioned or done.result is ActResult.impossible:
            found = await self._opened(link.episode_id, by, ref, wanted)
            return self._form(
                request, token, person, found, text=text, asked=done.warned, wrong=done.says
            )
        if done.sending is None:
            says = f"{done.says or said(done.result, None)} Your text was: {text}"
            return self._pressing.message(409, "Not sent", says)
        return self._back(token, person, done.result)

    async def _opened(
        self, episode_id: str, by: Actor, ref: str, private: bool | None
    ) -> AnswerForm | Done:
        if ref:
            return await self._answers.review(ref, by)
        return await self._answers.form(episode_id, by, private=private)

    async def do(
        self,
        request: Request,
        token: str,
        form: Field = "",
        act: Field = "",
        ref: Field = "",
        choice: Field = "",
        beyond: Field = "",
        sent_with: Field = "",
        text: Field = "",
    ) -> Response:
        """One of the short acts."""
        known = self._who(request, token, form)
        if isinstance(known, Response):
            return known
        link, person = known
        try:
            done = await self._do(
                link.episode_id, person, act, ref, choice, beyond, sent_with, text
            )
        except (KeyError, ValueError):
            return self._pressing.message(
                400, "Not understood", "Choose one of the offered answers."
            )
        if done.says is not None and done.result is not ActResult.done:
            return self._pressing.message(409, "Not done", done.says)
        return self._back(token, person, done.result)

    async def _do(
        self,
        episode_id: str,
        person: Person,
        act: str,
        ref: str,
        choice: str,
        beyond: str,
        sent_with: str,
        text: str,
    ) -> Done:
        by, now = Actor(person.id, "link"), self._clock.now()
        if act in LineAct.__members__:
            return await self._about_an_answer(LineAct(act), ref, by, text)
        match CardAct(act):
            case CardAct.snooze:
                until = later(choice, now, person.zone)
                return await self._doings.snooze(episode_id, by, until, beyond=bool(beyond))
            case CardAct.hand_over:
                return await self._doings.hand_over(
                    episode_id, by, None if choice == NEXT else choice
                )
            case CardAct.note:
                return await self._doings.note(episode_id, by, text[:_WORDS], sent_with)
            case CardAct.promise:
                due = later(choice, now, person.zone)
                return await self._doings.promise(episode_id, by, text, due, sent_with)
            case CardAct.answered_in_private:
                return await self._doings.answered_in_private(episode_id, by, ref)
            case CardAct.reopen:
                return await self._doings.reopen(episode_id, by)
            case _:
                raise ValueError(act)

    async def _about_an_answer(self, act: LineAct, ref: str, by: Actor, text: str) -> Done:
        match act:
            case LineAct.undo:
                return await self._answers.undo(ref, by)
            case LineAct.approve:
                return await self._answers.approve(ref, by)
            case LineAct.reject:
                return await self._answers.reject(ref, by, text[:_WHY])
            case LineAct.it_is_there | LineAct.send_again:
                return await self._answers.settle(ref, by, there=act is LineAct.it_is_there)
            case LineAct.kept:
                return await self._doings.keep(ref, by)
        raise ValueError(f"{act.value} has a form of its own")

    async def choices(self, card: Card, person: Person) -> dict[str, object]:
        """What the episode's page offers beside claiming and closing."""
        by = Actor(person.id, "link")
        episode_id = card.episode_id
        asked = CardAct.answered_in_private in card.acts
        people = [
            one for one in self._configuration().people if one.may_answer and one.id != person.id
        ]
        now = self._clock.now()
        return {
            "times": {k: v for k, v in LATER.items() if later(k, now, person.zone) > now},
            "whom": {NEXT: "Whoever is next in the rota", **{one.id: one.name for one in people}},
            "reviews": await self._reviews(card, by),
            "private_answers": await self._doings.private_answers(episode_id, by) if asked else [],
            "sent_with": secrets.token_hex(12),
        }

    async def _reviews(self, card: Card, by: Actor) -> dict[str, tuple[AnswerForm, str]]:
        """Trainees' answers that this person may send, by id, with what sending them would be."""
        found: dict[str, tuple[AnswerForm, str]] = {}
        for one in card.status:
            if one.kind is StatusKind.review and one.ref is not None:
                form = await self._answers.review(one.ref, by)
                if isinstance(form, AnswerForm):
                    found[one.ref] = (form, _where(form))
        return found

    def _who(
        self, request: Request, token: str, form: str
    ) -> tuple[EpisodeLink, Person] | Response:
        """The episode and who presses; or the page that says why not."""
        try:
            link = self._links.read_episode(token)
        except LinkError as error:
            return self._pressing.refused(error)
        if not self._pressing.visitors.from_our_page(request, form):
            return self._pressing.stale_form()
        person = self._pressing.person(request, link.person_id)
        if person is None:
            return RedirectResponse(f"/a/{token}", status_code=303)
        return link, person

    def _form(
        self,
        request: Request,
        token: str,
        person: Person,
        found: AnswerForm | Done,
        *,
        text: str,
        asked: tuple[Warned, ...] = (),
        wrong: str | None = None,
    ) -> Response:
        if isinstance(found, Done):
            says = found.says or said(found.result, None)
            return self._pressing.message(409, "No answer from here", says)
        warned = asked or found.warned
        return self._pressing.draw(
            request,
            "answer.html",
            person,
            422 if asked or wrong else 200,
            found=found,
            token=token,
            text=text or found.text,
            author=_author(found),
            asked=bool(asked),
            wrong=wrong,
            where=_where(found),
            warnings=[card_words.caution(one, found.card) for one in warned],
            accepted=" ".join(one.key for one in warned),
            sent_with=secrets.token_hex(12),
        )

    def _back(self, token: str, person: Person, result: ActResult) -> Response:
        # See other: reloading the page does not press again.
        answer = RedirectResponse(f"/a/{token}?said={result.value}", status_code=303)
        self._pressing.visitors.sign_in(answer, person)
        return answer


def _where(form: AnswerForm) -> str:
    """What the answer would be: everybody reads it, or one person."""
    return card_words.where_to_answer(replace(form.card, public=not form.way.private))


def _author(form: AnswerForm) -> str | None:
    """Who wrote the answer that a second person edits."""
    return next((one.who for one in form.card.status if one.ref == form.answer_id), None)
