-- All direct messages of an account are one thread: a mute there is of one person, never of everybody.
alter table alert.mutes add column counterpart text;
-- Whom the earlier ones meant is not known, and they silenced all: they end.
update alert.mutes set end_at = begin_at
where thread in (select thread from alert.items where private and root is null);
