-- Snoozes, hand-overs, promises, private answers that count, closings taken back.

-- name: snooze_put
insert into alert.snoozes (episode, until, by, at) values (%(episode)s, %(until)s, %(by)s, %(at)s)
on conflict (episode) do update set until = excluded.until, by = excluded.by, at = excluded.at

-- name: snooze_of
select until, by from alert.snoozes where episode = %(episode)s and until > alert.now()

-- name: snooze_drop
delete from alert.snoozes where episode = %(episode)s

-- name: snoozes_over
select episode from alert.snoozes where until <= alert.now() limit 50

-- name: promise_add
insert into alert.promises (id, episode, by, what, made_at, due_at)
values (%(id)s, %(episode)s, %(by)s, %(what)s, %(made_at)s, %(due_at)s)
on conflict (id) do nothing returning id

-- name: promise_by_id
select * from alert.promises where id = %(id)s

-- name: promise_keep
update alert.promises set kept_at = %(at)s, kept_by = %(by)s where id = %(id)s and kept_at is null

-- name: promises_left
select * from alert.promises where episode = %(episode)s and kept_at is null order by due_at

-- name: promises_due
select id, episode from alert.promises
where kept_at is null and paged_at is null and due_at <= alert.now() order by due_at limit 50

-- name: promise_paged
update alert.promises set paged_at = %(at)s where id = %(id)s and paged_at is null and kept_at is null

-- name: calls_made
select count(*) as calls from alert.outbox where episode = %(episode)s and call is not null

-- name: calls_cancel
update alert.outbox set state = 'cancelled', reason = 'no_longer_due'
where episode = %(episode)s and call = %(call)s and state = 'pending'

-- name: private_answers
-- The brand's own private messages to this person since the question: one of them may be its answer.
select i.item_id, i.source_time, i.text, t.edit_text from alert.items i
left join alert.traces t on t.item_id = i.item_id
where i.platform = %(platform)s and i.account_id = %(account)s and not i.inbound and i.private
  and not i.automated and not i.gesture and t.deleted_at is null and i.source_time >= %(since)s
  and exists (select from alert.members m
              where m.item_id = i.item_id and m.counterpart = %(person)s)
order by i.source_time desc limit 10

-- name: answered_add
insert into alert.closes (conversation, by, at, reason, anchor, item_id, answered_at)
values (%(conversation)s, %(by)s, %(at)s, 'answered', %(anchor)s, %(item)s, %(answered_at)s)

-- name: closes_undo
update alert.closes set undone_at = %(at)s
where conversation = %(conversation)s and undone_at is null
  and reason = %(reason)s and by = %(by)s
  and coalesce(answered_at, at) = %(ended_at)s

-- name: mutes_end
update alert.mutes set end_at = begin_at
where thread = %(thread)s and by = %(by)s and end_at > %(at)s
  and (counterpart is null or counterpart = %(counterpart)s)
returning counterpart

-- name: request_add
-- A form that was sent acts once.
insert into alert.requests (request, at) values (%(request)s, alert.now())
on conflict (request) do nothing
