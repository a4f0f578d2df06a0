-- Incidents: suggested by the system, declared and ended by a person. In one, a group pages once a step.
create table alert.incidents (
    id bigint generated always as identity primary key,
    brand text not null,
    name text not null,
    -- Why it was suggested; null where a person declared it by themselves.
    says text,
    state text not null,
    made_at timestamptz not null,
    by text,
    at timestamptz,
    declared_by text,
    declared_at timestamptz,
    ended_at timestamptz,
    -- Who is paged in the place of the rota: they joined.
    people text[] not null default '{}'
);
create unique index incident_open on alert.incidents (brand) where state in ('suggested', 'declared');
create index incidents_at on alert.incidents (brand, at);
create table alert.incident_pages (
    incident bigint not null references alert.incidents (id),
    group_id bigint not null references alert.groups (id),
    step integer not null,
    at timestamptz not null,
    primary key (incident, group_id, step)
);

-- How many came in a stretch of time, now and in the weeks before.
create index episodes_recorded on alert.episodes using brin (opened_recorded_at);
