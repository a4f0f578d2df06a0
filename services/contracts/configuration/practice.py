"""Practice: places for training that nothing real can reach, because no other key can name them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from services.contracts.configuration.routing import (
    Destination,
    PhoneDestination,
    SlackDestination,
    TeamsBotDestination,
)
from services.contracts.configuration.values import Duration, Section


class Practice(Section):
    """Where new responders practise (docs/practice.md). Without destinations there is no practice."""

    destinations: tuple[Destination, ...] = ()
    """Private places of their own. They stand here and not under `destinations`, so that no route, policy,
    fallback or board can ever name one."""
    time_limit: Duration = Field("2h", validate_default=True)
    """A practice ends by itself after so long."""
    keep: Duration = Field("30d", validate_default=True)
    """How long debriefs are kept; everything else of a practice goes with its end."""

    def destination(self, name: str) -> Destination | None:
        """The practice destination of that id."""
        return next((one for one in self.destinations if one.id == name), None)


def misplaced(
    practice: Practice, real: tuple[Destination, ...]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Practice destinations that are not apart: where, and what is wrong."""
    ids, places = {one.id for one in real}, {_place(one): one.id for one in real}
    for i, one in enumerate(practice.destinations):
        where = ("practice", "destinations", i)
        if one.id in ids:
            yield (*where, "id"), f"{one.id!r} is there twice"
        ids.add(one.id)
        if (known := places.get(_place(one))) is not None:
            yield (
                (*where, "id"),
                f"{one.id} and {known} are one place: practice needs one of its own",
            )
        if isinstance(one, PhoneDestination):
            yield (*where, "kind"), "a practice has a channel and calls nobody"
        if one.fallback is not None:
            yield (*where, "fallback"), "nothing of practice goes anywhere else: leave it out"


def _place(one: Destination) -> tuple[str, str]:
    """What two destinations share that post into the same place."""
    match one:
        case SlackDestination() | TeamsBotDestination():
            return one.kind, one.channel
        case PhoneDestination():
            return one.kind, one.id
        case _:
            return "url", one.url
