"""What people press and write in Teams, turned into acts. Requests are verified before they come here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from services.alert.acting import AnswerForm, Answering, Doing, Done
from services.alert.chat import bot_cards, bot_forms, card_words
from services.alert.chat.acts import said
from services.alert.chat.adaptive_card import Element
from services.alert.chat.bot_cards import ABOUT, BOARD, TARGET, VERB
from services.alert.chat.links import Links
from services.alert.chat.slack_act_forms import NEXT, later
from services.alert.chat.slack_modals import CLOSE_REASONS, RELABELS, WHY_LIMIT
from services.alert.chat.teams_bot import TeamsBotDestination
from services.alert.domain.answering import mark
from services.alert.domain.card import CardAct, LineAct
from services.alert.ports import Actor, ActResult, Boards, Episodes
from services.contracts.configuration import Configuration, Person
from services.contracts.events import CloseReason, Label
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Transient
from services.runtime.logs import get_logger

THROUGH = "teams"
Answer = dict[str, Any] | None
"""The body of the 200; None: empty."""

log = get_logger(__name__)


class TeamsInteractions:
    """Presses (`adaptiveCard/action`), forms (`task/fetch`, `task/submit`), messages to the bot, its arrival.

    Invariants: only people listed in presence.yaml act, by the identity that Microsoft signed for: the
    Entra object id, or the principal name that Teams tells for it; every act goes through `Episodes`,
    `Answering`, `Doing` or `Boards`, which authorise and audit it. Cards follow through the outbox.
    """

    def __init__(
        self,
        episodes: Episodes,
        configuration: Callable[[], Configuration],
        destinations: Sequence[TeamsBotDestination],
        clock: Clock,
        boards: Boards,
        answers: Answering,
        doings: Doing,
        links: Links,
    ) -> None:
        self._episodes = episodes
        self._configuration = configuration
        self._destinations = destinations
        self._clock = clock
        self._boards = boards
        self._answers = answers
        self._doings = doings
        self._links = links

    async def handle(self, activity: Mapping[str, Any], app_id: str) -> Answer:
        """One activity. Raises KeyError, TypeError or ValueError for one that is not Teams'."""
        kind = activity["type"]
        if kind == "message" or (kind == "installationUpdate" and activity["action"] == "add"):
            await self._reply(activity, app_id)
            return None
        if kind != "invoke":
            return None
        name, value = activity["name"], activity.get("value") or {}
        person = await self._person(activity, app_id)
        if name == "adaptiveCard/action":
            data = value["action"]["data"]
            says = await self._pressed(data, person) if person else _stranger(activity)
            return _message(says)
        if name in ("task/fetch", "task/submit"):
            data = value["data"]
            if person is None:
                return _told(_stranger(activity))
            work = self._asked if name == "task/fetch" else self._filled
            return await work(data, person)
        return None

    async def _person(self, activity: Mapping[str, Any], app_id: str) -> Person | None:
        """Who is listed under what Microsoft says of the sender."""
        sender = activity["from"]
        object_id = str(sender.get("aadObjectId") or "").casefold()
        people = [one for one in self._configuration().people if one.teams]
        for person in people:
            if object_id and (person.teams or "").casefold() == object_id:
                return person
        home = self._home(activity, app_id)
        if not self._of_our_tenant(activity, home):
            return None
        try:
            members = await home.connector.members(home.channel)
        except (Transient, Permanent) as error:
            log.warning("teams_members_unknown", destination=home.id, error=str(error))
            return None
        for member in members:
            same = member.object_id == object_id if object_id else member.id == str(sender["id"])
            if same:
                found = (one for one in people if member.is_called(one.teams or ""))
                return next(found, None)
        return None

    def _home(self, activity: Mapping[str, Any], app_id: str) -> TeamsBotDestination:
        """The destination of this bot that it came from; any of this bot's for a direct message."""
        conversation = str(activity["conversation"]["id"]).partition(";")[0]
        ours = [one for one in self._destinations if one.connector.app_id == app_id]
        return next((one for one in ours if one.channel == conversation), ours[0])

    @staticmethod
    def _of_our_tenant(activity: Mapping[str, Any], home: TeamsBotDestination) -> bool:
        told = activity["conversation"].get("tenantId")
        told = told or (activity.get("channelData") or {}).get("tenant", {}).get("id")
        return home.connector.tenant in ("botframework.com", told)

    async def _reply(self, activity: Mapping[str, Any], app_id: str) -> None:
        """Somebody wrote to the bot, added it, or pressed for a form where no dialog can be shown."""
        conversation = str(activity["conversation"]["id"])
        pressed = activity.get("value")
        if isinstance(pressed, Mapping) and VERB in pressed:
            message = bot_cards.no_dialog_message(pressed, self._links)
        else:
            sender = str(activity["from"].get("aadObjectId") or "not told")
            place = conversation.partition(";")[0]
            message = bot_cards.greeting_message(self._links.public_url, place, sender)
        home = self._home(activity, app_id)
        try:
            await home.connector.send(conversation, message)
        except (Transient, Permanent) as error:
            log.warning("teams_reply_not_sent", destination=home.id, error=str(error))

    # Presses that act at once; what they return is shown to the presser.

    async def _pressed(self, data: Mapping[str, Any], person: Person) -> str:
        verb, about, by = str(data[VERB]), str(data[ABOUT]), Actor(person.id, THROUGH)
        if BOARD in data:
            target = str(data.get(TARGET) or "")
            pressed = await self._boards.press(str(data[BOARD]), verb, target, by)
            return pressed.says or said(pressed.result, None)
        if verb == CardAct.claim:
            result = await self._episodes.claim(about, by)
            card = await self._episodes.card(about)
            if result is ActResult.done and card is not None:
                return " · ".join(one for one in ("It is yours", card_words.due(card)) if one)
            return said(result, card)
        if verb == CardAct.reopen:
            return _says(await self._doings.reopen(about, by))
        match LineAct(verb):
            case LineAct.undo:
                return _says(await self._answers.undo(about, by))
            case LineAct.approve:
                return _says(await self._answers.approve(about, by))
            case LineAct.it_is_there | LineAct.send_again as act:
                there = act is LineAct.it_is_there
                return _says(await self._answers.settle(about, by, there=there))
            case LineAct.kept:
                return _says(await self._doings.keep(about, by))
        raise ValueError(f"{verb} has a form")

    # Forms.

    async def _asked(self, data: Mapping[str, Any], person: Person) -> Answer:
        verb, about, by = str(data[VERB]), str(data[ABOUT]), Actor(person.id, THROUGH)
        if verb == LineAct.reject:
            return _form("Do not send it", bot_forms.reject_form(about))
        if verb == LineAct.edit:
            return _answer(await self._answers.review(about, by))
        act = CardAct(verb)
        if act is CardAct.answer:
            return _answer(await self._answers.form(about, by))
        await self._episodes.confirm(about, by)
        card = await self._episodes.card(about, person.id)
        if card is None:
            return _told(said(ActResult.unknown, None))
        if act not in card.acts:
            return _told(said(ActResult.already, card))
        private = []
        if act is CardAct.answered_in_private:
            private = await self._doings.private_answers(about, by)
            if not private:
                return _told("There is no private message of ours to this person since they asked.")
        team = self._configuration().people
        form = bot_forms.act_form(
            act,
            card,
            now=self._clock.now(),
            zone=person.zone,
            people=[one for one in team if one.may_answer and one.id != person.id],
            private_answers=private,
        )
        return _form("Presence", form)

    async def _filled(self, data: Mapping[str, Any], person: Person) -> Answer:
        verb, about, by = str(data[VERB]), str(data[ABOUT]), Actor(person.id, THROUGH)
        if verb == bot_forms.SEND:
            return await self._send(data, person)
        if verb == bot_forms.SWITCH:
            form = (
                await self._answers.review(str(data["answer"]), by)
                if data.get("answer")
                else await self._answers.form(about, by, private=bool(data["private"]))
            )
            if isinstance(form, Done):
                return _told(_says(form))
            saved = next((one for one in form.saved if one.id == data.get(bot_forms.SAVED)), None)
            typed = str(data.get(bot_forms.TEXT) or "")
            return _answer(form, saved.text if saved else typed)
        if verb == bot_forms.UNDO:
            return _told(_says(await self._answers.undo(about, by)))
        text = str(data.get(bot_forms.TEXT) or "").strip()
        if verb == bot_forms.REJECT:
            return _told(_says(await self._answers.reject(about, by, text[:500])))
        return _told(await self._done(CardAct(verb), about, by, person, data, text))

    async def _send(self, data: Mapping[str, Any], person: Person) -> Answer:
        written, by = bot_forms.written(data), Actor(person.id, THROUGH)
        answer_id = data.get("answer")
        if answer_id:
            done = await self._answers.approve(str(answer_id), by, written)
        else:
            done = await self._answers.send(written, by)
        if done.result in (ActResult.done, ActResult.already) and done.sending is not None:
            return _form("Answer", bot_forms.sent_form(done.sending, person.zone))
        # The text goes back to who wrote it, into a form if there still is one: nothing typed is lost.
        form = (
            await self._answers.review(str(answer_id), by)
            if answer_id
            else await self._answers.form(written.episode_id, by, private=written.private)
        )
        if isinstance(form, Done):
            return _form("Not sent", bot_forms.lost_form(_says(done), written.text))
        refused = "" if done.result is ActResult.cautioned else _says(done)
        shown = bot_forms.answer_form(form, text=written.text, asked=done.warned, refused=refused)
        return _form("Answer", shown)

    async def _done(
        self,
        act: CardAct,
        about: str,
        by: Actor,
        person: Person,
        data: Mapping[str, Any],
        text: str,
    ) -> str:
        chosen = str(data.get(bot_forms.CHOICE) or "")
        request = str(data.get("request") or "")[:64]
        match act:
            case CardAct.no_reply_needed:
                reason = CloseReason(chosen)
                if reason not in CLOSE_REASONS:
                    raise ValueError(f"{reason} is not offered")
                return said(await self._episodes.close(about, by, reason), None)
            case CardAct.not_for_us:
                label = Label(chosen)
                if label not in RELABELS:
                    raise ValueError(f"{label} is not offered")
                why = text[:WHY_LIMIT] or None
                return said(await self._episodes.relabel(about, by, label, why), None)
            case CardAct.snooze:
                until = later(chosen, self._clock.now(), person.zone)
                beyond = str(data.get(bot_forms.BEYOND)).casefold() == "true"
                return _says(await self._doings.snooze(about, by, until, beyond=beyond))
            case CardAct.hand_over:
                to = None if chosen == NEXT else chosen
                return _says(await self._doings.hand_over(about, by, to))
            case CardAct.note:
                return _says(await self._doings.note(about, by, text, request))
            case CardAct.promise:
                due = later(chosen, self._clock.now(), person.zone)
                return _says(await self._doings.promise(about, by, text, due, request))
            case CardAct.answered_in_private:
                found = await self._doings.private_answers(about, by)
                item = next((one.item_id for one in found if mark(one.item_id) == chosen), None)
                if item is None:
                    return "That message is gone."
                return _says(await self._doings.answered_in_private(about, by, item))
        raise ValueError(f"{act.value} has no form")


def _says(done: Done) -> str:
    return done.says or said(done.result, None)


def _stranger(activity: Mapping[str, Any]) -> str:
    object_id = str(activity["from"].get("aadObjectId") or "not told")
    return (
        "You are not listed in presence.yaml: ask a lead to add you with "
        f"teams: your sign-in name, or {object_id}"
    )


def _message(says: str) -> Answer:
    return {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": says}


def _told(says: str) -> Answer:
    return {"task": {"type": "message", "value": says}}


def _form(title: str, card: Element) -> Answer:
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    shown = {"title": title, "width": "medium", "height": "medium", "card": attached}
    return {"task": {"type": "continue", "value": shown}}


def _answer(form: AnswerForm | Done, text: str = "") -> Answer:
    if isinstance(form, Done):
        return _told(_says(form))
    return _form("Answer", bot_forms.answer_form(form, text=text))
