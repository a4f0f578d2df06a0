"""Known spam signs in links and handles: hidden targets, abused endings, domains that look like the brand's.

The lists are data (services/classify/signs/*.yaml, each with its source), and presence.yaml adds to them
and takes away. A sign shifts the odds of spam; it never decides alone, and never speaks against what the
team trusts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from services.classify.domain.cues import Cue
from services.classify.domain.evidence import Evidence, Layer, Shift
from services.classify.domain.impersonation import edits, skeleton
from services.classify.domain.reading import Reading
from services.contracts.events import Notification

_SECOND_LEVEL: Final = frozenset({"co", "com", "org", "net", "gov", "ac", "edu", "gob", "or", "ne"})
"""`shop.co.uk`: with an ending of two letters the name stands one further to the left."""
_COUNTRY: Final = 2
_SHORTEST: Final = 4
"""Names under so many letters are found in others by chance."""
_LONG_NAME: Final = 8


class Host(NamedTuple):
    """A link's host, taken apart."""

    full: str
    registered: str
    """As one registers it: `acme.co.uk`."""
    name: str
    """Its first label: `acme`."""
    ending: str


@dataclass(frozen=True, slots=True)
class SpamSigns:
    """The lists in use. All entries casefolded; hosts without `www.`."""

    shorteners: frozenset[str] = frozenset()
    abused_endings: frozenset[str] = frozenset()
    open_hosts: frozenset[str] = frozenset()
    lures: frozenset[str] = frozenset()
    brand_domains: tuple[str, ...] = ()
    blocked_domains: frozenset[str] = frozenset()
    blocked_handles: frozenset[str] = frozenset()
    trusted_domains: frozenset[str] = frozenset()

    def find(self, item: Notification, reading: Reading) -> list[Evidence]:
        """The signs of one item, the heaviest of its links."""
        found = [*self._of_links(item, reading), *self._of_handles(item, reading)]
        return list({one.name: one for one in sorted(found, key=_spam)}.values())

    def _of_links(self, item: Notification, reading: Reading) -> Iterator[Evidence]:
        pitched = reading.first(Cue.scam) or reading.first(Cue.promotion)
        for link in (*item.links, *reading.text.links):
            host = host_of(link)
            if host is None or _under(host, self.trusted_domains | {*self.brand_domains}):
                continue
            if _under(host, self.blocked_domains):
                says = f"links to {host.registered}, which is on your list of spam"
                yield Evidence(Layer.spam_sign, "blocked domain", says, Shift(spam=4.0))
            elif ours := self._looks_like(host):
                says = f"links to {host.full}, which looks like {ours} and is not"
                yield Evidence(Layer.spam_sign, "look-alike domain", says, Shift(spam=3.5))
            elif host.ending in self.abused_endings:
                says = f"links to .{host.ending}, an ending that is often abused"
                weight = 1.2 if pitched else 0.6
                yield Evidence(Layer.spam_sign, "abused ending", says, Shift(spam=weight))
            elif pitched and _under(host, self.open_hosts):
                says = f"links to a page that anybody can make ({host.full})"
                yield Evidence(Layer.spam_sign, "open host", says, Shift(spam=0.6))
            elif pitched and not reading.structure.shortener and _under(host, self.shorteners):
                says = f"a link that hides where it leads ({host.full})"
                yield Evidence(Layer.spam_sign, "shortened link", says, Shift(spam=1.0))

    def _of_handles(self, item: Notification, reading: Reading) -> Iterator[Evidence]:
        named = {handle.lstrip("@").casefold() for handle in reading.text.handles}
        author = (item.author.handle or "").lstrip("@").casefold()
        for handle in sorted(self.blocked_handles & {*named, author}):
            whose = "written by" if handle == author else "sends people to"
            says = f"{whose} @{handle}, who is on your list of spam"
            yield Evidence(Layer.spam_sign, "blocked handle", says, Shift(spam=4.0))

    def _looks_like(self, host: Host) -> str | None:
        """The brand's domain that this one is taken for."""
        for ours in self.brand_domains:
            own = _parts(ours)
            if f"{own.registered}." in f".{host.full}" and own.registered != host.registered:
                return own.registered
            if len(own.name) >= _SHORTEST and self._resembles(host, own):
                return own.registered
        return None

    def _resembles(self, host: Host, own: Host) -> bool:
        if host.name == own.name:
            # The brand may own its name under other endings; under an abused one hardly.
            return host.ending in self.abused_endings
        theirs, ours = skeleton(host.name), skeleton(own.name)
        at_most = 1 if len(ours) < _LONG_NAME else 2
        if theirs == ours or (
            len(ours) > _SHORTEST and edits(theirs, ours, at_most=at_most) is not None
        ):
            return True
        words = set(host.name.split("-"))
        if any(skeleton(word) == ours for word in words) and words & self.lures:
            return True
        return any(theirs in (ours + skeleton(lure), skeleton(lure) + ours) for lure in self.lures)


def _spam(one: Evidence) -> float:
    return one.shift.spam


def host_of(link: str) -> Host | None:
    """The host of a link as people read it; None where there is none."""
    try:
        host = urlsplit(link if "://" in link else f"//{link}").hostname
    except ValueError:
        return None
    if not host or "." not in host:
        return None
    return _parts(host)


def _parts(host: str) -> Host:
    labels = [_readable(label) for label in host.casefold().strip(".").split(".")]
    if labels[0] == "www" and len(labels) > _COUNTRY:
        labels = labels[1:]
    short = len(labels[-1]) == _COUNTRY and len(labels) > _COUNTRY and labels[-2] in _SECOND_LEVEL
    registered = labels[-3:] if short else labels[-2:]
    return Host(".".join(labels), ".".join(registered), registered[0], labels[-1])


def _readable(label: str) -> str:
    """`xn--cme-8cd` as `аcme`: what the eye is shown."""
    if not label.startswith("xn--"):
        return label
    try:
        return label.encode("ascii").decode("idna")
    except UnicodeError:
        return label


def _under(host: Host, domains: Iterable[str]) -> bool:
    known = domains if isinstance(domains, frozenset) else frozenset(domains)
    labels = host.full.split(".")
    return any(".".join(labels[start:]) in known for start in range(len(labels) - 1))
