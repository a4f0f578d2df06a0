-- Where an answer to an item goes (retention.payloads). Written in the same step as `seen`.
create table ingest.addresses (
    item_id text primary key,
    platform text not null,
    account_id text not null,
    root text,
    counterpart_id text,
    private boolean not null,
    -- The item's source time: messaging windows count from the counterpart's newest private item.
    said_at timestamptz not null,
    -- What the platform's API needs; only its own source and speaker know what it means.
    details jsonb not null,
    kept_at timestamptz not null default clock_timestamp()
);
create index addresses_kept_at_idx on ingest.addresses (kept_at);
create index addresses_counterpart_idx
    on ingest.addresses (platform, account_id, counterpart_id, said_at desc) where private;

-- Replies that people wrote, from their arrival to their end (retention.event_ids).
create table ingest.replies (
    reply_id text primary key,
    -- The order of arrival. Answers to one person (`lane`, the record's key) go out in this order.
    number bigint generated always as identity,
    lane text not null,
    reply jsonb not null,
    cancelled boolean not null default false,
    -- `sending` is committed before the platform is called: whoever finds it after a crash knows that the
    -- call may have been made.
    state text not null default 'received'
        check (state in ('received', 'sending', 'rate_limited', 'posted', 'refused', 'unknown')),
    -- The first time that a call may have begun: platforms forget idempotency keys by it.
    sending_since timestamptz,
    attempts integer not null default 0,
    due_at timestamptz not null default clock_timestamp(),
    -- One replica at a time. Every write names the lease: a paused holder of an older one writes nothing.
    lease uuid,
    leased_until timestamptz,
    -- What is to be told on the bus, written with the state; `told` once Kafka acknowledged it.
    outcome jsonb,
    outbound jsonb,
    told boolean not null default true,
    received_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz
);
create unique index replies_unfinished_idx on ingest.replies (lane, number)
    where state in ('received', 'sending', 'rate_limited');
create index replies_untold_idx on ingest.replies (number) where not told;
create index replies_ended_at_idx on ingest.replies (ended_at);
