-- What is only listed (history) comes after whoever waits: a new source brings hundreds, all long past their due time.
drop index alert.episodes_waiting;
create index episodes_waiting on alert.episodes
    ((shows = 'card') desc, (cardinality(sensitive) > 0) desc, (urgency = 'high') desc, due_at)
    where state in ('open', 'claimed');
