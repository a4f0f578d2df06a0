-- Whom a timer is owed to, without the rows themselves: asked every two seconds.
create index episodes_owed on alert.episodes (id)
    where state in ('open', 'claimed') and shows = 'card' and may_page;
