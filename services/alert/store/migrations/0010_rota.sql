-- Changes of the rota at run time. A removed one stays as a record.

create table alert.rota_changes (
    id uuid primary key default gen_random_uuid(),
    kind text not null check (kind in ('override', 'swap', 'time_off')),
    rota text,
    person text not null,
    begin_at timestamptz not null,
    end_at timestamptz not null check (end_at > begin_at),
    instead_of text,
    back_begin_at timestamptz,
    back_end_at timestamptz,
    note text,
    set_by text not null,
    through text not null,
    set_at timestamptz not null default alert.now(),
    place bigint generated always as identity,
    -- The calendar entry that it was imported from; its person's calendar holds it once.
    calendar_uid text,
    removed_at timestamptz,
    removed_by text
);
create index rota_changes_standing on alert.rota_changes (end_at) where removed_at is null;
create unique index rota_changes_imported on alert.rota_changes (person, calendar_uid)
    where calendar_uid is not null and removed_at is null;

-- One row, raised with every change: replicas look at it, and whoever changes locks it first, so that
-- two changes are judged one after the other.
create table alert.rota_revision (
    only_row boolean primary key default true check (only_row),
    revision bigint not null
);
insert into alert.rota_revision (revision) values (0);
