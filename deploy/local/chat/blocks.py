"""What Slack refuses in blocks and views: Block Kit's limits, checked as strictly as Slack does.

Lengths are in UTF-16 units. Source: the Block Kit reference on docs.slack.dev.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100


class Fault(NamedTuple):
    """What is wrong, and where, as a JSON pointer."""

    says: str
    at: str

    def __str__(self) -> str:
        return f"{self.says} [json-pointer:{self.at}]"


Faults = Iterator[Fault]
_Check = Callable[[dict[str, Any], str], Faults]


def units(text: str) -> int:
    """Length as Slack counts it."""
    return len(text.encode("utf-16-le")) // 2


def _string(value: Any, at: str, most: int, least: int = 0) -> Faults:
    if not isinstance(value, str):
        yield Fault("must be a string", at)
    elif units(value) > most:
        yield Fault(f"must be less than {most + 1} characters", at)
    elif units(value) < least:
        yield Fault(f"must be more than {least - 1} characters", at)


def _keys(one: dict[str, Any], at: str, required: str, allowed: str = "") -> Faults:
    known = {"type", *required.split(), *allowed.split()}
    for key in required.split():
        if key not in one:
            yield Fault(f"missing required field: {key}", at)
    for key in one:
        if key not in known:
            yield Fault(f"invalid additional property: {key}", at)


def _text(value: Any, at: str, most: int, *, plain: bool = False) -> Faults:
    if not isinstance(value, dict):
        yield Fault("must be an object", at)
        return
    kind = value.get("type")
    if kind not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        yield Fault(f"unsupported type: {kind}", at)
        return
    yield from _keys(value, at, "text", "emoji" if kind == "plain_text" else "verbatim")
    if "text" in value:
        yield from _string(value["text"], f"{at}/text", most, 1)


def _listed(value: Any, at: str, most: int, least: int = 1) -> Faults:
    if not isinstance(value, list):
        yield Fault("must be an array", at)
    elif len(value) > most:
        yield Fault(f"no more than {most} items allowed", at)
    elif len(value) < least:
        yield Fault(f"no fewer than {least} items allowed", at)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _action_id(one: dict[str, Any], at: str) -> Faults:
    if "action_id" in one:
        yield from _string(one["action_id"], f"{at}/action_id", 255, 1)


def _confirm(one: dict[str, Any], at: str) -> Faults:
    if "confirm" not in one:
        return
    dialog, at = one["confirm"], f"{at}/confirm"
    if not isinstance(dialog, dict):
        yield Fault("must be an object", at)
        return
    yield from _keys(dialog, at, "title text confirm deny", "style")
    for key, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
        if key in dialog:
            yield from _text(dialog[key], f"{at}/{key}", most, plain=key != "text")


def _button(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "text", "action_id url value style confirm accessibility_label")
    yield from _text(one.get("text"), f"{at}/text", 75, plain=True)
    yield from _action_id(one, at)
    yield from _confirm(one, at)
    for key, most in (("url", 3_000), ("value", 2_000), ("accessibility_label", 75)):
        if key in one:
            yield from _string(one[key], f"{at}/{key}", most)
    if one.get("style", "primary") not in ("primary", "danger"):
        yield Fault("style is primary or danger", f"{at}/style")


def _option(one: Any, at: str) -> Faults:
    if not isinstance(one, dict):
        yield Fault("must be an object", at)
        return
    yield from _keys(one, at, "text value", "description url")
    yield from _text(one.get("text"), f"{at}/text", 75)
    yield from _string(one.get("value"), f"{at}/value", 150)


def _options(most: int, least: int = 1) -> _Check:
    def check(one: dict[str, Any], at: str) -> Faults:
        allowed = "action_id confirm placeholder initial_option initial_options focus_on_load"
        yield from _keys(one, at, "options", allowed)
        yield from _listed(one.get("options"), f"{at}/options", most, least)
        for number, option in enumerate(_items(one.get("options"))):
            yield from _option(option, f"{at}/options/{number}")
        if "placeholder" in one:
            yield from _text(one["placeholder"], f"{at}/placeholder", 150, plain=True)
        yield from _action_id(one, at)
        yield from _confirm(one, at)

    return check


def _plain_text_input(one: dict[str, Any], at: str) -> Faults:
    allowed = "action_id initial_value multiline min_length max_length placeholder focus_on_load"
    yield from _keys(one, at, "", f"{allowed} dispatch_action_config")
    yield from _action_id(one, at)
    if "initial_value" in one:
        yield from _string(one["initial_value"], f"{at}/initial_value", 3_000)
    if "placeholder" in one:
        yield from _text(one["placeholder"], f"{at}/placeholder", 150, plain=True)
    if not 0 < one.get("max_length", 3_000) <= 3_000:
        yield Fault("max_length is 1 to 3000", f"{at}/max_length")


def _image(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "alt_text", "image_url slack_file block_id title")
    yield from _string(one.get("alt_text"), f"{at}/alt_text", 2_000)
    if "image_url" in one:
        yield from _string(one["image_url"], f"{at}/image_url", 3_000, 1)
    if "title" in one:
        yield from _text(one["title"], f"{at}/title", 2_000, plain=True)


_ELEMENTS: dict[str, _Check] = {
    "button": _button,
    "static_select": _options(100),
    "radio_buttons": _options(10),
    "checkboxes": _options(10),
    "overflow": _options(5),
    "plain_text_input": _plain_text_input,
    "image": _image,
}
_ACTIVE = {"button", "static_select", "radio_buttons", "checkboxes", "overflow"}
_INPUTS = {"plain_text_input", "static_select", "radio_buttons", "checkboxes"}


def _element(one: Any, at: str, kinds: set[str]) -> Faults:
    kind = one.get("type") if isinstance(one, dict) else None
    if kind not in kinds:
        yield Fault(f"unsupported type: {kind}", at)
    else:
        yield from _ELEMENTS[kind](one, at)


def _header(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "text", "block_id")
    yield from _text(one.get("text"), f"{at}/text", 150, plain=True)


def _section(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "", "text fields accessory block_id expand")
    if "text" not in one and "fields" not in one:
        yield Fault("needs text or fields", at)
    if "text" in one:
        yield from _text(one["text"], f"{at}/text", 3_000)
    if "fields" in one:
        yield from _listed(one["fields"], f"{at}/fields", 10)
        for number, each in enumerate(_items(one["fields"])):
            yield from _text(each, f"{at}/fields/{number}", 2_000)
    if "accessory" in one:
        yield from _element(one["accessory"], f"{at}/accessory", _ACTIVE | {"image"})


def _context(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "elements", "block_id")
    yield from _listed(one.get("elements"), f"{at}/elements", 10)
    for number, each in enumerate(_items(one.get("elements"))):
        if isinstance(each, dict) and each.get("type") == "image":
            yield from _image(each, f"{at}/elements/{number}")
        else:
            yield from _text(each, f"{at}/elements/{number}", 2_000)


def _actions(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "elements", "block_id")
    yield from _listed(one.get("elements"), f"{at}/elements", 25)
    elements = _items(one.get("elements"))
    for number, each in enumerate(elements):
        yield from _element(each, f"{at}/elements/{number}", _ACTIVE)
    ids = [each.get("action_id") for each in elements if isinstance(each, dict)]
    named = [one for one in ids if one is not None]
    if len(named) != len(set(named)):
        yield Fault("`action_id` already exists in this block", f"{at}/elements")


def _divider(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "", "block_id")


def _input(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "label element", "block_id hint optional dispatch_action")
    yield from _text(one.get("label"), f"{at}/label", 2_000, plain=True)
    yield from _element(one.get("element"), f"{at}/element", _INPUTS)
    if "hint" in one:
        yield from _text(one["hint"], f"{at}/hint", 2_000, plain=True)


_RICH = {"rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted"}
_RICH_LEAVES = {
    "text",
    "link",
    "emoji",
    "user",
    "channel",
    "usergroup",
    "broadcast",
    "date",
    "color",
}


def _rich_text(one: dict[str, Any], at: str) -> Faults:
    yield from _keys(one, at, "elements", "block_id")
    yield from _listed(one.get("elements"), f"{at}/elements", 500)
    for number, part in enumerate(_items(one.get("elements"))):
        yield from _rich_part(part, f"{at}/elements/{number}", _RICH)


def _rich_part(part: Any, at: str, kinds: set[str]) -> Faults:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in kinds:
        yield Fault(f"unsupported type: {kind}", at)
        return
    inner = {"rich_text_section"} if kind == "rich_text_list" else _RICH_LEAVES
    yield from _listed(part.get("elements"), f"{at}/elements", 1_000, 0)
    for number, leaf in enumerate(_items(part.get("elements"))):
        where = f"{at}/elements/{number}"
        if kind == "rich_text_list":
            yield from _rich_part(leaf, where, inner)
        elif not isinstance(leaf, dict) or leaf.get("type") not in inner:
            yield Fault("unsupported type", where)
        elif leaf["type"] == "text":
            yield from _string(leaf.get("text"), f"{where}/text", 12_000, 1)


_BLOCKS: dict[str, _Check] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "divider": _divider,
    "image": _image,
    "rich_text": _rich_text,
}
_VIEW_BLOCKS: dict[str, _Check] = {**_BLOCKS, "input": _input}


def block_faults(blocks: Any, *, view: bool = False) -> list[Fault]:
    """Everything that is wrong with a list of blocks."""
    kinds, most = (_VIEW_BLOCKS, VIEW_BLOCKS) if view else (_BLOCKS, MESSAGE_BLOCKS)
    found = list(_listed(blocks, "/blocks", most, 0))
    seen: set[str] = set()
    for number, block in enumerate(_items(blocks)):
        at = f"/blocks/{number}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in kinds:
            found.append(Fault(f"unsupported type: {kind}", at))
            continue
        found += kinds[kind](block, at)
        if "block_id" in block:
            found += _string(block["block_id"], f"{at}/block_id", 255, 1)
            if block["block_id"] in seen:
                found.append(Fault("`block_id` already exists", at))
            seen.add(block["block_id"])
    return found


def view_faults(view: Any) -> list[Fault]:
    """Everything that is wrong with a modal."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return [Fault("a view is of type modal here", "/view")]
    allowed = "submit close private_metadata callback_id clear_on_close notify_on_close external_id"
    found = list(_keys(view, "/view", "title blocks", f"{allowed} submit_disabled"))
    for key in ("title", "submit", "close"):
        if key in view:
            found += _text(view[key], f"/view/{key}", 24, plain=True)
    for key, most in (("private_metadata", 3_000), ("callback_id", 255)):
        if key in view:
            found += _string(view[key], f"/view/{key}", most)
    found += block_faults(view.get("blocks"), view=True)
    inputs = [one for one in _items(view.get("blocks")) if one.get("type") == "input"]
    if inputs and "submit" not in view:
        found.append(Fault("a view with inputs needs `submit`", "/view"))
    return found
