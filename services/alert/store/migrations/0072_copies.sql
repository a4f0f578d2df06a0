-- A copy of a card or a board in another place than its own, which took no messages: where a board's copy
-- stands, and which copies were told that their card is back in its own place.
alter table alert.outbox add column moved boolean not null default false;
create table alert.board_copies (
    board uuid not null references alert.boards (id),
    destination text not null,
    channel text not null,
    message text not null,
    url text,
    primary key (board, destination)
);
