"""The brand's own accounts as the sources need them: who we are, by immutable id only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.contracts.configuration import (
    Account,
    Configuration,
    EmailAccount,
    MastodonAccount,
    WebhookAccount,
)


def squeezed(text: str) -> str:
    """For comparing texts without case and spaces."""
    return "".join(text.casefold().split())


@dataclass(frozen=True, slots=True)
class OwnAccount:
    """One of the brand's accounts.

    `native_id` is what the platform's payloads call it. It differs from `id` only on Mastodon, where
    ids are local to a server and presence.yaml may say `109348@mastodon.example`.
    """

    platform: str
    id: str
    native_id: str
    brand: str
    own_ids: frozenset[str]
    """Native ids of all of the brand's accounts in the same id space: their items are outbound."""
    elsewhere: tuple[str, ...] = ()
    """Mastodon: `handle@server` of the brand's accounts on other servers. This server knows them by ids of
    its own, which only it can tell: never a handle decides who wrote something."""
    listed_authors: frozenset[str] = frozenset()
    """Author ids on any of the brand's lists: `known`."""
    automatic_apps: frozenset[str] = frozenset()
    automatic_texts: frozenset[str] = frozenset()
    """Squeezed."""


def _id_space(account: Account) -> tuple[str, str]:
    """Where ids are unique. A Mastodon id means nothing on another server."""
    if isinstance(account, MastodonAccount):
        return account.platform, account.settings.url.host or ""
    if isinstance(account, WebhookAccount):
        return account.platform, account.settings.source
    return account.platform, ""


def native_id(account: Account) -> str:
    """The id that the platform's payloads use."""
    if isinstance(account, MastodonAccount):
        return account.id.partition("@")[0]
    return account.id


def _elsewhere(account: Account, accounts: Iterable[Account]) -> Iterator[str]:
    if not isinstance(account, MastodonAccount):
        return
    here = account.settings.url.host
    for one in accounts:
        if not isinstance(one, MastodonAccount) or one.brand != account.brand or not one.handle:
            continue
        if one.settings.url.host != here:
            yield f"{one.handle.removeprefix('@').partition('@')[0]}@{one.settings.url.host}"


def own_accounts(configuration: Configuration) -> dict[tuple[str, str], OwnAccount]:
    """Every account of presence.yaml, by (platform, id)."""
    spaces: dict[tuple[str, tuple[str, str]], set[str]] = defaultdict(set)
    for account in configuration.accounts:
        space = spaces[account.brand, _id_space(account)]
        space.add(native_id(account))
        if isinstance(account, EmailAccount):
            space.update(alias.lower() for alias in account.settings.aliases)
    lists = {brand.id: brand.author_lists for brand in configuration.brands}
    found: dict[tuple[str, str], OwnAccount] = {}
    for account in configuration.accounts:
        marked = (entry for named in lists[account.brand].values() for entry in named)
        split = (entry.partition(":") for entry in marked)
        found[account.platform, account.id] = OwnAccount(
            platform=account.platform,
            id=account.id,
            native_id=native_id(account),
            brand=account.brand,
            own_ids=frozenset(spaces[account.brand, _id_space(account)]),
            elsewhere=tuple(_elsewhere(account, configuration.accounts)),
            listed_authors=frozenset(id_ for name, _, id_ in split if name == account.platform),
            automatic_apps=frozenset(account.automation.app_ids),
            automatic_texts=frozenset(map(squeezed, account.automation.texts)),
        )
    return found
