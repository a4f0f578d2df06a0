-- Inbox, threads and the fold. Every statement is named; the comments say why it is so.

-- name: now
select alert.now() as now

-- name: inbox_append
-- Many events at once, in order; what is known stays as it is. One array per column, in binary:
-- as text, every byte of a payload would be written as two and read back.
insert into alert.inbox (event_id, payload, topic, partition, "offset", key)
select * from unnest(%(event_ids)b::text[], %(payloads)b::bytea[], %(topics)b::text[],
                     %(partitions)b::int[], %(offsets)b::bigint[], %(keys)b::bytea[])
on conflict (event_id) do nothing

-- name: progress_save
insert into alert.progress (cluster, topic, partition, next_offset)
values (%(cluster)s, %(topic)s, %(partition)s, %(next_offset)s)
on conflict (cluster, topic, partition) do update
set next_offset = greatest(progress.next_offset, excluded.next_offset), at = alert.now()

-- name: progress_of
select partition, next_offset from alert.progress where cluster = %(cluster)s and topic = %(topic)s

-- name: fold_lock
-- One replica folds at a time: threads may merge across any two conversations of an account.
select pg_try_advisory_xact_lock(7273747002) as mine

-- name: inbox_next
select id, event_id, payload from alert.inbox
where folded_at is null and failed is null order by id limit %(limit)s

-- name: inbox_waiting
select count(*) as waiting from alert.inbox
where folded_at is null and failed is null and (%(up_to)s::bigint is null or id <= %(up_to)s)

-- name: inbox_newest
select coalesce(max(id), 0) as newest from alert.inbox where folded_at is null and failed is null

-- name: inbox_folded
-- The bytes go: the facts are in items, and a deleted person's words are not kept twice.
update alert.inbox set folded_at = alert.now(), payload = null where id = any(%(ids)s)

-- name: inbox_failed
update alert.inbox set failed = %(why)s where id = %(id)s

-- name: inbox_failures
select id, event_id, payload, topic, partition, "offset", key, failed, stored_at from alert.inbox
where failed is not null and dead_lettered_at is null order by id limit 100

-- name: inbox_dead_lettered
update alert.inbox set dead_lettered_at = alert.now(), payload = null where id = any(%(ids)s)

-- name: inbox_forget
delete from alert.inbox
where stored_at < alert.now() - make_interval(secs => %(seconds)s)
  and (folded_at is not null or dead_lettered_at is not null)

-- name: items_known
select item_id from alert.items where item_id = any(%(ids)s)

-- name: nodes_of
select node, thread from alert.nodes where node = any(%(nodes)s)

-- name: threads_make
insert into alert.threads select from generate_series(1, %(count)s) returning id

-- name: nodes_add
insert into alert.nodes (node, thread)
select * from unnest(%(nodes)s::text[], %(threads)s::bigint[])
on conflict (node) do nothing

-- name: threads_merge
-- The oldest thread survives; everything that named the others names it now.
with nodes as (
    update alert.nodes set thread = %(into)s where thread = any(%(from)s)
), items as (
    update alert.items set thread = %(into)s where thread = any(%(from)s)
), members as (
    update alert.members set thread = %(into)s where thread = any(%(from)s)
)
update alert.mutes set thread = %(into)s where thread = any(%(from)s)

-- name: conversations_of_threads
select id, thread, counterpart from alert.conversations
where thread = any(%(threads)s) and merged_into is null order by id for update

-- name: conversations_merge
with gone as (
    update alert.conversations set merged_into = %(into)s where id = any(%(from)s)
), episodes as (
    update alert.episodes set conversation = %(into)s where conversation = any(%(from)s)
)
update alert.closes set conversation = %(into)s where conversation = any(%(from)s)

-- name: conversations_move
update alert.conversations set thread = %(into)s where id = any(%(ids)s)

-- name: items_add
insert into alert.items (
    item_id, thread, platform, account_id, brand, inbound, author_id, counterpart_id, source_time,
    received_at, classified_at, root, parent, private, addressed, automated, gesture, mentions, origin,
    may_page, opens, needs_answer, label, urgency, sensitive, held, handle, name, text, permalink, language, why,
    similarity, known)
select item_id, thread, platform, account_id, brand, inbound, author_id, counterpart_id, source_time,
    received_at, classified_at, root, parent, private, addressed, automated, gesture, mentions, origin,
    may_page, opens, needs_answer, label, urgency, sensitive, held, handle, name, text, permalink, language, why,
    similarity, known
from jsonb_populate_recordset(null::alert.items, %(items)s::jsonb)
on conflict (item_id) do nothing
returning item_id

-- name: traces_of
select item_id, edited_at, edit_event, edit_text, deleted_at from alert.traces
where item_id = any(%(ids)s)

-- name: traces_put
insert into alert.traces (item_id, edited_at, edit_event, edit_text, deleted_at)
select item_id, edited_at, edit_event, edit_text, deleted_at
from jsonb_populate_recordset(null::alert.traces, %(traces)s::jsonb)
on conflict (item_id) do update set
    edited_at = excluded.edited_at, edit_event = excluded.edit_event,
    edit_text = excluded.edit_text, deleted_at = excluded.deleted_at

-- name: corrections_with_words
-- Corrections on the bus that may still carry the words of these items.
select distinct on (r.item_id) r.id, r.item_id, r.from_label, r.to_label, r.by, r.at, r.reason,
       i.platform, i.author_id, i.language, i.similarity, i.addressed
from alert.relabels r
join alert.items i on i.item_id = r.item_id
where r.item_id = any(%(ids)s) and i.text <> '' and not i.private and i.sensitive = '{}'
order by r.item_id, r.at desc, r.id desc

-- name: redact
-- Deleted by its author: the words go, that it existed remains.
with edits as (
    update alert.traces set edit_text = null where item_id = any(%(ids)s)
)
update alert.items set text = '', permalink = null, why = '{}' where item_id = any(%(ids)s)

-- name: texts_forget
-- Past their retention the words go; the figures that were made of them stay.
with old as (
    select item_id from alert.items
    where stored_at < alert.now() - make_interval(secs => %(seconds)s)
      and (text <> '' or handle is not null or name is not null)
    limit %(limit)s
), edits as (
    update alert.traces set edit_text = null from old where traces.item_id = old.item_id
)
update alert.items set text = '', permalink = null, why = '{}', handle = null, name = null
from old where items.item_id = old.item_id

-- name: texts_of_ours_forget
-- What we wrote beneath cards and to customers quotes them.
with lines as (
    update alert.lines set words = null
    where at < alert.now() - make_interval(secs => %(seconds)s) and words is not null
), promises as (
    update alert.promises set what = ''
    where due_at < alert.now() - make_interval(secs => %(seconds)s) and what <> ''
)
update alert.answers set text = ''
where made_at < alert.now() - make_interval(secs => %(seconds)s) and text <> ''

-- name: outbound_around
-- The brand's items whose people depend on these: themselves, and replies below them down to the
-- next person, with everything above them that names people.
with recursive down as (
    select item_id, parent from alert.items where item_id = any(%(ids)s)
    union
    select child.item_id, child.parent
    from alert.items child join down on child.parent = down.item_id
    where not child.inbound
), up as (
    select item.* from alert.items item join down using (item_id)
    union
    select above.* from alert.items above join up on above.item_id = up.parent
    where not up.inbound
)
select * from up

-- name: members_of
select item_id, counterpart, thread from alert.members where item_id = any(%(ids)s)

-- name: members_drop
delete from alert.members where (item_id, counterpart) in
    (select * from unnest(%(items)s::text[], %(people)s::text[]))

-- name: members_add
insert into alert.members (item_id, counterpart, thread)
select * from unnest(%(items)s::text[], %(people)s::text[], %(threads)s::bigint[])
on conflict (item_id, counterpart) do nothing

-- name: threads_like
-- All items of a thread share platform, account and brand.
select wanted.thread, one.* from unnest(%(threads)s::bigint[]) as wanted (thread)
cross join lateral (
    select platform, account_id, brand from alert.items where thread = wanted.thread limit 1
) one

-- name: conversations_add
insert into alert.conversations (thread, counterpart, platform, account_id, brand)
select * from unnest(%(threads)s::bigint[], %(people)s::text[], %(platforms)s::text[],
                     %(accounts)s::text[], %(brands)s::text[])
on conflict (thread, counterpart) where merged_into is null do nothing

-- name: conversations_find
select c.id, c.thread, c.counterpart from alert.conversations c
join unnest(%(threads)s::bigint[], %(people)s::text[]) as wanted (thread, counterpart)
  on c.thread = wanted.thread and c.counterpart = wanted.counterpart
where c.merged_into is null

-- name: conversations_lock
-- In id order, so that two transactions never wait for each other.
select id, thread, counterpart, platform, account_id, brand from alert.conversations
where id = any(%(ids)s) and merged_into is null order by id for update

-- name: items_of_conversations
select c.id as conversation, i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at,
       r.id as relabel_id, r.to_label, r.by as relabel_by, r.at as relabel_at,
       r.anchor as relabel_anchor
from alert.conversations c
join alert.members m on m.thread = c.thread and m.counterpart = c.counterpart
join alert.items i on i.item_id = m.item_id
left join alert.traces t on t.item_id = i.item_id
left join lateral (
    select * from alert.relabels where item_id = i.item_id order by at desc, id desc limit 1
) r on true
where c.id = any(%(ids)s)

-- name: closes_of_conversations
select id, conversation, by, at, reason, anchor, item_id, answered_at from alert.closes
where conversation = any(%(ids)s) and undone_at is null

-- name: writers_of_conversations
-- Who wrote which of the brand's items in Presence.
select c.id as conversation, a.posted_item_id, a.author
from alert.conversations c
join alert.members m on m.thread = c.thread and m.counterpart = c.counterpart
join alert.answers a on a.posted_item_id = m.item_id
where c.id = any(%(ids)s)

-- name: mutes_of_threads
-- Without a counterpart a mute is of everybody in the thread.
select thread, counterpart, begin_at, end_at from alert.mutes where thread = any(%(threads)s)

-- name: conversations_of_thread
select id from alert.conversations where thread = %(thread)s and merged_into is null order by id

-- name: episodes_of_conversations
select * from alert.episodes where conversation = any(%(ids)s) order by number

-- name: accounts_seen
insert into alert.accounts (platform, account_id, first_seen_at)
select platform, account_id, alert.now()
from unnest(%(platforms)s::text[], %(accounts)s::text[]) as seen (platform, account_id)
on conflict do nothing

-- name: accounts
select platform, account_id, first_seen_at, caught_up_at from alert.accounts

-- name: account_caught_up
update alert.accounts set caught_up_at = greatest(caught_up_at, %(at)s::timestamptz)
where account_id = %(account)s

-- name: episodes_put
insert into alert.episodes (
    id, conversation, brand, platform, account_id, key, opened_at, openers, inbound, round, reopened,
    reason, ended_at, ended_item, ended_by, wall_seconds, business_seconds, skewed, state, version,
    fingerprint, label, urgency, sensitive, private, route, policy, destinations, checklist,
    ignores_closed_hours, due_at, shows, may_page, paging_round, claimed_by, claimed_at, claim_until,
    first_claimed_at, first_claimed_by, first_paged_at, received_at, classified_at,
    opened_recorded_at, measured, stale, has_card)
select id, conversation, brand, platform, account_id, key, opened_at, openers, inbound, round,
    reopened, reason, ended_at, ended_item, ended_by, wall_seconds, business_seconds, skewed, state,
    version, fingerprint, label, urgency, sensitive, private, route, policy, destinations, checklist,
    ignores_closed_hours, due_at, shows, may_page, paging_round, claimed_by, claimed_at, claim_until,
    first_claimed_at, first_claimed_by, first_paged_at, received_at, classified_at,
    opened_recorded_at, measured, stale, has_card
from jsonb_populate_recordset(null::alert.episodes, %(episodes)s::jsonb)
on conflict (id) do update set
    conversation = excluded.conversation, key = excluded.key, opened_at = excluded.opened_at,
    openers = excluded.openers, inbound = excluded.inbound, round = excluded.round,
    reopened = excluded.reopened, reason = excluded.reason, ended_at = excluded.ended_at,
    ended_item = excluded.ended_item, ended_by = excluded.ended_by,
    wall_seconds = excluded.wall_seconds, business_seconds = excluded.business_seconds,
    skewed = excluded.skewed, state = excluded.state, version = excluded.version,
    fingerprint = excluded.fingerprint, label = excluded.label, urgency = excluded.urgency,
    sensitive = excluded.sensitive, private = excluded.private, route = excluded.route,
    policy = excluded.policy, destinations = excluded.destinations, checklist = excluded.checklist,
    ignores_closed_hours = excluded.ignores_closed_hours, due_at = excluded.due_at,
    shows = excluded.shows, may_page = excluded.may_page, paging_round = excluded.paging_round,
    claimed_by = excluded.claimed_by, claimed_at = excluded.claimed_at,
    claim_until = excluded.claim_until, first_claimed_at = excluded.first_claimed_at,
    first_claimed_by = excluded.first_claimed_by, received_at = excluded.received_at,
    classified_at = excluded.classified_at, measured = excluded.measured, stale = excluded.stale,
    has_card = excluded.has_card

-- name: timers_put
insert into alert.timers (episode, step, due_at, backfill, late, risen, set_at)
select episode, step, due_at, backfill, late, risen, alert.now()
from jsonb_populate_recordset(null::alert.timers, %(timers)s::jsonb)
on conflict (episode) do update set
    step = excluded.step, due_at = excluded.due_at, backfill = excluded.backfill,
    late = excluded.late, risen = excluded.risen, set_at = excluded.set_at

-- name: timers_hasten
-- Its opening moved to an earlier time: never within a breath, never while it is snoozed, claimed or put off.
update alert.timers t set due_at = least(t.due_at, greatest(
    alert.now() + make_interval(secs => %(breath)s), (%(dues)s::timestamptz[])[t.step + 1]))
from alert.episodes e
where t.episode = %(episode)s and e.id = t.episode and e.state = 'open' and not t.backfill and not t.late
  and t.step < cardinality(%(dues)s::timestamptz[])
  and not exists (select from alert.snoozes s where s.episode = t.episode and s.until > alert.now())

-- name: heirs_take_over
-- Two episodes turned out to be one: nothing that a person did in the newer is lost with it.
with pairs as (
    select * from unnest(%(gone)s::uuid[], %(heirs)s::uuid[]) as pair (gone, heir)
), answers as (
    update alert.answers a set episode = heir from pairs where a.episode = gone
      and a.state in ('review', 'pending', 'sent', 'limited', 'unknown')
), promises as (
    update alert.promises p set episode = heir from pairs where p.episode = gone and p.kept_at is null
)
insert into alert.drafts (episode, person, until)
select heir, person, until from alert.drafts d join pairs on d.episode = gone
on conflict (episode, person) do nothing

-- name: timers_drop
delete from alert.timers where episode = any(%(episodes)s::uuid[])

-- name: pages_cancel
-- What is leased is asked once more by `still_due` before it is sent.
update alert.outbox set state = 'cancelled', reason = 'no_longer_due'
where episode = any(%(episodes)s::uuid[]) and purpose = 'page' and state = 'pending'
  and call is distinct from 'promise'

-- name: outbox_put
-- A card has one row per destination: a change arms it again, and many changes collapse into one. Where
-- it stands in for another place, the copy follows: its row is not among those that are given.
with given as (select * from jsonb_populate_recordset(null::alert.outbox, %(rows)s::jsonb)),
copies as (
    update alert.outbox o set
        wanted = o.wanted + 1,
        state = case when o.state = 'leased' then 'leased' else 'pending' end,
        due_at = case when o.state in ('leased', 'pending') then o.due_at else alert.now() end,
        attempt = case when o.state in ('leased', 'pending') then o.attempt else 0 end,
        first_tried_at = case when o.state in ('leased', 'pending') then o.first_tried_at else null end
    where o.purpose = 'card' and o.moved_to is null and o.state in ('pending', 'leased', 'sent')
      and (o.episode = any(array(select episode from given where purpose = 'card' and episode is not null))
           or o.board = any(array(select board from given where purpose = 'card' and board is not null)))
      and not exists (select from given g where (g.episode = o.episode or g.board = o.board)
                      and g.purpose = 'card' and g.destination = o.destination)
)
insert into alert.outbox
    (episode, board, round, step, target, destination, purpose, text, rank, call, due_at, answer_due)
select episode, board, round, step, target, destination, purpose, text, rank, call,
    coalesce(due_at, alert.now()), coalesce(answer_due, alert.now())
from given
on conflict (episode, round, step, target, destination, purpose) do update set
    wanted = outbox.wanted + 1,
    rank = excluded.rank,
    moved_to = null,
    answer_due = excluded.answer_due,
    state = case when outbox.state = 'leased' then 'leased' else 'pending' end,
    due_at = case when outbox.state in ('leased', 'pending') then outbox.due_at else alert.now() end,
    attempt = case when outbox.state in ('leased', 'pending') then outbox.attempt else 0 end,
    first_tried_at = case when outbox.state in ('leased', 'pending')
                     then outbox.first_tried_at else null end
where excluded.purpose = 'card'

-- name: announcements_put
insert into alert.announcements (event_id, topic, key, payload)
select * from unnest(%(ids)s::text[], %(topics)s::text[], %(keys)s::text[], %(payloads)s::bytea[])
on conflict (event_id) do nothing

-- name: audit_put
insert into alert.audit (who, through, act, episode, item, before, after)
values (%(who)s, %(through)s, %(act)s, %(episode)s, %(item)s, %(before)s, %(after)s)
