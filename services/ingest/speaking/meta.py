"""Answering on Facebook pages, Messenger and Instagram through the Graph API, which has no idempotency
key and promises nothing about reads: at most once."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from services.contracts.configuration import Account, FacebookAccount, InstagramAccount
from services.contracts.configuration.accounts import MESSAGE_WINDOW, MetaSettings
from services.contracts.events import Author, Kind
from services.ingest.domain.accounts import OwnAccount
from services.ingest.domain.address import Address
from services.ingest.domain.item import Item
from services.ingest.domain.replying import Certainty, Draft, Refusal, RefusalCause
from services.ingest.speaking.http import TIMEOUT, Api, seconds
from services.ingest.speaking.port import Ambiguous, Posted, SpeakReason
from services.runtime.clock import Clock
from services.runtime.errors import Permanent

PRIVATE_REPLY_WINDOW = timedelta(days=7)
"""After the comment or post, once (Private Replies)."""
COMMENT_LIMIT = {"facebook": 8_000, "instagram": 300}
MESSAGE_LIMIT = {"facebook": 2_000, "instagram": 1_000}
"""Characters on Messenger; bytes of UTF-8 on Instagram."""
LIMITED = frozenset({4, 17, 32, 613, *range(80001, 80015)})
"""Graph's error codes for a used-up limit; they come with status 400 or 403."""


class MetaSpeaker:
    """One page's or Instagram account's mouth."""

    certainty = Certainty.none
    key_lifetime = timedelta(0)

    def __init__(
        self,
        account: OwnAccount,
        settings: MetaSettings,
        token: SecretStr,
        app_secret: SecretStr,
        clock: Clock,
    ) -> None:
        self.account = account
        self._window = settings.message_window
        self._clock = clock
        written = token.get_secret_value()
        # Proves that the caller has the app's secret and not only a token that leaked.
        proof = hmac.new(
            app_secret.get_secret_value().encode(), written.encode(), hashlib.sha256
        ).hexdigest()
        client = httpx.AsyncClient(
            base_url=str(settings.api_url).rstrip("/"),
            headers={"authorization": f"Bearer {written}"},
            params={"appsecret_proof": proof},
            timeout=TIMEOUT,
        )
        self._api = Api(client, lambda told: str(told["error"]["message"]), _retry_after, _limited)

    async def prepare(self) -> None:
        """Meta's limits are the same everywhere."""

    def check(self, draft: Draft, address: Address, now: datetime) -> Refusal | None:
        """Windows count from the person's last message, or from the comment."""
        details, platform = address.details, self.account.platform
        if "person" in details and not draft.private:
            says = "a message can only be answered in private"
            return Refusal(RefusalCause.visibility, says)
        if "mentioned_in" in details and draft.private:
            says = "Instagram takes no private answer to a mention: answer in public"
            return Refusal(RefusalCause.visibility, says)
        if draft.private:
            closes = self._closes(address)
            if now >= closes:
                says = f"Meta takes no private answer after {closes:%Y-%m-%d %H:%M} UTC"
                return Refusal(RefusalCause.window_closed, says)
            in_bytes = platform == "instagram"
            length = len(draft.text.encode()) if in_bytes else len(draft.text)
            limit = MESSAGE_LIMIT[platform]
            unit = "bytes" if in_bytes else "characters"
        else:
            length, limit, unit = len(draft.text), COMMENT_LIMIT[platform], "characters"
        if length > limit:
            return Refusal(RefusalCause.too_long, f"{length} of {limit} {unit}")
        return None

    async def post(self, draft: Draft, address: Address, key: str) -> Posted:
        """See Speaker; Meta takes no key."""
        if draft.private:
            body: dict[str, Any] = {
                "recipient": _recipient(address),
                "message": {"text": draft.text},
            }
            if "person" in address.details:
                body |= self._message_type(address)
            told = await self._api.write("/me/messages", json=body)
            return self._posted(told, "message_id", draft, address, Kind.direct)
        path, body = self._comment(draft, address)
        told = await self._api.write(path, json=body)
        return self._posted(told, "id", draft, address, Kind.comment)

    def _closes(self, address: Address) -> datetime:
        """When the last private answer may begin."""
        if "person" in address.details:
            return _written(address) + self._window
        return address.said_at + PRIVATE_REPLY_WINDOW

    def _message_type(self, address: Address) -> dict[str, str]:
        """Within a day an answer needs no tag; after that the one for what a person writes."""
        if self._clock.now() >= _written(address) + MESSAGE_WINDOW:
            return {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
        return {"messaging_type": "RESPONSE"} if self.account.platform == "facebook" else {}

    def _comment(self, draft: Draft, address: Address) -> tuple[str, dict[str, Any]]:
        details = address.details
        if "mentioned_in" in details:
            body = {"media_id": details["mentioned_in"], "message": draft.text}
            if "mentioned_by" in details:
                body["comment_id"] = details["mentioned_by"]
            return f"/{quote(self.account.native_id)}/mentions", body
        if "under" in details:
            return f"/{quote(details['under'])}/replies", {"message": draft.text}
        answered = details.get("comment") or details["post"]
        return f"/{quote(answered)}/comments", {"message": draft.text}

    def _posted(self, told: Any, name: str, draft: Draft, address: Address, kind: Kind) -> Posted:
        native_id = told.get(name) if isinstance(told, dict) else None
        if not isinstance(native_id, str) or not native_id:
            raise Ambiguous(SpeakReason.unexpected, f"an answer without {name}")
        direct = kind is Kind.direct
        details = address.details
        return Posted(
            Item(
                native_id=native_id,
                author=Author(id=self.account.native_id),
                kinds=frozenset({kind}),
                in_reply_to=None if direct else details.get("comment") or details.get("post"),
                private=direct,
                text=draft.text,
                happened_at=self._clock.now(),
            )
        )

    async def find(self, draft: Draft, address: Address, since: datetime) -> Posted | None:
        """Graph reads promise no consistency: they tell nothing."""
        raise Permanent(SpeakReason.unexpected, "Meta can't be asked")

    async def close(self) -> None:
        """See Speaker."""
        await self._api.http.aclose()


def _written(address: Address) -> datetime:
    """When the person last wrote in private."""
    return address.heard_at or address.said_at


def _recipient(address: Address) -> dict[str, str]:
    details = address.details
    for name, field in (("person", "id"), ("comment", "comment_id"), ("post", "post_id")):
        if name in details:
            return {field: details[name]}
    raise KeyError("an address without recipient")


def _code(told: Any) -> int | None:
    error = told.get("error") if isinstance(told, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) else None


def _limited(response: httpx.Response, told: Any) -> bool:
    return response.status_code == 429 or (response.status_code >= 400 and _code(told) in LIMITED)


def _retry_after(response: httpx.Response) -> float:
    """Meta tells minutes, by account and kind of use."""
    minutes = 0
    try:
        usage = orjson.loads(response.headers.get("x-business-use-case-usage", "{}"))
        for uses in usage.values():
            minutes = max(minutes, *(one["estimated_time_to_regain_access"] for one in uses))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        pass
    return seconds(response.headers, minutes * 60.0 or 60.0)


def build(account: Account, own: OwnAccount, secrets: Any, clock: Clock) -> MetaSpeaker | None:
    """None where no access token is configured."""
    if not isinstance(account, FacebookAccount | InstagramAccount):
        return None
    settings = account.settings
    if settings.access_token is None:
        return None
    token, app_secret = secrets(settings.access_token), secrets(settings.app_secret)
    return MetaSpeaker(own, settings, token, app_secret, clock)
