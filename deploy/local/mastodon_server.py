"""A small server that speaks Mastodon's API for one account: for the demo and tests only.

REST as far as a client that follows its notifications needs it, and the streaming API as server-sent
events. What happens on it is fed through `POST /_demo/events` as `{"event": …, "payload": entity}`.

`python -m deploy.local.mastodon_server --port 3000` serves it; the access token is read from
PRESENCE_MASTODON_ACCESS_TOKEN.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.local.demo.payloads.mastodon import brand_account
from deploy.local.serving import StreamServer

Entity = dict[str, Any]
_HEARTBEAT_SECONDS = 15.0
_MOST = 80
_HELD_BACK = 10_000
"""Frames that one stream may be behind before it is cut, as a real server does."""


def _number(entity: Entity) -> int:
    return int(entity["id"])


class Stream:
    """One client that listens."""

    def __init__(self, notifications_only: bool) -> None:
        self.notifications_only = notifications_only
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue(_HELD_BACK)

    def wants(self, event: str) -> bool:
        """Whether this stream carries the event."""
        return not self.notifications_only or event == "notification"

    def put(self, frame: bytes | None) -> None:
        """Hand it over, or cut a stream that is too far behind."""
        if self.frames.full():
            self.frames.get_nowait()
            frame = None
        self.frames.put_nowait(frame)


class LocalMastodon:
    """What has happened on the server: the account's notifications, and every status it has seen."""

    def __init__(self, account: Entity) -> None:
        self.account = account
        self.notifications: dict[int, Entity] = {}
        self.statuses: dict[int, Entity] = {}
        self.streams: set[Stream] = set()
        self._answered: dict[str, Entity] = {}

    def happen(self, event: str, payload: Any) -> None:
        """Store it and stream it. Raises ValueError on an event that Mastodon does not have."""
        if event == "notification":
            self.notifications[_number(payload)] = payload
            if "status" in payload:
                self.statuses[_number(payload["status"])] = payload["status"]
        elif event == "update":
            self.statuses[_number(payload)] = payload
        elif event == "status.update":
            self._edit(payload)
        elif event == "delete":
            self._delete(int(payload))
        else:
            raise ValueError(f"no event {event!r} in Mastodon's streaming API")
        data = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
        frame = f"event: {event}\ndata: {data}\n\n".encode()
        for stream in self.streams:
            if stream.wants(event):
                stream.put(frame)

    def answer(self, written: Mapping[str, Any], key: str, now: datetime) -> Entity | None:
        """The account answers one of the statuses here; once for an idempotency key. None: no such one."""
        if key in self._answered:
            return self._answered[key]
        about = self.statuses.get(int(written.get("in_reply_to_id") or 0))
        text = str(written.get("status") or "").strip()
        if about is None or not text:
            return None
        person, number = about["account"], str(max(self.statuses) + 1)
        status = about | {
            "id": number,
            "created_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "in_reply_to_id": about["id"],
            "in_reply_to_account_id": person["id"],
            "visibility": written.get("visibility") or "public",
            "uri": f"{self.account['uri']}/statuses/{number}",
            "url": f"{self.account['url']}/{number}",
            "edited_at": None,
            "content": f"<p>{html.escape(text, quote=False)}</p>",
            "account": self.account,
            "mentions": [{name: person[name] for name in ("id", "username", "url", "acct")}],
        }
        if key:
            self._answered[key] = status
        self.happen("update", status)
        return status

    def disconnect(self) -> int:
        """Cut every stream, as a restarted server does."""
        for stream in self.streams:
            stream.put(None)
        return len(self.streams)

    def own_statuses(self) -> list[Entity]:
        """The account's own, newest first."""
        own = [one for one in self.statuses.values() if one["account"]["id"] == self.account["id"]]
        return sorted(own, key=_number, reverse=True)

    def context(self, status: Entity) -> dict[str, list[Entity]]:
        """What came before it in its thread, and what came after."""
        ancestors: list[Entity] = []
        above: Entity | None = status
        while above is not None and above["in_reply_to_id"] is not None:
            above = self.statuses.get(int(above["in_reply_to_id"]))
            if above is not None:
                ancestors.insert(0, above)
        family, descendants = {status["id"]}, []
        for one in sorted(self.statuses.values(), key=_number):
            if one["in_reply_to_id"] in family:
                family.add(one["id"])
                descendants.append(one)
        return {"ancestors": ancestors, "descendants": descendants}

    def _edit(self, status: Entity) -> None:
        self.statuses[_number(status)] = status
        for notification in self.notifications.values():
            if notification.get("status", {}).get("id") == status["id"]:
                notification["status"] = status

    def _delete(self, status_id: int) -> None:
        self.statuses.pop(status_id, None)
        gone = str(status_id)
        self.notifications = {
            number: one
            for number, one in self.notifications.items()
            if one.get("status", {}).get("id") != gone
        }


def _limit(query: Mapping[str, str], most: int, default: int) -> int:
    value = query.get("limit", "")
    return max(1, min(most, int(value))) if value.isdigit() else default


def page(
    entities: Iterable[Entity], query: Mapping[str, str], most: int, default: int
) -> list[Entity]:
    """One page, newest first: `max_id` and `since_id` count from the newest, `min_id` from itself up."""
    found = sorted(entities, key=_number)
    if "max_id" in query:
        found = [one for one in found if _number(one) < int(query["max_id"])]
    limit = _limit(query, most, default)
    if "min_id" in query:
        return [one for one in found if _number(one) > int(query["min_id"])][:limit][::-1]
    if "since_id" in query:
        found = [one for one in found if _number(one) > int(query["since_id"])]
    return found[::-1][:limit]


def _paged(request: Request, entities: list[Entity]) -> Response:
    headers = {}
    if entities:
        bare = request.url.remove_query_params(["max_id", "min_id", "since_id"])
        older = bare.include_query_params(max_id=entities[-1]["id"])
        newer = bare.include_query_params(min_id=entities[0]["id"])
        headers["Link"] = f'<{older}>; rel="next", <{newer}>; rel="prev"'
    return JSONResponse(entities, headers=headers)


def _not_found() -> Response:
    return JSONResponse({"error": "Record not found"}, 404)


class Api:
    """The HTTP face of the server."""

    def __init__(self, server: LocalMastodon, token: SecretStr, heartbeat: float) -> None:
        self.server = server
        self._token = token
        self._heartbeat = heartbeat

    def routes(self) -> list[Route]:
        """Everything that it answers."""
        own: list[tuple[str, Callable[[Request], Any]]] = [
            ("/api/v1/notifications", self.notifications),
            ("/api/v1/notifications/{id:int}", self.notification),
            ("/api/v1/statuses/{id:int}", self.status),
            ("/api/v1/statuses/{id:int}/context", self.context),
            ("/api/v1/accounts/verify_credentials", self.verify_credentials),
            ("/api/v1/accounts/{id:int}/statuses", self.account_statuses),
            ("/api/v1/streaming/user", self.stream_user),
            ("/api/v1/streaming/user/notification", self.stream_notifications),
        ]
        return [
            *(Route(path, self._known(endpoint)) for path, endpoint in own),
            Route("/api/v1/statuses", self._known(self.post_status), methods=["POST"]),
            Route("/api/v1/instance", self.instance_v1),
            Route("/api/v2/instance", self.instance),
            Route("/api/v1/streaming/health", lambda _: Response("OK", media_type="text/plain")),
            Route("/_demo/events", self.events, methods=["POST"]),
            Route("/_demo/disconnect", self.disconnect, methods=["POST"]),
            Route("/_demo/state", self.state),
        ]

    def _known(self, endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def checked(request: Request) -> Response:
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            given = bearer or request.query_params.get("access_token", "")
            if given != self._token.get_secret_value():
                return JSONResponse({"error": "The access token is invalid"}, 401)
            response: Response = await endpoint(request)
            return response

        return checked

    async def notifications(self, request: Request) -> Response:
        query = request.query_params
        wanted, unwanted = query.getlist("types[]"), query.getlist("exclude_types[]")
        found = [
            one
            for one in self.server.notifications.values()
            if (not wanted or one["type"] in wanted) and one["type"] not in unwanted
        ]
        return _paged(request, page(found, query, _MOST, 40))

    async def notification(self, request: Request) -> Response:
        found = self.server.notifications.get(request.path_params["id"])
        return JSONResponse(found) if found else _not_found()

    async def status(self, request: Request) -> Response:
        found = self.server.statuses.get(request.path_params["id"])
        return JSONResponse(found) if found else _not_found()

    async def post_status(self, request: Request) -> Response:
        """An answer of the account; the demo's server takes nothing else."""
        json = request.headers.get("content-type", "").startswith("application/json")
        written = await request.json() if json else dict(await request.form())
        key = request.headers.get("idempotency-key", "")
        found = self.server.answer(written, key, datetime.now(UTC))
        if found is None:
            return JSONResponse({"error": "Validation failed: an answer needs its status"}, 422)
        return JSONResponse(found)

    async def context(self, request: Request) -> Response:
        found = self.server.statuses.get(request.path_params["id"])
        return JSONResponse(self.server.context(found)) if found else _not_found()

    async def verify_credentials(self, _request: Request) -> Response:
        source = {
            "privacy": "public",
            "sensitive": False,
            "language": "en",
            "note": "",
            "fields": [],
        }
        return JSONResponse(self.server.account | {"source": source})

    async def account_statuses(self, request: Request) -> Response:
        own = str(request.path_params["id"]) == self.server.account["id"]
        found = self.server.own_statuses() if own else []
        return _paged(request, page(found, request.query_params, 40, 20))

    async def stream_user(self, request: Request) -> Response:
        return self._stream(request, notifications_only=False)

    async def stream_notifications(self, request: Request) -> Response:
        return self._stream(request, notifications_only=True)

    def _stream(self, _request: Request, *, notifications_only: bool) -> Response:
        stream = Stream(notifications_only)
        # From here on, not from the first byte read: nothing may fall between.
        self.server.streams.add(stream)
        return StreamingResponse(self._frames(stream), media_type="text/event-stream")

    async def _frames(self, stream: Stream) -> AsyncIterator[bytes]:
        try:
            yield b":)\n"
            while True:
                try:
                    frame = await asyncio.wait_for(stream.frames.get(), self._heartbeat)
                except TimeoutError:
                    frame = b":thump\n"
                if frame is None:
                    return
                yield frame
        finally:
            self.server.streams.discard(stream)

    async def instance(self, request: Request) -> Response:
        streaming = f"ws://{request.url.netloc}"
        return JSONResponse(
            {
                "domain": request.url.netloc,
                "title": "Aurora Social",
                "version": "4.4.1",
                "source_url": "",
                "description": "A local stand-in for Mastodon.",
                "languages": ["en"],
                "configuration": {"urls": {"streaming": streaming}},
                "api_versions": {"mastodon": 6},
                "rules": [],
            }
        )

    async def instance_v1(self, request: Request) -> Response:
        urls = {"streaming_api": f"ws://{request.url.netloc}"}
        about = {"uri": request.url.netloc, "title": "Aurora Social", "version": "4.4.1"}
        return JSONResponse(about | {"urls": urls})

    async def events(self, request: Request) -> Response:
        try:
            event = orjson.loads(await request.body())
            self.server.happen(event["event"], event["payload"])
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 422)
        return JSONResponse({"ok": True})

    async def disconnect(self, _request: Request) -> Response:
        return JSONResponse({"cut": self.server.disconnect()})

    async def state(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "streams": len(self.server.streams),
                "notifications": len(self.server.notifications),
                "statuses": len(self.server.statuses),
            }
        )


def create_app(
    token: SecretStr, *, account: Entity | None = None, heartbeat: float = _HEARTBEAT_SECONDS
) -> Starlette:
    """The server for one account; `heartbeat` is the seconds between `:thump`s."""
    server = LocalMastodon(account or brand_account(datetime.now(UTC)))
    app = Starlette(routes=Api(server, token, heartbeat).routes())
    app.state.stop = server.disconnect
    return app


def main(arguments: list[str] | None = None) -> None:
    """Serve it on this machine until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.mastodon_server")
    parser.add_argument("--port", type=int, default=3000)
    chosen = parser.parse_args(arguments)
    token = os.environ.get("PRESENCE_MASTODON_ACCESS_TOKEN")
    if not token:
        sys.exit("set PRESENCE_MASTODON_ACCESS_TOKEN to the token that clients have to bring")
    StreamServer(create_app(SecretStr(token)), chosen.port).run()


if __name__ == "__main__":
    main()
