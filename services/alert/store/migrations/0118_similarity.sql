-- What near-duplicates share (32 hex digits): it travels with corrections, and groups are found by it.
alter table alert.items add column similarity text;
