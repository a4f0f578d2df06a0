-- Threads of open episodes, on the database's clock.

-- name: watch
-- An episode opened. An item has no thread where it is a direct message, or where it is not known here.
with asked as (
    select root, array_agg(item_id order by said_at) as items from ingest.addresses
    where item_id = any(%(items)s) and platform = %(platform)s and account_id = %(account_id)s
        and root is not null
    group by root
), watched as (
    insert into ingest.watches (episode_id, root, platform, account_id, items, told_at, ends_at)
    select %(episode_id)s, root, %(platform)s, %(account_id)s, items, %(at)s,
        %(at)s::timestamptz + %(longest)s::interval
    from asked
    where %(at)s::timestamptz + %(longest)s::interval > clock_timestamp()
    on conflict (episode_id, root) do update
    set items = excluded.items, told_at = excluded.told_at, ends_at = excluded.ends_at
    where watches.told_at <= excluded.told_at
    returning root
)
insert into ingest.threads (platform, account_id, root, due_at)
select %(platform)s, %(account_id)s, root, clock_timestamp() + %(soonest)s::interval from watched
on conflict (platform, account_id, root) do update
set due_at = least(threads.due_at, excluded.due_at), quiet_looks = 0
returning root;

-- name: unwatch
-- It ended: for a while its thread is still looked at.
update ingest.watches
set ends_at = least(ends_at, %(at)s::timestamptz + %(grace)s::interval), told_at = %(at)s
where episode_id = %(episode_id)s and told_at <= %(at)s
returning root;

-- name: due_thread
with due as (
    select root, seen, quiet_looks, (
        select array_agg(item_id) from ingest.watches as watch cross join unnest(watch.items) as item_id
        where watch.platform = one.platform and watch.account_id = one.account_id
            and watch.root = one.root and watch.ends_at > clock_timestamp()
    ) as items
    from ingest.threads as one
    where platform = %(platform)s and account_id = %(account_id)s and due_at <= clock_timestamp()
        and exists (
            select from ingest.watches as watch
            where watch.platform = one.platform and watch.account_id = one.account_id
                and watch.root = one.root and watch.ends_at > clock_timestamp()
        )
    order by due_at limit 1
)
select root, seen, quiet_looks,
    coalesce((
        select jsonb_agg(details order by said_at) from ingest.addresses where item_id = any(due.items)
    ), '[]') as details,
    coalesce((
        select array_agg(distinct counterpart_id) from ingest.addresses
        where item_id = any(due.items) and counterpart_id is not null
    ), '{}') as customers
from due;

-- name: looked
-- Refused to a holder of an older lease, as cursors are. Where an episode opened in the thread meanwhile, it is
-- looked at soon.
with lease as (
    select fence from ingest.leases
    where source = %(source)s and account_id = %(account_id)s for share
), written as (
    update ingest.threads
    set seen = %(seen)s,
        quiet_looks = case when quiet_looks = %(were)s then %(quiet_looks)s else 0 end,
        due_at = clock_timestamp() + case
            when quiet_looks = %(were)s then %(wait)s::interval else %(soonest)s::interval
        end
    where platform = %(platform)s and account_id = %(account_id)s and root = %(root)s
        and not exists (select from lease where fence > %(fence)s)
)
select exists (select from lease where fence > %(fence)s) as fenced;

-- name: forget_watches
delete from ingest.watches where ctid in (
    select ctid from ingest.watches
    where ends_at < clock_timestamp() - %(older_than)s::interval limit 1000
);

-- name: forget_threads
delete from ingest.threads as one where not exists (
    select from ingest.watches as watch
    where watch.platform = one.platform and watch.account_id = one.account_id and watch.root = one.root
);
