"""What `presence doctor` asks: small questions, each with its answer in words and the way to mend it.

A check stands beside what it checks. It raises nothing that a person should see as a traceback: what it
raises becomes a finding, and no finding ever holds a secret.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.contracts.base import StrEnum
from services.runtime.errors import PresenceError, WrongConfiguration
from services.runtime.logs import get_logger

log = get_logger(__name__)
T = TypeVar("T")

PATIENCE = 5.0
"""Seconds that one check may take. All are asked at once, so this is also about what all of them take."""


class State(StrEnum):
    """How a thing stands."""

    good = "good"
    wrong = "wrong"
    unknown = "unknown"
    """It cannot be told from here, or does not apply: no failure."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question."""

    state: State
    says: str
    """What is, in a line."""
    mend: str = ""
    """What to do about it; empty where nothing is to be done."""


def good(says: str) -> Finding:
    """All is well."""
    return Finding(State.good, says)


def wrong(says: str, mend: str) -> Finding:
    """Something does not work, and how to make it."""
    return Finding(State.wrong, says, mend)


def unknown(says: str, mend: str = "") -> Finding:
    """It cannot be told."""
    return Finding(State.unknown, says, mend)


@dataclass(frozen=True, slots=True)
class Check:
    """One question."""

    area: str
    """`system`, `sources`, `destinations` …: what the table is grouped by."""
    name: str
    look: Callable[[], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A question with its answer."""

    area: str
    name: str
    finding: Finding


def answered(area: str, name: str, finding: Finding) -> Check:
    """A check whose answer is known already."""

    async def look() -> Finding:
        return finding

    return Check(area, name, look)


async def run_checks(
    checks: Sequence[Check],
    *,
    patience: float = PATIENCE,
    done: Callable[[Checked], None] = lambda _: None,
) -> list[Checked]:
    """Ask all at once, each for at most `patience` seconds; the answers in the order of the questions."""

    async def ask(check: Check) -> Checked:
        checked = Checked(check.area, check.name, await _answer(check, patience))
        done(checked)
        return checked

    return list(await asyncio.gather(*(ask(check) for check in checks)))


async def _answer(check: Check, patience: float) -> Finding:
    try:
        async with asyncio.timeout(patience):
            return await check.look()
    except TimeoutError:
        return wrong(
            f"no answer within {patience:g} s", "look whether it is up and a firewall is between"
        )
    except WrongConfiguration as error:
        return wrong(str(error).replace("\n", "; "), "set it, or mend it in presence.yaml")
    except PresenceError as error:
        return wrong(str(error), "")
    except Exception as error:
        # Its text may hold anything, an address with a password in it as well.
        log.debug("a check failed", area=check.area, name=check.name, error=type(error).__name__)
        return wrong(f"the check itself failed ({type(error).__name__})", "tell us: it is a defect")


async def in_thread(ask: Callable[[], T]) -> T:
    """Run a blocking call in a thread that nobody waits for: a client that hangs ends with the process."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(value: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value, failure = None, None
        try:
            value = ask()
        except Exception as error:
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, value, failure)

    threading.Thread(target=work, name="check", daemon=True).start()
    return await answer
