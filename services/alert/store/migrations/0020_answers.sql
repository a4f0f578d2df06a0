-- What people write for customers in Presence: drafts, answers, and the lines beneath a card that tell of them.

-- From the press on send to what became of it. The id is the reply's on presence.replies.
create table alert.answers (
    id uuid primary key,
    -- The form that it was sent with: pressing twice sends once.
    request text not null unique,
    episode uuid not null references alert.episodes (id),
    item_id text not null,
    lane text not null,
    text text not null,
    private boolean not null,
    author text not null,
    approved_by text,
    state text not null,
    through text not null,
    seen_until text,
    made_at timestamptz not null,
    send_at timestamptz,
    expires_at timestamptz,
    sent_at timestamptz,
    told_at timestamptz,
    says text,
    permalink text,
    posted_item_id text,
    until timestamptz,
    settled_by text
);
create index answers_episode on alert.answers (episode);
create index answers_waiting on alert.answers (state)
    where state in ('review', 'pending', 'sent', 'limited');
create index answers_posted on alert.answers (posted_item_id) where posted_item_id is not null;
create index answers_recent on alert.answers (made_at);

-- Who has a form open: others are told.
create table alert.drafts (
    episode uuid not null references alert.episodes (id),
    person text not null,
    until timestamptz not null,
    primary key (episode, person)
);

-- Our own lines in a card's thread: notes, answers and what became of them.
create table alert.lines (
    id uuid primary key default gen_random_uuid(),
    episode uuid not null references alert.episodes (id),
    at timestamptz not null,
    kind text not null,
    by text,
    says text not null,
    -- Hidden in shared places where `private`.
    words text,
    private boolean not null default false,
    url text,
    -- Whom it should reach.
    mention text,
    -- The answer that it asks about.
    answer uuid references alert.answers (id)
);
create index lines_episode on alert.lines (episode);
create index lines_answer on alert.lines (answer) where answer is not null;

-- Where each line beneath a card stands, so that it can be changed when its author deletes the words.
create table alert.thread_posts (
    episode uuid not null references alert.episodes (id),
    destination text not null,
    target text not null,
    channel text not null,
    message text not null,
    primary key (episode, destination, target)
);

-- Delivery marks what it is about to send, under the conversation's lock: see outbox_begin.
alter table alert.outbox add column sending_at timestamptz;
