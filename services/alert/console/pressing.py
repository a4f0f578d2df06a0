"""What the pages behind all signed links share: who presses, and what is said where nobody may."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from services.alert.chat.links import LinkError, LinkRefusal
from services.alert.console.drawing import Pages
from services.alert.console.sign_in import SignIns
from services.alert.console.visitors import Visitors
from services.contracts.configuration import Person

PersonOf = Callable[[str], Person | None]
LOOKING = ["GET", "HEAD"]
"""What asks for a page: browsers, and link previews and mail scanners, which may ask for its head alone."""


class Pressing:
    """A link names what it is about and never the presser (decision 0070).

    Who presses is the person of the session; or, without one, the person whom a direct message's link
    was made for; or nobody, and then the page offers to send a sign-in link to a listed person's own chat.
    """

    def __init__(
        self, person_of: PersonOf, visitors: Visitors, sign_ins: SignIns, pages: Pages
    ) -> None:
        self._person_of = person_of
        self.visitors = visitors
        self.sign_ins = sign_ins
        self.pages = pages

    def person(self, request: Request, made_for: str | None) -> Person | None:
        """Who presses; `made_for` is the person that the link names, if any."""
        person = self.visitors.person(request)
        if person is None and made_for is not None:
            person = self._person_of(made_for)
        return person

    def draw(
        self,
        request: Request,
        template: str,
        person: Person | None,
        status: int = 200,
        /,
        **facts: object,
    ) -> HTMLResponse:
        """A page with forms that only this browser can send."""
        nonce = self.visitors.form_nonce(request)
        field = self.visitors.form_field(nonce)
        page = self.pages.draw(template, status, person=person, form=field, **facts)
        self.visitors.keep_nonce(page, nonce)
        return page

    def offers(self, person: Person | None) -> dict[str, object]:
        """Whom a page offers a sign-in link, where nobody is known yet."""
        return {
            "people": [] if person else self.sign_ins.people(),
            "can_sign_in": self.sign_ins.possible,
        }

    async def send_sign_in(self, request: Request, form: str, chosen: str, then: str) -> Response:
        """Send the chosen person a link of their own, which goes on to `then`."""
        if not self.visitors.from_our_page(request, form):
            return self.stale_form()
        person = self._person_of(chosen)
        if person is not None and self.sign_ins.reaches(person):
            await self.sign_ins.send(person, then)
        return self.message(
            200,
            "Look into your messages",
            "A sign-in link is on its way to that person's messages or mail. It ends in 15 minutes.",
        )

    def refused(self, error: LinkError) -> HTMLResponse:
        """The page for a link that does not hold."""
        if error.refusal is LinkRefusal.expired:
            return self.message(
                410,
                "This link has ended",
                "Open the newest message about it in your chat, or the list of open episodes.",
            )
        return self.message(
            404,
            "This is not one of our links",
            "It was cut off or changed. Open it again from your chat.",
        )

    def stale_form(self) -> HTMLResponse:
        """The page for a form that none of our pages sent."""
        return self.message(
            403,
            "Please try again",
            "This page was open for too long or cookies are off. Open the link again.",
        )

    def message(self, status: int, title: str, text: str) -> HTMLResponse:
        """A page that only says something."""
        return self.pages.draw("message.html", status, title=title, text=text)
