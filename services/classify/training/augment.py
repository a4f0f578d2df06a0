"""Takes from the model what belongs to a source and not to a label.

One source has a handle in every row, another a link; a model would learn the source. So handles, links
and repost marks are added and removed at random in every label, by a seed.
"""

from __future__ import annotations

import random
import re

_HANDLES = re.compile(r"(?<!\w)@\w+:?\s*")
_LINKS = re.compile(r"(?:https?://|www\.)\S+")
_REPOST = re.compile(r"^\s*RT\s+(?:@\w+:?\s*)?")
_SPACES = re.compile(r"\s{2,}")

_NAMES = ("brandcare", "acme", "shopteam", "anna_k", "the_daily", "max1990", "helpdesk", "cityrail")
_ADDRESSES = (
    "https://t.co/a1B2c3",
    "http://bit.ly/2xYz",
    "https://example.org/a",
    "www.shop.example",
)


def varied(text: str, dice: random.Random) -> str:
    """The same text as it might have stood elsewhere. Never empty where the text is not."""
    changed = text
    if dice.random() < 0.7:
        changed = _REPOST.sub("", changed)
    if dice.random() < 0.5:
        changed = _HANDLES.sub("", changed)
    if dice.random() < 0.5:
        changed = _LINKS.sub("", changed)
    if dice.random() < 0.35:
        changed = f"@{dice.choice(_NAMES)} {changed}"
    if dice.random() < 0.35:
        changed = f"{changed} {dice.choice(_ADDRESSES)}"
    if dice.random() < 0.15:
        changed = changed.lower()
    if dice.random() < 0.25:
        changed = changed.rstrip(".!… ")
    changed = _SPACES.sub(" ", changed).strip()
    return changed or text
