-- Which replica listens to which account. One row per (source, account); it is never deleted, so that the
-- fence only grows.
create table ingest.leases (
    source text not null,
    account_id text not null,
    holder text not null,
    -- One more with every new holder: writes under an older number are refused.
    fence bigint not null,
    renewed_at timestamptz not null,
    expires_at timestamptz not null,
    primary key (source, account_id)
);
