"""Text as people wrote it, from what platforms send."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

TEXT_LIMIT = 40_000
"""Characters. Longer than any platform's post; keeps a record well below the broker's limit."""
LINK_LIMIT = 2_000
LINKS_KEPT = 50

_PLAIN_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?:[/?#][!-~]*)?")
"""What nearly every address looks like: nothing in it that two readers could take for two hosts."""

_BLOCKS = ("p", "li", "div", "blockquote", "h1", "h2", "h3", "pre")


def clean(text: str | None, limit: int = TEXT_LIMIT) -> str:
    """Without NUL (which PostgreSQL cannot store) and outer space, cut with … at `limit`."""
    text = (text or "").replace("\x00", "").strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def unescaped(text: str | None) -> str:
    """X escapes &, < and > in its texts."""
    return html.unescape(text or "")


def web_links(links: Iterable[str | None]) -> tuple[str, ...]:
    """The http and https links, each once, in order. Nothing else may become a link on a card."""
    kept = dict.fromkeys(link for link in links if link and is_web_link(link))
    return tuple(kept)[:LINKS_KEPT]


def is_web_link(link: str) -> bool:
    """Whether it is an http or https address of a sensible length without control characters."""
    if len(link) > LINK_LIMIT or not link.isprintable():
        return False
    if _PLAIN_LINK.fullmatch(link):
        return True
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def from_html(markup: str) -> tuple[str, tuple[str, ...]]:
    """The text of a status and the links it holds; mentions and hashtags are no links.

    Block elements and `<br>` become line ends. A shortened link is spelled out: Mastodon hides parts of
    it with style classes, which the plain text would glue together or lose.
    """
    # NUL ends the tokeniser's run on some inputs, so it goes before parsing.
    tree = LexborHTMLParser(markup[: TEXT_LIMIT * 4].replace("\x00", ""))
    links = []
    for anchor in tree.css("a[href]"):
        classes = (anchor.attributes.get("class") or "").split()
        href = anchor.attributes.get("href")
        if href and not {"mention", "hashtag", "u-url"} & set(classes):
            links.append(href)
            if is_web_link(href):
                anchor.replace_with(href)
    for tag in tree.css("script, style"):
        tag.decompose()
    for line_end in tree.css("br"):
        line_end.replace_with("\n")
    for block in tree.css(",".join(_BLOCKS)):
        block.insert_after("\n")
    body = tree.body
    text = body.text() if body is not None else ""
    return clean("\n".join(line.strip() for line in text.split("\n"))), web_links(links)
