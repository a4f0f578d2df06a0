-- What else people do with a card: snooze it, hand it over, promise something, count an answer elsewhere.

create table alert.snoozes (
    episode uuid primary key references alert.episodes (id),
    until timestamptz not null,
    by text not null,
    at timestamptz not null
);

create table alert.promises (
    id uuid primary key,
    episode uuid not null references alert.episodes (id),
    by text not null,
    what text not null,
    made_at timestamptz not null,
    due_at timestamptz not null,
    paged_at timestamptz,
    kept_at timestamptz,
    kept_by text
);
create index promises_episode on alert.promises (episode);
create index promises_open on alert.promises (due_at) where kept_at is null;

-- A private answer to a public question ends its episode like a closing, with the answer's time; and a
-- closing can be taken back.
alter table alert.closes add column item_id text;
alter table alert.closes add column answered_at timestamptz;
alter table alert.closes add column undone_at timestamptz;

-- A page that a person's act asked for ('handover', 'promise'): due by its own rule, with its own words.
alter table alert.outbox add column call text;

-- Forms that acted: sent twice, they act once.
create table alert.requests (
    request text primary key,
    at timestamptz not null
);
create index requests_at on alert.requests using brin (at);
