"""What Meta tells of a page's token: how long it holds, what it may, and whether the page is subscribed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from services.contracts.configuration import Account, FacebookAccount, InstagramAccount
from services.ingest.sources.meta_graph_api import GraphApi, token_ends
from services.ingest.sources.registry import Secrets
from services.runtime.checks import Check, Finding, answered, good, unknown, wrong
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent

SOON = timedelta(days=14)
NEEDED = {
    "facebook": {"pages_read_engagement", "pages_read_user_content", "pages_messaging"},
    "instagram": {"instagram_basic", "instagram_manage_comments", "instagram_manage_messages"},
}
FIELDS = {"feed", "messages", "message_echoes"}
_NO_TOKEN = "no access_token: a gap of the webhook is not read afterwards, and the token cannot be looked at"  # noqa: S105


def checks(area: str, label: str, account: Account, secrets: Secrets) -> Iterator[Check]:
    """For pages and Instagram accounts; nothing for others."""
    if not isinstance(account, FacebookAccount | InstagramAccount):
        return
    name = account.settings.access_token
    if name is None:
        mend = "make a long-lived page token and name its variable under settings.access_token"
        yield answered(area, f"{label}: Graph", unknown(_NO_TOKEN, mend))
        return
    secret, app_secret = secrets(name), secrets(account.settings.app_secret)

    async def permissions() -> Finding:
        async with GraphApi(
            str(account.settings.api_url), secret, app_secret, SystemClock()
        ) as api:
            return await _permissions(api, account.platform, name)

    async def subscribed() -> Finding:
        async with GraphApi(
            str(account.settings.api_url), secret, app_secret, SystemClock()
        ) as api:
            return await _subscribed(api, account.id)

    yield Check(area, f"{label}: permissions", permissions)
    if isinstance(account, FacebookAccount):
        yield Check(area, f"{label}: subscription", subscribed)


async def _permissions(api: GraphApi, platform: str, name: str) -> Finding:
    """debug_token; some tokens may not look at themselves."""
    try:
        found = await api.inspect_token()
    except Permanent:
        return unknown(
            "Meta does not let this token be looked at: its permissions show in use only"
        )
    return judge_token(found, platform, name, datetime.now(UTC))


def judge_token(told: dict[str, Any], platform: str, name: str, now: datetime) -> Finding:
    """What debug_token says, in words."""
    renew = f"make a new long-lived page token and put it into {name}"
    if told.get("is_valid") is False:
        return wrong("Meta says that the token is not valid any more", renew)
    ends = token_ends(told)
    if ends is not None and ends - now < SOON:
        return wrong(f"the token ends on {ends:%Y-%m-%d}", renew)
    scopes = told.get("scopes")
    if not isinstance(scopes, list):
        return unknown("Meta tells no permissions of this token")
    missing = NEEDED[platform] - set(map(str, scopes))
    if missing:
        says = f"the token lacks {', '.join(sorted(missing))}"
        return wrong(says, f"grant them to the app (app review for foreign pages); {renew}")
    until = f"until {ends:%Y-%m-%d}" if ends else "without an end"
    return good(f"the token may all that Presence reads, {until}")


async def _subscribed(api: GraphApi, page_id: str) -> Finding:
    try:
        found = await api.get(f"/{page_id}/subscribed_apps", {"fields": "subscribed_fields"})
    except Permanent:
        return unknown("Meta does not tell this token which apps the page is subscribed to")
    mend = f"POST /{page_id}/subscribed_apps?subscribed_fields={','.join(sorted(FIELDS))}"
    apps = [one for one in found.get("data") or () if isinstance(one, dict)]
    if not apps:
        return wrong("the page is subscribed to no app: its webhook stays silent", mend)
    fields = {str(one) for app in apps for one in app.get("subscribed_fields") or ()}
    if missing := FIELDS - fields:
        return wrong(f"the page does not send {', '.join(sorted(missing))}", mend)
    return good("the page sends comments, messages and echoes to the app")
