-- Leases of pulled sources. Time is the database's alone: replicas' clocks do not matter.

-- name: take_lease
-- Nobody's, or its holder did not renew in time. The former holder's last sign of life comes back: until
-- then somebody listened.
with former as (
    select renewed_at from ingest.leases
    where source = %(source)s and account_id = %(account_id)s
)
insert into ingest.leases (source, account_id, holder, fence, renewed_at, expires_at)
values (
    %(source)s, %(account_id)s, %(holder)s, 1, clock_timestamp(), clock_timestamp() + %(term)s::interval
)
on conflict (source, account_id) do update
set holder = excluded.holder, fence = leases.fence + 1,
    renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
where leases.expires_at <= clock_timestamp()
returning fence,
    extract(epoch from clock_timestamp() - (select renewed_at from former))::float8;

-- name: renew_lease
-- Late is not lost: as long as nobody else took it, it goes on.
update ingest.leases
set renewed_at = clock_timestamp(), expires_at = clock_timestamp() + %(term)s::interval
where source = %(source)s and account_id = %(account_id)s and fence = %(fence)s
returning fence;

-- name: give_back_lease
-- Over at once, for a holder that stops in good order.
update ingest.leases
set renewed_at = clock_timestamp(), expires_at = clock_timestamp()
where source = %(source)s and account_id = %(account_id)s and fence = %(fence)s
returning fence;
