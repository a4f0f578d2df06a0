-- New signatures go into the index at once: what waits in its pending list is read whole by every look.
drop index alert.signatures_bands;
create index signatures_bands on alert.signatures using gin (bands) with (fastupdate = off);
