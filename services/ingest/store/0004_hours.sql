-- How many events each hour brought, for the detector of silence; kept for twelve weeks.
create table ingest.hours (
    source text not null,
    account_id text not null,
    hour timestamptz not null,
    events integer not null,
    primary key (source, account_id, hour)
);

-- When an account was last heard, and up to which event its silence was told.
create table ingest.heard (
    source text not null,
    account_id text not null,
    last_at timestamptz not null,
    told_since timestamptz,
    primary key (source, account_id)
);
