"""Block Kit as a library of other people builds it: what it refuses, Slack's reference refuses.

`blockkit` has no way to read JSON, so that what we send is taken apart and built anew with it; both must be
the same. A key that it does not know, a text that is too long or empty, an element where it may not stand:
each raises.
"""

from __future__ import annotations

from typing import Any

import blockkit

_KINDS: dict[str, Any] = {
    "modal": blockkit.Modal,
    "home": blockkit.Home,
    "actions": blockkit.Actions,
    "context": blockkit.Context,
    "divider": blockkit.Divider,
    "header": blockkit.Header,
    "input": blockkit.Input,
    "section": blockkit.Section,
    "rich_text": blockkit.RichText,
    "rich_text_section": blockkit.RichTextSection,
    "rich_text_quote": blockkit.RichTextQuote,
    "rich_text_list": blockkit.RichTextList,
    "text": blockkit.RichTextEl,
    "user": blockkit.RichUserEl,
    "link": blockkit.RichLinkEl,
    "button": blockkit.Button,
    "static_select": blockkit.StaticSelect,
    "radio_buttons": blockkit.RadioButtons,
    "checkboxes": blockkit.Checkboxes,
    "overflow": blockkit.Overflow,
    "plain_text_input": blockkit.PlainTextInput,
}


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return [_built(one) for one in value]
    if not isinstance(value, dict):
        return value
    given = {key: _built(one) for key, one in value.items() if key != "type"}
    kind = value.get("type")
    if kind in ("plain_text", "mrkdwn"):
        return blockkit.Text(type=kind, **given)
    if kind is not None:
        return _KINDS[kind](**given)
    if "confirm" in value:
        return blockkit.Confirm(**given)
    return blockkit.Option(**given) if "text" in value else blockkit.RichStyle(**given)


def hold_as_a_view(view: dict[str, Any]) -> None:
    """A modal or a Home tab. Raises blockkit's error for what Slack would refuse."""
    assert _built(view).build() == view


def hold_as_blocks(blocks: list[dict[str, Any]]) -> None:
    """The blocks of a message."""
    message: Any = blockkit.Message(text="x", blocks=_built(blocks))
    assert message.build()["blocks"] == blocks
