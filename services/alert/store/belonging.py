"""Where new items belong: their threads and the people in whose conversations they are.

`services.alert.domain.threads` says what must hold; this keeps it true a batch at a time, touching only
what the batch touches. The caller holds the fold's lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from psycopg.rows import DictRow

from services.alert.domain.items import Item
from services.alert.domain.threads import counterparts, nodes
from services.alert.store.rows import item_of
from services.alert.store.sql import FOLD, Connection, all_of


class Place(NamedTuple):
    """A conversation by what it is: one person in one thread."""

    thread: int
    counterpart: str


async def tie_threads(
    connection: Connection, items: Sequence[Item]
) -> tuple[dict[str, int], list[int]]:
    """The thread of each item, and the conversations that a merge of threads touched.

    New threads are made, threads that turn out to be one are merged into the oldest.
    """
    groups = _groups(items)
    named = list(dict.fromkeys(node for group in groups for node in group))
    rows = await all_of(connection, "nodes_of", nodes=named)
    known: dict[str, int] = {row["node"]: row["thread"] for row in rows}
    # Groups that meet in a stored thread are one.
    joined: dict[int, int] = {}

    def survivor(thread: int) -> int:
        while joined.get(thread, thread) != thread:
            thread = joined[thread]
        return thread

    fresh = [group for group in groups if not any(node in known for node in group)]
    made = await all_of(connection, "threads_make", count=len(fresh)) if fresh else []
    threads: dict[str, int] = {}
    for group, row in zip(fresh, made, strict=True):
        threads |= {node: int(row["id"]) for node in group}
    for group in groups:
        tops = sorted({survivor(known[node]) for node in group if node in known})
        for other in tops[1:]:
            joined[other] = tops[0]
        if tops:
            threads |= dict.fromkeys(group, tops[0])
    threads = {node: survivor(thread) for node, thread in threads.items()}
    merges: dict[int, list[int]] = {}
    for thread in joined:
        merges.setdefault(survivor(thread), []).append(thread)
    touched: list[int] = []
    for into, gone in merges.items():
        touched += await _merge(connection, into, gone)
    added = [node for node in threads if node not in known]
    if added:
        places = [threads[node] for node in added]
        await connection.execute(FOLD["nodes_add"], {"nodes": added, "threads": places})
    return {item.id: threads[item.id] for item in items}, touched


def _groups(items: Iterable[Item]) -> list[list[str]]:
    """The components within the batch."""
    above: dict[str, str] = {}

    def top(node: str) -> str:
        above.setdefault(node, node)
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    for item in items:
        first, *others = nodes(item)
        for other in others:
            above[top(other)] = top(first)
        top(first)
    groups: dict[str, list[str]] = {}
    for node in above:
        groups.setdefault(top(node), []).append(node)
    return list(groups.values())


async def _merge(connection: Connection, into: int, gone: list[int]) -> list[int]:
    """Several threads are one: their conversations with the same person are one, the oldest stays."""
    rows = await all_of(connection, "conversations_of_threads", threads=[into, *gone])
    by_person: dict[str, list[DictRow]] = {}
    for row in rows:
        by_person.setdefault(row["counterpart"], []).append(row)
    moved: list[int] = []
    for held in by_person.values():
        oldest, *others = held  # in id order
        if others:
            await connection.execute(
                FOLD["conversations_merge"],
                {"into": oldest["id"], "from": [row["id"] for row in others]},
            )
        if oldest["thread"] != into:
            moved.append(oldest["id"])
    await connection.execute(FOLD["threads_merge"], {"into": into, "from": gone})
    await connection.execute(FOLD["conversations_move"], {"into": into, "ids": moved})
    return [held[0]["id"] for held in by_person.values()]


async def place_members(
    connection: Connection, items: Sequence[Item], threads: dict[str, int]
) -> set[Place]:
    """Write to whom the new items belong, and anew for the brand's replies below and above them.

    Returns every conversation that gained or lost an item.
    """
    ids = [item.id for item in items]
    rows = await all_of(connection, "outbound_around", ids=ids)
    around = {row["item_id"]: item_of(row) for row in rows}
    thread_of = {row["item_id"]: int(row["thread"]) for row in rows}
    thread_of.update(threads)
    placed = await all_of(connection, "members_of", ids=list(around))
    before: dict[str, set[str]] = {}
    for row in placed:
        before.setdefault(row["item_id"], set()).add(row["counterpart"])
    gained: list[tuple[str, str]] = []
    lost: list[tuple[str, str]] = []
    for item in around.values():
        people = counterparts(item, around)
        had = before.get(item.id, set())
        gained += [(item.id, person) for person in people - had]
        lost += [(item.id, person) for person in had - people]
    if lost:
        await connection.execute(
            FOLD["members_drop"], {"items": [i for i, _ in lost], "people": [p for _, p in lost]}
        )
    if gained:
        await connection.execute(
            FOLD["members_add"],
            {
                "items": [item for item, _ in gained],
                "people": [person for _, person in gained],
                "threads": [thread_of[item] for item, _ in gained],
            },
        )
    return {Place(thread_of[item], person) for item, person in gained + lost}


async def conversations_at(
    connection: Connection, places: Iterable[Place], like: Mapping[int, DictRow]
) -> list[int]:
    """The ids of these conversations, made where they are new. `like`: each thread's platform."""
    wanted = sorted(set(places))
    if not wanted:
        return []
    threads = [place.thread for place in wanted]
    people = [place.counterpart for place in wanted]
    models = [like[place.thread] for place in wanted]
    await connection.execute(
        FOLD["conversations_add"],
        {
            "threads": threads,
            "people": people,
            "platforms": [row["platform"] for row in models],
            "accounts": [row["account_id"] for row in models],
            "brands": [row["brand"] for row in models],
        },
    )
    rows = await all_of(connection, "conversations_find", threads=threads, people=people)
    return [row["id"] for row in rows]
