"""Whether the platforms' way in leads to ingest: each source's own challenge, asked as the platform would."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from services.ingest.sources.meta import MetaSource
from services.ingest.sources.source import Refused, Source
from services.ingest.sources.x import XSource
from services.runtime.checks import Finding, good, unknown, wrong

_TOKEN = "presence-doctor"  # noqa: S105  (sent for the answer to it, and no secret)
_PROXY = "let the proxy in front of ingest (port 8001) pass /webhooks/ unchanged"


def challenge_for(source: Source, account_id: str) -> dict[str, str] | None:
    """What the platform would ask; None where it asks nothing."""
    if isinstance(source, XSource):
        return {"crc_token": _TOKEN, "account": account_id}
    if isinstance(source, MetaSource):
        return {
            "hub.mode": "subscribe",
            "hub.verify_token": source.apps[0].verify_token.decode(errors="replace"),
            "hub.challenge": _TOKEN,
        }
    return None


async def way_in(
    http: httpx.AsyncClient, intake_url: str, source: Source, account_id: str
) -> Finding:
    """Ask through the public address. Nothing is taken in: an unsigned delivery is refused with 401."""
    address = f"{intake_url.rstrip('/')}/webhooks/{source.name}"
    query = challenge_for(source, account_id)
    try:
        if query is None:
            response = await http.post(
                address, content=b"{}", headers={"content-type": _type(source)}
            )
        else:
            response = await http.get(address, params=query)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        says = f"{address} is not reached ({type(error).__name__})"
        return wrong(says, "is ingest up, is DNS right, does the proxy's certificate hold?")
    return _judge(response, address, source, query)


def _type(source: Source) -> str:
    return min(source.media_types)


def _judge(
    response: httpx.Response, address: str, source: Source, query: dict[str, str] | None
) -> Finding:
    status = response.status_code
    if status == 404:
        says = f"{address} answers 404: PRESENCE_PUBLIC_URL leads elsewhere, or to alert alone"
        return unknown(says, "pass --intake-url with the address that the platform was given")
    if 300 <= status < 400:
        return wrong(f"{address} redirects ({status}): platforms do not follow", _PROXY)
    if query is None:
        if status == 401:
            return good(f"{address} refuses what is unsigned, as it must")
        return wrong(f"{address} answers an unsigned delivery with {status}, not 401", _PROXY)
    if status == 403:
        says = (
            f"{address} refuses the challenge: the ingest that answers there holds another secret"
        )
        return wrong(says, "restart ingest with the secrets that this command was given")
    if status != 200:
        return wrong(f"{address} answers the platform's challenge with {status}", _PROXY)
    if response.content != _expected(source, query):
        says = f"{address} answers the challenge with another secret than the one set here"
        return wrong(says, "restart ingest with the secrets that this command was given")
    parts = urlsplit(address)
    if parts.scheme != "https" or parts.port not in (None, 443):
        says = f"{address} answers the challenge, but {source.name} calls https on the standard port only"
        return unknown(
            says, "put a proxy with TLS in front of it, and its address into PRESENCE_PUBLIC_URL"
        )
    return good(f"{address} answers the platform's challenge, asked from here")


def _expected(source: Source, query: dict[str, str]) -> bytes:
    try:
        challenge = source.challenge(query)
    except Refused:
        return b""
    return challenge.body if challenge else b""
