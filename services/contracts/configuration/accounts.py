"""Brands, the accounts they listen and speak through, and the people who answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.values import Duration, Id, SecretName, Section, Zone


class Brand(Section):
    """A brand that people write to."""

    id: Id
    name: str
    """As people write it; impersonators are compared with it."""
    author_lists: dict[Id, tuple[str, ...]] = Field(default_factory=dict)
    """Named lists of authors as `platform:author id` (people who matter, known trolls), for routes."""


class Automation(Section):
    """What marks an outbound item of this account as sent by a machine: it answers nobody."""

    app_ids: tuple[str, ...] = ()
    """Ids of apps whose posts are automatic."""
    texts: tuple[str, ...] = ()
    """Texts that only a machine sends (an out-of-office line); compared without case and spaces."""


class _Account(Section):
    id: str = Field(min_length=1)
    """The platform's immutable id of the account, never its handle."""
    brand: Id
    handle: str | None = None
    """As shown to people, without the @."""
    automation: Automation = Automation()
    quiet_start: Duration = Field("7d", validate_default=True)
    """For so long after its first notification the account posts cards without paging."""


class XSettings(Section):
    """X's account activity webhook: /webhooks/x."""

    consumer_secret: SecretName = "PRESENCE_X_CONSUMER_SECRET"
    """Environment variable with the app's consumer secret (signatures and CRC)."""
    access_token: SecretName | None = None
    """Environment variable with a token that may write for this account; none: it is only listened to."""
    access_token_secret: SecretName | None = None
    """Environment variable with the token's secret (OAuth 1.0a, whose tokens last). None: the token is
    an OAuth 2.0 user token, which X lets expire after two hours."""
    consumer_key: SecretName | None = None
    """Environment variable with the app's consumer key, for OAuth 1.0a."""
    api_url: HttpUrl = HttpUrl("https://api.x.com")
    """Where answers are posted."""

    @model_validator(mode="after")
    def _signs_completely(self) -> XSettings:
        if self.access_token_secret and not (self.access_token and self.consumer_key):
            raise ValueError("access_token_secret goes with access_token and consumer_key")
        return self


class XAccount(_Account):
    """An account on X."""

    platform: Literal["x"]
    settings: XSettings = XSettings()


class MetaSettings(Section):
    """Meta's webhooks: /webhooks/meta."""

    app_secret: SecretName = "PRESENCE_META_APP_SECRET"
    """Environment variable with the app secret (signatures)."""
    verify_token: SecretName = "PRESENCE_META_VERIFY_TOKEN"
    """Environment variable with the verify token that was typed into Meta's dashboard."""
    access_token: SecretName | None = None
    """Environment variable with a token of this page or account; none: it is only listened to."""
    api_url: HttpUrl = HttpUrl("https://graph.facebook.com/v23.0")
    """The Graph API, with its version: where answers are posted and gaps are read."""
    backfill_limit: int = Field(2_000, ge=1)
    """At most so many items of one kind are read after a gap; what is beyond is counted and told."""


class FacebookAccount(_Account):
    """A Facebook page."""

    platform: Literal["facebook"]
    settings: MetaSettings = MetaSettings()


class InstagramAccount(_Account):
    """An Instagram professional account."""

    platform: Literal["instagram"]
    settings: MetaSettings = MetaSettings()


class MastodonSettings(Section):
    """A server that speaks Mastodon's API."""

    url: HttpUrl
    """The server, like https://mastodon.social"""
    access_token: SecretName = "PRESENCE_MASTODON_ACCESS_TOKEN"
    """Environment variable with a token that may read notifications, statuses and accounts; and write
    statuses, where Presence is to answer."""
    backfill_limit: int = Field(2_000, ge=1)
    """At most so many notifications are read after a gap; what is beyond is counted and told."""


class MastodonAccount(_Account):
    """An account on Mastodon, GoToSocial, Pleroma or Pixelfed."""

    platform: Literal["mastodon"]
    settings: MastodonSettings


class WebhookScheme(StrEnum):
    """How a generic webhook is signed and wrapped."""

    standard = "standard"
    """Standard Webhooks."""
    cloudevents = "cloudevents"
    """CloudEvents 1.0, structured or binary, signed as Standard Webhooks."""


class WebhookSettings(Section):
    """Any system that can post JSON: /webhooks/{source}."""

    source: Id
    """The last part of the address."""
    scheme: WebhookScheme = WebhookScheme.standard
    secret: SecretName
    """Environment variable with the signing secret (`whsec_…`)."""
    mapping: dict[str, str] = Field(default_factory=dict)
    """Field of a notification → where it is in the payload; empty: Presence's own form."""


class WebhookAccount(_Account):
    """A shop, a forum, a help desk: whatever posts signed JSON."""

    platform: Literal["webhook"]
    settings: WebhookSettings


Account = Annotated[
    XAccount | FacebookAccount | InstagramAccount | MastodonAccount | WebhookAccount,
    Field(discriminator="platform"),
]
"""A brand's account, with the settings of its platform."""


class Role(StrEnum):
    """What a person may do."""

    trainee = "trainee"
    responder = "responder"
    lead = "lead"
    admin = "admin"
    engineer = "engineer"


class Person(Section):
    """Somebody of the team."""

    id: Id
    name: str
    roles: frozenset[Role] = frozenset({Role.responder})
    brands: tuple[Id, ...] = ()
    """The brands they answer for; empty means all."""
    slack: str | None = None
    """Slack member id (U…)."""
    teams: str | None = None
    """Microsoft 365 user principal name."""
    email: str | None = None
    zone: Zone = "UTC"
    languages: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    """Ways to reach them, in order: slack, teams, email, or a URL of an Apprise service."""

    @property
    def may_answer(self) -> bool:
        """Whether this person may claim, close and answer."""
        return bool(self.roles & {Role.trainee, Role.responder, Role.lead, Role.admin})
