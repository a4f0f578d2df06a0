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
-- Those of the last hours that are near a new one. Each new one asks the index for itself: together their
-- bands would be all there are.
select distinct s.item_id, s.brand, s.similarity, s.group_id
from jsonb_to_recordset(%(rows)s::jsonb) as r (brand text, similarity text, bands integer[])
cross join lateral (
    select * from alert.signatures s
    where s.bands && r.bands and s.brand = r.brand
      and s.at > alert.now() - make_interval(secs => %(seconds)s)
      and bit_count(s.bits # ('x' || r.similarity)::bit(128)) <= %(near)s
) s

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
where o.episode = any(%(episodes)s::uuid[]) and o.purpose = 'card' and o.state <> 'failed'

-- name: alike_of_episodes
-- How many people write as this episode's person does.
select e.id as episode, max(g.people)::int as people
from alert.episodes e
cross join lateral unnest(e.openers) as o (item_id)
join alert.alike a on a.item_id = o.item_id
join alert.groups g on g.id = a.group_id
where e.id = any(%(ids)s::uuid[]) and g.people > 1
group by e.id
