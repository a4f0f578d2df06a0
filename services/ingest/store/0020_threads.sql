-- Threads in which a customer waits, or waited a moment ago: they are read again (services.ingest.rereading).
create table ingest.threads (
    platform text not null,
    account_id text not null,
    -- Native id of its first item, as far as it was known when the customer wrote.
    root text not null,
    -- Native id and version of every item that the last look found.
    seen jsonb not null default '{}',
    quiet_looks integer not null default 0,
    due_at timestamptz not null,
    primary key (platform, account_id, root)
);
create index threads_due_idx on ingest.threads (platform, account_id, due_at);

-- Why a thread is read: one row for each episode, from presence.episodes.
create table ingest.watches (
    episode_id text not null,
    root text not null,
    platform text not null,
    account_id text not null,
    -- The items that wait; where they are is in ingest.addresses.
    items text[] not null,
    -- When alert recorded the newest event that was told: an older one that comes again changes nothing.
    told_at timestamptz not null,
    ends_at timestamptz not null,
    primary key (episode_id, root)
);
create index watches_thread_idx on ingest.watches (platform, account_id, root, ends_at);
create index watches_ends_at_idx on ingest.watches (ends_at);
