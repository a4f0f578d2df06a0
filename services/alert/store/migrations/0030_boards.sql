-- Boards: live messages that stand for something other than one episode.

create table alert.boards (
    id uuid primary key default gen_random_uuid(),
    number bigint generated always as identity unique,
    kind text not null,
    brand text not null,
    destination text not null,
    period text not null,
    version integer not null default 1,
    -- As this destination may show it. Without words once it is over.
    content jsonb not null,
    over boolean not null,
    rank integer not null,
    made_at timestamptz not null,
    changed_at timestamptz not null,
    channel text,
    message text,
    url text,
    posted_at timestamptz,
    unique (kind, brand, destination, period)
);
create index boards_live on alert.boards (kind) where not over;

-- A row of the outbox is about an episode, or about a board (whose id is also its target), or neither.
alter table alert.outbox add column board uuid references alert.boards (id);
create index outbox_board on alert.outbox (board) where board is not null;
