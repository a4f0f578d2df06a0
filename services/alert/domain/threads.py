"""Threads and conversations: which items belong together, and to whom.

A thread is a connected component of items over `in_reply_to` and the payload's root; what is named
and not (yet) known is a node too. So a root that one payload guessed ("the oldest ancestor I know")
and the real one meet as soon as any item links them, whatever the order. Direct messages have no
root: one thread per account, in which each person is a conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.alert.domain.items import Item
from services.contracts import identity


class Conversation(NamedTuple):
    """One person in one thread. `thread` is any stable name of the component."""

    thread: str
    counterpart: str


def direct_thread(item: Item) -> str:
    """The node that stands for an account's direct messages."""
    return identity.conversation_id(item.platform, item.account_id, None, "")


def nodes(item: Item) -> tuple[str, ...]:
    """The nodes that this item ties together; the first is its own."""
    if item.direct:
        return (item.id, direct_thread(item))
    named = (item.id, item.root, item.parent)
    return tuple(dict.fromkeys(node for node in named if node is not None))


def components(items: Iterable[Item]) -> dict[str, str]:
    """Every node's thread, named by its smallest node: a union-find."""
    above: dict[str, str] = {}

    def top(node: str) -> str:
        above.setdefault(node, node)
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for item in items:
        tops = sorted({top(node) for node in nodes(item)})
        for other in tops[1:]:
            above[other] = tops[0]
    return {node: top(node) for node in above}


def counterparts(item: Item, items: Mapping[str, Item]) -> frozenset[str]:
    """The people in whose conversations this item belongs; none for a broadcast.

    Inbound: its author. Outbound: the author it answers (as the payload says, or by its parent), and
    those it addresses. Where the brand continues its own reply, the people of that reply.
    `items` are those of the thread, as far as they are known.
    """
    if item.inbound:
        return frozenset({item.counterpart_id or item.author_id})
    people: set[str] = set()
    seen: set[str] = set()
    current: Item | None = item
    while current is not None and current.id not in seen:
        seen.add(current.id)
        if current.inbound:
            people.add(current.counterpart_id or current.author_id)
            break
        people.update(current.mentions)
        if current.counterpart_id is not None:
            people.add(current.counterpart_id)
            break
        current = items.get(current.parent) if current.parent else None
    return frozenset(people - {item.account_id})


def conversations(items: Mapping[str, Item]) -> dict[Conversation, list[Item]]:
    """All items by conversation: the plain statement of what the store keeps up to date."""
    threads = components(items.values())
    found: dict[Conversation, list[Item]] = {}
    for item in items.values():
        for person in counterparts(item, items):
            found.setdefault(Conversation(threads[item.id], person), []).append(item)
    return found
