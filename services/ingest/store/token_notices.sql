-- Who tells of a token that ends soon.

-- name: claim_token_notice
-- A row for the one replica that tells of it on this day.
insert into ingest.token_notices (source, account_id, told_on)
values (%(source)s, %(account_id)s, %(day)s)
on conflict (source, account_id) do update set told_on = excluded.told_on
where token_notices.told_on < excluded.told_on
returning told_on;
