"""What a press or a sent form in Slack does: the acts beyond claiming and closing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from services.alert.acting import AnswerForm, Answering, Doing, Done, Sending
from services.alert.chat import card_words, slack_act_forms, slack_answers
from services.alert.chat.acts import said
from services.alert.chat.slack_act_forms import Filled
from services.alert.chat.slack_blocks import Block
from services.alert.domain.answering import mark
from services.alert.domain.card import CardAct, LineAct
from services.alert.ports import Actor, ActResult, Episodes
from services.contracts.configuration import Configuration, Person
from services.runtime.clock import Clock

Answer = dict[str, Any] | None
"""The body of the 200; None: empty."""


@dataclass(frozen=True, slots=True)
class Press:
    """Somebody of the team pressed something."""

    name: str
    value: str
    channel: str
    member: str
    person: Person
    trigger_id: str
    view: dict[str, Any] | None
    """The modal that it stood in."""

    @property
    def actor(self) -> Actor:
        """For the audit record."""
        return Actor(self.person.id, "slack")


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """What a form that was sent is answered with."""

    body: Answer
    unsaid: str | None = None
    """What it says where not all is well. Whispered where Slack has closed the form meanwhile."""


CLOSE: Answer = {"response_action": "clear"}


@dataclass(frozen=True, slots=True)
class Slack:
    """The three things that are said back."""

    whisper: Callable[[str, str, str], Awaitable[None]]
    """To one member in a channel."""
    open: Callable[[Press, Block], Awaitable[None]]
    change: Callable[[Press, Block], Awaitable[None]]
    """The modal that the press stood in."""


class SlackActs:
    """Presses and forms turned into `Answering` and `Doing`. Cards follow through the outbox."""

    def __init__(
        self,
        episodes: Episodes,
        answers: Answering,
        doings: Doing,
        configuration: Callable[[], Configuration],
        clock: Clock,
        slack: Slack,
    ) -> None:
        self._episodes = episodes
        self._answers = answers
        self._doings = doings
        self._configuration = configuration
        self._clock = clock
        self._slack = slack

    async def pressed(self, press: Press) -> bool:
        """Do it; whether the name is one of ours."""
        if press.name in LineAct.__members__:
            await self._about_an_answer(press, LineAct(press.name))
        elif press.name in ("switch", "saved") and press.view is not None:
            await self._within_form(press, press.view)
        elif press.name == CardAct.answer:
            form = await self._answers.form(press.value, press.actor)
            await self._open(press, form)
        elif press.name == CardAct.reopen:
            await self._tell(press, await self._doings.reopen(press.value, press.actor))
        elif press.name in _WITH_FORM:
            await self._ask(press, CardAct(press.name))
        else:
            return False
        return True

    async def _ask(self, press: Press, act: CardAct) -> None:
        card = await self._episodes.card(press.value, press.actor.person_id)
        private = (
            await self._doings.private_answers(press.value, press.actor)
            if act is CardAct.answered_in_private
            else []
        )
        if card is None:
            await self._tell(press, Done(ActResult.unknown))
        elif act not in card.acts:
            await self._tell(press, Done(ActResult.already))
        elif act is CardAct.answered_in_private and not private:
            says = "There is no private message of ours to this person since they asked."
            await self._tell(press, Done(ActResult.impossible, says))
        else:
            view = slack_act_forms.act_view(
                act,
                card,
                press.channel,
                now=self._clock.now(),
                zone=press.person.zone,
                people=[
                    one
                    for one in self._configuration().people
                    if one.may_answer and one.id != press.person.id
                ],
                private_answers=private,
            )
            await self._slack.open(press, view)

    async def _about_an_answer(self, press: Press, act: LineAct) -> None:
        by, ref = press.actor, press.value
        match act:
            case LineAct.undo:
                done = await self._answers.undo(ref, by)
                if press.view is not None:
                    await self._undone(press, done)
                    return
            case LineAct.approve:
                done = await self._answers.approve(ref, by)
            case LineAct.edit:
                await self._open(press, await self._answers.review(ref, by))
                return
            case LineAct.reject:
                await self._slack.open(press, slack_act_forms.reject_view(ref, press.channel))
                return
            case LineAct.it_is_there | LineAct.send_again:
                done = await self._answers.settle(ref, by, there=act is LineAct.it_is_there)
            case LineAct.kept:
                done = await self._doings.keep(ref, by)
        await self._tell(press, done)

    async def _undone(self, press: Press, done: Done) -> None:
        """In the modal that said "on its way": the form again, with the text; or why not."""
        if done.result is not ActResult.done or done.sending is None:
            says = done.says or said(done.result, None)
            episode = done.sending.episode_id if done.sending else ""
            view = slack_answers.said_view("Not taken back", says, press.channel, episode)
            await self._slack.change(press, view)
            return
        sending = done.sending
        form = await self._answers.form(sending.episode_id, press.actor, private=sending.private)
        if isinstance(form, Done):
            view = slack_answers.said_view(
                "Taken back", "Taken back.", press.channel, sending.episode_id, sending.text
            )
        else:
            draft = slack_answers.draft_of(form, press.channel)
            view = slack_answers.answer_view(form, draft, text=sending.text)
        await self._slack.change(press, view)

    async def _within_form(self, press: Press, view: dict[str, Any]) -> None:
        """The other way, or a saved text: the same form, drawn anew."""
        draft = slack_answers.read_draft(view)
        private = draft.private if press.name == "saved" else not draft.private
        form = await self._form_again(draft, press.actor, private)
        if isinstance(form, Done):
            says = form.says or said(form.result, None)
            await self._slack.change(
                press,
                slack_answers.said_view("Answer", says, press.channel, draft.episode_id),
            )
            return
        text = None
        if press.name == "saved":
            text = next((one.text for one in form.saved if one.id == press.value), None)
        draft = replace(draft, private=form.way.private)
        await self._slack.change(press, slack_answers.answer_view(form, draft, text=text))

    async def _form_again(
        self, draft: slack_answers.Draft, by: Actor, private: bool
    ) -> AnswerForm | Done:
        if draft.answer_id is not None:
            return await self._answers.review(draft.answer_id, by)
        return await self._answers.form(draft.episode_id, by, private=private)

    async def answered(self, view: dict[str, Any], person: Person) -> FormAnswer:
        """The answer's form was sent."""
        draft, written = slack_answers.written(view)
        by = Actor(person.id, "slack")
        if draft.answer_id is not None:
            done = await self._answers.approve(draft.answer_id, by, written)
        else:
            done = await self._answers.send(written, by)
        says = done.says or said(done.result, None)
        match done.result:
            case ActResult.done | ActResult.already if done.sending is not None:
                sent = slack_answers.sent_view(done.sending, draft.channel, person.zone)
                return FormAnswer(_update(sent))
            case ActResult.impossible:
                return FormAnswer(_errors({slack_answers.text_block(draft): says}), says)
            case ActResult.cautioned:
                form = await self._form_again(draft, by, draft.private)
                if isinstance(form, AnswerForm):
                    again = slack_answers.answer_view(
                        form, draft, asked=done.warned, text=written.text
                    )
                    warns = " ".join(card_words.caution(one, form.card) for one in done.warned)
                    return FormAnswer(_update(again), warns)
        view = slack_answers.said_view(
            "Not sent", says, draft.channel, draft.episode_id, written.text
        )
        return FormAnswer(_update(view), says)

    async def left(self, view: dict[str, Any], person: Person) -> None:
        """The answer's form was closed."""
        draft = slack_answers.read_draft(view)
        await self._answers.leave(draft.episode_id, Actor(person.id, "slack"))

    async def filled(self, form: Filled, member: str, person: Person) -> FormAnswer:
        """One of the short forms was sent. Raises KeyError or ValueError for what was not offered."""
        done = await self._do(form, Actor(person.id, "slack"), person.zone)
        if done.result is ActResult.cautioned:
            says = f"{done.says} Tick the box below."
            return FormAnswer(_errors({slack_act_forms.CHOICE: says}), done.says)
        if done.result is not ActResult.done:
            text = done.says or said(done.result, None)
            await self._slack.whisper(form.channel, member, text)
        return FormAnswer(CLOSE)

    async def _do(self, form: Filled, by: Actor, zone: str) -> Done:
        if form.act == slack_act_forms.REJECT:
            return await self._answers.reject(form.about, by, form.text)
        choice = form.choice or ""
        match CardAct(form.act):
            case CardAct.snooze:
                until = slack_act_forms.later(choice, self._clock.now(), zone)
                return await self._doings.snooze(form.about, by, until, beyond=form.beyond)
            case CardAct.hand_over:
                to = None if choice == slack_act_forms.NEXT else choice
                return await self._doings.hand_over(form.about, by, to)
            case CardAct.note:
                return await self._doings.note(form.about, by, form.text, form.request)
            case CardAct.promise:
                due = slack_act_forms.later(choice, self._clock.now(), zone)
                return await self._doings.promise(form.about, by, form.text, due, form.request)
            case CardAct.answered_in_private:
                found = await self._doings.private_answers(form.about, by)
                chosen = next((one for one in found if mark(one.item_id) == choice), None)
                if chosen is None:
                    return Done(ActResult.impossible, "That message is gone.")
                return await self._doings.answered_in_private(form.about, by, chosen.item_id)
            case _:
                raise ValueError(f"{form.act} has no form")

    async def _open(self, press: Press, form: AnswerForm | Done) -> None:
        if isinstance(form, Done):
            await self._tell(press, form)
            return
        draft = slack_answers.draft_of(form, press.channel)
        view = slack_answers.answer_view(form, draft, text=form.text or None)
        await self._slack.open(press, view)

    async def _tell(self, press: Press, done: Done) -> None:
        """Only what the card itself will not show."""
        if done.result is not ActResult.done:
            text = done.says or said(done.result, await self._card(done.sending))
            await self._slack.whisper(press.channel, press.member, text)

    async def _card(self, sending: Sending | None) -> Any:
        return await self._episodes.card(sending.episode_id) if sending else None


_WITH_FORM = frozenset(
    {
        CardAct.snooze,
        CardAct.hand_over,
        CardAct.note,
        CardAct.promise,
        CardAct.answered_in_private,
    }
)


def _update(view: Block) -> Answer:
    return {"response_action": "update", "view": view}


def _errors(errors: dict[str, str]) -> Answer:
    """At the blocks of these ids; the form stays as it is."""
    return {"response_action": "errors", "errors": errors}
