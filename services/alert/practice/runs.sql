-- Practices and their messages. Everything here runs in the practice's own database.

-- name: there
select to_regclass('practice.runs') is not null as there

-- name: now
select practice.now() as now

-- name: add
insert into practice.runs (people, destination, source, speed, ends_at)
values (%(people)s, %(destination)s, %(source)s, %(speed)s,
        practice.now() + make_interval(secs => %(seconds)s))
returning number

-- name: cues_add
insert into practice.cues (run, number, due_at, item_id, event, classifier, senior)
select %(run)s, c.number, r.began_at + make_interval(secs => c.after), c.item_id, c.event, c.classifier,
       c.senior::jsonb
from practice.runs r,
     unnest(%(numbers)s::int[], %(afters)s::float8[], %(items)s::text[], %(events)s::bytea[],
            %(classifiers)s::text[], %(seniors)s::text[])
       as c (number, after, item_id, event, classifier, senior)
where r.number = %(run)s

-- name: live
select * from practice.runs where state <> 'ended'

-- name: all
select r.*, (select count(*) from practice.cues c where c.run = r.number) as cues,
       (select count(*) from practice.cues c where c.run = r.number and c.played_at is not null) as played
from practice.runs r order by r.number desc limit %(limit)s

-- name: by_number
select r.*, (select count(*) from practice.cues c where c.run = r.number) as cues,
       (select count(*) from practice.cues c where c.run = r.number and c.played_at is not null) as played
from practice.runs r where r.number = coalesce(%(number)s, (select max(number) from practice.runs))

-- name: cues_due
-- The run's row is locked: one replica plays at a time, in order, and none while it is closing.
select c.number, c.event from practice.cues c
where c.run = (select number from practice.runs where number = %(run)s and state = 'running' for update)
  and c.played_at is null and c.due_at <= practice.now()
order by c.number limit %(limit)s

-- name: cues_played
update practice.cues set played_at = practice.now() where run = %(run)s and number = any(%(numbers)s)

-- name: cue_of
select event from practice.cues where run = %(run)s and item_id = %(item)s order by number limit 1

-- name: reached
-- Whom the messages were written to.
select event from practice.cues where run = %(run)s order by number

-- name: over
-- Why a run is over, if it is: asked by a person, its time, or nobody waits and nothing comes any more.
select r.number, case
    when r.why is not null then r.why
    when r.ends_at <= practice.now() then 'time_over'
    when not exists (select from practice.cues c where c.run = r.number and c.played_at is null)
     and not exists (select from alert.inbox i where i.folded_at is null and i.failed is null)
     and not exists (select from alert.episodes e where e.state in ('open', 'claimed'))
     and not exists (select from alert.answers a where a.state in ('review', 'pending', 'sent', 'limited'))
     and (select max(c.played_at) from practice.cues c where c.run = r.number)
         < practice.now() - make_interval(secs => %(grace)s)
    then 'finished' end as why
from practice.runs r where r.number = %(run)s and r.state = 'running' for update of r

-- name: stop
update practice.runs set why = coalesce(why, 'stopped') where state = 'running' returning number

-- name: closing
update practice.runs set state = 'closing', why = %(why)s, closing_at = practice.now(), debrief = %(debrief)s::jsonb
where number = %(run)s and state = 'running'

-- name: told
-- Whether the channel has what it is to get, or has had long enough.
select r.closing_at < practice.now() - make_interval(secs => %(patience)s)
    or not exists (select from alert.outbox o where o.state in ('pending', 'leased') and o.purpose <> 'page') as told
from practice.runs r where r.number = %(run)s and r.state = 'closing'

-- name: ended
update practice.runs set state = 'ended', ended_at = practice.now() where number = %(run)s and state = 'closing'

-- name: cues_gone
delete from practice.cues c using practice.runs r where c.run = r.number and r.state = 'ended'

-- name: remove
delete from practice.runs where state = 'ended' and (%(number)s::bigint is null or number = %(number)s)

-- name: forget
delete from practice.runs where state = 'ended' and ended_at < practice.now() - make_interval(secs => %(seconds)s)

-- name: handled
-- What became of each episode, with what was said of its first message.
select e.opened_at, e.due_at, e.state, e.reason, e.ended_at, e.ended_by, e.first_claimed_at, e.first_claimed_by,
       e.private or cardinality(e.sensitive) > 0 as hidden, i.name, i.handle, i.author_id, i.text,
       c.classifier, c.senior, l.to_label,
       (select a.text from alert.answers a where a.episode = e.id and a.state = 'posted'
         order by a.told_at limit 1) as said,
       (select a.author from alert.answers a where a.episode = e.id and a.state = 'posted'
         order by a.told_at limit 1) as author
from alert.episodes e
join alert.items i on i.item_id = e.openers[1]
left join lateral (select classifier, senior from practice.cues c
                   where c.run = %(run)s and c.item_id = i.item_id order by c.number limit 1) c on true
left join lateral (select to_label from alert.relabels l where l.item_id = i.item_id order by l.at desc limit 1) l
  on true
where e.state <> 'merged'
order by e.opened_at, e.number
