"""What happens to a person's reply: the state machine. Reads no clock and calls nobody.

    received ──► refused
        │  ▲
        ▼  │ (surely not sent: wait, or rate_limited until)
    sending ──► posted | refused | unknown
        └─ (may have been sent: once more by key, or look, or ask a person)

`sending` stands in the store before the platform is called. Whoever finds it there knows only that the
call may have been made; what the speaker promises says what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.contracts.base import StrEnum

GRACE = timedelta(minutes=5)
"""So long after its expiry we still try to find out what became of a reply; then a person decides."""
SETTLING = timedelta(seconds=5)
"""After a lost confirmation: until then the platform may still be at work on the call."""
KEY_MARGIN = timedelta(minutes=5)
"""Before the platform forgets a key we stop to rely on it."""


class Certainty(StrEnum):
    """What tells whether an answer went out when its confirmation was lost."""

    by_key = "by_key"
    """The same idempotency key posts once: posting again is safe, for as long as keys are kept."""
    by_reading = "by_reading"
    """A read that sees every earlier post tells: look first, post again only where it is not there."""
    none = "none"
    """Nothing does: after a lost confirmation a person decides."""


class RefusalCause(StrEnum):
    """Why an answer is not sent. Bounded: a metric label."""

    too_long = "too_long"
    visibility = "visibility"
    """Private was asked where the platform can't, or public where only private is possible."""
    window_closed = "window_closed"
    """The platform takes answers only for some time after the person's last message."""
    expired = "expired"
    """Past `expires_at`."""
    cancelled = "cancelled"
    no_address = "no_address"
    """We do not know the item, or keep it no longer."""
    no_speaker = "no_speaker"
    """The account's platform can only be listened to, or its credential is not configured."""
    platform = "platform"
    """The platform said no."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not sent, and why, in words for the person who wrote it."""

    cause: RefusalCause
    says: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person wrote and pressed send on."""

    text: str = field(repr=False)
    private: bool


class ReplyState(StrEnum):
    """Where a reply stands."""

    received = "received"
    sending = "sending"
    rate_limited = "rate_limited"
    posted = "posted"
    refused = "refused"
    unknown = "unknown"


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision needs to know."""

    expires_at: datetime
    cancelled: bool
    sending_since: datetime | None
    """None: surely nothing was sent yet."""
    certainty: Certainty
    key_lifetime: timedelta
    refusal: Refusal | None
    """What the speaker's check found."""

    @property
    def may_be_out(self) -> bool:
        """Whether an earlier call may have had its effect."""
        return self.sending_since is not None


@dataclass(frozen=True, slots=True)
class Refuse:
    """It is not on the platform and will not be."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Send:
    """Call the platform."""


@dataclass(frozen=True, slots=True)
class Look:
    """Ask the platform whether it is there."""


@dataclass(frozen=True, slots=True)
class AskPerson:
    """It may be on the platform; a person looks."""

    says: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Again at `until`, as `state` until then. `limited`: because the platform asked for it."""

    until: datetime
    state: ReplyState
    limited: bool = False


LOST = "sent, and the confirmation was lost: look at the thread before you write again"


def _hindrance(case: Case, now: datetime) -> Refusal | None:
    """Why a reply that is surely not out does not go out any more."""
    if case.cancelled:
        return Refusal(RefusalCause.cancelled, "taken back before it was sent")
    if now >= case.expires_at:
        return Refusal(RefusalCause.expired, "expired before it could be sent")
    return case.refusal


def take_up(case: Case, now: datetime) -> Refuse | Send | Look | AskPerson:
    """What to do with a reply that is due."""
    hindrance = _hindrance(case, now)
    if case.sending_since is None:
        return Refuse(hindrance) if hindrance else Send()
    if case.certainty is Certainty.none:
        return AskPerson(LOST)
    remembered = now < case.sending_since + case.key_lifetime - KEY_MARGIN
    if case.certainty is Certainty.by_key and remembered and hindrance is None:
        return Send()
    return Look()


def not_found(case: Case, now: datetime) -> Refuse | Send:
    """The platform was read and has it not."""
    hindrance = _hindrance(case, now)
    return Refuse(hindrance) if hindrance else Send()


def could_not_look(case: Case, wait: timedelta, says: str, now: datetime) -> Wait | AskPerson:
    """Reading failed; try on for a while."""
    if now + wait >= case.expires_at + GRACE:
        return AskPerson(f"{LOST} ({says})")
    return Wait(now + wait, ReplyState.sending)


def surely_not_sent(
    case: Case, wait: timedelta, says: str, *, limited: bool, now: datetime
) -> Wait | Refuse | AskPerson:
    """The call failed before it had an effect."""
    until = now + wait
    if until < case.expires_at:
        fresh = ReplyState.rate_limited if limited else ReplyState.received
        return Wait(until, ReplyState.sending if case.may_be_out else fresh, limited)
    if case.may_be_out:
        # An earlier call may have worked; this one would only have told.
        return could_not_look(case, wait, says, now)
    return Refuse(Refusal(RefusalCause.expired, f"expires before it can be sent: {says}"))


def may_be_sent(case: Case, wait: timedelta, now: datetime) -> Wait | AskPerson:
    """The call's confirmation was lost."""
    if case.certainty is Certainty.none:
        return AskPerson(LOST)
    return Wait(now + max(wait, SETTLING), ReplyState.sending)


def refused(case: Case, says: str) -> Refuse | AskPerson:
    """The platform said no. To a second try that says nothing about the first."""
    if case.may_be_out:
        return AskPerson(f"{LOST}; a second try was refused: {says}")
    return Refuse(Refusal(RefusalCause.platform, says))
