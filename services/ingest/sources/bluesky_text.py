"""A post's text and its facets. Facets count UTF-8 bytes, and whoever writes a record may count wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field, ValidationError

from services.ingest.domain.native import Native, NativeId
from services.ingest.domain.text import is_web_link

LINK = "app.bsky.richtext.facet#link"
MENTION = "app.bsky.richtext.facet#mention"


@dataclass(frozen=True, slots=True)
class RichText:
    """Plain text in which shortened links are spelled out; mentions as (DID, handle as written)."""

    plain: str
    links: tuple[str, ...] = ()
    mentions: tuple[tuple[str, str | None], ...] = ()


class _Feature(Native):
    type: str = Field("", alias="$type")
    uri: str | None = None
    did: NativeId | None = None


class _Slice(Native):
    start: int = Field(alias="byteStart", ge=0)
    end: int = Field(alias="byteEnd", ge=0)


class _Facet(Native):
    index: _Slice
    features: tuple[_Feature, ...] = ()


def _facets(raw: object) -> Iterator[_Facet]:
    """Those that can be read, in the order of the text."""
    found = []
    for one in raw if isinstance(raw, list) else ():
        try:
            found.append(_Facet.model_validate(one))
        except ValidationError:
            # Decoration by the author's client: the words stand without it.
            continue
    yield from sorted(found, key=lambda facet: facet.index.start)


def _shortens(shown: str, uri: str) -> bool:
    """Whether what is shown is the link, cut as clients cut it (`example.org/a-long-pa...`)."""
    kept = shown.rstrip(".…").casefold()
    full = uri.casefold()
    return bool(kept) and (full.startswith(kept) or full.partition("://")[2].startswith(kept))


def read_text(text: str, facets: object) -> RichText:
    """Never raises. A facet whose slice is none in the text (or cuts a character) only names its target."""
    encoded = text.encode("utf-8", "replace")
    parts: list[str] = []
    links: list[str] = []
    mentions: list[tuple[str, str | None]] = []
    at = 0
    for facet in _facets(facets):
        start, end = facet.index.start, facet.index.end
        shown = _decoded(encoded, start, end)
        for feature in facet.features:
            if feature.type == MENTION and feature.did:
                named = shown.removeprefix("@") if shown and shown.startswith("@") else None
                mentions.append((feature.did, named))
            if feature.type == LINK and feature.uri:
                links.append(feature.uri)
                before = _decoded(encoded, at, start)
                spelled = is_web_link(feature.uri) and shown and _shortens(shown, feature.uri)
                if spelled and start >= at and before is not None:
                    parts += [before, feature.uri]
                    at = end
    rest = _decoded(encoded, at, len(encoded))
    return RichText("".join([*parts, rest or ""]), tuple(links), tuple(dict(mentions).items()))


def _decoded(encoded: bytes, start: int, end: int) -> str | None:
    """The text of a slice; None where it is none."""
    if not 0 <= start <= end <= len(encoded):
        return None
    try:
        return encoded[start:end].decode()
    except UnicodeDecodeError:
        return None
