-- What practices there are, in the practice's own database. Beside this schema stands a schema `alert` with the
-- very same tables as the real one has in the real database: the world of the run that is under way.

-- One function, so that a test can move the time.
create function practice.now() returns timestamptz
language sql stable parallel safe as 'select clock_timestamp()';

create table practice.runs (
    number bigint generated always as identity primary key,
    people text[] not null,
    destination text not null,
    source text not null,
    speed double precision not null,
    -- running, closing (its debrief is on its way to the channel), ended
    state text not null default 'running',
    began_at timestamptz not null default practice.now(),
    ends_at timestamptz not null,
    closing_at timestamptz,
    ended_at timestamptz,
    -- finished, time_over, stopped
    why text,
    debrief jsonb
);
-- One at a time: there is one world.
create unique index one_run on practice.runs ((true)) where state <> 'ended';

-- What is to come. It goes with the run's end.
create table practice.cues (
    run bigint not null references practice.runs (number) on delete cascade,
    number integer not null,
    due_at timestamptz not null,
    item_id text not null,
    event bytea not null,
    classifier text,
    senior jsonb,
    played_at timestamptz,
    primary key (run, number)
);
create index cues_waiting on practice.cues (due_at) where played_at is null;
create index cues_item on practice.cues (item_id);
