"""Brands, the accounts they listen and speak through, and the people who answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, field_validator, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.mail import EmailSettings
from services.contracts.configuration.notification_rules import NotificationRules
from services.contracts.configuration.rota import Interval
from services.contracts.configuration.values import Duration, Id, SecretName, Section, Zone
from services.contracts.configuration.webhooks import WebhookSettings


class Brand(Section):
    """A brand that people write to."""

    id: Id
    name: str
    """As people write it; impersonators are compared with it."""
    domains: tuple[str, ...] = ()
    """Its own web domains (acme.com): links to what looks like one of them and is not are a sign of spam."""
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
    threads: bool = False
    """Search the conversations of open episodes for people who answer our customers without naming us. It
    takes an access token and an X plan with recent search; X counts every post that is found."""

    @model_validator(mode="after")
    def _signs_completely(self) -> XSettings:
        if self.threads and not self.access_token:
            raise ValueError("threads: true takes an access_token")
        if self.access_token_secret and not (self.access_token and self.consumer_key):
            raise ValueError("access_token_secret goes with access_token and consumer_key")
        return self


class XAccount(_Account):
    """An account on X."""

    platform: Literal["x"]
    settings: XSettings = XSettings()


MESSAGE_WINDOW = timedelta(hours=24)
HUMAN_AGENT_WINDOW = timedelta(days=7)


class MetaSettings(Section):
    """Meta's webhooks: /webhooks/meta."""

    app_secret: SecretName = "PRESENCE_META_APP_SECRET"
    """Environment variable with the app secret (signatures)."""
    verify_token: SecretName = "PRESENCE_META_VERIFY_TOKEN"
    """Environment variable with the verify token that was typed into Meta's dashboard."""
    access_token: SecretName | None = None
    """Environment variable with a token of this page or account; none: it is only listened to."""
    human_agent: bool = False
    """Whether Meta has given the app *Human Agent*: messages can then be answered for 7 days, not 24 hours.
    What Presence sends is written by a person, which is what Meta asks for."""
    api_url: HttpUrl = HttpUrl("https://graph.facebook.com/v23.0")
    """The Graph API, with its version: where answers are posted and gaps are read."""
    backfill_limit: int = Field(2_000, ge=1)
    """At most so many items of one kind are read after a gap; what is beyond is counted and told."""

    @property
    def message_window(self) -> timedelta:
        """How long after the person's last message Meta takes an answer (Messenger Platform policy)."""
        return HUMAN_AGENT_WINDOW if self.human_agent else MESSAGE_WINDOW


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


class BlueskySettings(Section):
    """Bluesky, or any server of the AT Protocol."""

    url: HttpUrl = HttpUrl("https://bsky.social")
    """The server that the account signs in to (its PDS, or the entryway of Bluesky's own)."""
    app_password: SecretName = "PRESENCE_BLUESKY_APP_PASSWORD"
    """Environment variable with an app password (never the account's own password)."""
    poll_interval: Duration = Field("15s", validate_default=True, ge=timedelta(seconds=2))
    """How often the lists are looked at, give or take a fifth."""
    backfill_limit: int = Field(2_000, ge=1)
    """At most so many notifications are read after a gap; what is beyond is told."""


class BlueskyAccount(_Account):
    """An account on Bluesky; its `id` is the DID (`did:plc:…`)."""

    platform: Literal["bluesky"]
    id: str = Field(pattern=r"^did:[a-z]+:[A-Za-z0-9._:%-]+$")
    """The account's DID, never its handle."""
    settings: BlueskySettings = BlueskySettings()


class FeedSettings(Section):
    """An RSS or Atom feed."""

    url: HttpUrl
    """Where the feed is. It takes no credentials."""
    every: Duration = Field("5m", validate_default=True, ge=timedelta(seconds=60))
    """Read it this often at most; a feed that asks for longer waits gets them, up to 6 hours."""


class FeedAccount(_Account):
    """A feed of news about the brand. `id` is a name of your choice, kept for ever."""

    platform: Literal["rss"]
    settings: FeedSettings


class YouTubeSettings(Section):
    """Comments on a channel and its videos, by YouTube's Data API."""

    api_key: SecretName = "PRESENCE_YOUTUBE_API_KEY"
    """Environment variable with an API key that may use the YouTube Data API v3."""
    every: Duration = Field("1m", validate_default=True, ge=timedelta(seconds=60))
    """Read the newest comments this often."""
    daily_units: int = Field(9_000, ge=100)
    """Of the key's quota (10,000 units a day): near its end reading slows down instead of stopping."""
    backfill_limit: int = Field(2_000, ge=100)
    """At most so many comments are read after a gap; what is beyond is counted and told."""
    client_id: SecretName | None = None
    """Environment variable with the id of an OAuth client of Google's; to answer, with the two below."""
    client_secret: SecretName | None = None
    """Environment variable with the client's secret."""
    refresh_token: SecretName | None = None
    """Environment variable with the channel's refresh token for `youtube.force-ssl`; none: it is only
    listened to."""
    api_url: HttpUrl = HttpUrl("https://www.googleapis.com/youtube/v3")
    """Where answers are posted."""
    token_url: HttpUrl = HttpUrl("https://oauth2.googleapis.com/token")
    """Where access tokens are renewed."""

    @model_validator(mode="after")
    def _speaks_completely(self) -> YouTubeSettings:
        given = (self.client_id, self.client_secret, self.refresh_token)
        if any(given) and not all(given):
            raise ValueError("client_id, client_secret and refresh_token go together")
        return self


class YouTubeAccount(_Account):
    """A YouTube channel; `id` is the channel id (UC…)."""

    platform: Literal["youtube"]
    settings: YouTubeSettings = YouTubeSettings()


class WebhookAccount(_Account):
    """A shop, a forum, a help desk: whatever posts signed JSON."""

    platform: Literal["webhook"]
    settings: WebhookSettings


class EmailAccount(_Account):
    """A mailbox; its id is the address that people write to."""

    platform: Literal["email"]
    settings: EmailSettings

    @field_validator("id")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        name, at, domain = value.rpartition("@")
        if not (name and at and domain) or not value.isprintable() or " " in value:
            raise ValueError("the id of an email account is its address, like care@example.com")
        return value.lower()


Account = Annotated[
    XAccount
    | FacebookAccount
    | InstagramAccount
    | MastodonAccount
    | FeedAccount
    | YouTubeAccount
    | BlueskyAccount
    | WebhookAccount
    | EmailAccount,
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
    """Microsoft 365 user principal name, or the person's Entra object id."""
    email: str | None = None
    zone: Zone = "UTC"
    languages: tuple[str, ...] = ()
    notify: SecretName | None = None
    """Environment variable with the Apprise address that reaches this person alone (their ntfy topic, a
    text message, PagerDuty): it is a secret."""
    phone: SecretName | None = None
    """Environment variable with the Apprise address that texts or calls them; pages go there through a
    destination of kind `phone`. It is a secret."""
    contacts: tuple[str, ...] = ()
    """Ways to reach them, in the order in which they are tried: slack, teams, email, notify, phone."""
    notification_rules: NotificationRules = NotificationRules()
    """How a page goes on by their next way while nobody confirms it."""
    time_off_calendar: SecretName | None = None
    """Environment variable with the address of their calendar of absences (iCalendar): it is a secret."""
    quiet_hours: tuple[Interval, ...] = ()
    """In their zone: a page to everybody leaves them out then. May never cover a shift of theirs."""

    @property
    def may_answer(self) -> bool:
        """Whether this person may claim, close and answer."""
        return bool(self.roles & {Role.trainee, Role.responder, Role.lead, Role.admin})
