-- Pings and what follows a page that nobody confirms.

-- name: pings_hold
-- Whoever is about to ping these people goes one after the other: the count that was read holds until the
-- commit. Always in this order, and after every other lock.
select pg_advisory_xact_lock(7273747, place)
from (select distinct hashtext(one) as place from unnest(%(people)s::text[]) one order by place) places

-- name: pings_of
-- When each person was pinged of late, what waits for its turn included.
select person, array_agg(at) as ats from alert.pings
where person = any(%(people)s) and not exempt and at > alert.now() - make_interval(secs => %(seconds)s)
group by person

-- name: pings_add
with old as (
    delete from alert.pings where person = any(%(people)s) and at < alert.now() - interval '1 day'
)
insert into alert.pings (person, at, exempt, episode, board)
select * from unnest(%(people)s::text[], %(ats)s::timestamptz[], %(exempt)s::boolean[],
                     %(episodes)s::uuid[], %(boards)s::uuid[])

-- name: pages_new
-- Those of the given pages that are not in the outbox yet: a board asks for its pages again and again.
select given.place from (
    select row_number() over () as place, one.* from jsonb_populate_recordset(null::alert.outbox, %(rows)s::jsonb) one
) given
where not exists (
    select from alert.outbox o
    where (o.episode = given.episode or o.board = given.board) and o.round = given.round
      and o.step = given.step and o.target = given.target and o.destination = given.destination
      and o.purpose = 'page')
order by given.place

-- name: unconfirmed_put
-- A later page of the same person begins anew.
insert into alert.unconfirmed (episode, person, call, step, paged_at, used, says, due_at)
values (%(episode)s, %(person)s, %(call)s, %(step)s, %(paged_at)s, %(used)s, %(says)s, %(due_at)s)
on conflict (episode, person, call) do update set
    step = excluded.step, paged_at = excluded.paged_at, used = excluded.used, says = excluded.says,
    due_at = excluded.due_at

-- name: unconfirmed_due
select u.episode, u.person, u.call, e.conversation from alert.unconfirmed u
join alert.episodes e on e.id = u.episode
where u.due_at <= alert.now()
order by (cardinality(e.sensitive) > 0) desc, u.due_at
limit %(limit)s

-- name: unconfirmed_take
select episode, person, call, step, paged_at, used, says, due_at, alert.now() as now
from alert.unconfirmed
where episode = %(episode)s and person = %(person)s and call = %(call)s and due_at <= alert.now()

-- name: unconfirmed_of
select episode, person, call, step, paged_at, used, says, due_at from alert.unconfirmed
where episode = %(episode)s order by due_at, person

-- name: unconfirmed_change
update alert.unconfirmed set used = %(used)s, due_at = %(due_at)s
where episode = %(episode)s and person = %(person)s and call = %(call)s

-- name: unconfirmed_put_off
update alert.unconfirmed set due_at = alert.now() + make_interval(secs => %(seconds)s)
where episode = %(episode)s and person = %(person)s and call = %(call)s and due_at <= alert.now()

-- name: unconfirmed_end
delete from alert.unconfirmed
where episode = %(episode)s and person = %(person)s and call = %(call)s

-- name: unconfirmed_look
-- It has become more urgent: shorter waits may hold.
update alert.unconfirmed set due_at = least(due_at, %(at)s) where episode = %(episode)s and call = ''

-- name: unconfirmed_drop
-- Somebody has it, or it has ended. Who was handed it is still asked; a promise outlives its episode.
delete from alert.unconfirmed u using alert.episodes e
where e.id = u.episode and e.id = any(%(episodes)s::uuid[]) and u.call <> 'promise'
  and not (u.call = 'handover' and e.state = 'claimed' and e.claimed_by = u.person)

-- name: unconfirmed_hush
-- Snoozed: nobody is asked until then. A promise is another matter.
delete from alert.unconfirmed where episode = %(episode)s and call <> 'promise'

-- name: unconfirmed_kept
-- Every promise of the episode is kept.
delete from alert.unconfirmed where episode = %(episode)s and call = 'promise'

-- name: confirmed
-- One person has shown that they are there: for one episode, or for all that they were paged for.
delete from alert.unconfirmed
where person = %(person)s and (%(episode)s::uuid is null or episode = %(episode)s)
