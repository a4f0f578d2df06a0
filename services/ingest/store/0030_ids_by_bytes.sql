-- Ids are compared byte by byte: one index serves both an event and all events of an item (which begin with its
-- id), and no comparison asks the language's rules. Intake writes each of these for every event.
drop index ingest.seen_of_item_idx;
alter table ingest.seen alter column event_id type text collate "C";
alter table ingest.addresses alter column item_id type text collate "C";
