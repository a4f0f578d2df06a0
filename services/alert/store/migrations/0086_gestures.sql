-- A like, a follow, a bare repost: it has no words, so it answers nobody and asks nothing.
alter table alert.items add column gesture boolean not null default false;
