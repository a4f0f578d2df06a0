-- A card may have several places of its own: a copy names the one that it is back in (null: it stands in).
alter table alert.outbox add column moved_to text;
update alert.outbox o set moved_to = coalesce(
    (select e.destinations[1] from alert.episodes e where e.id = o.episode),
    (select b.destination from alert.boards b where b.id = o.board))
where o.moved;
alter table alert.outbox drop column moved;
