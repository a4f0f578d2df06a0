"""How a page reaches a person: which of their ways, how long after the page, for which urgency."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.values import Duration, Section


class Contact(StrEnum):
    """A way to reach a person."""

    slack = "slack"
    teams = "teams"
    email = "email"
    notify = "notify"
    phone = "phone"


CONTACT_OF = {
    "slack": Contact.slack,
    "teams_bot": Contact.teams,
    "teams_workflow": Contact.teams,
    "email": Contact.email,
    "apprise": Contact.notify,
    "phone": Contact.phone,
}
"""The way that each kind of destination is."""


class NotificationRule(Section):
    """One way, and when it is used if nobody has confirmed the page by then."""

    by: Contact
    after: Duration = Field("0m", validate_default=True)
    """Since the page."""


class NotificationRules(Section):
    """The ways of a person's pages, in order. An empty list: their `contacts`, a few minutes apart."""

    urgent: tuple[NotificationRule, ...] = ()
    """For sensitive episodes and those of high urgency."""
    normal: tuple[NotificationRule, ...] = ()
    """For all others."""

    @model_validator(mode="after")
    def _in_order(self) -> NotificationRules:
        for rules in (self.urgent, self.normal):
            afters = [rule.after for rule in rules]
            if rules and afters[0] != timedelta(0):
                raise ValueError("the first rule is used at once: leave its `after` out")
            if afters != sorted(afters):
                raise ValueError("the rules stand in the order of their `after`")
            if len({rule.by for rule in rules}) != len(rules):
                raise ValueError("each way is there once")
        return self
