"""The console: the list of open episodes, the pages behind links, Slack's requests, the API.

One ASGI application without a start or an end of its own; `services.alert.app` gives it what it needs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from psycopg import OperationalError
from pydantic import SecretStr

from services.alert.acting import Answering, Doing
from services.alert.chat.links import LinkError, Links
from services.alert.chat.presses import TeamsPresses
from services.alert.chat.slack_inbound import SlackInbound
from services.alert.chat.teams_tokens import BotTokens
from services.alert.console import rows
from services.alert.console.act_pages import ActPages
from services.alert.console.board_pages import BoardPages
from services.alert.console.drawing import SECURITY_HEADERS, STATIC_FILES, Pages, static_file
from services.alert.console.links_pages import EpisodePages
from services.alert.console.oncall import oncall_router
from services.alert.console.pressing import LOOKING, Pressing
from services.alert.console.sign_in import SendSignIn, SignIns
from services.alert.console.slack_requests import slack_router
from services.alert.console.teams_requests import teams_router
from services.alert.console.visitors import Visitors
from services.alert.ports import Boards, Episodes
from services.alert.roster import Roster
from services.contracts.configuration import Configuration, Person
from services.runtime.clock import Clock, SystemClock
from services.runtime.logs import get_logger

log = get_logger(__name__)

ROWS = 200
Field = Annotated[str, Form(max_length=4_000)]


def create_app(
    *,
    episodes: Episodes,
    configuration: Callable[[], Configuration],
    links: Links,
    answers: Answering | None = None,
    doings: Doing | None = None,
    slack: SlackInbound | None = None,
    slack_signing_secrets: tuple[SecretStr, ...] = (),
    send_sign_in: SendSignIn | None = None,
    api_token: SecretStr | None = None,
    roster: Roster | None = None,
    clock: Clock | None = None,
    boards: Boards | None = None,
    may_sign_in: Callable[[Person], bool] | None = None,
    teams: TeamsPresses | None = None,
    teams_tokens: tuple[BotTokens, ...] = (),
    practice: bool = False,
) -> FastAPI:
    """The application.

    `configuration` is asked at every request: it changes while the service runs. `api_token` opens
    the API to scripts (PRESENCE_API_TOKEN). Without `slack` there is no /slack/…. `practice`: every page
    says that it is one.
    """
    clock = clock or SystemClock()
    visitors = Visitors(links, configuration, api_token)
    sign_ins = SignIns(links, configuration, send_sign_in, clock, may_sign_in)
    pages = Pages(practice=practice)

    app = FastAPI(
        title="Presence",
        summary="Episodes that wait for a human.",
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.middleware("http")(_with_headers)
    app.add_exception_handler(OperationalError, partial(_away, pages))

    def person_of(person_id: str) -> Person | None:
        return configuration().person(person_id)

    app.include_router(_list_router(episodes, configuration, links, visitors, pages, clock))
    app.include_router(_api_router(episodes, visitors, clock))
    if roster is not None:
        app.include_router(oncall_router(roster, configuration, links, visitors, clock))
    app.include_router(_sign_in_router(visitors, sign_ins, pages))
    pressing = Pressing(person_of, visitors, sign_ins, pages)
    episode_pages = EpisodePages(episodes, links, pressing)
    app.include_router(episode_pages.router())
    if answers is not None and doings is not None:
        act_pages = ActPages(links, pressing, answers, doings, configuration, clock)
        episode_pages.offer(act_pages.choices)
        app.include_router(act_pages.router())
    if boards is not None:
        board_pages = BoardPages(boards, links, pressing)
        app.include_router(board_pages.router())
    app.include_router(_static_router())
    if slack is not None:
        app.include_router(slack_router(slack, slack_signing_secrets, clock))
    if teams is not None:
        app.include_router(teams_router(teams, teams_tokens))
    return app


async def _away(pages: Pages, request: Request, error: Exception) -> Response:
    """The database is away: nothing was done, and whoever waits is told what to do."""
    log.warning("the database does not answer", path=request.url.path, error=str(error))
    text = "Its database does not answer. Nothing was done: try again in a minute."
    if request.url.path.startswith(("/api/", "/slack/", "/teams/")):
        return JSONResponse({"detail": f"Presence cannot do this right now. {text}"}, 503)
    return pages.draw("message.html", 503, title="Presence cannot do this right now", text=text)


async def _with_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _list_router(
    episodes: Episodes,
    configuration: Callable[[], Configuration],
    links: Links,
    visitors: Visitors,
    pages: Pages,
    clock: Clock,
) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.api_route("/", methods=LOOKING)
    async def index(request: Request) -> Response:
        if not visitors.may_read(request):
            return RedirectResponse("/sign-in", status_code=303)
        person = visitors.person(request)
        shown = rows.open_episodes(await episodes.open(ROWS), person, clock.now())
        return pages.draw(
            "list.html",
            episodes=shown.episodes,
            as_of=shown.as_of,
            # Every row leads to its page; the page finds out who you are before it acts.
            paths={one.id: urlsplit(links.episode(one.id)).path for one in shown.episodes},
            person=person,
            zone=person.zone if person else configuration().rotas[0].zone,
        )

    return router


def _api_router(episodes: Episodes, visitors: Visitors, clock: Clock) -> APIRouter:
    router = APIRouter(prefix="/api/v1", tags=["episodes"])

    @router.get("/episodes", responses={401: {"description": "No session and no bearer token."}})
    async def list_open_episodes(request: Request) -> rows.OpenEpisodes:
        """The open episodes: sensitive first, then urgent, then by due time."""
        if not visitors.may_read(request):
            raise HTTPException(
                401,
                "sign in at /sign-in, or send Authorization: Bearer with PRESENCE_API_TOKEN",
                {"www-authenticate": "Bearer"},
            )
        found = await episodes.open(ROWS)
        return rows.open_episodes(found, visitors.person(request), clock.now())

    return router


def _sign_in_router(visitors: Visitors, sign_ins: SignIns, pages: Pages) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def ended(_error: LinkError) -> Response:
        return pages.draw(
            "message.html",
            410,
            title="This sign-in link has ended",
            text="It works once and for 15 minutes. Ask for a new one.",
        )

    def draw(request: Request, template: str, **facts: object) -> Response:
        nonce = visitors.form_nonce(request)
        page = pages.draw(template, 200, form=visitors.form_field(nonce), **facts)
        visitors.keep_nonce(page, nonce)
        return page

    @router.api_route("/sign-in", methods=LOOKING)
    async def ask(request: Request) -> Response:
        return draw(
            request,
            "sign_in.html",
            person=None,
            possible=sign_ins.possible,
            token="",
            signed_in=visitors.person(request),
        )

    @router.post("/sign-in")
    async def send(request: Request, form: Field = "", who: Field = "") -> Response:
        if not visitors.from_our_page(request, form):
            raise HTTPException(403, "open /sign-in again")
        person = sign_ins.named(who)
        if person is not None:
            await sign_ins.send(person, "/")
        # The same words for everybody: this page does not tell who is on the team.
        return pages.draw(
            "message.html",
            title="Look into your messages",
            text="If you are listed in presence.yaml, a sign-in link is in your direct messages or mail.",
        )

    @router.post("/sign-out")
    async def sign_out(request: Request, form: Field = "") -> Response:
        if not visitors.from_our_page(request, form):
            raise HTTPException(403, "open /sign-in again")
        answer = RedirectResponse("/sign-in", status_code=303)
        visitors.sign_out(answer)
        return answer

    @router.api_route("/sign-in/{token}", methods=LOOKING)
    async def confirm(request: Request, token: str) -> Response:
        try:
            person = sign_ins.peek(token)
        except LinkError as error:
            return ended(error)
        return draw(
            request, "sign_in.html", person=person, possible=True, token=token, signed_in=None
        )

    @router.post("/sign-in/{token}")
    async def use(request: Request, token: str, form: Field = "") -> Response:
        if not visitors.from_our_page(request, form):
            raise HTTPException(403, "open the sign-in link again")
        try:
            person, then = sign_ins.use(token)
        except LinkError as error:
            return ended(error)
        answer = RedirectResponse(then, status_code=303)
        visitors.sign_in(answer, person)
        return answer

    return router


def _static_router() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in STATIC_FILES:
            raise HTTPException(404)
        headers = {"cache-control": "public, max-age=300"}
        return Response(static_file(name), media_type=STATIC_FILES[name], headers=headers)

    return router
