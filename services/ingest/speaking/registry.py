"""Which accounts can speak, from presence.yaml. One new platform is one entry in `SPEAKERS`.

A platform's module is imported where an account of it is configured: clients that nobody uses cost a
service a third of its memory and of its time to start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from pydantic import SecretStr

from services.contracts.configuration import Account, Configuration
from services.ingest.domain.accounts import OwnAccount, own_accounts
from services.ingest.speaking.port import Speaker
from services.runtime.clock import Clock

Secrets = Callable[[str], SecretStr]
Builder = Callable[[Account, OwnAccount, Secrets, Clock], Speaker | None]
"""A speaker for an account of its platform; None where no credential for writing is configured."""

SPEAKERS: Mapping[str, str] = {
    "x": "x",
    "facebook": "meta",
    "instagram": "meta",
    "mastodon": "mastodon",
    "email": "email",
    "bluesky": "bluesky",
    "youtube": "youtube",
}
"""By platform: the module beside this one whose `build` is its Builder."""


def build_speakers(
    configuration: Configuration, secrets: Secrets, clock: Clock
) -> dict[tuple[str, str], Speaker]:
    """Every account that can answer, by (platform, account id). Makes no connection.

    Raises WrongConfiguration for a secret that is named and missing.
    """
    owned = own_accounts(configuration)
    found: dict[tuple[str, str], Speaker] = {}
    for account in configuration.accounts:
        if account.platform not in SPEAKERS:
            continue
        place = account.platform, account.id
        speaker = _builder(account.platform)(account, owned[place], secrets, clock)
        if speaker is not None:
            found[place] = speaker
    return found


def _builder(platform: str) -> Builder:
    build: Builder = import_module(f"services.ingest.speaking.{SPEAKERS[platform]}").build
    return build
