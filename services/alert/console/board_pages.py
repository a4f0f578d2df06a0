"""`/b/{token}`: a board, who you are, and what you may press on it. Only a POST acts."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.alert.chat.acts import said as in_words
from services.alert.chat.links import BoardLink, LinkError, Links
from services.alert.console.pressing import LOOKING, Pressing
from services.alert.ports import Actor, ActResult, Boards

Field = Annotated[str, Form(max_length=4_000)]


class BoardPages:
    """The pages behind a board's links; who presses is found out as for an episode's (0070)."""

    def __init__(
        self,
        boards: Boards,
        links: Links,
        pressing: Pressing,
    ) -> None:
        self._boards = boards
        self._links = links
        self._pressing = pressing

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(include_in_schema=False)
        router.api_route("/b/{token}", methods=LOOKING)(self.show)
        router.post("/b/{token}")(self.act)
        router.post("/b/{token}/sign-in")(self.send_sign_in)
        return router

    async def show(self, request: Request, token: str, said: str = "") -> Response:
        """The board as it stands. Changes nothing: link previews ask for it too."""
        try:
            link = self._links.read_board(token)
        except LinkError as error:
            return self._pressing.refused(error)
        return await self._page(request, token, link, self._links.read_said(link.board_id, said))

    async def act(
        self, request: Request, token: str, form: Field = "", act: Field = "", target: Field = ""
    ) -> Response:
        """Do it, as the person who is known to press."""
        try:
            link = self._links.read_board(token)
        except LinkError as error:
            return self._pressing.refused(error)
        if not self._pressing.visitors.from_our_page(request, form):
            return self._pressing.stale_form()
        person = self._pressing.person(request, link.person_id)
        if person is None:
            return await self._page(request, token, link, None, status=403)
        done = await self._boards.press(link.board_id, act, target, Actor(person.id, "link"))
        # See other: reloading the page does not press again.
        says = done.says or in_words(done.result, None)
        then = f"/b/{token}?said={self._links.said(link.board_id, done.result.value, says)}"
        if done.episode_id is not None:
            then = urlsplit(self._links.episode(done.episode_id)).path
        answer = RedirectResponse(then, status_code=303)
        self._pressing.visitors.sign_in(answer, person)
        return answer

    async def send_sign_in(
        self, request: Request, token: str, form: Field = "", person: Field = ""
    ) -> Response:
        """Send the chosen person a link of their own."""
        try:
            self._links.read_board(token)
        except LinkError as error:
            return self._pressing.refused(error)
        return await self._pressing.send_sign_in(request, form, person, f"/b/{token}")

    async def _page(
        self,
        request: Request,
        token: str,
        link: BoardLink,
        said: tuple[str, str] | None,
        status: int = 200,
    ) -> HTMLResponse:
        board = await self._boards.board(link.board_id)
        if board is None:
            return self._pressing.message(404, "No such card", "It is past its retention.")
        person = self._pressing.person(request, link.person_id)
        return self._pressing.draw(
            request,
            "board.html",
            person,
            status,
            board=board,
            token=token,
            chosen=link.target,
            said=said[1] if said is not None and person is not None else None,
            done=said is not None and said[0] == ActResult.done,
            **self._pressing.offers(person),
        )
