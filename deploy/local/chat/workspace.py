"""The workspace: its members, its channels and what was said in them. Knows no HTTP."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

Message = dict[str, Any]
"""A message as Slack's Web API gives it, with two fields of ours: `channel`, and `ephemeral_for`."""

BOT_USER = "UPRESENCEBOT"
BOT_ID = "BPRESENCE"
TEAM = "TLOCAL"
APP = "ALOCAL"


@dataclass(frozen=True)
class Member:
    """A person of the workspace."""

    id: str
    name: str
    handle: str
    zone: str = "UTC"
    email: str | None = None


@dataclass
class View:
    """An open modal."""

    id: str
    view: dict[str, Any]
    person: str
    tab: str
    """The open page that it stands in."""
    hash: str = field(default_factory=lambda: secrets.token_hex(6))


class Workspace:
    """Members, channels, messages.

    Invariants: a `ts` is given once and rises; a change is told to every listener in the order in which it
    happened; what is kept in the journal is enough to have every message again after a restart.
    """

    def __init__(
        self,
        members: Sequence[Member],
        channels: Mapping[str, str],
        *,
        now: Callable[[], float],
        journal: Path | None = None,
    ) -> None:
        self.members = {member.id: member for member in members}
        self.channels = dict(channels)
        self.messages: dict[tuple[str, str], Message] = {}
        self.views: dict[str, View] = {}
        self.listeners: set[Callable[[dict[str, Any]], None]] = set()
        self.now = now
        self._last_ts = 0
        self._journal = journal
        if journal is not None and journal.exists():
            self._restore(journal)

    def next_ts(self) -> str:
        """A new message id: Slack's seconds and microseconds."""
        self._last_ts = max(self._last_ts + 1, round(self.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def direct_channel(self, member_id: str) -> str:
        """The channel of direct messages between the bot and a member: always the same."""
        return "D" + hashlib.sha256(member_id.encode()).hexdigest()[:10].upper()

    def direct_member(self, channel: str) -> Member | None:
        """Whose direct messages these are."""
        for member in self.members.values():
            if self.direct_channel(member.id) == channel:
                return member
        return None

    def channel_of(self, name: str) -> str | None:
        """The channel that `channel=` means: a channel, direct messages, or a member's id."""
        if name in self.channels or self.direct_member(name) is not None:
            return name
        return self.direct_channel(name) if name in self.members else None

    def post(self, channel: str, content: Message, *, ephemeral_for: str | None = None) -> Message:
        """A new message of the bot."""
        message: Message = {
            "type": "message",
            "subtype": "bot_message",
            "bot_id": BOT_ID,
            "user": BOT_USER,
            "app_id": APP,
            "team": TEAM,
            **content,
            "ts": self.next_ts(),
            "channel": channel,
        }
        if ephemeral_for is not None:
            message["ephemeral_for"] = ephemeral_for
        self._keep(message)
        return message

    def change(self, message: Message, content: Message) -> Message:
        """The bot edits its message; what is not named stays (metadata, thread)."""
        changed = {**message, **content}
        changed["edited"] = {"user": BOT_USER, "ts": self.next_ts()}
        changed["versions"] = message.get("versions", 1) + 1
        self._keep(changed)
        return changed

    def remove(self, channel: str, ts: str) -> bool:
        """The bot deletes its message."""
        if self.messages.pop((channel, ts), None) is None:
            return False
        self._write({"channel": channel, "ts": ts, "deleted": True})
        self.tell({"type": "removed", "channel": channel, "ts": ts})
        return True

    def in_channel(self, channel: str) -> list[Message]:
        """What everybody sees there, oldest first."""
        found = [
            one
            for one in self.messages.values()
            if one["channel"] == channel and "ephemeral_for" not in one
        ]
        return sorted(found, key=lambda one: _order(one["ts"]))

    def open_view(self, view: dict[str, Any], person: str, tab: str) -> View:
        """Show a modal to a person."""
        opened = View("V" + secrets.token_hex(5).upper(), view, person, tab)
        self.views[opened.id] = opened
        self.tell({"type": "view", "view": view, "id": opened.id, "tab": tab})
        return opened

    def update_view(self, opened: View, view: dict[str, Any]) -> View:
        """Show another content in an open modal."""
        opened.view, opened.hash = view, secrets.token_hex(6)
        self.tell({"type": "view", "view": view, "id": opened.id, "tab": opened.tab})
        return opened

    def tell(self, event: dict[str, Any]) -> None:
        """Every page that is open."""
        for listener in tuple(self.listeners):
            listener(event)

    def _keep(self, message: Message) -> None:
        self.messages[(message["channel"], message["ts"])] = message
        self._write(message)
        self.tell({"type": "message", "message": message})

    def _write(self, line: Message) -> None:
        if self._journal is not None:
            with self._journal.open("ab") as file:
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def _restore(self, journal: Path) -> None:
        for message in _read(journal):
            key = (message["channel"], message["ts"])
            if message.get("deleted"):
                self.messages.pop(key, None)
            else:
                self.messages[key] = message
            self._last_ts = max(self._last_ts, _order(message["ts"]))


def _order(ts: str) -> int:
    seconds, _, micros = ts.partition(".")
    return int(seconds) * 1_000_000 + int(micros or 0)


def _read(journal: Path) -> Iterator[Message]:
    for line in journal.read_bytes().splitlines():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            # The last line of a process that was killed while writing it.
            return
