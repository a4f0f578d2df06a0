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
