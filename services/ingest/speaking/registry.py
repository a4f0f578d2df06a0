"""Which accounts can speak, from presence.yaml. One new platform is one entry in `BUILDERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from services.contracts.configuration import Account, Configuration
from services.ingest.domain.accounts import OwnAccount, own_accounts
from services.ingest.speaking import bluesky, email, mastodon, meta, x, youtube
from services.ingest.speaking.port import Speaker
from services.runtime.clock import Clock

Secrets = Callable[[str], SecretStr]
Builder = Callable[[Account, OwnAccount, Secrets, Clock], Speaker | None]
"""A speaker for an account of its platform; None where no credential for writing is configured."""

BUILDERS: Mapping[str, Builder] = {
    "x": x.build,
    "facebook": meta.build,
    "instagram": meta.build,
    "mastodon": mastodon.build,
    "email": email.build,
    "bluesky": bluesky.build,
    "youtube": youtube.build,
}
"""By platform."""


def build_speakers(
    configuration: Configuration, secrets: Secrets, clock: Clock
) -> dict[tuple[str, str], Speaker]:
    """Every account that can answer, by (platform, account id). Makes no connection.

    Raises WrongConfiguration for a secret that is named and missing.
    """
    owned = own_accounts(configuration)
    found: dict[tuple[str, str], Speaker] = {}
    for account in configuration.accounts:
        build = BUILDERS.get(account.platform)
        place = account.platform, account.id
        speaker = build(account, owned[place], secrets, clock) if build else None
        if speaker is not None:
            found[place] = speaker
    return found
