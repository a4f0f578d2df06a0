-- What each hour brought, on the database's clock: replicas add to the same rows.

-- name: add_hour
with heard as (
    insert into ingest.heard (source, account_id, last_at)
    values (%(source)s, %(account_id)s, clock_timestamp())
    on conflict (source, account_id) do update set last_at = excluded.last_at
)
insert into ingest.hours (source, account_id, hour, events)
values (%(source)s, %(account_id)s, date_trunc('hour', clock_timestamp(), 'UTC'), %(events)s)
on conflict (source, account_id, hour) do update set events = hours.events + excluded.events;

-- name: history
select hour, events from ingest.hours
where source = %(source)s and account_id = %(account_id)s
    and hour > clock_timestamp() - interval '12 weeks';

-- name: last_heard
select last_at from ingest.heard where source = %(source)s and account_id = %(account_id)s;

-- name: tell_once
-- A row for the one replica that tells of this silence.
update ingest.heard set told_since = last_at
where source = %(source)s and account_id = %(account_id)s and told_since is distinct from last_at
returning last_at;

-- name: forget_hours
delete from ingest.hours where hour < clock_timestamp() - interval '12 weeks';
