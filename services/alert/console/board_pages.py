"""`/b/{token}`: a board, who you are, and what you may press on it. Only a POST acts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.alert.chat.acts import said as in_words
from services.alert.chat.links import BoardLink, LinkError, LinkRefusal, Links
from services.alert.console.drawing import Pages
from services.alert.console.links_pages import PersonOf
from services.alert.console.sign_in import SignIns
from services.alert.console.visitors import Visitors
from services.alert.ports import Actor, ActResult, Boards
from services.contracts.configuration import Person

Field = Annotated[str, Form(max_length=4_000)]


class BoardPages:
    """The pages behind a board's links; who presses is found out as for an episode's (0070)."""

    def __init__(
        self,
        boards: Boards,
        person_of: PersonOf,
        links: Links,
        visitors: Visitors,
        sign_ins: SignIns,
        pages: Pages,
    ) -> None:
        self._boards = boards
        self._person_of = person_of
        self._links = links
        self._visitors = visitors
        self._sign_ins = sign_ins
        self._pages = pages

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(include_in_schema=False)
        router.get("/b/{token}")(self.show)
        router.post("/b/{token}")(self.act)
        router.post("/b/{token}/sign-in")(self.send_sign_in)
        return router

    async def show(self, request: Request, token: str, said: str = "") -> Response:
        """The board as it stands. Changes nothing: link previews ask for it too."""
        try:
            link = self._links.read_board(token)
        except LinkError as error:
            return self._refused(error)
        result = ActResult(said) if said in ActResult.__members__ else None
        return await self._page(request, token, link, result)

    async def act(
        self, request: Request, token: str, form: Field = "", act: Field = "", target: Field = ""
    ) -> Response:
        """Do it, as the person who is known to press."""
        try:
            link = self._links.read_board(token)
        except LinkError as error:
            return self._refused(error)
        if not self._visitors.from_our_page(request, form):
            return self._stale_form()
        person = self._presser(request, link)
        if person is None:
            return await self._page(request, token, link, None, status=403)
        done = await self._boards.press(link.board_id, act, target, Actor(person.id, "link"))
        # See other: reloading the page does not press again.
        then = f"/b/{token}?said={done.result.value}"
        if done.episode_id is not None:
            then = self._links.episode(done.episode_id)
        answer = RedirectResponse(then, status_code=303)
        self._visitors.sign_in(answer, person)
        return answer

    async def send_sign_in(
        self, request: Request, token: str, form: Field = "", person: Field = ""
    ) -> Response:
        """Send the chosen person a link of their own."""
        try:
            self._links.read_board(token)
        except LinkError as error:
            return self._refused(error)
        if not self._visitors.from_our_page(request, form):
            return self._stale_form()
        chosen = self._person_of(person)
        if chosen is not None and self._sign_ins.reaches(chosen):
            await self._sign_ins.send(chosen, f"/b/{token}")
        return self._pages.draw(
            "message.html",
            title="Look into your messages",
            text="A sign-in link is on its way to that person's messages or mail. It ends in 15 minutes.",
        )

    def _presser(self, request: Request, link: BoardLink) -> Person | None:
        person = self._visitors.person(request)
        if person is None and link.person_id is not None:
            person = self._person_of(link.person_id)
        return person

    async def _page(
        self,
        request: Request,
        token: str,
        link: BoardLink,
        result: ActResult | None,
        status: int = 200,
    ) -> HTMLResponse:
        board = await self._boards.board(link.board_id)
        if board is None:
            return self._pages.draw(
                "message.html", 404, title="No such card", text="It is past its retention."
            )
        nonce = self._visitors.form_nonce(request)
        person = self._presser(request, link)
        page = self._pages.draw(
            "board.html",
            status,
            board=board,
            token=token,
            chosen=link.target,
            person=person,
            people=[] if person else self._sign_ins.people(),
            can_sign_in=self._sign_ins.possible,
            form=self._visitors.form_field(nonce),
            said=in_words(result, None) if result is not None and person is not None else None,
            done=result is ActResult.done,
        )
        self._visitors.keep_nonce(page, nonce)
        return page

    def _refused(self, error: LinkError) -> HTMLResponse:
        expired = error.refusal is LinkRefusal.expired
        return self._pages.draw(
            "message.html",
            410 if expired else 404,
            title="This link has ended" if expired else "This is not one of our links",
            text="Open the newest message about it in your chat.",
        )

    def _stale_form(self) -> HTMLResponse:
        return self._pages.draw(
            "message.html",
            403,
            title="Please try again",
            text="This page was open for too long or cookies are off. Open the link again.",
        )
