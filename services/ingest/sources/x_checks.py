"""Whether an X token may search conversations."""

from __future__ import annotations

from services.contracts.configuration import XAccount
from services.ingest.domain.accounts import OwnAccount
from services.ingest.sources.registry import Secrets
from services.ingest.sources.x_auth import authorisation
from services.ingest.sources.x_threads import XConversations
from services.runtime.checks import Finding, good, unknown, wrong
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, Transient


async def may_search(account: XAccount, own: OwnAccount, secrets: Secrets) -> Finding:
    """One search that finds nothing: X counts no post for it."""
    auth = authorisation(account.settings, secrets)
    assert auth is not None, "threads take an access token: presence.yaml holds that"
    source = XConversations(own, str(account.settings.api_url), auth, SystemClock())
    try:
        await source.may_look()
    except Permanent as error:
        mend = "take a plan with recent search, or leave `threads` out of the settings"
        return wrong(f"X does not let this token search: {error.detail}", mend)
    except Transient as error:
        return unknown(f"X does not say whether the token may search: {error.reason.value}")
    finally:
        await source.close()
    return good("conversations of open episodes are searched, whomever their answers name")
