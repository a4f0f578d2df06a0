-- Boards: live messages that stand for something other than one episode.

-- name: boards_lock
-- One replica decides what boards there are; the others deliver.
select pg_try_advisory_xact_lock(7273747003) as mine

-- name: board_lock_key
select * from alert.boards
where kind = %(kind)s and brand = %(brand)s and destination = %(destination)s
  and period = %(period)s
for update

-- name: board_add
-- Two presses at once make it once.
insert into alert.boards (kind, brand, destination, period, content, over, rank, made_at, changed_at)
values (%(kind)s, %(brand)s, %(destination)s, %(period)s, %(content)s, %(over)s, %(rank)s,
        %(now)s, %(now)s)
on conflict (kind, brand, destination, period) do nothing
returning *

-- name: board_change
update alert.boards set content = %(content)s, over = %(over)s, rank = %(rank)s,
    version = version + 1, changed_at = %(now)s
where id = %(id)s
returning *

-- name: boards_live
select * from alert.boards where kind = %(kind)s and not over order by number

-- name: boards_of
select * from alert.boards
where kind = %(kind)s and brand = %(brand)s and destination = %(destination)s
order by number desc limit %(limit)s

-- name: boards_by_ids
select * from alert.boards where id = any(%(ids)s::uuid[])

-- name: board_stands
-- Where its message stands, in its own destination; a failed-over copy stands beside it.
update alert.boards set channel = %(channel)s, message = %(message)s, url = %(url)s,
    posted_at = coalesce(posted_at, alert.now())
where id = %(board)s and destination = %(destination)s

-- name: items_held_back
-- Written to us, judged by nobody yet, and not taken back by its author. A source's history is not asked about.
select i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at, null::uuid as relabel_id,
       null as to_label, null as relabel_by, null::timestamptz as relabel_at, null as relabel_anchor
from alert.items i left join alert.traces t on t.item_id = i.item_id
where i.held and t.deleted_at is null and (i.may_page or i.origin <> 'backfill')
  and not exists (select from alert.relabels r where r.item_id = i.item_id)
order by i.source_time, i.item_id limit %(limit)s

-- name: item_label
select coalesce(i.label, 'spam') as label,
       exists (select from alert.relabels r where r.item_id = i.item_id) as judged
from alert.items i where i.item_id = %(item)s

-- name: waited_add
insert into alert.waited (episode, why, at) values (%(episode)s, %(why)s, %(at)s)
on conflict (episode) do update set why = excluded.why, at = excluded.at

-- name: waited_forget
delete from alert.waited w using alert.episodes e
where e.id = w.episode and e.state not in ('open', 'claimed')

-- name: waited
select episode, why from alert.waited order by at limit 1000

-- name: trouble_last
-- Locked, so that two replicas that read one notice note it once.
select * from alert.troubles
where kind = %(kind)s and service = %(service)s and source = %(source)s and account = %(account)s
order by id desc limit 1 for update

-- name: trouble_add
insert into alert.troubles (kind, service, source, account, says, since, last_at, until)
values (%(kind)s, %(service)s, %(source)s, %(account)s, %(says)s, %(at)s, %(at)s, %(until)s)
on conflict (kind, service, source, account) where ended_at is null do nothing

-- name: trouble_again
update alert.troubles set says = %(says)s, last_at = %(at)s, until = %(until)s, times = times + 1,
    ended_at = null, ended_by = null
where id = %(id)s

-- name: troubles_end
update alert.troubles set ended_at = %(at)s, ended_by = %(by)s
where ended_at is null and last_at <= %(at)s and kind = any(%(kinds)s)
  and source = %(source)s and account = %(account)s and service = %(service)s

-- name: troubles_heard_again
update alert.troubles t set ended_at = alert.now(), ended_by = 'caught_up'
where t.ended_at is null and t.kind = 'silence' and t.account <> ''
  and exists (select from alert.items i
              where i.stored_at > t.last_at and i.account_id = t.account and i.inbound)

-- name: trouble_seen_to
update alert.troubles set ended_at = alert.now(), ended_by = %(by)s
where id = %(id)s and ended_at is null

-- name: troubles_shown
select * from alert.troubles
where ended_at is null or ended_at > alert.now() - make_interval(secs => %(seconds)s)
order by id

-- name: destinations_stuck
-- Tried for so long and not taken. A 429 is no fault: it says itself when to come again.
select distinct o.destination from alert.outbox o
where o.state in ('pending', 'leased') and o.attempt > 0 and o.reason is distinct from 'rate_limited'
  and o.first_tried_at < alert.now() - make_interval(secs => %(seconds)s)

-- name: timers_missing_long
-- Somebody waits, may be paged, and no timer will ever fire; not one that is being written right now.
select e.id from alert.episodes e left join alert.timers t on t.episode = e.id
where e.state in ('open', 'claimed') and e.shows = 'card' and e.may_page and t.episode is null
  and e.opened_recorded_at < alert.now() - make_interval(secs => %(seconds)s)
order by e.number limit 100

-- name: audit_findings
-- Each part has an index that holds only what is open, so that nothing found costs nothing.
with long_ago as (select alert.now() - make_interval(secs => %(seconds)s) as at),
stuck as (
    select o.destination as about, count(*) as waiting, max(o.reason) as reason
    from alert.outbox o, long_ago
    where o.state in ('pending', 'leased') and o.attempt > 0 and o.first_tried_at < long_ago.at
      and o.reason is distinct from 'rate_limited'
    group by o.destination
)
select 'no_timer' as finding, count(*)::int as count, null as about, null as reason
from alert.episodes e left join alert.timers t on t.episode = e.id, long_ago
where e.state in ('open', 'claimed') and e.shows = 'card' and e.may_page and t.episode is null
  and e.opened_recorded_at < alert.now() - interval '1 minute'
having count(*) > 0
union all
select 'timer_overdue', count(*)::int, null, null from alert.timers t, long_ago
where greatest(t.due_at, t.set_at) < long_ago.at having count(*) > 0
union all
select 'destination_stuck', waiting::int, about, reason from stuck
union all
select 'outbox_overdue', count(*)::int, o.destination, null from alert.outbox o, long_ago
where o.state = 'pending' and o.attempt = 0 and o.due_at < long_ago.at and o.purpose <> 'thread'
  and not exists (select from stuck s where s.about = o.destination)
group by o.destination
union all
select 'given_up', count(*)::int, o.destination, max(o.reason) from alert.outbox o
where o.state = 'failed' and o.due_at > alert.now() - interval '1 hour' group by o.destination
union all
select 'inbox_overdue', count(*)::int, null, null from alert.inbox i, long_ago
where i.folded_at is null and i.failed is null and i.stored_at < long_ago.at having count(*) > 0
union all
select 'announcements_overdue', count(*)::int, null, null from alert.announcements a, long_ago
where a.made_at < long_ago.at having count(*) > 0
union all
select 'board_stuck', count(*)::int, b.destination, null from alert.boards b, long_ago
where not b.over and b.posted_at is null and b.changed_at < long_ago.at
  and exists (select from alert.outbox o where o.board = b.id and o.purpose = 'card')
  and not exists (select from alert.outbox o where o.board = b.id and o.purpose = 'card'
                  and o.state in ('pending', 'leased'))
group by b.destination

-- name: watches
select * from alert.watches

-- name: watch_put
insert into alert.watches (rota, person, since) values (%(rota)s, %(person)s, %(at)s)
on conflict (rota) do update set person = excluded.person, since = excluded.since

-- name: handoff_add
insert into alert.handoffs (rota, outgoing, incoming, at)
values (%(rota)s, %(outgoing)s, %(incoming)s, %(at)s)

-- name: handoffs_lately
select * from alert.handoffs where at > alert.now() - make_interval(secs => %(seconds)s) order by id

-- name: handoff_of
-- A board's period names its handoff: the rota and the instant.
select * from alert.handoffs
where rota = split_part(%(period)s, ':', 1) and at = substring(%(period)s from '[^:]*:(.*)')::timestamptz

-- name: handoff_promises
select episode, what, due_at, by from alert.promises
where episode = any(%(episodes)s::uuid[]) and kept_at is null order by due_at desc

-- name: handoff_owed
-- What somebody promised in matters that are answered, and has not kept: it outlives its episode and their shift.
select p.episode, p.what, p.due_at, p.by from alert.promises p
join alert.episodes e on e.id = p.episode
where p.kept_at is null and p.by = %(person)s and e.state not in ('open', 'claimed')
  and p.due_at < alert.now() + interval '7 days'
order by p.due_at desc limit 50

-- name: impostors_add
insert into alert.impostors (item_id, impersonates)
select * from unnest(%(items)s::text[], %(accounts)s::text[])
on conflict (item_id) do nothing

-- name: impostors_found
-- A look-alike's message that nobody judged, with our customer whom it answers: the author of what it
-- answers, else the newest other person of the thread. The victim's newest episode says where it goes.
select i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at, null::uuid as relabel_id,
       null as to_label, null as relabel_by, null::timestamptz as relabel_at, null as relabel_anchor,
       p.impersonates, v.name as victim_name, v.handle as victim_handle,
       e.destination, c.url
from alert.impostors p
join alert.items i on i.item_id = p.item_id
left join alert.traces t on t.item_id = i.item_id
cross join lateral (
    select o.* from alert.items o
    where o.thread = i.thread and o.inbound and o.author_id <> i.author_id
    order by (o.item_id = i.parent) desc, o.source_time desc limit 1
) v
left join lateral (
    select e.id, e.destinations[1] as destination from alert.episodes e
    join alert.conversations k on k.id = e.conversation
    where k.thread = v.thread and k.counterpart = v.author_id and e.shows = 'card'
    order by e.number desc limit 1
) e on true
left join alert.cards c on c.episode = e.id and c.destination = e.destination
where p.judged is null and t.deleted_at is null and i.stored_at > alert.now() - interval '3 days'
  -- In a direct message to us it answers nobody: that thread holds everybody's messages.
  and not (i.private and i.root is null)
  and not exists (
    select from alert.impostors q join alert.items j on j.item_id = q.item_id
    where q.judged = 'not_impostor' and j.author_id = i.author_id and j.platform = i.platform)
order by i.source_time limit 200

-- name: impostors_judge
update alert.impostors set judged = %(judged)s, judged_by = %(by)s, judged_at = alert.now()
where item_id = any(%(items)s) and judged is null

-- name: impostors_judged
select judged, judged_by from alert.impostors
where item_id = any(%(items)s) and judged is not null order by judged_at desc limit 1

-- name: would_page_add
insert into alert.would_have_paged (episode, person, at) values (%(episode)s, %(person)s, %(at)s)
on conflict do nothing

-- name: accounts_quiet
select platform, account_id, first_seen_at from alert.accounts where paging_on_at is null

-- name: accounts_switched_on
select platform, account_id, paging_on_by from alert.accounts
where platform || ':' || account_id = any(%(ids)s) and paging_on_at is not null

-- name: account_switch_on
update alert.accounts set paging_on_at = alert.now(), paging_on_by = %(by)s
where platform = %(platform)s and account_id = %(account)s and paging_on_at is null

-- name: would_have_paged
-- What mattered: answered, claimed, promised or still waiting; not what people closed or relabelled.
select w.pages, e.first_claimed_at is not null or e.state in ('open', 'claimed', 'answered') as mattered,
       (select max(i.needs_answer)::float from alert.items i where i.item_id = any(e.openers))
           as needs_answer
from (select episode, array_agg(at order by at) as pages from alert.would_have_paged group by episode) w
join alert.episodes e on e.id = w.episode
where e.platform = %(platform)s and e.account_id = %(account)s and e.state <> 'merged'
order by e.number desc limit 5000

-- name: digest_last
select * from alert.digests where brand = %(brand)s order by day desc limit 1

-- name: digest_make
-- Dropped: judged to be nobody by the text alone, and by no person; the held are asked about elsewhere.
insert into alert.digests (brand, destination, day, begin_at, end_at, dropped, chatter, history)
select %(brand)s, %(destination)s, %(day)s, %(begin)s, %(end)s,
    (select count(*) from alert.items i
     where i.stored_at >= %(begin)s and i.stored_at < %(end)s and i.brand = %(brand)s and i.inbound
       and i.label in ('spam', 'news') and not i.opens and not i.held),
    (select count(*) from alert.items i
     where i.stored_at >= %(begin)s and i.stored_at < %(end)s and i.brand = %(brand)s and i.inbound
       and i.label = 'conversation' and not i.opens),
    (select count(*) from alert.episodes e
     where e.opened_recorded_at >= %(begin)s and e.opened_recorded_at < %(end)s
       and e.brand = %(brand)s and e.shows = 'digest')
on conflict (brand, day) do nothing
returning *

-- name: samples_draw
-- By a hash with the digest's id: every dropped message is as likely as any other, and no replica draws
-- another sample.
insert into alert.samples (digest, item_id, label)
select %(digest)s, i.item_id, i.label from alert.items i
left join alert.traces t on t.item_id = i.item_id
where i.stored_at >= %(begin)s and i.stored_at < %(end)s and i.brand = %(brand)s and i.inbound
  and i.label in ('spam', 'news') and not i.opens and not i.held and t.deleted_at is null
  and not exists (select from alert.relabels r where r.item_id = i.item_id)
order by md5(%(digest)s::text || i.item_id) limit %(size)s

-- name: samples_of
-- What its author took back is not asked about any more.
select i.*, t.edited_at, t.edit_event, t.edit_text, t.deleted_at, null::uuid as relabel_id,
       null as to_label, null as relabel_by, null::timestamptz as relabel_at, null as relabel_anchor,
       s.label as drawn_label, s.judged
from alert.samples s
join alert.items i on i.item_id = s.item_id
left join alert.traces t on t.item_id = i.item_id
where s.digest = %(digest)s and t.deleted_at is null
order by i.needs_answer desc nulls last, i.item_id

-- name: chatter_draw
-- What came closest to needing an answer: shown, and nobody is asked about it.
insert into alert.samples (digest, item_id, label)
select %(digest)s, i.item_id, 'chatter' from alert.items i
where i.stored_at >= %(begin)s and i.stored_at < %(end)s and i.brand = %(brand)s and i.inbound
  and i.label = 'conversation' and not i.opens
order by i.needs_answer desc nulls last, i.item_id limit %(limit)s

-- name: samples_judge
update alert.samples set judged = %(judged)s, judged_by = %(by)s, judged_at = alert.now()
where item_id = any(%(items)s) and judged is null
