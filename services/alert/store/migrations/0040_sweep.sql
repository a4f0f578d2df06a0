-- A hundred thousand open episodes must not slow a round of the sweep.

-- Stable: one time for a whole statement, so that an index can answer "what is due". As volatile it was
-- asked anew for every row of a table.
create or replace function alert.now() returns timestamptz
language sql stable parallel safe as 'select clock_timestamp()';

-- The order in which people see what waits.
create index episodes_waiting on alert.episodes
    ((cardinality(sensitive) > 0) desc, (urgency = 'high') desc, due_at)
    where state in ('open', 'claimed');

-- What the gauges count, without the rows themselves.
create index episodes_counted on alert.episodes (platform, state, shows, opened_at)
    where state in ('open', 'claimed');
