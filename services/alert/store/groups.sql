-- Queues, groups of near-duplicates, waves, incidents.

-- name: queued_add
insert into alert.queued (person, episode, at) values (%(person)s, %(episode)s, %(at)s)
on conflict (person, episode) do update set at = excluded.at

-- name: queued_forget
delete from alert.queued q using alert.episodes e where e.id = q.episode and e.state <> 'open'

-- name: queued
-- Each queue with how many wait, since when, and the first of them: sensitive, urgent, due.
select q.person, e.brand, e.destinations[1] as destination, count(*)::int as many,
       min(e.opened_at) as oldest,
       (array_agg(e.id::text order by (cardinality(e.sensitive) > 0) desc,
                  (e.urgency = 'high') desc, e.due_at, e.number))[1:%(first)s] as next
from alert.queued q join alert.episodes e on e.id = q.episode
where e.state = 'open'
group by q.person, e.brand, e.destinations[1]

-- name: queue_next
select e.id::text as episode from alert.queued q join alert.episodes e on e.id = q.episode
where q.person = %(person)s and e.brand = %(brand)s and e.destinations[1] = %(destination)s
  and e.state = 'open'
order by (cardinality(e.sensitive) > 0) desc, (e.urgency = 'high') desc, e.due_at, e.number limit 20

-- name: to_compare_add
insert into alert.to_compare (item_id) select unnest(%(items)s::text[])

-- name: groups_lock
-- One replica compares at a time.
select pg_try_advisory_xact_lock(7273747004) as mine

-- name: to_compare
select c.number, c.item_id, i.brand, i.similarity from alert.to_compare c
join alert.items i on i.item_id = c.item_id
order by c.number limit %(limit)s

-- name: compared
delete from alert.to_compare where number = any(%(numbers)s)

-- name: signatures_near
-- Those of the last hours that are near a new one. Each new one asks the index for itself (`offset 0` keeps
-- the planner from joining every pair: forty times the work at 20,000 signatures).
select distinct s.item_id, s.brand, s.similarity, s.group_id
from jsonb_to_recordset(%(rows)s::jsonb) as r (brand text, similarity text, bands integer[])
cross join lateral (select * from alert.signatures s where s.bands && r.bands offset 0) s
where s.brand = r.brand and s.at > alert.now() - make_interval(secs => %(seconds)s)
  and bit_count(s.bits # ('x' || r.similarity)::bit(128)) <= %(near)s

-- name: signatures_add
insert into alert.signatures (item_id, brand, similarity, bits, bands, group_id, at)
select item_id, brand, similarity, ('x' || similarity)::bit(128), bands, group_id, alert.now()
from jsonb_to_recordset(%(rows)s::jsonb)
    as r (item_id text, brand text, similarity text, bands integer[], group_id bigint)
on conflict (item_id) do nothing

-- name: signatures_forget
delete from alert.signatures where at <= alert.now() - make_interval(secs => %(seconds)s)

-- name: group_make
insert into alert.groups (brand, made_at, last_at) values (%(brand)s, alert.now(), alert.now())
returning id

-- name: groups_join
-- Groups that turned out to be one: the oldest takes the others in.
with gone as (
    update alert.groups set merged_into = %(into)s where id = any(%(gone)s) returning id
), moved as (
    update alert.alike set group_id = %(into)s where group_id = any(%(gone)s)
)
update alert.signatures set group_id = %(into)s where group_id = any(%(gone)s)

-- name: alike_add
with signed as (
    update alert.signatures set group_id = %(group)s
    where item_id = any(%(items)s) and group_id is distinct from %(group)s
)
insert into alert.alike (item_id, group_id) select unnest(%(items)s::text[]), %(group)s
on conflict (item_id) do update set group_id = excluded.group_id
where alike.group_id <> excluded.group_id

-- name: group_count
-- How many people; and how many there were before.
update alert.groups g set last_at = alert.now(), people = n.people
from (select count(distinct i.author_id) as people
      from alert.alike a join alert.items i on i.item_id = a.item_id
      where a.group_id = %(group)s) n,
     (select people from alert.groups where id = %(group)s) was
where g.id = %(group)s
returning g.people, was.people as before

-- name: episodes_alike
-- Open episodes with a card that these items opened.
select distinct e.id::text as episode
from alert.members m
join alert.conversations c on c.thread = m.thread and c.counterpart = m.counterpart
    and c.merged_into is null
join alert.episodes e on e.conversation = c.id
where m.item_id = any(%(items)s) and m.item_id = any(e.openers)
  and e.state in ('open', 'claimed') and e.has_card

-- name: items_alike
select item_id from alert.alike where group_id = %(group)s

-- name: cards_rearm
-- The cards are drawn again: they say how many are like them.
update alert.outbox o set
    wanted = o.wanted + 1,
    state = case when o.state = 'leased' then 'leased' else 'pending' end,
    due_at = case when o.state in ('leased', 'pending') then o.due_at else alert.now() end,
    attempt = case when o.state in ('leased', 'pending') then o.attempt else 0 end,
    first_tried_at = case when o.state in ('leased', 'pending') then o.first_tried_at else null end
where o.episode = any(%(episodes)s::uuid[]) and o.purpose = 'card' and o.state in ('pending', 'leased', 'sent')

-- name: alike_of_episodes
-- How many people write as this episode's person does.
select e.id as episode, max(g.people)::int as people
from alert.episodes e
cross join lateral unnest(e.openers) as o (item_id)
join alert.alike a on a.item_id = o.item_id
join alert.groups g on g.id = a.group_id
where e.id = any(%(ids)s::uuid[]) and g.people > 1
group by e.id

-- name: groups_shown
-- Each group of the last day in each place where its episodes have cards, with what became of them.
-- A wave of spam has a card of its own.
select g.id, g.brand, g.people, e.destinations[1] as destination,
       count(*) filter (where e.state = 'open')::int as waiting,
       count(*) filter (where e.state = 'claimed')::int as claimed,
       count(*) filter (where e.state = 'answered')::int as answered,
       coalesce(min(e.opened_at) filter (where e.state in ('open', 'claimed')),
                min(e.opened_at)) as oldest,
       (array_agg(e.id::text order by (e.urgency = 'high') desc, e.due_at, e.number)
            filter (where e.state = 'open'))[1:%(first)s] as next
from alert.groups g
join alert.alike a on a.group_id = g.id
join alert.members m on m.item_id = a.item_id
join alert.conversations c on c.thread = m.thread and c.counterpart = m.counterpart
    and c.merged_into is null
join alert.episodes e on e.conversation = c.id and a.item_id = e.openers[1]
where g.merged_into is null and g.last_at > alert.now() - interval '1 day'
  and g.people >= %(people)s and e.shows = 'card' and e.state <> 'merged'
  and not exists (select from alert.waves w where w.group_id = g.id
                  and w.state not in ('over', 'dismissed', 'undone'))
group by g.id, e.destinations[1]

-- name: group_samples
-- The first messages of a group that may be shown anywhere and are still there.
select i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at, r.id as relabel_id, r.to_label,
       r.by as relabel_by, r.at as relabel_at, r.anchor as relabel_anchor
from alert.alike a join alert.items i on i.item_id = a.item_id
left join alert.traces t on t.item_id = i.item_id
left join lateral (
    select * from alert.relabels where item_id = i.item_id order by at desc, id desc limit 1
) r on true
where a.group_id = %(group)s and not i.private and t.deleted_at is null
  and (%(label)s::text is null or coalesce(r.to_label, i.label) = %(label)s)
order by i.stored_at, i.item_id limit %(limit)s

-- name: group_next
select e.id::text as episode from alert.alike a
join alert.members m on m.item_id = a.item_id
join alert.conversations c on c.thread = m.thread and c.counterpart = m.counterpart
    and c.merged_into is null
join alert.episodes e on e.conversation = c.id and a.item_id = e.openers[1]
where a.group_id = %(group)s and e.state = 'open' and e.shows = 'card'
  and e.destinations[1] = %(destination)s
order by (e.urgency = 'high') desc, e.due_at, e.number limit 20

-- name: waves_counted
-- Groups of the last day some of which look like spam, as numbers; and those whose wave is at work.
select g.id, g.brand, count(*)::int as items, count(distinct i.author_id)::int as people,
       (count(*) filter (where coalesce(r.to_label, i.label) = 'spam'))::int as spam,
       (count(*) filter (where i.held and i.label = 'spam' and r.to_label is null))::int as held,
       (count(*) filter (where r.to_label = 'conversation'))::int as persons,
       g.last_at < alert.now() - interval '1 day' as quiet
from alert.groups g
join alert.alike a on a.group_id = g.id join alert.items i on i.item_id = a.item_id
left join lateral (
    select * from alert.relabels where item_id = i.item_id order by at desc, id desc limit 1
) r on true
where g.merged_into is null and (
    g.last_at > alert.now() - interval '1 day'
    or exists (select from alert.waves w where w.group_id = g.id
               and w.state in ('gathered', 'asking', 'labelling', 'labelled', 'undoing')))
group by g.id
having count(*) filter (where coalesce(r.to_label, i.label) = 'spam') >= %(spam)s
    or exists (select from alert.waves w where w.group_id = g.id
               and w.state in ('gathered', 'asking', 'labelling', 'labelled', 'undoing'))

-- name: waves_regroup
-- Its group turned out to be part of another; where that has a wave of its own, this one is over.
update alert.waves w
set group_id = g.merged_into,
    state = case when w.state in ('gathered', 'asking') then 'over' else w.state end
from alert.groups g
where g.id = w.group_id and g.merged_into is not null

-- name: wave_make
-- One for a group: what people did with it is not asked again.
insert into alert.waves (group_id, made_at)
select %(group)s, alert.now()
where not exists (select from alert.waves where group_id = %(group)s and state <> 'over')
on conflict do nothing

-- name: waves_living
-- Those on which something can be pressed or is under way, and those that ended lately.
select w.*, (select count(*) from alert.wave_labels l
             where l.wave = w.id and l.state in (
                 'asked', 'todo', 'done', 'undo', 'undone'))::int as changed
from alert.waves w
where w.state in ('gathered', 'asking', 'labelling', 'labelled', 'undoing')
   or w.at > alert.now() - interval '2 hours'
order by w.id

-- name: wave_lock
select w.* from alert.waves w where w.id = %(id)s for update

-- name: wave_step
update alert.waves set state = %(state)s, by = %(by)s, through = %(through)s, at = %(at)s,
    labelled_by = case when %(state)s = 'labelling' then %(by)s else labelled_by end,
    labelled_at = case when %(state)s = 'labelling' then %(at)s else labelled_at end
where id = %(id)s

-- name: wave_state
-- From the state that was read: a press that was committed meanwhile stands.
update alert.waves set state = %(state)s where id = %(id)s and state = %(was)s

-- name: wave_targets
-- Not spam yet, by nobody's judgement, not written to us, and from nobody whom we answered before.
select i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at, null::uuid as relabel_id,
       null as to_label, null as relabel_by, null::timestamptz as relabel_at, null as relabel_anchor,
       exists (
         select from alert.conversations c
         join alert.members m on m.thread = c.thread and m.counterpart = c.counterpart
         join alert.items o on o.item_id = m.item_id
         where c.counterpart = i.author_id and c.platform = i.platform
           and c.account_id = i.account_id and not o.inbound) as answered
from alert.alike a join alert.items i on i.item_id = a.item_id
left join alert.traces t on t.item_id = i.item_id
where a.group_id = %(group)s and coalesce(i.label, '') <> 'spam'
  and not exists (select from alert.relabels r where r.item_id = i.item_id)
order by i.stored_at, i.item_id limit 5000

-- name: wave_ask
insert into alert.wave_labels (wave, item_id) select %(wave)s, unnest(%(items)s::text[])
on conflict do nothing

-- name: wave_unask
delete from alert.wave_labels where wave = %(wave)s and state = 'asked'

-- name: wave_mark
update alert.wave_labels set state = %(to)s where wave = %(wave)s and state = %(from)s

-- name: wave_next
select item_id from alert.wave_labels where wave = %(wave)s and state = %(state)s
order by item_id limit %(limit)s

-- name: wave_label_done
update alert.wave_labels set state = %(state)s where wave = %(wave)s and item_id = %(item)s

-- name: relabelled_since
-- Whether this person's label of this press is there: also where we died before noting it.
select exists (select from alert.relabels where item_id = %(item)s and by = %(by)s
               and to_label = %(to)s and at >= %(since)s) as there

-- name: relabels_take_back
-- The audit record keeps what was said; the item is as if nobody had said it.
delete from alert.relabels
where item_id = %(item)s and by = %(by)s and to_label = %(to)s and at >= %(since)s
returning id, from_label, to_label, by, at

-- name: incident_during
-- The brand's incident, the group of an episode in it, and the steps for which that was paged.
select n.id, n.people, g.id as group_id,
       coalesce((select array_agg(p.step) from alert.incident_pages p
                 where p.incident = n.id and p.group_id = g.id), '{}') as steps
from alert.incidents n
left join lateral (
    select g.id from alert.alike a join alert.groups g on g.id = a.group_id
    where a.item_id = any(%(openers)s) and g.people > 1 order by g.id limit 1
) g on true
where n.brand = %(brand)s and n.state = 'declared'

-- name: incident_page
-- Two replicas that fire two of a group at once: the second waits here, and finds it paged.
insert into alert.incident_pages (incident, group_id, step, at)
values (%(incident)s, %(group)s, %(step)s, %(at)s)
on conflict do nothing

-- name: incidents_shown
select * from alert.incidents
where state in ('suggested', 'declared') or at > alert.now() - interval '2 hours' order by id

-- name: incident_dismissed_lately
select exists (select from alert.incidents where brand = %(brand)s
               and at > alert.now() - make_interval(secs => %(seconds)s)) as lately

-- name: incident_suggest
insert into alert.incidents (brand, name, says, state, made_at)
values (%(brand)s, %(title)s, %(says)s, 'suggested', alert.now())
on conflict do nothing

-- name: incident_declare
-- What was suggested becomes declared; without a suggestion it is new.
insert into alert.incidents (brand, name, state, made_at, by, at, declared_by, declared_at)
values (%(brand)s, %(title)s, 'declared', alert.now(), %(by)s, alert.now(), %(by)s, alert.now())
on conflict (brand) where state in ('suggested', 'declared') do update set
    name = excluded.name, state = 'declared', by = excluded.by, at = excluded.at,
    declared_by = excluded.declared_by, declared_at = excluded.declared_at
where incidents.state = 'suggested'
returning *

-- name: incident_begin
-- A group that was paged within the hour before was paged for it.
insert into alert.incident_pages (incident, group_id, step, at)
select n.id, g.id, p.step, min(p.at)
from alert.incidents n
join alert.episodes e on e.brand = n.brand
join alert.paged p on p.episode = e.id and p.at > n.declared_at - interval '1 hour' and p.step >= 0
join alert.alike a on a.item_id = e.openers[1]
join alert.groups g on g.id = a.group_id and g.people > 1
where n.id = %(id)s and n.state = 'declared'
group by n.id, g.id, p.step
on conflict do nothing

-- name: incident_lock
select * from alert.incidents where id = %(id)s for update

-- name: incident_put
update alert.incidents set state = %(state)s, by = %(by)s, at = alert.now(), people = %(people)s,
    ended_at = case when %(state)s = 'ended' then alert.now() else ended_at end
where id = %(id)s

-- name: arrivals
-- Openings of a brand within the last stretch, and within the same of each week before.
select w.week,
       (select count(*) from alert.episodes e
        where e.brand = %(brand)s and e.shows = 'card' and e.state <> 'merged'
          and e.opened_recorded_at > alert.now() - w.week * interval '7 days'
                                     - make_interval(secs => %(seconds)s)
          and e.opened_recorded_at <= alert.now() - w.week * interval '7 days')::int as came,
       (select min(first_seen_at) from alert.accounts)
           < alert.now() - w.week * interval '7 days' - make_interval(secs => %(seconds)s) as known
from generate_series(0, 4) as w (week) order by w.week

-- name: groups_came
-- The largest group of customers of the last stretch: no wave of spam.
select g.id, count(distinct i.author_id)::int as people from alert.groups g
join alert.alike a on a.group_id = g.id join alert.items i on i.item_id = a.item_id
where g.brand = %(brand)s and g.merged_into is null and i.opens
  and g.last_at > alert.now() - make_interval(secs => %(seconds)s)
  and i.stored_at > alert.now() - make_interval(secs => %(seconds)s)
  and not exists (select from alert.waves w where w.group_id = g.id
                  and w.state not in ('over', 'dismissed', 'undone'))
group by g.id order by 2 desc limit 1

-- name: incident_topics
-- What came since the incident began (and an hour before), by group; null for what is alone.
select g.id, count(distinct c.counterpart)::int as people,
       (count(*) filter (where e.state = 'open'))::int as waiting,
       (count(*) filter (where e.state = 'claimed'))::int as claimed,
       (count(*) filter (where e.state = 'answered'))::int as answered,
       min(e.opened_at) as oldest
from alert.episodes e
join alert.conversations c on c.id = e.conversation
left join alert.alike a on a.item_id = e.openers[1]
left join alert.groups g on g.id = a.group_id and g.people > 1
where e.brand = %(brand)s and e.shows = 'card' and e.state <> 'merged'
  and e.opened_recorded_at > %(since)s
group by g.id order by 2 desc limit 50
