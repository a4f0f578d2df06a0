-- Who was on call when the boards were last kept: a change of it is a handoff.
create table alert.watches (
    rota text primary key,
    person text not null,
    since timestamptz not null
);
create table alert.handoffs (
    id bigint generated always as identity primary key,
    rota text not null,
    outgoing text not null,
    incoming text not null,
    at timestamptz not null
);
create index handoffs_at on alert.handoffs (at);

-- Cards of look-alikes that people judged.
create table alert.impostors (
    item_id text primary key references alert.items (item_id),
    impersonates text not null,
    judged text,
    judged_by text,
    judged_at timestamptz
);
create index impostors_open on alert.impostors (item_id) where judged is null;

-- Quiet start: a person switches an account's paging on. Accounts that page already go on doing so.
alter table alert.accounts add column paging_on_at timestamptz;
alter table alert.accounts add column paging_on_by text;
update alert.accounts set paging_on_at = alert.now(), paging_on_by = 'system'
where first_seen_at < alert.now() - interval '7 days';

create table alert.would_have_paged (
    episode uuid not null references alert.episodes (id),
    person text not null,
    at timestamptz not null,
    primary key (episode, person, at)
);

-- The daily digest: what was dropped, what was drawn from it, and how each was judged.
create table alert.digests (
    id bigint generated always as identity primary key,
    brand text not null,
    destination text not null,
    day date not null,
    begin_at timestamptz not null,
    end_at timestamptz not null,
    dropped integer not null,
    chatter integer not null,
    history integer not null,
    unique (brand, day)
);
create table alert.samples (
    digest bigint not null references alert.digests (id),
    item_id text not null references alert.items (item_id),
    -- What it was dropped as; `chatter` for what is only shown.
    label text not null,
    judged text,
    judged_by text,
    judged_at timestamptz,
    primary key (digest, item_id)
);
