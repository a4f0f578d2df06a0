-- Effects in chat: leased, sent, tried again. The database's clock decides what is due.

-- name: outbox_cancel_pages
-- A page whose episode has an owner or an end, or whose board is over, wakes nobody; nor does the channel hear
-- of a step (`step-…`) any more. A page that a person's act asked for is due while it holds: handed over to
-- them, or promised and not kept.
with gone as (
    update alert.outbox o set state = 'cancelled', reason = 'no_longer_due'
    from alert.boards b
    where b.id = o.board and o.purpose = 'page' and b.over and o.state = 'pending'
)
update alert.outbox o set state = 'cancelled', reason = 'no_longer_due'
from alert.episodes e
where e.id = o.episode and (o.purpose = 'page' or (o.purpose = 'told' and o.target like 'step-%%'))
  -- A lease that ran out is a dead process's: its page must not wait to be due again and come hours late.
  and (o.state = 'pending' or (o.state = 'leased' and o.lease_until < alert.now()))
  and case coalesce(o.call, '') when 'promise' then false
      when 'handover' then e.claimed_by is distinct from o.target or e.state <> 'claimed'
      when 'risen' then e.state not in ('open', 'claimed')
      else e.state <> 'open' end
  and (%(destination)s::text is null or o.destination = %(destination)s)

-- name: outbox_take
-- In order of sensitivity and urgency (rank), then of when the answer is due, never of arrival.
-- A lease that ran out belonged to a process that died or hangs: its attempt may have arrived.
with chosen as (
    select o.id, o.state = 'leased' as lost from alert.outbox o
    left join alert.episodes e on e.id = o.episode
    where o.state in ('pending', 'leased') and o.due_at <= alert.now()
      and (o.lease_until is null or o.lease_until < alert.now())
      and (%(destination)s::text is null or o.destination = %(destination)s)
      -- A board's page does not wait for intake: it tells of no question that may have its answer.
      and (o.purpose <> 'page' or o.board is not null or o.call is not null
           or (%(pages)s and e.state = 'open'))
      -- A new message goes beneath its card, so the card comes first.
      and (o.purpose <> 'thread' or exists (
            select from alert.cards c
            where c.episode = o.episode and c.destination = o.destination))
    order by o.rank, o.answer_due, o.due_at, o.purpose, o.made_at
    limit %(limit)s
    for update of o skip locked
)
update alert.outbox o
set state = 'leased', attempt = o.attempt + 1, taken = o.wanted,
    lease_until = alert.now() + make_interval(secs => %(lease)s),
    ambiguous = o.ambiguous or chosen.lost,
    first_tried_at = coalesce(o.first_tried_at, alert.now())
from chosen where o.id = chosen.id
returning o.*

-- name: outbox_home
-- The conversation that is to be locked before a page, or a step's line, is marked as sending.
select e.conversation from alert.outbox o join alert.episodes e on e.id = o.episode
where o.id = %(id)s and (o.purpose = 'page' or (o.purpose = 'told' and o.target like 'step-%%'))

-- name: conversation_hold
select id from alert.conversations where id = %(id)s for update

-- name: outbox_begin
-- The committed mark is where a send starts. For a page, and for a step's line in the channel, the caller
-- holds its conversation's row, which every answer, claim and closing holds until it commits: none of them is
-- committed before the mark.
update alert.outbox o set sending_at = alert.now()
where o.id = %(id)s and o.attempt = %(attempt)s and o.state = 'leased'
  and (not (o.purpose = 'page' or (o.purpose = 'told' and o.target like 'step-%%'))
       or exists (select from alert.boards b where b.id = o.board and not b.over)
       or exists (
         select from alert.episodes e where e.id = o.episode
           and case coalesce(o.call, '') when 'promise' then true
               when 'handover' then e.claimed_by = o.target and e.state = 'claimed'
               when 'risen' then e.state in ('open', 'claimed')
               else e.state = 'open' end))
returning o.id

-- name: outbox_sent
-- A card that changed while it was sent is sent again.
update alert.outbox set
    state = case when wanted > taken then 'pending' else 'sent' end,
    attempt = case when wanted > taken then 0 else attempt end,
    first_tried_at = case when wanted > taken then null else first_tried_at end,
    due_at = case when wanted > taken then alert.now() else due_at end,
    lease_until = null, ambiguous = false, reason = null, sent_at = alert.now()
where id = %(id)s
returning episode, board, purpose, destination, target, call, alert.now() as now

-- name: outbox_failed
update alert.outbox set
    state = case when %(retry_at)s::timestamptz is null then
                 case when %(reason)s = 'no_longer_due' then 'cancelled' else 'failed' end
            else 'pending' end,
    due_at = coalesce(%(retry_at)s, due_at),
    lease_until = null, ambiguous = %(ambiguous)s, reason = %(reason)s,
    attempt = case when %(reason)s = 'rate_limited' then attempt - 1 else attempt end
where id = %(id)s and attempt = %(attempt)s and state = 'leased'
returning episode, board, round, step, target, destination, purpose, text, rank, call

-- name: outbox_tried
-- Where this very effect was already tried, so that failing over ends. A copy whose card went home may
-- stand in again.
select destination, state from alert.outbox
where moved_to is null and (episode = %(episode)s or (%(episode)s::uuid is null and episode is null))
  and round = %(round)s and step = %(step)s and target = %(target)s and purpose = %(purpose)s

-- name: outbox_stranded
-- What waits for a destination that stays down and stands nowhere else: pages, lines, and cards of those
-- who still wait. Another destination that is down itself counts for nothing.
select o.* from alert.outbox o
left join alert.episodes e on e.id = o.episode
left join alert.boards b on b.id = o.board
where o.destination = %(destination)s and o.state = 'pending'
  and o.purpose in ('card', 'page', 'told')
  -- A ping that waits for its turn waits on: it is handed on when that has come.
  and (o.due_at <= alert.now() or o.attempt > 0)
  and (o.purpose <> 'card' or e.state in ('open', 'claimed') or not b.over)
  and not exists (
    select from alert.outbox p
    where p.episode is not distinct from o.episode and p.round = o.round and p.step = o.step
      and p.target = o.target and p.purpose = o.purpose and p.board is not distinct from o.board
      and p.destination <> all(%(away)s) and p.state in ('pending', 'leased', 'sent')
      and p.moved_to is null)
order by o.rank, o.due_at
limit %(limit)s
for update of o skip locked

-- name: outbox_handed_on
update alert.outbox set state = 'cancelled', reason = 'handed_on' where id = any(%(ids)s)

-- name: outbox_homeless
-- Destinations that messages wait for and that nobody delivers to any more: from one to the next by the
-- index, however many rows wait for each.
with recursive places as (
    (select destination from alert.outbox where state in ('pending', 'leased')
     order by destination limit 1)
    union all
    select (select o.destination from alert.outbox o
            where o.state in ('pending', 'leased') and o.destination > places.destination
            order by o.destination limit 1)
    from places where places.destination is not null
)
select destination from places where destination is not null and destination <> all(%(known)s)

-- name: outbox_unlease
update alert.outbox set state = 'pending', lease_until = null, ambiguous = true
where destination = %(destination)s and state = 'leased' and lease_until < alert.now()

-- name: outbox_abandon
-- What was handed on, or belongs beneath a card that stands nowhere any more.
update alert.outbox set state = 'cancelled', reason = 'handed_on'
where destination = %(destination)s and state = 'pending'

-- name: destinations_down
select distinct source as destination from alert.troubles
where kind = 'destination_down' and ended_at is null

-- name: card_put
insert into alert.cards (episode, destination, channel, message, url, posted_at)
values (%(episode)s, %(destination)s, %(channel)s, %(message)s, %(url)s, alert.now())
on conflict (episode, destination) do update set
    channel = excluded.channel, message = excluded.message, url = excluded.url
returning (xmax = 0) as first

-- name: card_first
select count(*) = 1 as first from alert.cards where episode = %(episode)s

-- name: cards_of
select episode, destination, channel, message, url from alert.cards
where episode = any(%(episodes)s::uuid[])

-- name: copies_home
-- The card stands in its own place (again): copies that stand elsewhere say so once, those that nobody
-- saw are dropped. What has ended says that instead, and follows as ever.
update alert.outbox o set
    moved_to = %(home)s,
    wanted = o.wanted + 1,
    state = case when c.stands then case when o.state = 'leased' then 'leased' else 'pending' end
                 else 'cancelled' end,
    reason = case when c.stands then o.reason else 'no_longer_due' end,
    due_at = case when o.state = 'sent' then alert.now() else o.due_at end,
    attempt = case when o.state = 'sent' then 0 else o.attempt end,
    first_tried_at = case when o.state = 'sent' then null else o.first_tried_at end
from (
    select p.id, exists (select from alert.cards k where k.episode = p.episode and k.destination = p.destination)
              or exists (select from alert.board_copies k where k.board = p.board and k.destination = p.destination)
              or p.state = 'leased' as stands
    from alert.outbox p
    left join alert.episodes e on e.id = p.episode
    left join alert.boards b on b.id = p.board
    where (p.episode = %(episode)s or p.board = %(board)s) and p.purpose = 'card' and p.moved_to is null
      and p.state in ('pending', 'leased', 'sent')
      and (p.destination <> all(e.destinations) and e.state in ('open', 'claimed')
           or p.destination <> b.destination and not b.over)
) c
where o.id = c.id

-- name: board_copies_of
select board, destination, channel, message, url from alert.board_copies
where board = any(%(boards)s::uuid[])

-- name: board_copy_put
insert into alert.board_copies (board, destination, channel, message, url)
values (%(board)s, %(destination)s, %(channel)s, %(message)s, %(url)s)
on conflict (board, destination) do update set
    channel = excluded.channel, message = excluded.message, url = excluded.url

-- name: episode_paged
update alert.episodes set first_paged_at = alert.now()
where id = %(id)s and first_paged_at is null
