"""Reads open episodes for boards that list them, and passes "I take it" on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from services.alert.domain.boards.waiting import TAKE, Waiting
from services.alert.ports import Actor, ActResult, Pressed
from services.alert.store.acts import PostgresEpisodes
from services.alert.store.sql import Connection, all_of
from services.alert.store.standings import card_at, messages_of, records_of
from services.contracts.configuration import Configuration

Place = tuple[str, str]
"""A brand and a destination."""


async def waiting_by_place(
    connection: Connection,
    configuration: Configuration,
    whys: Mapping[str, str],
    now: datetime,
    place_of: Callable[[str], str] | None = None,
    also_ended: Collection[str] = (),
) -> dict[Place, list[Waiting]]:
    """The live ones among these episodes, by brand and destination. `whys`: by episode id.

    `place_of`: the destination of an episode's board; without it that of the episode's own card.
    `also_ended`: those of them that are wanted though nobody waits any more.
    """
    ids = list(whys)
    if not ids:
        return {}
    records = await records_of(connection, ids)
    items = await messages_of(connection, ids)
    refs = await all_of(connection, "cards_of", episodes=ids)
    urls = {(str(row["episode"]), row["destination"]): row["url"] for row in refs}
    found: dict[Place, list[Waiting]] = {}
    for one, record in records.items():
        if not (record.live or one in also_ended) or not items.get(one):
            continue
        destination = place_of(one) if place_of else record.destinations[0]
        card = card_at(record, items[one], configuration, destination, now)
        url = next((urls[one, at] for at in record.destinations if urls.get((one, at))), None)
        found.setdefault((record.brand, destination), []).append(
            Waiting(card, record.brand, record.folded.opened_at, record.claimed_by, url, whys[one])
        )
    return found


async def take(episodes: PostgresEpisodes, act: str, target: str, by: Actor) -> Pressed:
    """ "I take it" is a claim like any other."""
    if act != TAKE:
        return Pressed(ActResult.unknown)
    return Pressed(await episodes.claim(target, by))
