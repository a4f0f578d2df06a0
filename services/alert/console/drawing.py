"""Pages from templates, with headers that leave nothing to be loaded from anywhere else."""

from __future__ import annotations

from importlib.resources import files

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.alert.chat import card_words
from services.alert.chat.practice.heading import HEADING, NOTE
from services.alert.chat.text import clean, clock_time, joined_line, time_of_day, web_address

STATIC_FILES = {"console.css": "text/css; charset=utf-8", "console.js": "text/javascript"}

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Addresses hold signed tokens: they go nowhere else. Not `no-referrer`: with it browsers send
    # `Origin: null` with our own forms, and where a form came from could not be checked.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-robots-tag": "noindex, nofollow",
}


def static_file(name: str) -> bytes:
    """A file that the pages load from us."""
    return files("services.alert.console").joinpath("static", name).read_bytes()


class Pages:
    """Draws templates. Everything is escaped; an undefined name is an error."""

    def __init__(self, *, practice: bool = False) -> None:
        """`practice`: every page is headed PRACTICE."""
        self._environment = Environment(
            loader=PackageLoader("services.alert.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            words=card_words,
            time_of_day=time_of_day,
            clock_time=clock_time,
            web_address=web_address,
            joined_line=joined_line,
            practice=f"{HEADING} · {NOTE}" if practice else None,
        )
        self._environment.filters["lines"] = lambda text: clean(text, lines=True)

    def draw(self, template: str, status: int = 200, /, **facts: object) -> HTMLResponse:
        """The page."""
        body = self._environment.get_template(template).render(**facts)
        return HTMLResponse(body, status_code=status)
