-- What is wrong with a source or a service, as its notices said: one row from its first notice to its end.
create table alert.troubles (
    id bigint generated always as identity primary key,
    kind text not null,
    service text not null,
    source text not null,
    account text not null,
    says text not null,
    since timestamptz not null,
    last_at timestamptz not null,
    times integer not null default 1,
    until timestamptz,
    ended_at timestamptz,
    -- A person who has seen to it, or the notice that took it back.
    ended_by text
);
create unique index trouble_open on alert.troubles (kind, service, source, account)
    where ended_at is null;
create index trouble_ended on alert.troubles (ended_at);
-- Rows come in the order of their time: small, and enough for "anything since" and "this day's".
create index items_stored on alert.items using brin (stored_at);
create index outbox_failed on alert.outbox (due_at) where state = 'failed';
