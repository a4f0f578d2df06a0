-- When each person's calendar of absences was looked at: one replica looks, and not more often than agreed.
create table alert.calendars (
    person text primary key,
    looked_at timestamptz not null,
    etag text
);
