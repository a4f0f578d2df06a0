-- name: receive
-- A reply that is there already stays as it is, but may be taken back. In order of arrival.
insert into ingest.replies (reply_id, lane, reply, cancelled)
select reply_id, lane, reply, cancelled from jsonb_to_recordset(%(replies)s) as one (
    reply_id text, lane text, reply jsonb, cancelled boolean
)
on conflict (reply_id) do update set cancelled = true where excluded.cancelled
returning reply_id;

-- name: claim
-- What is due, or ended and not yet told. Of one lane only the oldest unfinished: the order in which a
-- person wrote is the order in which the customer reads. A row that another replica claims at this moment
-- is skipped, and still counts as unfinished for those behind it.
with due as (
    select reply_id from ingest.replies as one
    where (leased_until is null or leased_until < clock_timestamp())
        and (
            not told
            or (
                state in ('received', 'sending', 'rate_limited')
                and due_at <= clock_timestamp()
                and not exists (
                    select 1 from ingest.replies as earlier
                    where earlier.lane = one.lane and earlier.number < one.number
                        and earlier.state in ('received', 'sending', 'rate_limited')
                )
            )
        )
    order by number
    limit %(limit)s
    for update skip locked
)
update ingest.replies as one
set lease = %(lease)s, leased_until = clock_timestamp() + %(for)s::interval
from due where one.reply_id = due.reply_id
returning one.reply_id, one.lane, one.reply, one.cancelled, one.state, one.sending_since, one.attempts,
    one.outcome, one.outbound, one.told, one.number;

-- name: address
select item_id, platform, account_id, root, counterpart_id, private, said_at, details, (
    select max(said_at) from ingest.addresses as other
    where other.platform = one.platform and other.account_id = one.account_id
        and other.counterpart_id = one.counterpart_id and other.private
) as heard_at
from ingest.addresses as one where item_id = %(item_id)s;

-- name: begin
-- Committed before the platform is called. No row: the lease is gone, or the reply was taken back.
update ingest.replies
set state = 'sending', sending_since = coalesce(sending_since, clock_timestamp()),
    leased_until = clock_timestamp() + %(for)s::interval
where reply_id = %(reply_id)s and lease = %(lease)s and leased_until > clock_timestamp()
    and (state = 'sending' or not cancelled)
returning reply_id;

-- name: postpone
-- Again later. Where surely nothing was sent it is as if the call had not begun.
update ingest.replies
set state = %(state)s, due_at = clock_timestamp() + %(wait)s::interval, attempts = attempts + 1,
    sending_since = case when %(state)s = 'sending' then sending_since end,
    outcome = coalesce(%(outcome)s::jsonb, outcome), told = told and %(outcome)s::jsonb is null
where reply_id = %(reply_id)s and lease = %(lease)s
returning reply_id;

-- name: settle
-- The end. That it stands on the platform is true whoever holds the lease by now.
update ingest.replies
set state = %(state)s, outcome = %(outcome)s::jsonb, outbound = %(outbound)s::jsonb, told = false,
    ended_at = clock_timestamp()
where reply_id = %(reply_id)s
    and (lease = %(lease)s or (%(state)s = 'posted' and state in ('sending', 'unknown')))
returning reply_id;

-- name: told
-- Only where what was told is still what there is to tell.
update ingest.replies set told = true where reply_id = %(reply_id)s and outcome = %(outcome)s;

-- name: release
update ingest.replies set lease = null, leased_until = null
where reply_id = %(reply_id)s and lease = %(lease)s;

-- name: waiting
-- Both named: rows are read by name, and two columns called "count" are one.
select count(*) filter (where state in ('received', 'sending', 'rate_limited')) as unfinished,
    count(*) filter (where not told) as untold
from ingest.replies where state in ('received', 'sending', 'rate_limited') or not told;

-- name: forget_replies
delete from ingest.replies where reply_id in (
    select reply_id from ingest.replies
    where told and ended_at < clock_timestamp() - %(older_than)s::interval limit 1000
);
