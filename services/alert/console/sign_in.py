"""Personal sign-in links: sent to the person in their own chat, used once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from services.alert.chat.links import SIGN_IN_AGE, LinkError, LinkRefusal, Links
from services.contracts.configuration import Configuration, Person
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

SendSignIn = Callable[[str, str], Awaitable[None]]
"""Sends a personal link (the second argument) to the person of that id, and to nobody else."""

_EVERY_SECONDS = 30.0
_MOST_A_MINUTE = 30

log = get_logger(__name__)


class SignIns:
    """Sends sign-in links and takes them back once.

    At most one link per person in 30 seconds and 30 in all a minute: the page can be reached by
    anybody, and nobody's phone may be made to ring by it. Used links are remembered in this process;
    a second replica would accept one a second time within its 15 minutes.
    """

    def __init__(
        self,
        links: Links,
        configuration: Callable[[], Configuration],
        send: SendSignIn | None,
        clock: Clock,
        reaches: Callable[[Person], bool] | None = None,
    ) -> None:
        """`reaches`: whether a person has a way of their own; by default whether they are in Slack."""
        self._reaches = reaches or (lambda person: person.slack is not None)
        self._links = links
        self._configuration = configuration
        self._send = send
        self._clock = clock
        self._used: dict[str, float] = {}
        self._sent: dict[str, float] = {}

    @property
    def possible(self) -> bool:
        """Whether there is a way to send a link at all."""
        return self._send is not None and any(map(self._reaches, self._configuration().people))

    def reaches(self, person: Person) -> bool:
        """Whether this person can be sent a link."""
        return self._reaches(person)

    def people(self) -> list[Person]:
        """Those who can be sent a link, by name."""
        people = (one for one in self._configuration().people if self._reaches(one))
        return sorted(people, key=lambda one: one.name.casefold())

    def named(self, who: str) -> Person | None:
        """The person of that id, name or email address."""
        wanted = who.strip().casefold().removeprefix("@")
        if not wanted:
            return None
        for person in self.people():
            if wanted in (person.id, person.name.casefold(), (person.email or "").casefold()):
                return person
        return None

    async def send(self, person: Person, then: str) -> None:
        """Send a link, unless one was sent just now. A failure is logged: the page never says who exists."""
        now = self._clock.monotonic()
        self._sent = {one: at for one, at in self._sent.items() if now - at < 60}
        just_now = now - self._sent.get(person.id, float("-inf")) < _EVERY_SECONDS
        if self._send is None or just_now or len(self._sent) >= _MOST_A_MINUTE:
            return
        self._sent[person.id] = now
        try:
            await self._send(person.id, self._links.sign_in(person.id, then))
        except (Transient, Permanent) as error:
            del self._sent[person.id]
            log.warning("sign_in_link_not_sent", person=person.id, error=str(error))

    def peek(self, token: str) -> Person:
        """Whom a link signs in. Raises LinkError for a link that is used, old or not ours."""
        return self._read(token)[0]

    def use(self, token: str) -> tuple[Person, str]:
        """Take the link back: the person, and the path to go on to. Works once."""
        person, nonce, then = self._read(token)
        now = self._clock.monotonic()
        self._used = {one: until for one, until in self._used.items() if until > now}
        self._used[nonce] = now + SIGN_IN_AGE.total_seconds() + 60
        return person, then if then.startswith("/") and not then.startswith("//") else "/"

    def _read(self, token: str) -> tuple[Person, str, str]:
        claim = self._links.read_sign_in(token)
        if claim.nonce in self._used:
            raise LinkError(LinkRefusal.expired)
        person = self._configuration().person(claim.person_id)
        if person is None:
            raise LinkError(LinkRefusal.invalid)
        return person, claim.nonce, claim.then
