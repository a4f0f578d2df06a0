"""`/a/{token}`: an episode, who you are, and what you may do about it. Only a POST acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.alert.chat.acts import said
from services.alert.chat.links import EpisodeLink, LinkError, Links
from services.alert.chat.slack_modals import CLOSE_REASONS, RELABELS, WHY_LIMIT
from services.alert.console.pressing import LOOKING, Pressing
from services.alert.domain.card import Card, CardAct
from services.alert.ports import Actor, ActResult, Episodes
from services.contracts.configuration import Person
from services.contracts.events import CloseReason, Label

Field = Annotated[str, Form(max_length=4_000)]


More = Callable[[Card, Person], Awaitable[dict[str, object]]]


class EpisodePages:
    """The pages behind a card's links."""

    def __init__(
        self,
        episodes: Episodes,
        links: Links,
        pressing: Pressing,
    ) -> None:
        self._episodes = episodes
        self._links = links
        self._pressing = pressing
        self._further: More | None = None

    def offer(self, more: More) -> None:
        """Further acts that the page offers to who is known."""
        self._further = more

    async def _more(self, card: Card, person: Person) -> dict[str, object] | None:
        return await self._further(card, person) if self._further else None

    def link(self, token: str) -> EpisodeLink:
        """What the token says. Raises LinkError."""
        return self._links.read_episode(token)

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(include_in_schema=False)
        router.api_route("/a/{token}", methods=LOOKING)(self.show)
        router.post("/a/{token}")(self.act)
        router.post("/a/{token}/sign-in")(self.send_sign_in)
        return router

    async def show(self, request: Request, token: str, said: str = "") -> Response:
        """The episode as its card shows it. Changes nothing: link previews ask for it too."""
        try:
            link = self._links.read_episode(token)
        except LinkError as error:
            return self._pressing.refused(error)
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
            return self._pressing.refused(error)
        if not self._pressing.visitors.from_our_page(request, form):
            return self._pressing.stale_form()
        person = self._pressing.person(request, link.person_id)
        if person is None:
            return await self._page(request, token, link, None, status=403)
        result = await self._do(link.episode_id, person, act, reason, label, why)
        if result is None:
            return self._pressing.message(
                400, "Not understood", "Choose one of the offered answers and press its button."
            )
        if result is ActResult.reason_needed:
            return await self._page(request, token, link, result, status=422)
        # See other: reloading the page does not press again.
        answer = RedirectResponse(f"/a/{token}?said={result.value}", status_code=303)
        self._pressing.visitors.sign_in(answer, person)
        return answer

    async def send_sign_in(
        self, request: Request, token: str, form: Field = "", person: Field = ""
    ) -> Response:
        """Send the chosen person a link of their own."""
        try:
            self._links.read_episode(token)
        except LinkError as error:
            return self._pressing.refused(error)
        return await self._pressing.send_sign_in(request, form, person, f"/a/{token}")

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
        person = self._pressing.person(request, link.person_id)
        # A link in a channel is anybody's who reads it: private words are for who is known.
        card = await self._episodes.card(link.episode_id, person.id if person else None)
        if card is None:
            return self._pressing.message(
                404,
                "No such episode",
                "It was merged with another one or is past its retention.",
            )
        return self._pressing.draw(
            request,
            "episode.html",
            person,
            status,
            card=card,
            token=token,
            first=link.act or CardAct.claim,
            said=self._said(result, card, person),
            done=result is ActResult.done,
            why_needed=result is ActResult.reason_needed,
            close_reasons=CLOSE_REASONS,
            relabels=RELABELS,
            why_limit=WHY_LIMIT,
            more=await self._more(card, person) if person else None,
            **self._pressing.offers(person),
        )

    @staticmethod
    def _said(result: ActResult | None, card: Card, person: Person | None) -> str | None:
        # `said` comes with the address: without a person it is nobody's result.
        return said(result, card) if result is not None and person is not None else None
