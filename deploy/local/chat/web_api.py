"""Slack's Web API, as far as Presence calls it: `/api/<method>`, in JSON and form encodings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deploy.local.chat.blocks import block_faults, units, view_faults
from deploy.local.chat.faults import Fault, FaultKind, Faults
from deploy.local.chat.interactions import Triggers, view_entity, with_ids
from deploy.local.chat.workspace import APP, BOT_ID, BOT_USER, TEAM, Message, Workspace

Fields = dict[str, Any]
Answer = dict[str, Any]
_IN_JSON = ("blocks", "attachments", "metadata", "view")
_POST_TEXT = 40_000
_UPDATE_TEXT = 4_000
_PAGE = 100
_MOST = 999


class Refusal(Exception):
    """`ok: false` with Slack's own error code."""

    def __init__(self, error: str, details: list[str] | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.details = details or []

    def answer(self) -> Answer:
        """The body of the answer."""
        body: Answer = {"ok": False, "error": self.error}
        if self.details:
            messages = [f"[ERROR] {detail}" for detail in self.details]
            body |= {"errors": self.details, "response_metadata": {"messages": messages}}
        return body


async def read_fields(request: Request) -> Fields:
    """The call's arguments, from the query, a form or JSON. Raises Refusal."""
    fields: Fields = dict(request.query_params)
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/json"):
        try:
            body = orjson.loads(await request.body() or b"{}")
        except orjson.JSONDecodeError:
            raise Refusal("invalid_json") from None
        if not isinstance(body, dict):
            raise Refusal("json_not_object")
        fields |= body
    elif request.method == "POST":
        fields |= dict((await request.form()).items())
    for name in _IN_JSON:
        if isinstance(fields.get(name), str) and fields[name]:
            try:
                fields[name] = orjson.loads(fields[name])
            except orjson.JSONDecodeError:
                raise Refusal(f"invalid_{'arguments' if name == 'view' else name}") from None
    return {name: value for name, value in fields.items() if value is not None}


def _true(value: Any) -> bool:
    return value in (True, 1, "1", "true", "True")


class WebApi:
    """The methods. Each returns what Slack would add to `ok: true`, or raises Refusal."""

    def __init__(
        self, workspace: Workspace, token: SecretStr | None, faults: Faults, triggers: Triggers
    ) -> None:
        self.calls: list[dict[str, Any]] = []
        self._workspace = workspace
        self._token = token
        self._faults = faults
        self._triggers = triggers
        self._methods: dict[str, Callable[[Fields, str], Answer]] = {
            "api.test": lambda _fields, _base: {},
            "auth.test": self._auth_test,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._channel_info,
            "conversations.open": self._open_direct,
            "conversations.replies": self._replies,
            "users.info": self._user_info,
            "users.lookupByEmail": self._user_by_email,
            "views.open": self._open_view,
            "views.update": self._update_view,
        }

    async def endpoint(self, request: Request) -> Response:
        """One call."""
        method = request.path_params["method"]
        fault = self._faults.take(method)
        if fault is not None and fault.kind in (
            FaultKind.rate_limited,
            FaultKind.error,
            FaultKind.status,
        ):
            self.calls.append({"method": method, "fault": fault.kind.value})
            return _refused_by(fault)
        if fault is not None and fault.kind is FaultKind.slow:
            await asyncio.sleep(fault.seconds)
        try:
            fields = await read_fields(request)
            recorded = {name: value for name, value in fields.items() if name != "token"}
            self.calls.append({"method": method, "fields": recorded})
            self._check_token(request, fields)
            act = self._methods.get(method, _unknown)
            answer = {"ok": True, **act(fields, str(request.base_url))}
        except Refusal as refusal:
            answer = refusal.answer()
        if fault is not None and fault.kind is FaultKind.lost_answer:
            return Response("bad gateway", 502)
        return JSONResponse(answer)

    def _check_token(self, request: Request, fields: Fields) -> None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = bearer or fields.get("token", "")
        if not given:
            raise Refusal("not_authed")
        if self._token is not None and given != self._token.get_secret_value():
            raise Refusal("invalid_auth")

    def _channel(self, fields: Fields) -> str:
        channel = self._workspace.channel_of(str(fields.get("channel", "")))
        if channel is None:
            raise Refusal("channel_not_found")
        return channel

    def _content(self, fields: Fields, longest: int) -> Message:
        """Text, blocks and metadata, checked as Slack does."""
        content: Message = {"text": str(fields.get("text", ""))}
        if (
            not content["text"].strip()
            and not fields.get("blocks")
            and not fields.get("attachments")
        ):
            raise Refusal("no_text")
        if units(content["text"]) > longest:
            raise Refusal("msg_too_long")
        if "blocks" in fields:
            if found := block_faults(fields["blocks"]):
                raise Refusal("invalid_blocks", [str(fault) for fault in found])
            content["blocks"] = with_ids(fields["blocks"])
        if "metadata" in fields:
            metadata = fields["metadata"]
            if not isinstance(metadata, dict) or {"event_type", "event_payload"} - metadata.keys():
                raise Refusal("invalid_metadata_format")
            content["metadata"] = metadata
        return content

    def _auth_test(self, _fields: Fields, base: str) -> Answer:
        names = {"team": "Local chat", "user": "presence", "team_id": TEAM, "user_id": BOT_USER}
        return {"url": base, "bot_id": BOT_ID, "app_id": APP, **names}

    def _post_message(self, fields: Fields, _base: str) -> Answer:
        channel = self._channel(fields)
        content = self._content(fields, _POST_TEXT)
        if fields.get("thread_ts"):
            thread = str(fields["thread_ts"])
            if (channel, thread) not in self._workspace.messages:
                raise Refusal("thread_not_found")
            content["thread_ts"] = thread
        message = self._workspace.post(channel, content)
        return {"channel": channel, "ts": message["ts"], "message": message}

    def _post_ephemeral(self, fields: Fields, _base: str) -> Answer:
        channel = self._channel(fields)
        if fields.get("user") not in self._workspace.members:
            raise Refusal("user_not_in_channel")
        content = self._content(fields, _POST_TEXT)
        message = self._workspace.post(channel, content, ephemeral_for=fields["user"])
        return {"message_ts": message["ts"]}

    def _message(self, channel: str, ts: Any) -> Message:
        message = self._workspace.messages.get((channel, str(ts)))
        if message is None or "ephemeral_for" in message:
            raise Refusal("message_not_found")
        return message

    def _update(self, fields: Fields, _base: str) -> Answer:
        channel = self._channel(fields)
        message = self._message(channel, fields.get("ts"))
        changed = self._workspace.change(message, self._content(fields, _UPDATE_TEXT))
        return {
            "channel": channel,
            "ts": message["ts"],
            "text": changed["text"],
            "message": changed,
        }

    def _delete(self, fields: Fields, _base: str) -> Answer:
        channel = self._channel(fields)
        message = self._message(channel, fields.get("ts"))
        self._workspace.remove(channel, message["ts"])
        return {"channel": channel, "ts": message["ts"]}

    def _permalink(self, fields: Fields, base: str) -> Answer:
        channel = self._channel(fields)
        message = self._message(channel, fields.get("message_ts"))
        address = f"{base}archives/{channel}/p{message['ts'].replace('.', '')}"
        return {"channel": channel, "permalink": address}

    def _page(self, found: list[Message], fields: Fields) -> Answer:
        oldest, latest = str(fields.get("oldest") or "0"), str(fields.get("latest") or "9e9")
        found = [one for one in found if float(oldest) < float(one["ts"]) < float(latest)]
        limit = max(1, min(_MOST, int(fields.get("limit") or _PAGE)))
        skip = int(str(fields.get("cursor") or "0"))
        page = [dict(one) for one in found[skip : skip + limit]]
        if not _true(fields.get("include_all_metadata")):
            for one in page:
                one.pop("metadata", None)
        more = len(found) > skip + limit
        cursor = {"next_cursor": str(skip + limit) if more else ""}
        return {"messages": page, "has_more": more, "response_metadata": cursor}

    def _history(self, fields: Fields, _base: str) -> Answer:
        found = self._workspace.in_channel(self._channel(fields))
        return self._page([one for one in found if "thread_ts" not in one][::-1], fields)

    def _replies(self, fields: Fields, _base: str) -> Answer:
        channel, ts = self._channel(fields), str(fields.get("ts", ""))
        found = self._workspace.in_channel(channel)
        thread = [one for one in found if ts in (one["ts"], one.get("thread_ts"))]
        if not thread:
            raise Refusal("thread_not_found")
        return self._page(thread, fields)

    def _channel_info(self, fields: Fields, _base: str) -> Answer:
        channel = self._channel(fields)
        direct = channel not in self._workspace.channels
        name = self._workspace.channels.get(channel)
        return {"channel": {"id": channel, "name": name, "is_im": direct, "is_member": True}}

    def _open_direct(self, fields: Fields, _base: str) -> Answer:
        member = str(fields.get("users", ""))
        if member not in self._workspace.members:
            raise Refusal("user_not_found")
        return {"channel": {"id": self._workspace.direct_channel(member)}}

    def _user(self, member_id: Any) -> Answer:
        member = self._workspace.members.get(str(member_id))
        if member is None:
            raise Refusal("user_not_found")
        profile = {"real_name": member.name, "display_name": member.handle, "email": member.email}
        names = {"name": member.handle, "real_name": member.name, "tz": member.zone}
        return {
            "user": {
                "id": member.id,
                "team_id": TEAM,
                "deleted": False,
                **names,
                "profile": profile,
            }
        }

    def _user_info(self, fields: Fields, _base: str) -> Answer:
        return self._user(fields.get("user"))

    def _user_by_email(self, fields: Fields, _base: str) -> Answer:
        for member in self._workspace.members.values():
            if member.email and member.email == fields.get("email"):
                return self._user(member.id)
        raise Refusal("users_not_found")

    def _view(self, fields: Fields) -> dict[str, Any]:
        view = fields.get("view")
        if found := view_faults(view):
            raise Refusal("invalid_arguments", [str(fault) for fault in found])
        assert isinstance(view, dict)
        return view

    def _open_view(self, fields: Fields, _base: str) -> Answer:
        view = self._view(fields)
        opener, error = self._triggers.exchange(str(fields.get("trigger_id", "")))
        if opener is None:
            raise Refusal(error)
        return {"view": view_entity(self._workspace.open_view(view, *opener))}

    def _update_view(self, fields: Fields, _base: str) -> Answer:
        opened = self._workspace.views.get(str(fields.get("view_id", "")))
        if opened is None:
            raise Refusal("not_found")
        return {"view": view_entity(self._workspace.update_view(opened, self._view(fields)))}


def _unknown(_fields: Fields, _base: str) -> Answer:
    raise Refusal("unknown_method")


def _refused_by(fault: Fault) -> Response:
    if fault.kind is FaultKind.rate_limited:
        headers = {"Retry-After": str(max(1, round(fault.seconds)))}
        return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers=headers)
    if fault.kind is FaultKind.error:
        return JSONResponse({"ok": False, "error": fault.error})
    return Response("unavailable", fault.status)
