"""Text that we wrote for training: templates with choices and slots, in many languages.

`{a|b}` is a choice, `<name>` a slot, `<link?>` one that may stay empty. A heading names what follows: in
`<label>.<language>.txt` the kind, in `many.txt` label and language. Expanding is decided by the seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib.resources import files

from services.classify.training.corpus import Row, load_text
from services.contracts.events import Label

PER_TEMPLATE = 6
"""So many texts are made of each template."""

_CHOICE = re.compile(r"\{([^{}]*)\}")
_SLOT = re.compile(r"<([a-z0-9]+)(\?)?>")
_SPACES = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"\s+([,.!?;:])(?=\s|$)")

_LETTERS = "abcdefghijkmnopqrstuvwxyz0123456789"
_SLOTS: dict[str, tuple[str, ...]] = {
    "brand": ("Nordmart", "Aldovia", "Pay4U", "Zento", "Kaufwelt", "Lumo", "StarCafé", "Bluewave"),
    "name": ("Maria", "Kelvin", "Amara", "Jonas", "Aiko", "Rahul", "Olga", "Diego", "Fatima", "Lin"),
    "city": ("Lagos", "Porto", "Osaka", "Leeds", "Bogotá", "Izmir", "Gdańsk", "Pune", "Denver", "Lyon"),
    "coin": ("BTC", "ETH", "SOL", "PEPPA", "MOONZ", "FROG", "XLM", "CATX", "USDT", "GIGA"),
    "rocket": ("🚀", "🚀🚀🚀", "🔥", "💎", "LFG", ""),
    "pct": ("20%", "50%", "70 %", "100%", "90%", "15%"),
    "pence": ("£1.50", "50p", "$2.99", "25c", "£3"),
    "handle": ("@acmecare", "@acme", "@shopteam", "@anna_k", "@max1990", "@helpdesk", "@cityrail"),
    "money": ("$500", "€1.000", "£2000", "$5,000", "R$ 300", "₹10,000", "5000€", "$27k", "£350", "100 USD"),
}  # fmt: skip
_TAGS: tuple[str, ...] = (
    "fyp", "follow", "viral", "win", "crypto", "like4like", "trending", "giveaway", "f4f", "explore", "gain",
    "foryou", "music", "shop", "sdv", "love", "free", "instagood", "airdrop", "gaming",
)  # fmt: skip
_LOOK_ALIKES = (
    "post",
    "parcel",
    "bank",
    "secure",
    "my",
    "tax",
    "pay",
    "account",
    "brand",
    "express",
    "toll",
    "wallet",
)
_PRETEXTS = (
    "verify",
    "login",
    "rebook",
    "refund",
    "update",
    "fee",
    "claim",
    "confirm",
    "service",
    "portal",
    "id",
    "24",
)
_CHEAP = (
    "info",
    "top",
    "online",
    "live",
    "site",
    "cc",
    "xyz",
    "com",
    "net",
    "shop",
    "app",
    "club",
    "co",
)
_HOSTS = (
    "bit.ly/{}", "t.co/{}", "{}.xyz", "www.{}.com", "https://{}.info/go", "http://{}.net/a", "{}.shop/win",
    "https://example.org/{}", "tinyurl.com/{}", "https://t.me/{}", "{}.co.uk/news", "https://{}.io",
    "https://www.daily-{}.com/story", "https://{}-times.org/2026/a",
)  # fmt: skip


def written(per_template: int, seed: int) -> list[Row]:
    """Every template so many times, as rows of sources named `written_…`."""
    dice = random.Random(seed)
    rows: list[Row] = []
    for number, (label, kind, language, template) in enumerate(templates()):
        said = {expand(template, dice) for _ in range(per_template)}
        rows += [
            Row(
                text=text,
                label=label,
                source=f"written_{label}_{kind}",
                group=f"written-{number}",
                lang=language,
            )
            for text in sorted(said)
        ]
    return rows


def ours(per_template: int, seed: int) -> list[Row]:
    """Everything that we wrote for training: the templates' texts, the rows in `own/`, and who is in trouble.

    What is sensitive was said by a person, so it is a conversation; of the flags `flagged` tells.
    """
    rows = written(per_template, seed) + _rows_in("own")
    rows += [
        row.model_copy(update={"source": "written_flagged", "sensitive": None})
        for row in flagged()
        if row.sensitive
    ]
    return rows


def flagged() -> list[Row]:
    """What we wrote for the sensitive flags: flagged texts, and what sounds like them and means nothing."""
    return _rows_in("own_flags")


def _rows_in(name: str) -> list[Row]:
    folder = files("services.classify.training") / name
    found = sorted(folder.iterdir(), key=lambda one: one.name)
    return [
        row
        for file in found
        if file.name.endswith(".jsonl")
        for row in load_text(file.read_text(encoding="utf-8"), file.name)
    ]


def templates() -> Iterator[tuple[Label, str, str, str]]:
    """Label, kind, language and template of every line."""
    folder = files("services.classify.training") / "written"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if not file.name.endswith(".txt"):
            continue
        first = file.name.split(".")[0]
        label, kind, language = Label.conversation, "", "en"
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("## "):
                if first == "many":
                    name, language = line[3:].split()
                    label, kind = Label(name), language
                else:
                    label, kind = Label(first), line[3:].replace(" ", "-")
            elif line and not line.startswith("#"):
                yield label, kind, language, line


def expand(template: str, dice: random.Random) -> str:
    """One text of a template."""
    text = template
    while _CHOICE.search(text):
        text = _CHOICE.sub(lambda found: dice.choice(found[1].split("|")), text)
    text = _SLOT.sub(lambda found: _filled(found, dice), text)
    return _BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", text)).strip()


def _filled(found: re.Match[str], dice: random.Random) -> str:
    name, optional = found[1], found[2]
    if optional and dice.random() < 0.5:
        return ""
    if name in _SLOTS:
        return dice.choice(_SLOTS[name])
    if name == "num":
        return str(dice.choice((3, 7, 12, 24, 48, 150, 300, 1000)))
    if name == "num1":
        return str(dice.randrange(10))
    if name == "phone":
        national, abroad = dice.randrange(10**9, 10**10), dice.randrange(10**10, 10**11)
        return f"0{national}" if dice.random() < 0.5 else f"+{abroad}"
    if name == "short":
        return str(dice.randrange(60_000, 90_000))
    if name == "tag":
        return dice.choice(_TAGS)
    if name == "site":
        host = f"{dice.choice(_LOOK_ALIKES)}-{dice.choice(_PRETEXTS)}.{dice.choice(_CHEAP)}"
        return dice.choice((host, host, f"https://{host}", f"{host}/{dice.choice(_PRETEXTS)}"))
    if name == "link":
        return dice.choice(_HOSTS).format("".join(dice.choices(_LETTERS, k=dice.randrange(4, 9))))
    if name in {"code", "hex"}:
        return "".join(dice.choices(_LETTERS, k=6 if name == "code" else 38)).upper()
    raise ValueError(f"no such slot: <{name}>")
