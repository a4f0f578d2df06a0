"""Routes, the places where cards appear, and the numbers that services go by."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, HttpUrl

from services.contracts.configuration.values import Duration, Id, SecretName, Section
from services.contracts.events import Label, Sensitive, Urgency


class Match(Section):
    """Every key that is given must match; an empty match matches everything."""

    brands: tuple[Id, ...] = ()
    accounts: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()
    sensitive: tuple[Sensitive, ...] | Literal["any"] = ()
    languages: tuple[str, ...] = ()
    urgency: tuple[Urgency, ...] = ()
    authors: tuple[Id, ...] = ()
    """Names of a brand's author lists."""
    hours: Id | None = None
    private: bool | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is asked for."""
        return self == Match()


class Route(Section):
    """What matches goes to these destinations under this policy. The first route that matches wins."""

    id: Id
    match: Match = Match()
    policy: Id
    destinations: tuple[Id, ...] = Field(min_length=1)
    """The first takes the live card, the others mirror it."""
    checklist: tuple[str, ...] = ()
    """The team's own steps, shown on the card (for sensitive routes)."""
    ignores_closed_hours: bool = False
    """For sensitive routes: page in closed hours too."""


class _Destination(Section):
    id: Id
    posts_per_second: float = Field(1.0, gt=0, le=1000)
    """Posts to one place; Slack's own limit is about 1 for a channel, Teams' 4."""
    shared: bool = True
    """Whether people beyond those on call read it: private words appear masked."""
    fallback: Id | None = None
    """The destination that takes its place while it takes no messages. None: any other."""


class SlackDestination(_Destination):
    """A Slack channel, through a bot of your own workspace."""

    kind: Literal["slack"]
    channel: str = Field(min_length=1)
    """Channel id (C…); names change, ids stay."""
    bot_token: SecretName = "PRESENCE_SLACK_BOT_TOKEN"
    signing_secret: SecretName = "PRESENCE_SLACK_SIGNING_SECRET"
    app_token: SecretName | None = None
    """App-level token (xapp-…) for Socket Mode: presses and commands arrive without a public address."""
    base_url: HttpUrl = Field("https://slack.com/api/", validate_default=True)
    updates_per_second: float = Field(0.8, gt=0, le=1000)
    """Updates of posted cards; Slack's own limit is about 50 a minute."""


class TeamsWorkflowDestination(_Destination):
    """A Teams channel, through a Workflows webhook: one way."""

    kind: Literal["teams_workflow"]
    url: SecretName = "PRESENCE_TEAMS_WORKFLOW_URL"
    """Environment variable with the webhook's address (it is a secret)."""


class TeamsBotDestination(_Destination):
    """A Teams channel, through a bot of your own: cards are updated in place and take presses."""

    kind: Literal["teams_bot"]
    channel: str = Field(min_length=1)
    """The channel's id (19:…@thread.tacv2): in the link of the channel, decoded."""
    app_id: str = Field(min_length=1)
    """The bot's Microsoft app id; no secret."""
    app_password: SecretName = "PRESENCE_TEAMS_APP_PASSWORD"
    tenant: str = Field(min_length=1)
    """Your Microsoft 365 tenant's id; `botframework.com` for a bot that is registered as multi-tenant."""
    service_url: HttpUrl = Field("https://smba.trafficmanager.net/teams/", validate_default=True)
    """The connector that the bot sends through; your region's own, or a government cloud's."""
    login_url: HttpUrl = Field("https://login.microsoftonline.com/", validate_default=True)
    openid_url: HttpUrl = Field(
        "https://login.botframework.com/v1/.well-known/openidconfiguration", validate_default=True
    )
    """Where the keys are told that sign Microsoft's requests."""
    updates_per_second: float = Field(1.0, gt=0, le=1000)


class AppriseDestination(_Destination):
    """Discord, Mattermost, Google Chat, Telegram, ntfy and a hundred others, through Apprise: one way."""

    kind: Literal["apprise"]
    url: SecretName
    """Environment variable with the Apprise address of the channel (it is a secret)."""


class EmailDestination(_Destination):
    """A mailbox, through Apprise's mailto: cards go to the address's own recipients, pages to a person's."""

    kind: Literal["email"]
    url: SecretName = "PRESENCE_MAIL_URL"
    """Environment variable with the Apprise address (mailtos://user:password@smtp.example?from=…&to=…)."""


class PhoneDestination(_Destination):
    """Text messages and calls to each person's own `phone`, through Apprise: pages only, no channel."""

    kind: Literal["phone"]


Destination = Annotated[
    SlackDestination
    | TeamsWorkflowDestination
    | TeamsBotDestination
    | AppriseDestination
    | EmailDestination
    | PhoneDestination,
    Field(discriminator="kind"),
]
"""Where cards appear."""


class Targets(Section):
    """What the team promises itself; dashboards and reports compare with it."""

    first_response: Duration = Field("15m", validate_default=True)
    next_response: Duration = Field("15m", validate_default=True)
    hours: Id | None = None
    """Business hours for the second reading of every response time; none: no second reading."""


class Costs(Section):
    """What a mistake costs, in units of one card too many. Thresholds come from these."""

    lost_person: float = Field(5.0, gt=0)
    """A conversation taken for spam or news."""
    extra_card: float = Field(1.0, gt=0)
    """Spam or news taken for a conversation."""


class Learning(Section):
    """How much classify believes what people correct."""

    remember: int = Field(5_000, ge=100, le=50_000)
    """So many corrections, the newest ones, are held in memory."""
    trusted_per_hour: int = Field(60, ge=1)
    """Of one person; what goes beyond holds for its own item and teaches nothing. The same text again
    counts once."""
    texts: bool = True
    """Whether a correction carries the public text, for `presence train --corrections`."""


class Signs(Section):
    """Known spam signs, beside the lists that ship (services/classify/signs)."""

    lists: str | None = None
    """A folder whose files (shorteners.yaml, …) stand in place of the shipped ones of the same name."""
    blocked_domains: tuple[str, ...] = ()
    """Links to them, or to what lies under them, speak for spam."""
    blocked_handles: tuple[str, ...] = ()
    """Written by them or sending people to them: the same."""
    trusted_domains: tuple[str, ...] = ()
    """Never a sign: the brand's partners, its own short links."""


class Shadow(Section):
    """A challenger beside the model that serves: measured, never believed."""

    model: str | None = None
    """Path of the challenger's directory; none: no shadow."""
    share: float = Field(0.1, ge=0, le=1)
    """Of the items: what it may cost."""


class LanguageModel(Section):
    """An outside model for what stays unsure, behind any OpenAI-compatible endpoint."""

    url: HttpUrl | None = None
    """Up to and without `/chat/completions`; none: nobody is asked."""
    model: str = ""
    """As the endpoint names it."""
    key: SecretName = "PRESENCE_LLM_KEY"
    """Environment variable with its key; unset: none is sent (a model of your own)."""
    unsure_below: float = Field(0.7, ge=0, le=1)
    """Asked where no label's score reaches it."""
    time_limit: Duration = Field("2s", validate_default=True)
    """For all questions of a batch together; then the verdict that was there stays."""
    per_batch: int = Field(8, ge=1, le=500)
    at_once: int = Field(4, ge=1, le=100)
    calls_per_day: int = Field(2_000, ge=0)
    """Of each replica, in UTC days."""
    tokens_per_day: int = Field(500_000, ge=0)
    """The same."""


class Classify(Section):
    """How classify decides."""

    model: str | None = None
    """Path of a model directory; none: the built-in one."""
    needs_answer: float = Field(0.5, ge=0, le=1)
    """An inbound item at or above it opens an episode."""
    costs: Costs = Costs()
    learning: Learning = Learning()
    signs: Signs = Signs()
    shadow: Shadow = Shadow()
    llm: LanguageModel = LanguageModel()


class Spool(Section):
    """Where verified payloads wait while Kafka is down, for senders that do not come again."""

    path: str = Field("presence-data/spool", min_length=1)
    """A folder of this replica's own, on a disk that survives a restart."""
    max_bytes: int = Field(268_435_456, ge=1_048_576)
    """What it may hold; beyond that senders hear 503."""
    sources: tuple[Id, ...] = ()
    """The sources whose payloads may wait there; none: the spool is off."""


class SourceLimit(Section):
    """What one webhook source may send."""

    source: Id
    body: int | None = Field(None, ge=1_024)
    """Bytes, in place of `body_limit`."""
    rate: float | None = Field(None, gt=0)
    """Authentic requests a second for each account, on average; beyond that 429."""
    burst: int = Field(100, ge=1)
    """So many may come at once."""


class Threads(Section):
    """How the threads of open episodes are read again, on platforms whose API has threads."""

    slowest: Duration = Field("30m", validate_default=True, ge=timedelta(minutes=1))
    """The first look comes half a minute after the episode opened; every further one in twice the time, up
    to this, and soon again when something was found."""
    grace: Duration = Field("2h", validate_default=True)
    """For so long after the episode ended its thread is still looked at."""
    longest: Duration = Field("7d", validate_default=True)
    """An episode that stays open is looked at for so long."""


class Ingest(Section):
    """How ingest takes things in."""

    body_limit: int = Field(1_048_576, ge=1_024)
    """Bytes; a larger request gets 413."""
    signature_age: Duration = Field("5m", validate_default=True)
    """Signed requests older than this are refused where the platform signs a time."""
    limits: tuple[SourceLimit, ...] = ()
    """For single sources."""
    spool: Spool = Spool()
    """Off unless it names sources."""
    threads: Threads = Threads()
    """Looks for impostors who answer our customers without naming us."""


class Retention(Section):
    """How long things are kept."""

    payloads: Duration = Field("30d", validate_default=True)
    """Original payloads, in ingest's store."""
    event_ids: Duration = Field("14d", validate_default=True)
    """Ids by which repeated events are recognised; not shorter than the topics' retention."""
    items: Duration = Field("400d", validate_default=True)
    """Texts of items, in alert's store."""
