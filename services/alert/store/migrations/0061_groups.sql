-- Near-duplicates: items that hang together, each within 28 bits of some other of its group.

create table alert.groups (
    id bigint generated always as identity primary key,
    brand text not null,
    made_at timestamptz not null,
    last_at timestamptz not null,
    -- An older group that it turned out to be part of.
    merged_into bigint references alert.groups (id),
    people integer not null default 0
);
create table alert.alike (
    item_id text primary key references alert.items (item_id),
    group_id bigint not null references alert.groups (id)
);
create index alike_group on alert.alike (group_id);

-- New items that were not compared yet: written with them, taken away with their comparison.
create table alert.to_compare (
    number bigint generated always as identity primary key,
    item_id text not null references alert.items (item_id)
);

-- What newer items are compared with. `bands`: the signature's bytes with their places; who is near
-- shares one of them. Forgotten after some hours: a group is a matter of one stretch of time.
create table alert.signatures (
    item_id text primary key references alert.items (item_id),
    brand text not null,
    similarity text not null,
    bits bit(128) not null,
    bands integer[] not null,
    group_id bigint references alert.groups (id),
    at timestamptz not null
);
create index signatures_bands on alert.signatures using gin (bands);
create index signatures_at on alert.signatures (at);
create index signatures_group on alert.signatures (group_id) where group_id is not null;

-- On one of the team's lists, or answered before, when the item came: a label for many leaves them out.
alter table alert.items add column known boolean not null default false;
