"""`presence doctor` against platforms and chats that are well, and that are not."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.alert.checks import judge_link_secret, judge_people, judge_workflow_url
from services.cli.doctor import doctor
from services.ingest.sources.meta_checks import judge_token
from services.ingest.sources.registry import build_sources
from services.ingest.sources.source import Refused
from services.runtime import configuration
from services.runtime.checks import Check, State, good, run_checks
from services.runtime.errors import Permanent
from services.runtime.system_checks import judge_clock, judge_topics
from services.runtime.topic_administration import TopicState
from tests.cli.team import write
from tests.ingest.graph_server import APP_SECRET, TOKEN, GraphServer
from tests.servers import Databases
from tests.serving import serve

SLACK = "xoxb-slack-token-of-the-test"
SECRETS = {
    "X_SECRET": "x-consumer-secret-of-the-test",
    "X_TOKEN": "x-token-of-the-test",
    "META_SECRET": APP_SECRET,
    "META_VERIFY": "meta-verify-word-of-the-test",
    "META_TOKEN": TOKEN,
    "SHOP_SECRET": "whsec_" + base64.b64encode(b"secret of the shop of the test").decode(),
    "SLACK_TOKEN": SLACK,
    "SLACK_SECRET": "slack-signing-secret-of-the-test",
    "PRESENCE_LINK_SECRET": "0123456789abcdef-0123456789abcdef",
}


@dataclass
class World:
    """Slack, the public address, Graph: each well unless the test says otherwise."""

    folder: Path
    graph: GraphServer = field(default_factory=GraphServer)
    scopes: str = "chat:write,channels:history,groups:history,im:write,im:history,commands"
    slack_says: dict[str, str] = field(default_factory=dict)
    intake: Callable[[Request], Response] | None = None
    lines: list[str] = field(default_factory=list)
    x_account: str = "4001"
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=lambda: dict(SECRETS))

    def slack(self) -> Starlette:
        async def call(request: Request) -> Response:
            method = request.path_params["method"]
            headers = {"x-oauth-scopes": self.scopes} if self.scopes else {}
            if request.headers.get("authorization") != f"Bearer {SLACK}":
                return JSONResponse({"ok": False, "error": "invalid_auth"})
            if method in self.slack_says:
                return JSONResponse({"ok": False, "error": self.slack_says[method]})
            if method == "chat.postMessage":
                body = await request.json()
                self.lines.append(body["text"])
            return JSONResponse(
                {"ok": True, "team": "Air", "ts": "1.2", "channel": "C0CARE"}, headers=headers
            )

        async def me(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {SECRETS['X_TOKEN']}":
                return JSONResponse({"title": "Unauthorized", "detail": "Unauthorized"}, 401)
            return JSONResponse({"data": {"id": self.x_account}})

        return _app(
            Route("/api/{method}", call, methods=["GET", "POST"]), Route("/x/2/users/me", me)
        )

    def public(self) -> Starlette:
        """ingest behind its public address, with the real sources' answers."""
        sources = build_sources(
            configuration.load(self.folder / "presence.yaml").configuration,
            lambda name: SecretStr(SECRETS[name]),
            None,
        )

        async def webhook(request: Request) -> Response:
            if self.intake:
                return self.intake(request)
            if request.method == "POST":
                return PlainTextResponse("", 401)
            try:
                answer = sources[request.path_params["source"]].challenge(
                    dict(request.query_params)
                )
            except Refused:
                return PlainTextResponse("", 403)
            return Response(answer.body if answer else b"", media_type="application/json")

        return _app(Route("/webhooks/{source}", webhook, methods=["GET", "POST"]))

    def ask(self, *arguments: str) -> tuple[int, dict[str, dict[str, str]], str]:
        """Exit code, findings by name, everything that was printed."""
        result = CliRunner().invoke(
            doctor, ["--json", *arguments], env={**self.secrets, **self.environment}
        )
        assert result.stdout, result.exception
        found = {one["check"]: one for one in orjson.loads(result.stdout)["checks"]}
        return result.exit_code, found, result.output


def _app(*routes: Route) -> Starlette:
    app = Starlette(routes=list(routes))
    app.state.stop = lambda: None
    return app


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.graph.debug["scopes"] = [
        "pages_read_engagement", "pages_read_user_content", "pages_messaging",
    ]  # fmt: skip
    made.graph.subscribed = [{"subscribed_fields": ["feed", "messages", "message_echoes"]}]
    with serve(made.graph.app) as graph, serve(made.slack()) as slack:
        path = write(tmp_path, graph=graph, slack=slack)
        with serve(made.public()) as public:
            made.environment = {"PRESENCE_CONFIG": str(path), "PRESENCE_PUBLIC_URL": public}
            yield made


def test_what_is_well_is_said_to_be_and_what_cannot_be_known_is_too(world: World) -> None:
    _, found, said = world.ask()
    states = {name: one["state"] for name, one in found.items()}
    assert [name for name, state in states.items() if state == "wrong"] == ["Kafka", "PostgreSQL"]
    assert states["Slack care"] == "good"
    assert states["facebook 1010: token"] == "good"
    assert states["facebook 1010: permissions"] == "good"
    assert states["facebook 1010: subscription"] == "good"
    assert states["webhook shop: way in"] == "good"
    assert states["x @air: answers"] == "unknown"
    assert "end after two hours" in found["x @air: answers"]["says"]
    assert states["facebook 1010: threads"] == "good"
    assert "answers the challenge, but x calls https" in found["x @air: way in"]["says"]
    assert states["x @air: threads"] == "unknown"
    assert not [name for name, secret in SECRETS.items() if secret in said]


def test_secrets_that_are_missing_or_none_are_named_and_the_others_still_looked_at(
    world: World,
) -> None:
    del world.secrets["X_SECRET"]
    world.secrets["SHOP_SECRET"] = "not-a-standard-secret"
    code, found, said = world.ask()
    assert code == 1
    assert "X_SECRET is not set" in found["x @air"]["says"]
    assert "whsec_" in found["webhook shop"]["says"]
    assert found["facebook 1010: token"]["state"] == "good"
    assert "not-a-standard-secret" not in said


@pytest.mark.parametrize(
    ("method", "error", "says", "mend"),
    [
        ("auth.test", "token_revoked", "refuses the token: token_revoked", "SLACK_TOKEN"),
        ("conversations.history", "not_in_channel", "not in the channel", "/invite"),
        ("conversations.history", "channel_not_found", "no such channel", "/invite"),
        ("conversations.history", "missing_scope", "channels:history", "manifest"),
    ],
)
def test_what_slack_refuses_is_said_with_its_mend(
    world: World, method: str, error: str, says: str, mend: str
) -> None:
    world.slack_says = {method: error}
    _, found, _ = world.ask()
    slack = found["Slack care"]
    assert slack["state"] == "wrong"
    assert says in slack["says"]
    assert mend in slack["mend"]


def test_a_missing_scope_of_slacks_is_named(world: World) -> None:
    world.scopes = "chat:write,channels:history,groups:history"
    _, found, _ = world.ask()
    assert found["Slack care"]["says"] == "the bot lacks commands, im:history, im:write"


def test_a_token_that_meta_refuses_is_said_in_metas_words(world: World) -> None:
    world.secrets["META_TOKEN"] = "EAAB-of-yesterday"
    _, found, said = world.ask()
    token = found["facebook 1010: token"]
    assert token["state"] == "wrong"
    assert "Meta refuses the token: Invalid OAuth access token." in token["says"]
    assert "META_TOKEN" in token["mend"]
    assert "EAAB-of-yesterday" not in said


def test_a_token_of_xs_that_is_refused_or_anothers_is_found(world: World) -> None:
    world.x_account = "4002"
    _, found, _ = world.ask()
    assert found["x @air: answers"]["says"] == "the token answers for account 4002, not for 4001"
    world.secrets["X_TOKEN"] = "revoked"
    _, found, _ = world.ask()
    assert found["x @air: answers"]["state"] == "wrong"
    assert "the token that answers is refused" in found["x @air: answers"]["says"]


def test_a_page_that_is_subscribed_to_nothing_is_found(world: World) -> None:
    world.graph.subscribed = []
    _, found, _ = world.ask()
    assert "subscribed to no app" in found["facebook 1010: subscription"]["says"]
    assert "/1010/subscribed_apps" in found["facebook 1010: subscription"]["mend"]


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        (Response(b"{}"), "wrong", "another secret"),
        (Response(b"", 403), "wrong", "another secret"),
        (Response(b"", 302, {"location": "/"}), "wrong", "redirects"),
        (Response(b"", 502), "wrong", "502"),
        (Response(b"", 404), "unknown", "404"),
    ],
)
def test_a_way_in_that_does_not_lead_to_ingest_is_found(
    world: World, answer: Response, state: str, says: str
) -> None:
    world.intake = lambda _: answer
    _, found, _ = world.ask()
    assert found["x @air: way in"]["state"] == state
    assert says in found["x @air: way in"]["says"]
    assert found["facebook 1010: way in"]["state"] == state


def test_a_test_line_is_sent_only_when_asked_for(world: World) -> None:
    world.ask()
    assert world.lines == []
    _, found, _ = world.ask("--send-test")
    assert found["care"]["state"] == "good"
    assert len(world.lines) == 1
    assert world.lines[0].startswith("[test]")


def test_a_mistake_in_presence_yaml_is_said_and_the_rest_still_looked_at(world: World) -> None:
    Path(world.environment["PRESENCE_CONFIG"]).write_text(
        "version: 1\nbrand: []\n", encoding="utf-8"
    )
    code, found, _ = world.ask()
    assert code == 1
    assert found["presence.yaml"]["state"] == "wrong"
    assert "presence config check" in found["presence.yaml"]["mend"]
    assert found["PRESENCE_LINK_SECRET"]["state"] == "good"


@pytest.mark.integration
def test_a_running_system_is_well_and_an_empty_one_says_what_is_missing(
    world: World, kafka: str, databases: Databases
) -> None:
    empty = databases.create_database("doctor_of_an_empty_one")
    world.environment |= {"PRESENCE_KAFKA": kafka, "PRESENCE_DATABASE_URL": empty}
    _, found, _ = world.ask()
    databases.drop_database("doctor_of_an_empty_one")
    assert found["Kafka"]["state"] == "good"
    assert found["clock"]["state"] == "good"
    assert found["PostgreSQL"]["state"] == "unknown"
    assert "no schema alert and ingest yet" in found["PostgreSQL"]["says"]


@pytest.mark.integration
def test_a_database_that_refuses_is_said_without_its_password(
    world: World, postgres: Callable[[], str]
) -> None:
    address = postgres().rpartition("@")[2].partition("/")[0]
    world.environment["PRESENCE_DATABASE_URL"] = (
        f"postgresql://nobody:hunter2-secret@{address}/none"
    )
    world.environment["PRESENCE_KAFKA"] = "127.0.0.1:1"
    code, found, said = world.ask()
    assert code == 1
    assert found["PostgreSQL"]["state"] == "wrong"
    assert found["Kafka"]["state"] == "wrong"
    assert found["topics"]["state"] == "unknown"
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "url", ["postgresql://u:pa/ss-secret@db/x", "nonsense secret", "postgresql://u:s@h:p"]
)
def test_a_broken_database_url_is_not_repeated(world: World, url: str) -> None:
    world.environment["PRESENCE_DATABASE_URL"] = url
    _, found, said = world.ask()
    assert found["PostgreSQL"]["state"] == "wrong"
    assert "secret" not in found["PostgreSQL"]["says"]
    assert url not in said


def test_as_a_process_it_prints_a_table_and_exits_1(world: World) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "services.cli.main", "doctor"],
        env={**world.secrets, **world.environment, "PATH": "", "COLUMNS": "100"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "✗" in run.stdout
    assert "→" in run.stdout
    assert "2 of" in run.stdout
    assert run.stderr == ""


async def test_checks_are_asked_at_once_and_none_takes_longer_than_its_time() -> None:
    started = threading.Barrier(3)

    async def together() -> Any:
        await asyncio.to_thread(started.wait, 5)
        return good("met")

    async def for_ever() -> Any:
        await asyncio.sleep(3600)

    async def breaks() -> Any:
        raise RuntimeError("postgresql://u:password@host")

    async def refused() -> Any:
        raise Permanent(State.wrong, "in words")

    names = [together, together, together, for_ever, breaks, refused]
    begun = time.monotonic()
    found = await run_checks([Check("a", one.__name__, one) for one in names], patience=1.0)
    assert time.monotonic() - begun < 5
    assert [one.finding.state for one in found] == [State.good] * 3 + [State.wrong] * 3
    assert "no answer within 1 s" in found[3].finding.says
    assert "password" not in found[4].finding.says
    assert "in words" in found[5].finding.says


def test_topics_are_judged() -> None:
    well = TopicState("a", True, 3, 12)
    assert judge_topics([well]).says == "1 as registered, 3 partitions each"
    assert judge_topics([well, TopicState("b", False)]).says == "missing: b"
    assert judge_topics([well, TopicState("b", True, 12, 12)]).state is State.wrong
    differs = TopicState("b", True, 3, 12, {"retention.ms": ("1", "2")})
    assert "presence topics apply" in judge_topics([well, differs]).mend


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.2, State.good), (-8, State.wrong), (400, State.wrong)]
)
def test_clocks_that_are_apart_are_told(seconds: float, state: State) -> None:
    assert judge_clock(timedelta(seconds=seconds)).state is state


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("https://prod-1.westeurope.logic.azure.com/workflows/1/run?sig=abc", State.good),
        ("https://prod-1.westeurope.logic.azure.com/workflows/1/run", State.wrong),
        ("https://air.webhook.office.com/webhookb2/1", State.wrong),
        ("http://prod-1.logic.azure.com/workflows/1/run?sig=abc", State.wrong),
        ("https://chat.example/hook?sig=abc", State.unknown),
        ("https://[broken?sig=abc", State.wrong),
    ],
)
def test_a_workflow_address_is_judged_by_its_form_and_not_repeated(url: str, state: State) -> None:
    found = judge_workflow_url(url, "TEAMS_URL")
    assert found.state is state
    assert "sig=abc" not in found.says + found.mend


def test_a_link_secret_is_long_and_not_of_one_letter() -> None:
    assert judge_link_secret(SecretStr("short")).state is State.wrong
    assert judge_link_secret(SecretStr("a" * 64)).state is State.wrong
    assert judge_link_secret(SecretStr("0123456789abcdef" * 4)).state is State.good
    assert judge_link_secret(None).state is State.wrong


def test_somebody_on_call_whom_nothing_can_wake_is_found(tmp_path: Path) -> None:
    file = configuration.load(write(tmp_path, members="mia, ben")).configuration
    assert judge_people(file).says == "nothing can wake ben: no id in any chat that is used"


def test_a_token_that_ends_soon_or_lacks_a_permission_is_told() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    scopes = ["instagram_basic", "instagram_manage_comments", "instagram_manage_messages"]
    told: dict[str, Any] = {"is_valid": True, "expires_at": 0, "scopes": scopes}
    ends = int((now + timedelta(days=3)).timestamp())
    assert judge_token(told, "instagram", "T", now).says.endswith("without an end")
    assert (
        judge_token({**told, "expires_at": ends}, "instagram", "T", now).says
        == "the token ends on 2026-11-25"
    )
    lapses = {**told, "data_access_expires_at": ends}
    assert judge_token(lapses, "instagram", "T", now).says == "the token ends on 2026-11-25"
    assert (
        "instagram_basic" in judge_token({**told, "scopes": scopes[1:]}, "instagram", "T", now).says
    )
    assert judge_token({**told, "is_valid": False}, "instagram", "T", now).state is State.wrong
