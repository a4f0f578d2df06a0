"""What a person sees while they write an answer, and what is looked at before it goes out."""

from __future__ import annotations

from dataclasses import replace

from services.alert.acting import AnswerForm, Done, Written
from services.alert.domain.answering import (
    Around,
    Way,
    answered_item,
    cautions,
    mark,
    too_long,
    ways,
)
from services.alert.domain.cards import card_for, line_for
from services.alert.domain.items import Item
from services.alert.domain.lifecycle import Record
from services.alert.ports import Actor, ActResult
from services.alert.store.acting import messages
from services.alert.store.answer_rows import AnswerRows, text_of
from services.alert.store.refold import Held
from services.alert.store.sql import Connection, all_of, one_of
from services.alert.store.standings import doing_of, standing_of
from services.alert.store.writing import Writing

SHOWN = 3
"""So many of the person's messages stand in the form."""
NOWHERE = "Presence cannot answer there: answer on the platform itself, the card will follow."


class AnswerForms(AnswerRows):
    """The form, and the same looks once more when it comes back."""

    async def _checked(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        written: Written,
        but: str | None = None,
    ) -> Item | Done:
        """The item that it answers, or why it does not go out as it is."""
        if not record.live:
            return Done(ActResult.already, "It has ended meanwhile: nothing was sent.")
        text = text_of(written.text)
        found = await self._ways(connection, held, record)
        way = next((one for one in found[1] if one.private == written.private), None)
        if found[0] is None or way is None:
            return Done(ActResult.impossible, NOWHERE)
        if not text:
            return Done(ActResult.impossible, "Write something first.")
        if (over := too_long(record.platform, text, way)) is not None:
            return Done(ActResult.impossible, f"Too long: {over[0]} of {over[1]} characters.")
        around = await self._around(connection, held, record, writing, by, way, written.seen, but)
        same = await one_of(connection, "answers_same_text", text=text, brand=held.brand)
        around = replace(around, same_text=same["sent"] if same else 0)
        warned = cautions(text, around)
        if any(one.key not in written.accepted for one in warned):
            return Done(ActResult.cautioned, warned=warned)
        return found[0]

    async def _ways(
        self, connection: Connection, held: Held, record: Record
    ) -> tuple[Item | None, tuple[Way, ...]]:
        item = answered_item(messages(held, record), record.folded.openers)
        if item is None:
            return None, ()
        heard = await one_of(
            connection,
            "heard_in_private",
            platform=item.platform,
            account=item.account_id,
            person=item.author_id,
        )
        account = self._configuration().account(item.platform, item.account_id)
        return item, ways(account, item, heard["at"] if heard else None)

    async def _around(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        way: Way,
        seen: str | None,
        but: str | None = None,
    ) -> Around:
        said = [item.id for item in messages(held, record)]
        place = next((n for n, one in enumerate(said, 1) if mark(one) == seen), len(said))
        writing_now = await all_of(connection, "drafts_of", episode=record.id, but=by.person_id)
        under_way = await all_of(
            connection, "answers_under_way", episode=record.id, but=[but] if but else []
        )
        other = record.claimed_by not in (None, by.person_id)
        return Around(
            now=writing.now,
            way=way,
            platform=record.platform,
            unseen=len(said) - place,
            writing=tuple(self._name(row["person"]) for row in writing_now),
            claimed_by=self._name(record.claimed_by) if other and but is None else None,
            under_way=tuple(self._name(row["author"]) for row in under_way),
            same_text=0,
            same_text_most=self._configuration().answering.same_text_an_hour,
        )

    async def _form(
        self,
        connection: Connection,
        held: Held,
        record: Record,
        writing: Writing,
        by: Actor,
        private: bool | None,
        but: str | None = None,
    ) -> AnswerForm | Done:
        """`but`: the answer that is looked at, which is no reason to be careful."""
        item, possible = await self._ways(connection, held, record)
        if item is None or not possible:
            return Done(ActResult.impossible, NOWHERE)
        way = next((one for one in possible if one.private == private), possible[0])
        configuration = self._configuration()
        said = messages(held, record)
        doing = (await doing_of(connection, [record.id])).get(record.id, ())
        card = card_for(standing_of(record, said, configuration, doing), writing.now, shared=False)
        around = await self._around(connection, held, record, writing, by, way, None, but)
        return AnswerForm(
            card=card,
            words=tuple(line_for(one, hide=False) for one in said[-SHOWN:]),
            way=way,
            other=next((one for one in possible if one.private is not way.private), None),
            seen=mark(said[-1].id),
            warned=cautions("", around),
            saved=tuple(
                one
                for one in configuration.answering.saved
                if not one.brands or held.brand in one.brands
            ),
            needs_approval=not self._may(by.person_id, held.brand),
        )
