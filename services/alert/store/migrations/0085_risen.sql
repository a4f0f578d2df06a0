-- A timer that fires because the matter became more urgent or sensitive: it pages though somebody has it.
alter table alert.timers add column risen boolean not null default false;
