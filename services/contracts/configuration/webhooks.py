"""Generic webhooks: how they are signed, and where a notification's fields are in their payload."""

from __future__ import annotations

from typing import Annotated, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.contracts.base import StrEnum
from services.contracts.configuration.values import Id, SecretName, Section


class WebhookScheme(StrEnum):
    """How a generic webhook is signed and wrapped."""

    standard = "standard"
    """Standard Webhooks."""
    cloudevents = "cloudevents"
    """CloudEvents 1.0, structured or binary, signed as Standard Webhooks."""
    hmac = "hmac"
    """HMAC-SHA256 in a header of the system's own: `signature` says which."""


def _expression(value: str) -> str:
    try:
        jmespath.compile(value)
    except JMESPathError as error:
        # The library draws a pointer below the expression; here it is one line.
        says = " ".join(str(error).replace("^", " ").split())
        raise ValueError(f"no JMESPath expression: {says}"[:300]) from None
    return value


Expression = Annotated[str, StringConstraints(min_length=1), AfterValidator(_expression)]
"""JMESPath over the payload. A fixed word is 'word' or `"word"`; request headers are `_headers`."""

HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$"), AfterValidator(str.lower)
]


class HmacForm(Section):
    """Where a system puts its HMAC-SHA256, and over what it is made."""

    header: HeaderName
    """The header with the signature."""
    prefix: str = ""
    """What stands before it there, like `sha256=`."""
    encoding: Literal["hex", "base64"] = "hex"
    """How it is written."""
    timestamp_header: HeaderName | None = None
    """The header with the time that is signed before the body; leave it out where only the body is."""


class WebhookMapping(Section):
    """Field of a notification: JMESPath of where it is. What finds nothing leaves its field out."""

    id: Expression
    """The system's own id of the item."""
    kind: Expression
    """review, direct, comment, mention, reply, article or post."""
    author_id: Expression = Field(alias="author.id")
    """The writer's id."""
    text: Expression | None = None
    """What they wrote, as plain text."""
    html: Expression | None = None
    """What they wrote, as HTML: it is made text. Taken where `text` finds nothing."""
    when: Expression | None = None
    """Only payloads for which this is true are taken; the others are counted and left."""
    action: Expression | None = None
    """created, edited or deleted; left out, created."""
    version: Expression | None = None
    """Of an edit: its number or time."""
    author_handle: Expression | None = Field(None, alias="author.handle")
    """The name that others call the writer by."""
    author_name: Expression | None = Field(None, alias="author.name")
    """The writer's name."""
    author_bot: Expression | None = Field(None, alias="author.bot")
    """Whether the writer is a machine."""
    outbound: Expression | None = None
    """Whether one of us wrote it."""
    counterpart_id: Expression | None = Field(None, alias="counterpart.id")
    """Of what one of us wrote: whom it answers."""
    thread: Expression | None = None
    """Id of the thread's first item."""
    in_reply_to: Expression | None = None
    """Id of what it answers."""
    title: Expression | None = None
    """A subject or headline."""
    url: Expression | None = None
    """Where a person can look at it."""
    language: Expression | None = None
    """BCP 47."""
    links: Expression | None = None
    """A list of addresses, or one."""
    private: Expression | None = None
    """Whether it is not public; `direct` is so by kind."""
    automated: Expression | None = None
    """Whether a machine sent it."""
    addressed: Expression | None = None
    """Whether it is surely meant for us."""
    created_at: Expression | None = None
    """RFC 3339 with a zone, or Unix time; left out, the time of receipt."""

    @model_validator(mode="after")
    def _has_words(self) -> WebhookMapping:
        if self.text is None and self.html is None:
            raise ValueError("map text or html: without words nobody can answer")
        return self

    def expressions(self) -> dict[str, str]:
        """Every expression, by the field's name as it is written."""
        return self.model_dump(by_alias=True, exclude_none=True)


class WebhookSettings(Section):
    """Any system that can post JSON: /webhooks/{source}."""

    source: Id
    """The last part of the address."""
    scheme: WebhookScheme = WebhookScheme.standard
    secret: SecretName
    """Environment variable with the signing secret (`whsec_…`; with scheme hmac: any words)."""
    signature: HmacForm | None = None
    """With scheme hmac: how the system signs."""
    mapping: WebhookMapping | None = None
    """Where the fields of a notification are in the payload; left out: Presence's own form."""

    @model_validator(mode="after")
    def _signature_goes_with_its_scheme(self) -> WebhookSettings:
        if (self.scheme is WebhookScheme.hmac) is not (self.signature is not None):
            raise ValueError("scheme hmac needs `signature`, and no other scheme takes one")
        if self.scheme is WebhookScheme.hmac and self.mapping is None:
            raise ValueError(
                "scheme hmac needs a mapping: Presence's own form has a type of its own"
            )
        return self
