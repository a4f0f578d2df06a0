-- Episodes as people see and change them, and the figures that the gauges show.

-- name: episodes_by_ids
select * from alert.episodes where id = any(%(ids)s::uuid[])

-- name: items_of_episodes
-- The person's messages of each episode, in its order, as they are today.
select e.id as episode, i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at,
       r.id as relabel_id, r.to_label, r.by as relabel_by, r.at as relabel_at,
       r.anchor as relabel_anchor
from alert.episodes e
cross join lateral unnest(e.inbound) with ordinality as said (item_id, place)
join alert.items i on i.item_id = said.item_id
left join alert.traces t on t.item_id = i.item_id
left join lateral (
    select * from alert.relabels where item_id = i.item_id order by at desc, id desc limit 1
) r on true
where e.id = any(%(ids)s::uuid[])
order by e.id, said.place

-- name: episodes_open
-- Sensitive first, then urgent, then by due time; history, which is only listed, after all of them.
select * from alert.episodes where state in ('open', 'claimed')
order by (shows = 'card') desc, (cardinality(sensitive) > 0) desc, (urgency = 'high') desc, due_at
limit %(limit)s

-- name: conversation_of_episode
-- Locks the conversation before anything of the episode is read.
select c.id from alert.conversations c
where c.id = (select conversation from alert.episodes where id = %(id)s)
for update

-- name: conversation_of_item
select c.id from alert.members m
join alert.conversations c on c.thread = m.thread and c.counterpart = m.counterpart
where m.item_id = %(item)s and c.merged_into is null order by c.id for update of c

-- name: close_add
insert into alert.closes (conversation, by, at, reason, anchor)
values (%(conversation)s, %(by)s, %(at)s, %(reason)s, %(anchor)s)

-- name: mute_add
-- Never over what was there already, even where a platform's clock runs ahead of ours.
insert into alert.mutes (thread, counterpart, begin_at, end_at, by)
select %(thread)s, %(counterpart)s, greatest(%(begin_at)s, max(source_time)), %(end_at)s, %(by)s
from alert.items where thread = %(thread)s

-- name: relabel_add
insert into alert.relabels (id, item_id, from_label, to_label, by, at, anchor, reason)
values (%(id)s, %(item)s, %(from)s, %(to)s, %(by)s, %(at)s, %(anchor)s, %(reason)s)

-- name: figures_open
select platform, case when shows = 'card' then state else shows end as state, count(*) as episodes,
       extract(epoch from alert.now() - min(opened_at)) as oldest
from alert.episodes where state in ('open', 'claimed') group by 1, 2

-- name: figures_held
-- What the held-back card asks about: not a source's history.
select platform, count(*) as held from alert.items i
where i.held and (i.may_page or i.origin <> 'backfill') and not exists (select from alert.relabels r where r.item_id = i.item_id)
  and not exists (select from alert.traces t
                  where t.item_id = i.item_id and t.deleted_at is not null)
group by platform

-- name: configuration_lock
select pg_advisory_xact_lock(7273747003)

-- name: configuration_put
insert into alert.configurations (sha256, document) values (%(sha256)s, %(document)s)
on conflict (sha256) do nothing

-- name: configuration_deactivate
update alert.configurations set active = false where active and sha256 <> %(sha256)s

-- name: configuration_activate
update alert.configurations set active = true where sha256 = %(sha256)s and not active
returning version

-- name: configuration_active
select version, sha256, document from alert.configurations where active
