"""`/a/{token}`: an episode, who you are, and what you may do about it. Only a POST acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.alert.chat.acts import said
from services.alert.chat.links import EpisodeLink, LinkError, LinkRefusal, Links
from services.alert.chat.slack_modals import CLOSE_REASONS, RELABELS, WHY_LIMIT
from services.alert.console.drawing import Pages
from services.alert.console.sign_in import SignIns
from services.alert.console.visitors import Visitors
from services.alert.domain.card import Card, CardAct
from services.alert.ports import Actor, ActResult, Episodes
from services.contracts.configuration import Person
from services.contracts.events import CloseReason, Label

Field = Annotated[str, Form(max_length=4_000)]


More = Callable[[str, Person, tuple[CardAct, ...]], Awaitable[dict[str, object]]]
PersonOf = Callable[[str], Person | None]


class EpisodePages:
    """The pages behind a card's links.

    A link names the episode and never the presser. Who presses is the person of the session; or,
    without one, the person whom a direct message's link was made for; or nobody, and then the page
    offers to send a sign-in link to a listed person's own chat.
    """

    def __init__(
        self,
        episodes: Episodes,
        person_of: PersonOf,
        links: Links,
        visitors: Visitors,
        sign_ins: SignIns,
        pages: Pages,
    ) -> None:
        self._episodes = episodes
        self._person_of = person_of
        self._links = links
        self._visitors = visitors
        self._sign_ins = sign_ins
        self._pages = pages
        self._further: More | None = None

    def offer(self, more: More) -> None:
        """Further acts that the page offers to who is known."""
        self._further = more

    async def _more(
        self, episode_id: str, person: Person, acts: tuple[CardAct, ...]
    ) -> dict[str, object] | None:
        return await self._further(episode_id, person, acts) if self._further else None

    def link(self, token: str) -> EpisodeLink:
        """What the token says. Raises LinkError."""
        return self._links.read_episode(token)

    def from_our_page(self, request: Request, form: str) -> bool:
        """Whether one of our own pages sent it."""
        return self._visitors.from_our_page(request, form)

    def sign_in(self, response: Response, person: Person) -> None:
        """Start a session."""
        self._visitors.sign_in(response, person)

    def draw(
        self, request: Request, template: str, person: Person, status: int, **facts: object
    ) -> HTMLResponse:
        """A page with forms for who is known."""
        nonce = self._visitors.form_nonce(request)
        field = self._visitors.form_field(nonce)
        page = self._pages.draw(template, status, person=person, form=field, **facts)
        self._visitors.keep_nonce(page, nonce)
        return page

    def message(self, _request: Request, status: int, title: str, text: str) -> HTMLResponse:
        """A page that only says something."""
        return self._pages.draw("message.html", status, title=title, text=text)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(include_in_schema=False)
        router.get("/a/{token}")(self.show)
        router.post("/a/{token}")(self.act)
        router.post("/a/{token}/sign-in")(self.send_sign_in)
        return router

    async def show(self, request: Request, token: str, said: str = "") -> Response:
        """The episode as its card shows it. Changes nothing: link previews ask for it too."""
        try:
            link = self._links.read_episode(token)
        except LinkError as error:
            return self.refused(error)
        result = ActResult(said) if said in ActResult.__members__ else None
        return await self._page(request, token, link, result)

    async def act(
        self,
        request: Request,
        token: str,
        form: Field = "",
        act: Field = "",
        reason: Field = "",
        label: Field = "",
        why: Field = "",
    ) -> Response:
        """Do it, as the person who is known to press."""
        try:
            link = self._links.read_episode(token)
        except LinkError as error:
            return self.refused(error)
        if not self._visitors.from_our_page(request, form):
            return self.stale_form()
        person = self.presser(request, link)
        if person is None:
            return await self._page(request, token, link, None, status=403)
        result = await self._do(link.episode_id, person, act, reason, label, why)
        if result is None:
            return self._pages.draw(
                "message.html",
                400,
                title="Not understood",
                text="Choose one of the offered answers and press its button.",
            )
        if result is ActResult.reason_needed:
            return await self._page(request, token, link, result, status=422)
        # See other: reloading the page does not press again.
        answer = RedirectResponse(f"/a/{token}?said={result.value}", status_code=303)
        self._visitors.sign_in(answer, person)
        return answer

    async def send_sign_in(
        self, request: Request, token: str, form: Field = "", person: Field = ""
    ) -> Response:
        """Send the chosen person a link of their own."""
        try:
            self._links.read_episode(token)
        except LinkError as error:
            return self.refused(error)
        if not self._visitors.from_our_page(request, form):
            return self.stale_form()
        chosen = self._person_of(person)
        if chosen is not None and self._sign_ins.reaches(chosen):
            await self._sign_ins.send(chosen, f"/a/{token}")
        return self._pages.draw(
            "message.html",
            title="Look into your messages",
            text="A sign-in link is on its way to that person's messages or mail. It ends in 15 minutes.",
        )

    def presser(self, request: Request, link: EpisodeLink) -> Person | None:
        """The person of the session; or whom a direct message's link was made for."""
        person = self._visitors.person(request)
        if person is None and link.person_id is not None:
            person = self._person_of(link.person_id)
        return person

    async def _do(
        self, episode_id: str, person: Person, act: str, reason: str, label: str, why: str
    ) -> ActResult | None:
        by = Actor(person.id, "link")
        if act == CardAct.claim:
            return await self._episodes.claim(episode_id, by)
        if act == CardAct.no_reply_needed and reason in {one.value for one in CLOSE_REASONS}:
            return await self._episodes.close(episode_id, by, CloseReason(reason))
        if act == CardAct.not_for_us and label in {one.value for one in RELABELS}:
            said = why.strip()[:WHY_LIMIT] or None
            return await self._episodes.relabel(episode_id, by, Label(label), said)
        return None

    async def _page(
        self,
        request: Request,
        token: str,
        link: EpisodeLink,
        result: ActResult | None,
        status: int = 200,
    ) -> HTMLResponse:
        card = await self._episodes.card(link.episode_id)
        if card is None:
            return self._pages.draw(
                "message.html",
                404,
                title="No such episode",
                text="It was merged with another one or is past its retention.",
            )
        nonce = self._visitors.form_nonce(request)
        person = self.presser(request, link)
        page = self._pages.draw(
            "episode.html",
            status,
            card=card,
            token=token,
            first=link.act or CardAct.claim,
            person=person,
            people=[] if person else self._sign_ins.people(),
            can_sign_in=self._sign_ins.possible,
            form=self._visitors.form_field(nonce),
            said=self._said(result, card, person),
            done=result is ActResult.done,
            why_needed=result is ActResult.reason_needed,
            close_reasons=CLOSE_REASONS,
            relabels=RELABELS,
            why_limit=WHY_LIMIT,
            more=await self._more(link.episode_id, person, card.acts) if person else None,
        )
        self._visitors.keep_nonce(page, nonce)
        return page

    @staticmethod
    def _said(result: ActResult | None, card: Card, person: Person | None) -> str | None:
        # `said` comes with the address: without a person it is nobody's result.
        return said(result, card) if result is not None and person is not None else None

    def refused(self, error: LinkError) -> HTMLResponse:
        """The page for a link that does not hold."""
        if error.refusal is LinkRefusal.expired:
            return self._pages.draw(
                "message.html",
                410,
                title="This link has ended",
                text="Open the newest message about it in your chat, or the list of open episodes.",
            )
        return self._pages.draw(
            "message.html",
            404,
            title="This is not one of our links",
            text="It was cut off or changed. Open it again from your chat.",
        )

    def stale_form(self) -> HTMLResponse:
        """The page for a form that none of our pages sent."""
        return self._pages.draw(
            "message.html",
            403,
            title="Please try again",
            text="This page was open for too long or cookies are off. Open the link again.",
        )
