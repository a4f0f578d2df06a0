"""presence.yaml on this replica's disk: a changed file becomes a new version, or is refused as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from services.alert import public_holidays
from services.alert.domain.rota_checks import rota_checks
from services.alert.store import configurations
from services.contracts.configuration import Configuration, Problem
from services.runtime import configuration as presence_yaml
from services.runtime.configuration import Check
from services.runtime.errors import WrongConfiguration
from services.runtime.logs import get_logger
from services.runtime.postgres import Pool
from services.runtime.settings import optional_secret

log = get_logger(__name__)


def checks(now: datetime) -> Sequence[Check]:
    """What alert asks of presence.yaml beyond its form: each mistake is told with its line."""
    return (lambda configuration: rota_checks(configuration, now), _known_regions)


def _known_regions(configuration: Configuration) -> Iterator[Problem]:
    for place, rota in enumerate(configuration.rotas):
        if rota.public_holidays is not None and not public_holidays.known(rota.public_holidays):
            says = f"no public holidays are known of {rota.public_holidays}"
            yield Problem(("rotas", place, "public_holidays"), says)


def destination_secrets(configuration: Configuration) -> Iterator[Problem]:
    """A destination whose secrets are not in this process's environment cannot be opened while it runs."""
    for place, section in enumerate(configuration.destinations):
        for key in ("bot_token", "signing_secret", "app_token", "url", "app_password"):
            name = getattr(section, key, None)
            if name is not None and optional_secret(name) is None:
                says = f"{name} is not set here (nor {name}_FILE): set it and start alert anew"
                yield Problem(("destinations", place, key), says)


class Looked(StrEnum):
    """What a look at the file found."""

    unchanged = "unchanged"
    stored = "stored"
    refused = "refused"


class TeamFile:
    """Looks at the file and stores what changed.

    Only a change counts, never a difference: a replica whose file is older than the version in force
    leaves it alone.
    """

    def __init__(
        self,
        path: Path,
        sha256: str,
        pool: Pool,
        now: Callable[[], datetime],
        also: Sequence[Check] = (),
    ) -> None:
        """`sha256`: of the file as it was read at the start. `also`: what a changed file is asked, too."""
        self._also = also
        self._path = path
        self._pool = pool
        self._now = now
        self._seen = sha256
        self.problem: str | None = None
        """Why the file as it is now was refused: what was in force before still is."""

    async def look(self) -> Looked:
        """Read the file; store it where it changed and is good."""
        try:
            digest = await asyncio.to_thread(presence_yaml.sha256_of, self._path)
        except OSError:
            # Being replaced, or not there: what was accepted holds.
            return Looked.unchanged
        if digest == self._seen:
            return Looked.unchanged
        try:
            asked = (*checks(self._now()), *self._also)
            loaded = await asyncio.to_thread(presence_yaml.load, self._path, asked)
        except WrongConfiguration as error:
            self._seen, self.problem = digest, str(error)
            log.error("presence.yaml was changed and is refused", mistakes=self.problem)
            await configurations.refuse(self._pool, digest, self.problem)
            return Looked.refused
        stored = await configurations.store(self._pool, loaded, through="file")
        self._seen, self.problem = loaded.sha256, None
        log.info("presence.yaml was changed and is in force", version=stored.version)
        return Looked.stored
