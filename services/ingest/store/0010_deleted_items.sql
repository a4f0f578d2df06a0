-- All events of an item begin with its id: so that a deletion finds the payloads that brought its words.
create index seen_of_item_idx on ingest.seen (event_id collate "C");
