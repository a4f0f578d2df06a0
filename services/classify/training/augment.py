"""Takes from the model what belongs to a source and not to a label.

One source has a handle in every row, another a link; a model would learn the source. So handles, links
and repost marks are added and removed at random in every label, by a seed. What is true of the labels
everywhere stays a little truer: people begin with a handle more often than spam does, and headlines
hardly ever; a link is rarer where a person talks.
"""

from __future__ import annotations

import random
import re

from services.contracts.events import Label

_HANDLES = re.compile(r"(?<!\w)@\w+:?\s*")
_LINKS = re.compile(r"(?:https?://|www\.)\S+")
_REPOST = re.compile(r"^\s*RT\s+(?:@\w+:?\s*)?")
_SPACES = re.compile(r"\s{2,}")

HANDLE_FIRST = {Label.conversation: 0.45, Label.spam: 0.2, Label.news: 0.1}
"""How often a handle is put before a text."""
LINK_LAST = {Label.conversation: 0.2, Label.spam: 0.4, Label.news: 0.4}
"""How often a link is put behind it."""
_NAMES = ("brandcare", "acme", "shopteam", "anna_k", "the_daily", "max1990", "helpdesk", "cityrail")
_ADDRESSES = (
    "https://t.co/a1B2c3",
    "http://bit.ly/2xYz",
    "https://example.org/a",
    "www.shop.example",
)


def varied(text: str, label: Label, dice: random.Random) -> str:
    """The same text as it might have stood elsewhere. Never empty where the text is not."""
    changed = text
    if dice.random() < 0.7:
        changed = _REPOST.sub("", changed)
    if dice.random() < 0.5:
        changed = _HANDLES.sub("", changed)
    if dice.random() < 0.5:
        changed = _LINKS.sub("", changed)
    if dice.random() < HANDLE_FIRST[label]:
        changed = f"@{dice.choice(_NAMES)} {changed}"
    if dice.random() < LINK_LAST[label]:
        changed = f"{changed} {dice.choice(_ADDRESSES)}"
    if dice.random() < 0.15:
        changed = changed.lower()
    if dice.random() < 0.25:
        changed = changed.rstrip(".!… ")
    changed = _SPACES.sub(" ", changed).strip()
    return changed or text
