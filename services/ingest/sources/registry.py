"""Which sources there are, from presence.yaml. One new platform is one entry here.

A platform's client is imported where an account of it is configured: those that nobody uses cost ingest a
third of its memory and of its time to start.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial

from pydantic import SecretStr
from standardwebhooks import Webhook

from services.contracts.configuration import (
    Account,
    BlueskyAccount,
    Configuration,
    EmailAccount,
    FacebookAccount,
    FeedAccount,
    InstagramAccount,
    MastodonAccount,
    WebhookAccount,
    XAccount,
    YouTubeAccount,
)
from services.ingest.domain.accounts import OwnAccount, own_accounts
from services.ingest.replay_mark import key_of
from services.ingest.sources.hmac_signature import HmacSignature
from services.ingest.sources.mapping import MappedForm
from services.ingest.sources.meta import MetaApp, MetaSource, account_key
from services.ingest.sources.pulled import PulledSource
from services.ingest.sources.replay import NotificationReplay
from services.ingest.sources.source import Source
from services.ingest.sources.webhook import Signature, StandardSignature, WebhookSource
from services.ingest.sources.x import XSource
from services.runtime.clock import Clock
from services.runtime.errors import WrongConfiguration

Secrets = Callable[[str], SecretStr]
"""The secret in an environment variable; raises WrongConfiguration where it is not set."""
Owned = dict[tuple[str, str], OwnAccount]

PULLED = frozenset({"mastodon", "bluesky", "email", "rss", "youtube"})
"""Sources that are never but pulled: known to the metrics before anything is configured."""
RESERVED = frozenset({"x", "meta", "mastodon", "bluesky", "email", "rss", "youtube", "replay"})


def _bytes(secret: SecretStr) -> bytes:
    return secret.get_secret_value().encode()


def _x(accounts: Iterable[Account], owned: Owned, secrets: Secrets) -> XSource | None:
    ours = [account for account in accounts if isinstance(account, XAccount)]
    if not ours:
        return None
    return XSource(
        secrets={one.id: _bytes(secrets(one.settings.consumer_secret)) for one in ours},
        accounts={one.id: owned["x", one.id] for one in ours},
    )


def _meta(accounts: Iterable[Account], owned: Owned, secrets: Secrets) -> MetaSource | None:
    apps: dict[tuple[str, str], dict[str, OwnAccount]] = defaultdict(dict)
    for one in accounts:
        if isinstance(one, FacebookAccount | InstagramAccount):
            account = owned[one.platform, one.id]
            app = one.settings.app_secret, one.settings.verify_token
            apps[app][account_key(account)] = account
    if not apps:
        return None
    return MetaSource(
        tuple(
            MetaApp(_bytes(secrets(secret)), _bytes(secrets(token)), served)
            for (secret, token), served in apps.items()
        )
    )


def _standard_key(name: str, secret: SecretStr) -> bytes:
    """The library decodes base64 leniently: a secret of another kind would make a key of rubbish."""
    written = secret.get_secret_value()
    encoded = written.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if not written.startswith("whsec_") or not key:
        raise WrongConfiguration(f"{name} is no Standard Webhooks secret (whsec_ and base64)")
    return key


def _webhook(
    account: WebhookAccount, owned: Owned, secrets: Secrets, tolerance: timedelta
) -> WebhookSource:
    settings = account.settings
    secret = secrets(settings.secret)
    signature: Signature
    if settings.signature is not None:
        signature = HmacSignature(_bytes(secret), settings.signature, tolerance)
    else:
        key = _standard_key(settings.secret, secret)
        signature = StandardSignature(Webhook(key), tolerance)
    return WebhookSource(
        name=settings.source,
        account=owned["webhook", account.id],
        signature=signature,
        scheme=settings.scheme,
        mapping=MappedForm(settings.mapping) if settings.mapping else None,
    )


def build_sources(
    configuration: Configuration, secrets: Secrets, link_secret: SecretStr | None
) -> dict[str, Source]:
    """Every source that presence.yaml has an account for, by name; replays where there is a link secret.

    Raises WrongConfiguration for a secret that is missing or none, and for names that clash.
    """
    owned = own_accounts(configuration)
    tolerance = configuration.ingest.signature_age
    found: dict[str, Source] = {}
    if x := _x(configuration.accounts, owned, secrets):
        found[x.name] = x
    if meta := _meta(configuration.accounts, owned, secrets):
        found[meta.name] = meta
    for account in configuration.accounts:
        if not isinstance(account, WebhookAccount):
            continue
        name = account.settings.source
        if name in found or name in RESERVED:
            raise WrongConfiguration(
                f"accounts: webhook {account.id}: source {name!r} is taken; choose another name"
            )
        found[name] = _webhook(account, owned, secrets, tolerance)
    if link_secret is not None:
        mastodon = [one for one in configuration.accounts if isinstance(one, MastodonAccount)]
        if mastodon:
            from services.ingest.sources.mastodon import MastodonReplay

            found["mastodon"] = MastodonReplay(
                {one.id: owned["mastodon", one.id] for one in mastodon}
            )
        bluesky = [one for one in configuration.accounts if isinstance(one, BlueskyAccount)]
        if bluesky:
            from services.ingest.sources.bluesky import BlueskyReplay

            found["bluesky"] = BlueskyReplay({one.id: owned["bluesky", one.id] for one in bluesky})
        signature = StandardSignature(Webhook(key_of(_bytes(link_secret))), tolerance)
        everybody = {f"{platform}:{id_}": one for (platform, id_), one in owned.items()}
        found["replay"] = NotificationReplay(signature, everybody)
    return found


def build_pulled(
    configuration: Configuration, secrets: Secrets, clock: Clock
) -> list[PulledSource]:
    """Every source that we listen to. Makes no connection."""
    owned = own_accounts(configuration)
    found = (
        _pulled(one, owned[one.platform, one.id], secrets, clock) for one in configuration.accounts
    )
    return [one for one in found if one is not None]


def _pulled(
    one: Account, account: OwnAccount, secrets: Secrets, clock: Clock
) -> PulledSource | None:
    match one:
        case XAccount():
            return _x_threads(one, account, secrets, clock)
        case MastodonAccount():
            from services.ingest.sources.mastodon_api import MastodonAccountFeed

            return MastodonAccountFeed(
                account, one.settings, secrets(one.settings.access_token), clock
            )
        case FacebookAccount() | InstagramAccount():
            return _graph(one, account, secrets, clock)
        case BlueskyAccount():
            from services.ingest.sources.bluesky_api import BlueskyAccountFeed
            from services.ingest.sources.bluesky_session import BlueskySession

            password = secrets(one.settings.app_password)
            session = BlueskySession(account.native_id, one.settings, password, clock)
            return BlueskyAccountFeed(account, one.settings, session, clock)
        case EmailAccount():
            from services.ingest.sources.email_imap import EmailAccountFeed

            # Said at the start when it is missing; read anew at every login, since tokens are renewed.
            secrets(one.settings.secret)
            read = partial(secrets, one.settings.secret)
            return EmailAccountFeed(account, one.settings, read, clock)
        case FeedAccount():
            from services.ingest.sources.rss_feed import RssFeed

            return RssFeed(account, one.settings, clock)
        case YouTubeAccount():
            from services.ingest.sources.youtube_api import YouTubeChannel

            return YouTubeChannel(account, one.settings, secrets(one.settings.api_key), clock)
    return None


def _x_threads(
    one: XAccount, account: OwnAccount, secrets: Secrets, clock: Clock
) -> PulledSource | None:
    if not one.settings.threads:
        return None
    from services.ingest.sources.x_auth import authorisation
    from services.ingest.sources.x_threads import XConversations

    auth = authorisation(one.settings, secrets)
    return XConversations(account, str(one.settings.api_url), auth, clock) if auth else None


def _graph(
    one: FacebookAccount | InstagramAccount, account: OwnAccount, secrets: Secrets, clock: Clock
) -> PulledSource | None:
    if not one.settings.access_token:
        return None
    from services.ingest.sources.meta_graph import MetaGraphFeed

    token = secrets(one.settings.access_token)
    return MetaGraphFeed(account, one.settings, token, secrets(one.settings.app_secret), clock)


def source_labels(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """The `source` and `account` labels of every account."""
    for account in configuration.accounts:
        if isinstance(account, WebhookAccount):
            yield account.settings.source, account.id
        else:
            named = {"facebook": "meta", "instagram": "meta"}
            yield named.get(account.platform, account.platform), account.id
