-- What a report is made from: times and endings, never a name or a text. Read-only.

-- name: report_episodes
-- Opened within the period. What a new source brought silently is nobody's to answer; what was relabelled
-- or merged is counted by its reason and measured nowhere.
select platform, account_id, opened_at, ended_at, reason, state, wall_seconds, business_seconds, due_at,
    round = 1 as first,
    coalesce(label = 'conversation', false) or sensitive <> '{}' as counts
from alert.episodes
where opened_at >= %(begin)s and opened_at < %(end)s and shows <> 'silent'
    and (%(brand)s::text is null or brand = %(brand)s);

-- name: report_outbound
-- What the brand itself wrote, by hand: in a conversation, or to everybody.
select platform, account_id, count(*) as written,
    count(*) filter (where counterpart_id is not null) as to_somebody
from alert.items
where not inbound and not automated and source_time >= %(begin)s and source_time < %(end)s
    and (%(brand)s::text is null or brand = %(brand)s)
group by platform, account_id;

-- name: report_presence
-- Of the last seven days: conversations that were answered, and that still wait.
select platform, account_id, count(*) filter (where reason = 'answered') as answered, count(*) as all
from alert.episodes
where opened_at > alert.now() - interval '7 days' and shows <> 'silent' and state <> 'merged'
    and (reason is null or reason = 'answered') and (label = 'conversation' or sensitive <> '{}')
group by platform, account_id;

-- name: report_incidents
select declared_at, coalesce(ended_at, alert.now()) as ended_at from alert.incidents
where declared_at < %(end)s and coalesce(ended_at, alert.now()) > %(begin)s
    and (%(brand)s::text is null or brand = %(brand)s);

-- name: report_downtime
-- Of sources, as they were told: nobody could be heard there.
select source, account, since, coalesce(ended_at, alert.now()) as ended_at from alert.troubles
where kind = 'source_down' and since < %(end)s and coalesce(ended_at, alert.now()) > %(begin)s;

-- name: report_now
select alert.now() as now;
