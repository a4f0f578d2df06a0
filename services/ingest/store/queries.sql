-- name: known
-- Which of these events were taken in before.
select event_id from ingest.seen
where event_id = any(array(select json_array_elements_text(%(event_ids)s::json)));

-- name: record
-- Keep originals, where answers go, and the ids of what Kafka has acknowledged. Returns the ids that were new: of two
-- replicas with the same event at the same moment one is told so, the other is not.
-- `bodies` are the payloads one after the other; lists come as JSON, which is much cheaper to make than arrays.
-- `gone`: items that their authors have deleted; the payloads that brought their words go in the same step.
with payload as (
    insert into ingest.payloads (id, source, content_type, body, received_at)
    select id, source, content_type, substr(%(bodies)b, first, size), received_at
    from json_to_recordset(%(payloads)s::json) as one (
        id uuid, source text, content_type text, first int, size int, received_at timestamptz
    )
), address as (
    insert into ingest.addresses
        (item_id, platform, account_id, root, counterpart_id, private, said_at, details)
    select * from json_to_recordset(%(addresses)s::json) as one (
        item_id text, platform text, account_id text, root text, counterpart_id text, private boolean,
        said_at timestamptz, details jsonb
    )
    on conflict (item_id) do update
    set root = excluded.root, details = excluded.details, kept_at = clock_timestamp()
), redacted as (
    delete from ingest.payloads where id in (
        select one.payload_id from json_array_elements_text(%(gone)s::json) as item_id
        join ingest.seen as one
            on one.event_id >= item_id || ':' and one.event_id < item_id || ';'
    )
)
insert into ingest.seen (event_id, payload_id)
select event_id, payload_id
from json_to_recordset(%(events)s::json) as one (event_id text, payload_id uuid)
on conflict (event_id) do nothing
returning event_id;

-- name: cursor
select position from ingest.cursors
where source = %(source)s and account_id = %(account_id)s and feed = %(feed)s;

-- name: move_cursor
-- Refuses (no row) to a holder of an older lease: also before the new one wrote its first cursor. The
-- share lock makes a take-over that is under way come before or after, never in between.
with lease as (
    select fence from ingest.leases
    where source = %(source)s and account_id = %(account_id)s for share
)
insert into ingest.cursors (source, account_id, feed, position, fence)
select %(source)s, %(account_id)s, %(feed)s, %(position)s, %(fence)s
where not exists (select from lease where fence > %(fence)s)
on conflict (source, account_id, feed) do update
set position = excluded.position, fence = excluded.fence, moved_at = clock_timestamp()
where ingest.cursors.fence <= excluded.fence
returning position;

-- name: forget_seen
-- A bounded piece at a time, so that no purge holds locks for long.
delete from ingest.seen where event_id in (
    select event_id from ingest.seen
    where seen_at < clock_timestamp() - %(older_than)s::interval limit 5000
);

-- name: forget_payloads
delete from ingest.payloads where id in (
    select id from ingest.payloads
    where received_at < clock_timestamp() - %(older_than)s::interval limit 1000
);

-- name: forget_addresses
delete from ingest.addresses where item_id in (
    select item_id from ingest.addresses
    where kept_at < clock_timestamp() - %(older_than)s::interval limit 5000
);
