-- What waited through closed hours or an outage of ours: it goes into one card instead of many pages.

-- When the timer was set: a timer that is due in the past from its first moment is not late.
alter table alert.timers add column set_at timestamptz not null default alert.now();

create table alert.waited (
    episode uuid primary key references alert.episodes (id),
    why text not null,
    at timestamptz not null
);
