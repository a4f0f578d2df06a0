"""What the fold knows of one item: the facts of its creation, and what happened to it since.

An item's facts never change once they are stored. An edit, a deletion and a relabel lie beside them,
so that the order in which the events arrive cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.contracts import identity
from services.contracts.events import (
    Action,
    ClassifiedNotification,
    Corrected,
    Direction,
    Kind,
    Label,
    Notification,
    Origin,
    Sensitive,
    Urgency,
    Verdict,
)

GESTURES = frozenset({Kind.reaction, Kind.follow, Kind.repost})


@dataclass(frozen=True, slots=True)
class Relabel:
    """A person's word on one item. The last one holds."""

    id: str
    to: Label
    by: str
    at: datetime
    anchor: str | None
    """The newest item of the conversation that the person could have seen."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a card shows of an item. Gone, but for the name, once the item is deleted."""

    handle: str | None = None
    name: str | None = None
    text: str = ""
    permalink: str | None = None
    language: str = "und"
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One post, message or review, as the fold sees it."""

    id: str
    platform: str
    account_id: str
    brand: str
    inbound: bool
    author_id: str
    counterpart_id: str | None
    source_time: datetime
    received_at: datetime
    classified_at: datetime
    root: str | None = None
    """The item id of the thread's first item as this payload says it (it may be a guess)."""
    parent: str | None = None
    """The item id of what this answers."""
    private: bool = False
    addressed: bool = False
    automated: bool = False
    gesture: bool = False
    """A like, a follow or a bare repost: no words, so neither an answer nor a message."""
    mentions: tuple[str, ...] = ()
    origin: Origin = Origin.live
    may_page: bool = True
    opens: bool = False
    """Whether it needs an answer, by the verdict and the threshold of the day it was stored."""
    needs_answer_score: float | None = None
    """By the verdict; thresholds are suggested from it."""
    label: Label | None = None
    urgency: Urgency = Urgency.normal
    sensitive: frozenset[Sensitive] = frozenset()
    held: bool = False
    shown: Shown = Shown()
    similarity: str | None = None
    """The signature of its verdict: near-duplicates share most of its bits."""
    known: bool = False
    """Its author is on one of the team's lists, or was answered before."""
    deleted_at: datetime | None = None
    relabel: Relabel | None = None

    @property
    def direct(self) -> bool:
        """A direct message: its conversation is the person, not a thread."""
        return self.private and self.root is None

    @property
    def answers(self) -> bool:
        """Whether it can be an answer: the brand's own words, not a machine's, and more than a like."""
        return not (self.inbound or self.automated or self.gesture)

    @property
    def needs_answer(self) -> bool:
        """Whether somebody waits for an answer to it, or did until a person relabelled it."""
        made_conversation = self.relabel is not None and self.relabel.to is Label.conversation
        return self.inbound and (self.opens or made_conversation)

    @property
    def relabelled_away(self) -> bool:
        """Whether a person said that this is nobody who waits."""
        return self.relabel is not None and self.relabel.to is not Label.conversation

    @property
    def final_label(self) -> Label | None:
        """A person's label before the classifier's."""
        return self.relabel.to if self.relabel else self.label


@dataclass(frozen=True, slots=True)
class Edit:
    """The latest edit of an item. The first version's time and verdict stay."""

    at: datetime
    event_id: str
    text: str

    def newer_than(self, other: Edit | None) -> bool:
        """By the platform's time, then by id, so that any order of arrival ends the same."""
        return other is None or (self.at, self.event_id) > (other.at, other.event_id)


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened to an item after (or, as events arrive, before) its creation."""

    edit: Edit | None = None
    deleted_at: datetime | None = None

    def joined(self, other: Trace) -> Trace:
        """Both together. Commutative, associative, idempotent."""
        edit = self.edit
        if other.edit is not None and other.edit.newer_than(edit):
            edit = other.edit
        times = [at for at in (self.deleted_at, other.deleted_at) if at is not None]
        return Trace(edit, min(times, default=None))


def needs_answer(verdict: Verdict | None, threshold: float, *, overheard: bool = False) -> bool:
    """Whether an inbound item with this verdict opens an episode.

    Sensitive flags override the label. `threshold` is `classify.needs_answer` of presence.yaml. What was
    only overheard was said to somebody else. An impostor waits for no answer, so it has no clock: it is
    a board beside its victim's episode (domain/boards/impersonation.py).
    """
    if verdict is None or overheard:
        return False
    if verdict.sensitive:
        return True
    return verdict.label is Label.conversation and verdict.needs_answer >= threshold


def item_from(event: ClassifiedNotification, threshold: float) -> Item:
    """The facts of an item's creation."""
    said, verdict = event.notification, event.verdict
    inbound = said.direction is Direction.inbound
    root = said.conversation.root
    return Item(
        id=said.item_id,
        platform=said.platform,
        account_id=said.account_id,
        brand=said.brand,
        inbound=inbound,
        author_id=said.author.id,
        counterpart_id=said.conversation.counterpart_id,
        source_time=said.source_time,
        received_at=said.received_at,
        classified_at=event.classified_at,
        root=identity.item_id(said.platform, said.account_id, root) if root else None,
        parent=said.in_reply_to,
        private=said.private,
        addressed=said.addressed,
        automated=said.automated,
        gesture=bool(said.kinds) and said.kinds <= GESTURES,
        mentions=tuple(sorted({m.id for m in said.mentions} - {said.account_id})),
        origin=said.origin,
        may_page=said.may_page,
        opens=inbound and needs_answer(verdict, threshold, overheard=bool(said.overheard)),
        needs_answer_score=verdict.needs_answer if verdict else None,
        label=verdict.label if verdict else None,
        urgency=verdict.urgency if verdict else Urgency.normal,
        sensitive=verdict.sensitive if verdict else frozenset(),
        held=verdict.held if verdict else False,
        shown=shown_from(said, verdict),
        similarity=verdict.similarity if verdict else None,
        known=said.author.known,
    )


def shown_from(said: Notification, verdict: Verdict | None) -> Shown:
    """The part of an item that people see."""
    text = "\n".join(part for part in (said.title, said.text) if part)
    return Shown(
        handle=said.author.handle,
        name=said.author.name,
        text=text,
        permalink=said.permalink,
        language=verdict.language if verdict else said.language_hint or "und",
        why=tuple(reason.says for reason in verdict.reasons) if verdict else (),
    )


_TEXT = 4_000
"""Characters of a text that a correction carries: more than any engine looks at."""


def corrected(item: Item, *, texts: bool) -> Corrected:
    """What classify may know of a corrected item. Its words only where they may train, and `texts`."""
    sensitive = bool(item.sensitive)
    may_train = texts and not (item.private or sensitive or item.deleted_at is not None)
    return Corrected(
        platform=item.platform,
        author=item.author_id,
        language=item.shown.language,
        similarity=item.similarity,
        addressed=item.addressed,
        private=item.private,
        sensitive=sensitive,
        text=(item.shown.text[:_TEXT] or None) if may_train else None,
    )


def trace_from(said: Notification) -> Trace:
    """What an edit or a deletion leaves behind; of a creation, nothing."""
    if said.action is Action.deleted:
        return Trace(deleted_at=said.source_time)
    if said.action is Action.edited:
        text = "\n".join(part for part in (said.title, said.text) if part)
        return Trace(edit=Edit(said.source_time, said.event_id, text))
    return Trace()


def overlaid(item: Item, trace: Trace, relabel: Relabel | None = None) -> Item:
    """The item as it is now. A deleted item keeps who and when, and loses its words."""
    shown = item.shown
    if trace.deleted_at is not None:
        # The reasons may quote the words.
        shown = replace(shown, text="", permalink=None, why=())
    elif trace.edit is not None:
        shown = replace(shown, text=trace.edit.text)
    return replace(item, shown=shown, deleted_at=trace.deleted_at, relabel=relabel)
