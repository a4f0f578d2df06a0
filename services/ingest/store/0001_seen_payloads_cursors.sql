-- What ingest has taken in, so that a repeated event is recognised (retention.event_ids).
create table ingest.seen (
    event_id text primary key,
    -- Where the original is, while it is kept. No foreign key: the two are kept for different times.
    payload_id uuid,
    seen_at timestamptz not null default clock_timestamp()
);
create index seen_at_idx on ingest.seen (seen_at);

-- Original payloads as they came (retention.payloads).
create table ingest.payloads (
    id uuid primary key,
    source text not null,
    content_type text not null,
    body bytea not null,
    received_at timestamptz not null
);
create index payloads_received_at_idx on ingest.payloads (received_at);

-- How far each feed of a pulled source has been read and handed to Kafka.
create table ingest.cursors (
    source text not null,
    account_id text not null,
    feed text not null,
    position text not null,
    -- The number of the lease that wrote it: a paused replica with an older number moves nothing.
    fence bigint not null default 0,
    moved_at timestamptz not null default clock_timestamp(),
    primary key (source, account_id, feed)
);
