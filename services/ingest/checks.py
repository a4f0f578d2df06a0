"""Checks of every account that the brand listens through: secrets, tokens, and the way in from outside.

A platform that is listened to is asked with the very source that listens, so a new one is checked by
being one. What a platform alone knows stands in `sources/*_checks.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx

from services.contracts.configuration import Account, Configuration, WebhookAccount, XAccount
from services.ingest.sources import mastodon_checks, meta_checks, reach, x_checks
from services.ingest.sources.pulled import PulledSource, PullReason, ThreadSource
from services.ingest.sources.registry import Secrets, build_pulled, build_sources
from services.ingest.sources.source import Source
from services.ingest.sources.x_threads import XConversations
from services.ingest.speaking.port import Speaker
from services.ingest.speaking.registry import SPEAKERS, build_speakers
from services.ingest.speaking.x import XSpeaker
from services.ingest.speaking.youtube import YouTubeSpeaker
from services.runtime.checks import Check, Finding, answered, good, unknown, wrong
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient, WrongConfiguration

AREA = "sources"
_SPEAK = "name a token (for email: smtp) under the account's settings (docs/sources.md)"
_THREADS: Mapping[str, str] = {
    "x": "threads are not read: who answers your customer without naming you stays unseen",
    "facebook": "comments under your own posts come by webhook, whomever they name; other pages' do not",
    "instagram": "comments under your own media come by webhook, whomever they name; others' do not",
    "email": "a mail's thread is what reaches this mailbox; nobody answers your customer in it unseen",
    "webhook": "the system sends what it wants to; no thread can be read there",
    "rss": "a feed has no threads: nobody answers anybody there",
}
"""Where threads of open episodes are not read again: who answers a customer and names nobody."""
_THREADS_MEND: Mapping[str, str] = {
    "x": "with a plan that has recent search: `threads: true` under settings (each post found is counted)",
    "facebook": "name an access_token under settings: comments are then read again by Graph",
    "instagram": "name an access_token under settings: comments are then read again by Graph",
}
_MENDS: Mapping[PullReason, str] = {
    PullReason.credentials: "make a new token with the scopes of docs/sources.md, put it into {secret}",
    PullReason.wrong_account: "mend `id` in presence.yaml, or take that account's own token",
    PullReason.unreachable: "is the address in presence.yaml right, and may this machine reach it?",
    PullReason.timeout: "is the server up? Presence goes on trying",
    PullReason.disconnected: "is the server up? Presence goes on trying",
    PullReason.server_error: "the platform has trouble of its own: see its status page",
    PullReason.rate_limited: "wait; other programs with this token use up its share",
    PullReason.gone: "does the address in presence.yaml lead to that platform's API?",
    PullReason.unexpected: "does the address in presence.yaml lead to that platform's API?",
}


@dataclass(frozen=True)
class Asked:
    """One account with all that its checks may use."""

    account: Account
    label: str
    source: Source | None
    pulled: PulledSource | None
    intake_url: str | None
    secrets: Secrets
    speaker: Speaker | None


def label(account: Account) -> str:
    """As a person knows it."""
    return f"{account.platform} {'@' + account.handle if account.handle else account.id}"


def source_checks(
    configuration: Configuration, secrets: Secrets, clock: Clock, intake_url: str | None
) -> Iterator[Check]:
    """Every check of every account. `intake_url`: where platforms reach ingest, as far as it is known."""
    for account in configuration.accounts:
        # Alone: a secret that another account lacks says nothing about this one.
        alone = configuration.model_copy(update={"accounts": (account,)})
        try:
            sources = build_sources(alone, secrets, None)
            pulled = build_pulled(alone, secrets, clock)
            speakers = build_speakers(alone, secrets, clock)
        except WrongConfiguration as error:
            absent = "is not set" in str(error)
            mend = (
                "set it in ingest's environment (docs/sources.md says where to get it)"
                if absent
                else "mend it in presence.yaml, or in ingest's environment (docs/sources.md)"
            )
            yield answered(AREA, label(account), wrong(str(error), mend))
            continue
        asked = Asked(
            account,
            label(account),
            next(iter(sources.values()), None),
            pulled[0] if pulled else None,
            intake_url,
            secrets,
            next(iter(speakers.values()), None),
        )
        yield from _checks(asked)


def _checks(asked: Asked) -> Iterator[Check]:
    account = asked.account
    if asked.pulled is not None:
        yield Check(AREA, f"{asked.label}: token", _token(asked.pulled, account))
    if asked.source is not None:
        if asked.pulled is None or isinstance(asked.pulled, XConversations):
            yield answered(AREA, f"{asked.label}: secrets", _secrets(account))
        yield Check(AREA, f"{asked.label}: way in", _way_in(asked))
    yield from meta_checks.checks(AREA, asked.label, account, asked.secrets)
    if account.platform in SPEAKERS:
        yield Check(AREA, f"{asked.label}: answers", _answers(asked.speaker, account))
    yield Check(AREA, f"{asked.label}: threads", _threads(asked))


def _secrets(account: Account) -> Finding:
    if isinstance(account, WebhookAccount) and account.settings.signature is None:
        return good(f"{account.settings.secret} is a Standard Webhooks secret")
    return good("set; whether the platform holds the same is seen at its first delivery")


def _token(source: PulledSource, account: Account) -> Callable[[], Awaitable[Finding]]:
    kinds = ("access_token", "api_key", "app_password", "secret")
    named = (getattr(account.settings, kind, None) for kind in kinds)
    secret = next((one for one in named if one), "its variable")

    async def look() -> Finding:
        try:
            await source.identify()
            if account.platform == "mastodon":
                return await mastodon_checks.may_read(source, secret)
            if account.platform == "rss":
                page = await source.page(source.feeds[0], None)
                return good(f"the feed is read: {len(page.events)} entries")
            if account.platform == "youtube":
                return good("the key is taken, and the channel is there")
        except (Transient, Permanent) as error:
            reason = error.reason if isinstance(error.reason, PullReason) else PullReason.unexpected
            return wrong(_said(error, reason), _MENDS.get(reason, "").format(secret=secret))
        finally:
            await source.close()
        return good("the token is this account's")

    return look


def _threads(asked: Asked) -> Callable[[], Awaitable[Finding]]:
    """Whether threads of open episodes are read again, so that an impostor is seen who names nobody."""
    account = asked.account
    source: object = asked.pulled

    async def look() -> Finding:
        if not isinstance(source, ThreadSource):
            mend = _THREADS_MEND.get(account.platform, "")
            return unknown(_THREADS.get(account.platform, "threads are not read"), mend)
        if isinstance(account, XAccount):
            return await x_checks.may_search(account, source.account, asked.secrets)
        return good("threads of open episodes are read again, whomever their answers name")

    return look


def _answers(speaker: Speaker | None, account: Account) -> Callable[[], Awaitable[Finding]]:
    """Whether answers can go out. Only X and YouTube take another token than that which listens."""

    async def look() -> Finding:
        if speaker is None:
            return unknown("only listened to: no answers go out from Presence", _SPEAK)
        try:
            if not isinstance(speaker, XSpeaker):
                await speaker.prepare()
                if isinstance(speaker, YouTubeSpeaker):
                    return good("the refresh token is taken; an answer costs 50 units")
                return unknown(
                    "set up; whether the platform lets us write shows at the first answer"
                )
            who = await speaker.identify()
        except Permanent as error:
            mend = "make a new token with read and write, for this account (docs/sources.md)"
            return wrong(f"the token that answers is refused: {error.detail}", mend)
        except Transient as error:
            says = f"{account.platform} does not say whether it takes answers: {error.reason.value}"
            return unknown(says)
        finally:
            await speaker.close()
        if who != account.id:
            mend = "let this account's owner authorise the app, and take that token"
            return wrong(f"the token answers for account {who}, not for {account.id}", mend)
        if isinstance(account, XAccount) and account.settings.access_token_secret is None:
            mend = (
                "use OAuth 1.0a (consumer_key, access_token_secret), whose tokens last; or renew it"
            )
            return unknown(
                "the token speaks for this account, and X lets it end after two hours", mend
            )
        return good("the token speaks for this account")

    return look


def _said(error: Transient | Permanent, reason: PullReason) -> str:
    words = reason.value.replace("_", " ")
    return f"{words}: {error.detail}" if error.detail else words


def _way_in(asked: Asked) -> Callable[[], Awaitable[Finding]]:
    async def look() -> Finding:
        assert asked.source is not None
        if asked.intake_url is None:
            return unknown(
                "where the platform reaches ingest is not known here",
                "set PRESENCE_PUBLIC_URL, or pass --intake-url",
            )
        async with httpx.AsyncClient(timeout=4.0, follow_redirects=False) as http:
            return await reach.way_in(http, asked.intake_url, asked.source, asked.account.id)

    return look
