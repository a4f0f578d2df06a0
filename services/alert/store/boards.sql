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
