"""What reading a platform's payload can end in. Nothing that arrives is dropped without one of these."""

from __future__ import annotations

from dataclasses import dataclass

from services.contracts.base import StrEnum
from services.contracts.events import Notification


class RejectReason(StrEnum):
    """Why an authentic payload could not be read: the same words as the runtime's dead letters."""

    malformed = "malformed"
    """No JSON, or a known kind of event with a field missing or of the wrong form."""
    unsupported = "unsupported"
    """A kind of event that this version does not know."""
    unknown_account = "unknown_account"
    """For an account that presence.yaml does not list (or not under the secret that signed it)."""
    too_large = "too_large"
    """Read well, but the broker takes no such record."""
    failed = "failed"
    """Our own code failed on it."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A change that goes to the dead letters, with the original bytes beside it."""

    reason: RejectReason
    detail: str
    """One line that names fields, never what a person wrote."""
    account_id: str | None = None


class IgnoreReason(StrEnum):
    """Why a well-understood change concerns nobody. Bounded: a metric label."""

    signal = "signal"
    """Typing, read and delivery marks, hiding, polls."""
    not_ours = "not_ours"
    """About somebody else (the home timeline of an account that follows people)."""
    administrative = "administrative"
    """For the account's administrators: revoked access, reports, relationships."""
    not_mapped = "not_mapped"
    """Left out by the `when` of a webhook's mapping."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A change that is understood and of no concern: counted, not stored."""

    reason: IgnoreReason
    what: str
    """The platform's name for it."""


Parsed = Notification | Rejected | Ignored


class Unreadable(ValueError):
    """A payload that cannot mean anything, in words of our own: they never repeat what a person wrote."""


def first_error(error: ValueError, prefix: str = "") -> str:
    """One line for a failed validation: where and what, without the value itself.

    A pydantic error's own text repeats the input, which is what a person wrote.
    """
    if isinstance(error, Unreadable):
        return f"{prefix}{error}"
    errors = getattr(error, "errors", None)
    if errors is None:
        return f"{prefix}{type(error).__name__}"
    first = errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "payload"
    return f"{prefix}{where}: {first['msg']}"[:300]
