-- Beyond a person's pings: whose turn it is to look at which episode. It ends with the episode's claim or end.
create table alert.queued (
    person text not null,
    episode uuid not null references alert.episodes (id),
    at timestamptz not null,
    primary key (person, episode)
);

-- Within a rank delivery goes by when the person's answer is due, never by arrival.
alter table alert.outbox add column answer_due timestamptz not null default alert.now();
drop index alert.outbox_pending;
create index outbox_pending on alert.outbox (destination, rank, answer_due, due_at)
    where state in ('pending', 'leased');
