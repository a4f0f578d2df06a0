"""Which accounts can speak, from presence.yaml. One new platform is one entry in `BUILDERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pydantic import SecretStr

from services.contracts.configuration import Account, Configuration, EmailAccount
from services.ingest.domain.accounts import OwnAccount, own_accounts
from services.ingest.speaking import bluesky, mastodon, meta, x
from services.ingest.speaking.email import EmailSpeaker
from services.ingest.speaking.port import Speaker
from services.runtime.clock import Clock

Secrets = Callable[[str], SecretStr]
Builder = Callable[[Account, OwnAccount, Secrets, Clock], Speaker | None]
"""A speaker for an account of its platform; None where no credential for writing is configured."""


def _email(account: Account, own: OwnAccount, secrets: Secrets, clock: Clock) -> Speaker | None:
    assert isinstance(account, EmailAccount)
    if account.settings.smtp is None:
        return None
    secrets(account.settings.secret)
    secret = partial(secrets, account.settings.secret)
    return EmailSpeaker(own, account.settings, secret, clock)


BUILDERS: Mapping[str, Builder] = {
    "email": _email,
    "x": x.build,
    "facebook": meta.build,
    "instagram": meta.build,
    "mastodon": mastodon.build,
    "bluesky": bluesky.build,
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
