-- Escalation: durable timers on the database's clock.

-- name: timers_due
-- Newest episodes first: after an outage they are the ones that can still be answered in time.
select t.episode, e.conversation from alert.timers t join alert.episodes e on e.id = t.episode
where t.due_at <= alert.now()
order by (cardinality(e.sensitive) > 0) desc, e.opened_at desc
limit %(limit)s

-- name: timer_lock
-- The conversation's row first, as everywhere; whoever holds it will see to the timer. One that was merged
-- meanwhile guards nothing any more: the next round finds the one that stays.
select c.id from alert.conversations c
where c.id = %(conversation)s and c.merged_into is null for update skip locked

-- name: timer_take
select t.episode, t.step, t.due_at, t.set_at, t.backfill, t.late, t.risen, alert.now() as now from alert.timers t
where t.episode = %(episode)s and t.due_at <= alert.now()

-- name: timer_put_off
-- A step that failed stands in no other's way: it is due again a little later.
update alert.timers set due_at = alert.now() + make_interval(secs => %(seconds)s), set_at = alert.now()
where episode = %(episode)s and due_at <= alert.now()

-- name: episode_by_id
select * from alert.episodes where id = %(id)s

-- name: paged_for
select person, max(at) as at from alert.paged where episode = %(episode)s group by person

-- name: paged_add
insert into alert.paged (episode, person, step, at) values (%(episode)s, %(person)s, %(step)s, %(at)s)

-- name: account_first_seen
select first_seen_at, paging_on_at from alert.accounts where platform = %(platform)s and account_id = %(account)s

-- name: timers_release_backfill
-- The source has caught up: what waited for its answers waits no longer.
update alert.timers t
set due_at = least(t.due_at, alert.now() + make_interval(secs => %(grace)s)), backfill = false
from alert.episodes e
where e.id = t.episode and t.backfill and e.account_id = %(account)s

-- name: timers_missing
-- What the auditor looks for: somebody waits, may be paged, and no timer will ever fire.
select e.id from alert.episodes e left join alert.timers t on t.episode = e.id
where e.state in ('open', 'claimed') and e.shows = 'card' and e.may_page and t.episode is null

-- name: timers_overdue
with long_ago as (select alert.now() - make_interval(secs => %(seconds)s) as at)
select (select count(*) from alert.timers t where t.due_at < long_ago.at)
     + (select count(*) from alert.unconfirmed u where u.due_at < long_ago.at) as overdue
from long_ago

-- name: announcements_next
select id, event_id, topic, key, payload from alert.announcements order by id limit 200

-- name: announcements_done
delete from alert.announcements where id = any(%(ids)s)

-- name: timer_step
select step, risen from alert.timers where episode = %(episode)s
