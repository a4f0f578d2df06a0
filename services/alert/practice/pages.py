"""The pages behind a practice's links: the same forms, over the practice's episodes, headed PRACTICE."""

from __future__ import annotations

from services.alert.chat.links import PracticeLinks
from services.alert.console.app import create_app
from services.alert.console.drawing import SECURITY_HEADERS, Pages
from services.alert.console.sign_in import SendSignIn
from services.alert.practice.practice import OVER, Practice
from services.alert.practice.world import World
from services.runtime.asgi import App, Receive, Scope, Send
from services.runtime.clock import Clock

PREFIX = f"/a/{PracticeLinks.mark}"


class PracticePages:
    """Takes `/a/practice.…`; everything else is the real console's.

    The session is the real one's: who somebody is does not change by practising. A sign-in link is the one
    real message that can come of a practice, and only to its own people, who asked for it.
    """

    def __init__(
        self, practice: Practice, real: App, send_sign_in: SendSignIn, clock: Clock
    ) -> None:
        self._practice = practice
        self._real = real
        self._send_sign_in = send_sign_in
        self._clock = clock
        self._of: tuple[World, App] | None = None
        self._over = Pages(practice=True).draw(
            "message.html", 410, title="This practice is over", text=OVER
        )
        for name, value in SECURITY_HEADERS.items():
            self._over.headers.setdefault(name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if not str(scope.get("path", "")).startswith(PREFIX):
            await self._real(scope, receive, send)
            return
        world = await self._practice.world()
        shown: App = self._over if world is None else self._pages(world)
        await shown(scope, receive, send)

    def _pages(self, world: World) -> App:
        if self._of is None or self._of[0] is not world:
            self._of = world, self._made(world)
        return self._of[1]

    def _made(self, world: World) -> App:
        return create_app(
            episodes=world.episodes,
            configuration=world.configuration,
            links=self._practice.links,
            answers=world.answers,
            doings=world.doings,
            send_sign_in=self._send_sign_in,
            may_sign_in=lambda one: one.id in world.run.people,
            clock=self._clock,
            practice=True,
        )
