"""What people press in Slack, turned into acts.

Slack wants an answer within 3 seconds. An act is done before the answer where it takes less than two,
so that an acknowledged press is an effective one; a slower act goes on after the answer. Where the
process dies in between, the person sees no change on the card and presses again: acts are idempotent.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from services.alert.acting import Answering, Doing
from services.alert.chat import slack_act_forms, slack_answers, slack_boards, slack_modals
from services.alert.chat.acts import said
from services.alert.chat.slack import SlackDestination
from services.alert.chat.slack_act_forms import Filled
from services.alert.chat.slack_acts import CLOSE, Answer, FormAnswer, Press, Slack, SlackActs
from services.alert.chat.slack_blocks import ACTION_PREFIX, MENU_ACTION, MENU_SEPARATOR, Block
from services.alert.chat.slack_modals import Submission
from services.alert.domain.card import CardAct, LineAct
from services.alert.ports import Actor, ActResult, Boards, Episodes
from services.contracts.configuration import Configuration, Person, Role
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

ANSWER_WITHIN_SECONDS = 2.0
_SEEN_FOR_SECONDS = 600.0
_SEEN_MOST = 10_000

NOT_OPENED = "Slack did not open the form. Press again in a moment, or open the episode's page."
NOT_HEARD = "Presence cannot tell whether that was done: look at the card, then send it again."
NOT_CHANGED = "Slack did not change the form: close it, the card says how things stand."

Result = TypeVar("Result")

_NAMES = frozenset({*CardAct.__members__, *LineAct.__members__, "switch", "saved"})

log = get_logger(__name__)


class SlackInteractions:
    """Block actions and modal submissions of verified requests.

    Invariants: only people listed in presence.yaml act, by their Slack member id; a repeated request
    acts once; every act goes through `Episodes`, which audits it. Cards follow through the outbox.
    """

    def __init__(
        self,
        episodes: Episodes,
        configuration: Callable[[], Configuration],
        destinations: Sequence[SlackDestination],
        clock: Clock,
        *,
        boards: Boards | None = None,
        answers: Answering | None = None,
        doings: Doing | None = None,
    ) -> None:
        if not destinations:
            raise ValueError("Slack interactions need a Slack destination to answer through")
        self._episodes = episodes
        self._configuration = configuration
        self._destinations = destinations
        self._clock = clock
        self._boards = boards
        self._seen: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._acts: SlackActs | None = None
        if answers is not None and doings is not None:
            slack = Slack(self._whisper, self._open, self._change)
            self._acts = SlackActs(episodes, answers, doings, configuration, clock, slack)

    async def handle(self, payload: dict[str, Any]) -> Answer:
        """One interaction. Raises KeyError, TypeError or ValueError for a payload that is not Slack's."""
        member = str(payload["user"]["id"])
        callback = payload["view"]["callback_id"] if "view" in payload else None
        match payload["type"]:
            case "block_actions":
                work = self._pressed(payload, member)
            case "view_submission" if self._acts and callback == slack_answers.ANSWER_CALLBACK:
                # What is not ours is refused before any work.
                draft, written = slack_answers.written(payload["view"])
                sent = self._answered(self._acts, payload["view"], member)
                return await self._form(sent, draft.channel, member, written.text, payload["view"])
            case "view_submission" if self._acts and callback == slack_act_forms.ACT_CALLBACK:
                filled = slack_act_forms.read(payload["view"])
                sent = self._filled(self._acts, filled, member)
                return await self._form(sent, filled.channel, member, filled.text)
            case "view_submission":
                submission = slack_modals.read_submission(payload["view"])
                sent = self._submitted(submission, member)
                return await self._form(sent, submission.channel, member, submission.why or "")
            case "view_closed" if self._acts and callback == slack_answers.ANSWER_CALLBACK:
                work = self._left(self._acts, payload["view"], member)
            case _:
                return None
        return await self._within_limit(work)

    async def drain(self) -> None:
        """Wait for acts that outlived their request."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _form(
        self,
        sent: Coroutine[Any, Any, FormAnswer],
        channel: str,
        member: str,
        typed: str,
        view: dict[str, Any] | None = None,
    ) -> Answer:
        """A form was sent. Where we take longer than Slack waits, `view`, an answer's form, says so and shows
        later what became of it; a short one closes, and its sender hears what it would have said.
        """
        task = self._track(sent)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_SECONDS)
        if done:
            return task.result().body
        self._track(self._form_late(task, channel, member, typed, view))
        # An empty answer closes the form, and what was written with it.
        return None if view is None else slack_answers.wait_answer(view)

    async def _form_late(
        self,
        sent: asyncio.Task[FormAnswer],
        channel: str,
        member: str,
        typed: str,
        view: dict[str, Any] | None,
    ) -> None:
        try:
            answer = await sent
        except Exception as error:
            log.exception("slack_act_failed", error=type(error).__name__)
            answer, says = FormAnswer(None, NOT_HEARD), NOT_HEARD
        else:
            says = f"Not done. {answer.unsaid}"
        if view is not None and await self._shown_late(view, answer, typed):
            return
        if answer.unsaid is not None:
            await self._whisper(channel, member, says, typed)

    async def _shown_late(self, view: dict[str, Any], answer: FormAnswer, typed: str) -> bool:
        """Whether the form that waits could show it: its person may have closed it."""
        draft = slack_answers.read_draft(view)
        shown = (answer.body or {}).get("view") or slack_answers.said_view(
            "Not sent", answer.unsaid or NOT_CHANGED, draft.channel, draft.episode_id, typed
        )
        try:
            await self._through(draft.channel).update_view(str(view["id"]), shown)
        except (Transient, Permanent) as error:
            log.warning("slack_form_not_changed", error=str(error))
            return False
        return True

    async def _within_limit(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """What the work answers; None where that takes longer than Slack waits."""
        task = self._track(work)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_SECONDS)
        if done:
            return task.result()
        task.add_done_callback(self._ended_late)
        return None

    def _track(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    @staticmethod
    def _ended_late(task: asyncio.Task[Answer]) -> None:
        """Nobody waits for its answer any more, so that a failure is told here."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("slack_act_failed", error=type(error).__name__, exc_info=error)

    async def _pressed(self, payload: dict[str, Any], member: str) -> Answer:
        view, channel = payload.get("view"), _channel(payload)
        if isinstance(view, dict) and view.get("type") == "home":
            view = None  # no form that could be changed
        for action in payload["actions"]:
            if await self._pressed_on_a_board(action, member, channel):
                continue
            name, value = _what(action)
            if name not in _NAMES:
                continue  # a link button: Slack tells us, the browser has opened it
            if self._again(member, name, value, str(action.get("action_ts", ""))):
                continue
            person = await self._known(member, channel)
            if person is None:
                continue
            trigger = str(payload["trigger_id"])
            press = Press(name, value, channel, member, person, trigger, view)
            if name in CardAct.__members__:
                await self._episodes.confirm(value, press.actor)
            if name == CardAct.claim:
                result = await self._episodes.claim(value, press.actor)
                await self._tell(result, value, channel, member)
            elif self._acts is None or not await self._acts.pressed(press):
                await self._ask(CardAct(name), press)
        return None

    async def _pressed_on_a_board(self, action: dict[str, Any], member: str, channel: str) -> bool:
        """Whether it was a board's button; then the press is dealt with."""
        name, value = str(action["action_id"]), str(action.get("value", ""))
        press = slack_boards.read_press(name, value)
        if press is None or self._boards is None:
            return press is not None
        if self._again(member, name, value, str(action.get("action_ts", ""))):
            return True
        person = await self._known(member, channel)
        if person is not None:
            act, board_id, target = press
            done = await self._boards.press(board_id, act, target, Actor(person.id, "slack"))
            if done.says or done.result is not ActResult.done:
                await self._whisper(channel, member, done.says or said(done.result, None))
        return True

    async def _answered(self, acts: SlackActs, view: dict[str, Any], member: str) -> FormAnswer:
        person = await self._known(member, slack_answers.read_draft(view).channel)
        return FormAnswer(CLOSE) if person is None else await acts.answered(view, person)

    async def _filled(self, acts: SlackActs, filled: Filled, member: str) -> FormAnswer:
        person = await self._known(member, filled.channel)
        return FormAnswer(CLOSE) if person is None else await acts.filled(filled, member, person)

    async def _left(self, acts: SlackActs, view: dict[str, Any], member: str) -> Answer:
        person = await self._known(member, slack_answers.read_draft(view).channel)
        if person is not None:
            await acts.left(view, person)
        return None

    async def _ask(self, act: CardAct, press: Press) -> None:
        card = await self._episodes.card(press.value, press.actor.person_id)
        if card is None:
            await self._tell(ActResult.unknown, press.value, press.channel, press.member)
        elif not card.state.live:
            await self._tell(ActResult.already, press.value, press.channel, press.member)
        else:
            await self._open(press, slack_modals.modal(act, card, press.channel))

    async def _open(self, press: Press, view: Block) -> None:
        try:
            await self._through(press.channel).open_view(press.trigger_id, view)
        except (Transient, Permanent) as error:
            # Nothing was done yet: the person presses again, and hears so if Slack still takes that.
            log.warning("slack_form_not_opened", error=str(error))
            await self._whisper(press.channel, press.member, NOT_OPENED)

    async def _change(self, press: Press, view: Block) -> None:
        try:
            await self._through(press.channel).update_view(str((press.view or {})["id"]), view)
        except (Transient, Permanent) as error:
            log.warning("slack_form_not_changed", error=str(error))
            await self._whisper(press.channel, press.member, NOT_CHANGED)

    async def _submitted(self, submission: Submission, member: str) -> FormAnswer:
        person = await self._known(member, submission.channel)
        if person is None:
            return FormAnswer(CLOSE)
        actor, episode_id = Actor(person.id, "slack"), submission.episode_id
        if submission.close_reason is not None:
            result = await self._episodes.close(episode_id, actor, submission.close_reason)
        elif submission.label is not None:
            result = await self._episodes.relabel(
                episode_id, actor, submission.label, submission.why
            )
            if result is ActResult.reason_needed:
                return FormAnswer(slack_modals.ask_why(), slack_modals.WHY_NEEDED)
        else:
            raise ValueError("a submission without a choice")
        await self._tell(result, episode_id, submission.channel, member)
        return FormAnswer(CLOSE)

    async def _tell(self, result: ActResult, episode_id: str, channel: str, member: str) -> None:
        """Only what the card itself will not show."""
        if result is not ActResult.done:
            text = said(result, await self._episodes.card(episode_id))
            await self._whisper(channel, member, text)

    async def _known(self, member: str, channel: str) -> Person | None:
        people = self._configuration().people
        for person in people:
            if person.slack == member:
                return person
        keepers = [one.name for one in people if one.roles & {Role.lead, Role.admin}]
        ask = " or ".join(keepers[:3]) or "your lead"
        await self._whisper(
            channel,
            member,
            f"You are not listed in presence.yaml: ask {ask} to add you with slack: {member}",
        )
        return None

    async def _whisper(self, channel: str, member: str, text: str, words: str = "") -> None:
        """To this member alone; `words` are what they had written."""
        try:
            if channel:
                await self._through(channel).whisper(channel, member, text, words)
            else:
                await self._through(channel).say_directly(member, text, words)
        except (Transient, Permanent) as error:
            # The act stands; only its echo is missing.
            log.warning("slack_whisper_failed", error=str(error))

    def _through(self, channel: str) -> SlackDestination:
        return next(
            (one for one in self._destinations if one.channel == channel), self._destinations[0]
        )

    def _again(self, *key: str) -> bool:
        now = self._clock.monotonic()
        while self._seen and (
            len(self._seen) > _SEEN_MOST or next(iter(self._seen.values())) < now
        ):
            self._seen.popitem(last=False)
        if key in self._seen:
            return True
        self._seen[key] = now + _SEEN_FOR_SECONDS
        return False


def _channel(payload: dict[str, Any]) -> str:
    """Where it was pressed; of a modal, where the button stood that opened it."""
    if isinstance(view := payload.get("view"), dict):
        return str(json.loads(view["private_metadata"])["c"])
    return str(payload.get("container", {}).get("channel_id") or payload["channel"]["id"])


def _what(action: dict[str, Any]) -> tuple[str, str]:
    """What was pressed, and about what."""
    name = str(action["action_id"]).removeprefix(ACTION_PREFIX)
    if isinstance(chosen := action.get("selected_option"), dict):
        value = str(chosen["value"])
        if action["action_id"] == MENU_ACTION:
            name, _, value = value.partition(MENU_SEPARATOR)
        return name, value
    return name, str(action.get("value", ""))


def read_payload(form_value: str) -> dict[str, Any]:
    """The JSON of the `payload` field. Raises ValueError for anything else."""
    payload = json.loads(form_value)
    if not isinstance(payload, dict):
        raise ValueError("payload is no object")  # noqa: TRY004
    return payload
