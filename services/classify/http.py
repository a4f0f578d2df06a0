"""`POST /v1/classify`: one text or notification in, its verdict out; `?explain` says how it came about."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from services.classify.bare import as_notification
from services.classify.classifier import Classifier
from services.classify.explain import explain
from services.contracts.events import Author, Kind, Notification
from services.runtime.asgi import (
    App,
    BodyTooLarge,
    ClientGone,
    Receive,
    Scope,
    Send,
    answer,
    answer_json,
    read_body,
)

BODY_LIMIT: Final = 1_048_576


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    kinds: frozenset[Kind] = frozenset({Kind.mention})
    addressed: bool = False
    private: bool = False
    title: str | None = None
    language_hint: str | None = None
    author: Author | None = None


def classify_app(classifier: Classifier, needs_answer_from: float = 0.5) -> App:
    """The route. 400 for what is no JSON, 422 for another shape, 413 beyond a megabyte."""

    async def classify(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            refusal = {"error": "POST a text or a notification as JSON"}
            await answer_json(send, 405, refusal, headers=[(b"allow", b"POST")])
            return
        try:
            body = await read_body(scope, receive, BODY_LIMIT)
        except BodyTooLarge:
            await answer_json(send, 413, {"error": f"at most {BODY_LIMIT} bytes"})
            return
        except ClientGone:
            return
        try:
            item = read_item(body)
        except orjson.JSONDecodeError as error:
            await answer_json(send, 400, {"error": f"no JSON: {error}"})
            return
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            await answer_json(send, 422, {"error": f"{where}: {first['msg']}"})
            return
        content = await asyncio.to_thread(
            _explained if _wants_explanation(scope) else _judged,
            classifier,
            item,
            needs_answer_from,
        )
        await answer(send, 200, content, content_type=b"application/json")

    return classify


def _wants_explanation(scope: Scope) -> bool:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return query.get("explain", ["0"])[-1].lower() not in {"0", "false", "no"}


def _judged(classifier: Classifier, item: Notification, _needs_answer_from: float) -> bytes:
    return classifier.judge([item])[0].model_dump_json(exclude_none=True).encode()


def _explained(classifier: Classifier, item: Notification, needs_answer_from: float) -> bytes:
    return explain(classifier, item, needs_answer_from).model_dump_json(exclude_none=True).encode()


def read_item(body: bytes) -> Notification:
    """A whole notification, or `{text, …}` as a mention. Raises JSONDecodeError or ValidationError."""
    value = orjson.loads(body)
    if isinstance(value, Mapping) and "event_id" in value:
        return Notification.model_validate_json(body)
    asked = _Question.model_validate_json(body)
    return as_notification(
        asked.text,
        kinds=asked.kinds,
        addressed=asked.addressed,
        private=asked.private,
        title=asked.title,
        author=asked.author,
        language_hint=asked.language_hint,
    )
