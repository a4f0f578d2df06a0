-- What was really asked on a day. Runs in alert's own database, through a connection that cannot write.

-- name: asked
-- Public messages of public, harmless matters: what is private, sensitive or taken back is nobody's training.
select i.*, e.reason, e.ended_at, coalesce(e.ended_by, e.first_claimed_by) as ended_by, e.opened_at,
       i.item_id = e.openers[1] as first,
       (select a.text from alert.items a where a.item_id = e.ended_item and not a.private and not a.inbound) as said
from alert.episodes e
join alert.items i on i.item_id = any(e.inbound)
where e.opened_at >= %(begin)s and e.opened_at < %(end)s and e.state <> 'merged'
  and not e.private and cardinality(e.sensitive) = 0 and not i.private and cardinality(i.sensitive) = 0
  and not exists (select from alert.traces t where t.item_id = i.item_id and t.deleted_at is not null)
order by i.source_time, i.item_id

-- name: left_out
select count(*) as episodes from alert.episodes e
where e.opened_at >= %(begin)s and e.opened_at < %(end)s and e.state <> 'merged'
  and (e.private or cardinality(e.sensitive) > 0)
