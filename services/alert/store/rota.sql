-- Run-time changes of the rota, and which version of everything is in force.

-- name: in_force_revisions
select (select version from alert.configurations where active) as version,
       (select revision from alert.rota_revision) as revision

-- name: rota_lock
-- Whoever changes the rota waits here: each change is judged against what stands.
update alert.rota_revision set revision = revision + 1 returning revision, alert.now() as now

-- name: rota_changes
-- Also what ended lately: who was on call an hour ago is asked, too.
select id, kind, rota, person, begin_at, end_at, instead_of, back_begin_at, back_end_at, note, set_by,
       through, set_at
from alert.rota_changes
where removed_at is null
  and greatest(end_at, coalesce(back_end_at, end_at)) > alert.now() - interval '35 days'
order by place

-- name: rota_change_add
insert into alert.rota_changes (kind, rota, person, begin_at, end_at, instead_of, back_begin_at,
    back_end_at, note, set_by, through, calendar_uid)
values (%(kind)s, %(rota)s, %(person)s, %(begin)s, %(end)s, %(instead_of)s, %(back_begin)s,
    %(back_end)s, %(note)s, %(set_by)s, %(through)s, %(calendar_uid)s)
returning id, set_at

-- name: rota_change_remove
update alert.rota_changes set removed_at = alert.now(), removed_by = %(by)s
where id = %(id)s and removed_at is null
returning id

-- name: rota_imported
-- What a person's calendar brought and has not ended.
select id, begin_at, end_at, calendar_uid from alert.rota_changes
where person = %(person)s and calendar_uid is not null and removed_at is null
  and end_at > alert.now()

-- name: episode_named
-- By id, or by the number that a person reads.
select e.*, t.step as timer_step, t.due_at as timer_due_at, alert.now() as now
from alert.episodes e left join alert.timers t on t.episode = e.id
where e.id::text = %(wanted)s or e.number::text = ltrim(%(wanted)s, '#')
limit 1

-- name: paged_log
select person, step, at from alert.paged where episode = %(episode)s order by at, id

-- name: arrivals_by_hour
-- Episodes that a person had to see to, by hour of the week where the team works.
select (extract(isodow from opened_at at time zone %(zone)s)::int - 1) * 24
           + extract(hour from opened_at at time zone %(zone)s)::int as place,
       count(*) as episodes
from alert.episodes
where opened_at >= alert.now() - make_interval(days => %(days)s) and shows = 'card'
  and state <> 'merged'
group by 1

-- name: arrivals_since
select min(opened_at) as first, alert.now() as now
from alert.episodes where shows = 'card' and state <> 'merged'
  and opened_at >= alert.now() - make_interval(days => %(days)s)

-- name: handling_time
-- From the claim to the answer; a claim that was forgotten for hours is no handling.
select avg(extract(epoch from ended_at - first_claimed_at)) as seconds, count(*) as episodes
from alert.episodes
where reason = 'answered' and first_claimed_at is not null and ended_at > first_claimed_at
  and ended_at - first_claimed_at < interval '1 hour'
  and opened_at >= alert.now() - make_interval(days => %(days)s)

-- name: shift_start_add
insert into alert.shift_starts (rota, begin_at, person, end_at)
values (%(rota)s, %(begin)s, %(person)s, %(end)s)
on conflict (rota, begin_at) do nothing

-- name: shift_start_lock
-- Whoever asks next, or says "I'm here", waits here.
select rota, begin_at, person, end_at, here_by, over_at from alert.shift_starts
where rota = %(rota)s and begin_at = %(begin)s for update

-- name: shift_starts_standing
-- What is asked, and for an hour what was answered or has passed.
select rota, begin_at, person, end_at, here_by, over_at from alert.shift_starts
where over_at is null or over_at > %(now)s::timestamptz - interval '1 hour'
order by begin_at, rota

-- name: shift_asks_of
select rota, begin_at, number, person, destination, at from alert.shift_asks
where (rota, begin_at) in (select * from unnest(%(rotas)s::text[], %(begins)s::timestamptz[]))
order by rota, begin_at, number

-- name: shift_ask_add
insert into alert.shift_asks (rota, begin_at, number, person, destination, at)
values (%(rota)s, %(begin)s, %(number)s, %(person)s, %(destination)s, alert.now())
on conflict do nothing

-- name: shift_start_over
update alert.shift_starts set over_at = alert.now(), here_by = %(here_by)s,
    here_at = case when %(here_by)s::text is null then null else alert.now() end
where rota = %(rota)s and begin_at = %(begin)s and over_at is null

-- name: calendar_claim
-- Whoever gets the row looks; the others, and a restart, wait until it is due again.
insert into alert.calendars (person, looked_at) values (%(person)s, alert.now())
on conflict (person) do update set looked_at = excluded.looked_at
where calendars.looked_at <= alert.now() - make_interval(secs => %(seconds)s)
returning etag

-- name: calendar_read
update alert.calendars set etag = %(etag)s where person = %(person)s
