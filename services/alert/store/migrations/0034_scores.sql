-- How much a message needs an answer, by the verdict: what thresholds are suggested from. Null before.
alter table alert.items add column needs_answer real;
