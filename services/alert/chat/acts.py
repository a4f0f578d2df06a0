"""What became of an act, in the words that the person who pressed reads."""

from __future__ import annotations

from services.alert.domain.card import Card
from services.alert.ports import ActResult


def said(result: ActResult, card: Card | None) -> str:
    """One sentence for the one who pressed."""
    match result:
        case ActResult.done:
            return "Done."
        case ActResult.already:
            return "That is so already: nothing was changed."
        case ActResult.taken:
            who = card.claimed_by if card and card.claimed_by else "Somebody else"
            return f"{who} has it already."
        case ActResult.refused:
            brand = card.brand if card else "this brand"
            return f"You may not do this for {brand}: ask a lead to add you in presence.yaml."
        case ActResult.reason_needed:
            return "Say why: they wrote to us directly, or it looks sensitive."
        case ActResult.unknown:
            return "There is no such episode any more."
        case ActResult.cautioned:
            return "Look at this first, then send it again."
        case ActResult.impossible:
            return "That cannot be done."
