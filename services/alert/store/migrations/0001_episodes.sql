-- Everything that alert keeps. The database's clock is the one clock: alert.now().

-- One function, so that a test can move the time of every session at once.
create function alert.now() returns timestamptz
language sql volatile parallel safe as 'select clock_timestamp()';

-- Each accepted presence.yaml. Every replica uses the active one.
create table alert.configurations (
    version integer generated always as identity primary key,
    sha256 text not null unique,
    document text not null,
    accepted_at timestamptz not null default alert.now(),
    active boolean not null default false
);
create unique index one_active on alert.configurations (active) where active;

-- How far each partition has been read: written in the transaction that stores the events.
create table alert.progress (
    cluster text not null,
    topic text not null,
    partition integer not null,
    next_offset bigint not null,
    at timestamptz not null default alert.now(),
    primary key (cluster, topic, partition)
);

-- Raw events, unique by event id. `payload` goes once it is folded; the id stays to know repetitions.
create table alert.inbox (
    id bigint generated always as identity primary key,
    event_id text not null unique,
    payload bytea,
    topic text not null,
    partition integer not null,
    "offset" bigint not null,
    key bytea,
    stored_at timestamptz not null default alert.now(),
    folded_at timestamptz,
    failed text,
    dead_lettered_at timestamptz
);
create index inbox_unfolded on alert.inbox (id) where folded_at is null and failed is null;
create index inbox_failed on alert.inbox (id) where failed is not null and dead_lettered_at is null;
-- Rows come in the order of their time: a small index is enough to forget the oldest.
create index inbox_stored on alert.inbox using brin (stored_at);

-- Threads: connected components of items, parents and roots (known or only named).
create table alert.threads (
    id bigint generated always as identity primary key,
    made_at timestamptz not null default alert.now()
);
create table alert.nodes (
    node text primary key,
    thread bigint not null references alert.threads (id)
);
create index nodes_thread on alert.nodes (thread);

-- The facts of an item's creation. Nothing here changes but the thread (by merges) and a redaction.
create table alert.items (
    item_id text primary key,
    thread bigint not null references alert.threads (id),
    platform text not null,
    account_id text not null,
    brand text not null,
    inbound boolean not null,
    author_id text not null,
    counterpart_id text,
    source_time timestamptz not null,
    received_at timestamptz not null,
    classified_at timestamptz not null,
    root text,
    parent text,
    private boolean not null,
    addressed boolean not null,
    automated boolean not null,
    mentions text[] not null,
    origin text not null,
    may_page boolean not null,
    opens boolean not null,
    label text,
    urgency text not null,
    sensitive text[] not null,
    held boolean not null,
    handle text,
    name text,
    text text not null,
    permalink text,
    language text not null,
    why text[] not null,
    stored_at timestamptz not null default alert.now()
);
create index items_thread on alert.items (thread);
create index items_outbound_children on alert.items (parent) where not inbound;
create index items_held on alert.items (platform, stored_at) where held;

-- What happened to an item since, or before its creation came.
create table alert.traces (
    item_id text primary key,
    edited_at timestamptz,
    edit_event text,
    edit_text text,
    deleted_at timestamptz
);

-- A person's word on an item; the last one holds.
create table alert.relabels (
    id uuid primary key default gen_random_uuid(),
    item_id text not null references alert.items (item_id),
    from_label text not null,
    to_label text not null,
    by text not null,
    at timestamptz not null,
    anchor text,
    reason text
);
create index relabels_item on alert.relabels (item_id, at);

-- Which people an item belongs to: its author, or for the brand's own items whom they answer.
create table alert.members (
    item_id text not null references alert.items (item_id),
    counterpart text not null,
    thread bigint not null references alert.threads (id),
    primary key (item_id, counterpart)
);
create index members_conversation on alert.members (thread, counterpart);

-- One person in one thread. Its row is locked before anything of it changes, rows in id order.
create table alert.conversations (
    id bigint generated always as identity primary key,
    thread bigint not null references alert.threads (id),
    counterpart text not null,
    platform text not null,
    account_id text not null,
    brand text not null,
    merged_into bigint references alert.conversations (id)
);
create unique index conversation_living on alert.conversations (thread, counterpart)
    where merged_into is null;

create table alert.mutes (
    id uuid primary key default gen_random_uuid(),
    thread bigint not null references alert.threads (id),
    begin_at timestamptz not null,
    end_at timestamptz not null,
    by text not null
);
create index mutes_thread on alert.mutes (thread);

create table alert.episodes (
    id uuid primary key,
    number bigint generated always as identity unique,
    conversation bigint not null references alert.conversations (id),
    brand text not null,
    platform text not null,
    account_id text not null,
    -- as folded
    key text not null,
    opened_at timestamptz not null,
    openers text[] not null,
    inbound text[] not null,
    round integer not null,
    reopened boolean not null,
    reason text,
    ended_at timestamptz,
    ended_item text,
    ended_by text,
    wall_seconds double precision,
    business_seconds double precision,
    skewed boolean not null,
    -- as it stands
    state text not null,
    version integer not null,
    fingerprint text not null,
    label text,
    urgency text not null,
    sensitive text[] not null,
    private boolean not null,
    route text not null,
    policy jsonb not null,
    destinations text[] not null,
    checklist text[] not null,
    ignores_closed_hours boolean not null,
    due_at timestamptz not null,
    shows text not null,
    may_page boolean not null,
    paging_round integer not null,
    claimed_by text,
    claimed_at timestamptz,
    claim_until timestamptz,
    first_claimed_at timestamptz,
    first_claimed_by text,
    first_paged_at timestamptz,
    received_at timestamptz not null,
    classified_at timestamptz not null,
    opened_recorded_at timestamptz not null,
    measured boolean not null default false,
    stale boolean not null default false,
    has_card boolean not null default false
);
create index episodes_conversation on alert.episodes (conversation);
create index episodes_live on alert.episodes (due_at) where state in ('open', 'claimed');

-- What people closed without an answer; anchored to the newest item that they could have seen.
create table alert.closes (
    id uuid primary key default gen_random_uuid(),
    conversation bigint not null references alert.conversations (id),
    by text not null,
    at timestamptz not null,
    reason text not null,
    anchor text not null
);
create index closes_conversation on alert.closes (conversation);

-- Exactly one future timer for every episode that may page.
create table alert.timers (
    episode uuid primary key references alert.episodes (id),
    step integer not null,
    due_at timestamptz not null,
    backfill boolean not null default false,
    late boolean not null default false
);
create index timers_due on alert.timers (due_at);

-- Who was paged for what, when: two steps do not wake the same person within minutes.
create table alert.paged (
    id bigint generated always as identity primary key,
    episode uuid not null references alert.episodes (id),
    person text not null,
    step integer not null,
    at timestamptz not null
);
create index paged_episode on alert.paged (episode);
create index paged_person on alert.paged (person, at);

-- Effects in chat. At least once; unique, so that no path writes one twice.
create table alert.outbox (
    id uuid primary key default gen_random_uuid(),
    episode uuid references alert.episodes (id),
    round integer not null,
    step integer not null,
    target text not null,
    destination text not null,
    purpose text not null,
    text text,
    rank integer not null,
    state text not null default 'pending',
    due_at timestamptz not null,
    attempt integer not null default 0,
    first_tried_at timestamptz,
    lease_until timestamptz,
    ambiguous boolean not null default false,
    wanted integer not null default 1,
    taken integer not null default 0,
    reason text,
    made_at timestamptz not null default alert.now(),
    sent_at timestamptz,
    unique nulls not distinct (episode, round, step, target, destination, purpose)
);
create index outbox_pending on alert.outbox (destination, rank, due_at)
    where state in ('pending', 'leased');
create index outbox_episode on alert.outbox (episode);

-- Where each card stands.
create table alert.cards (
    episode uuid not null references alert.episodes (id),
    destination text not null,
    channel text not null,
    message text not null,
    url text,
    posted_at timestamptz not null,
    primary key (episode, destination)
);

-- What goes to Kafka (corrections, the lifecycle): written with its cause, drained afterwards.
create table alert.announcements (
    id bigint generated always as identity primary key,
    event_id text not null unique,
    topic text not null,
    key text not null,
    payload bytea not null,
    made_at timestamptz not null default alert.now()
);

-- Every act: who, when, through what, before, after. Appended to, and nothing else.
create table alert.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default alert.now(),
    who text not null,
    through text not null,
    act text not null,
    episode uuid,
    item text,
    before jsonb,
    after jsonb
);
create index audit_episode on alert.audit (episode);
create function alert.append_only() returns trigger language plpgsql as
$$ begin raise exception 'the audit record is appended to, never changed'; end $$;
create trigger audit_append_only before update or delete or truncate on alert.audit
    for each statement execute function alert.append_only();

create table alert.accounts (
    platform text not null,
    account_id text not null,
    first_seen_at timestamptz not null,
    caught_up_at timestamptz,
    primary key (platform, account_id)
);
