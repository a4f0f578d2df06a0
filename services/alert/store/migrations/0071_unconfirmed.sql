-- Pages that their person has not confirmed: when the person's next way is used. A row goes when somebody
-- claims the episode, when it ends, and when the person presses anything on its card.
create table alert.unconfirmed (
    episode uuid not null references alert.episodes (id),
    person text not null,
    -- What a person's act asked for ('handover', 'promise'), due by its own rule; empty for a step.
    call text not null default '',
    step integer not null,
    paged_at timestamptz not null,
    -- The person's ways that the page went by, as presence.yaml names them.
    used text[] not null,
    -- A call's own words.
    says text,
    due_at timestamptz not null,
    primary key (episode, person, call)
);
create index unconfirmed_due on alert.unconfirmed (due_at);
create index unconfirmed_person on alert.unconfirmed (person);
