-- Every ping of a person, whatever it is about: what the allowance of five in ten minutes is counted from.
create table alert.pings (
    id bigint generated always as identity primary key,
    person text not null,
    -- In the future where it waits for its turn.
    at timestamptz not null,
    -- About something sensitive: it goes out whatever the count is, and is not counted.
    exempt boolean not null,
    episode uuid references alert.episodes (id),
    board uuid references alert.boards (id)
);
create index pings_person on alert.pings (person, at);
insert into alert.pings (person, at, exempt, episode)
select p.person, p.at, cardinality(e.sensitive) > 0, p.episode
from alert.paged p join alert.episodes e on e.id = p.episode
where p.at > alert.now() - interval '10 minutes';
