-- Who has opened the app's Home tab of late, and what it shows: every replica keeps it up to date, and one
-- of them publishes.
create table alert.home_tabs (
    member text primary key,
    opened_at timestamptz not null default alert.now(),
    shows text,
    published_at timestamptz
);
