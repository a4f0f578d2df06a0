-- What people do with a wave of spam: asked, labelled, undone. Each is a card of its own.
create table alert.waves (
    id bigint generated always as identity primary key,
    group_id bigint not null references alert.groups (id),
    made_at timestamptz not null,
    state text not null default 'gathered',
    -- Who pressed last, through what, and when.
    by text,
    through text,
    at timestamptz,
    labelled_by text,
    labelled_at timestamptz
);
create unique index waves_open on alert.waves (group_id) where state in ('gathered', 'asking');
create index waves_living on alert.waves (state)
    where state in ('gathered', 'asking', 'labelling', 'labelled', 'undoing');

-- What was shown when a person was asked: they say yes to these and no others.
create table alert.wave_labels (
    wave bigint not null references alert.waves (id),
    item_id text not null references alert.items (item_id),
    state text not null default 'asked',
    primary key (wave, item_id)
);
create index wave_labels_todo on alert.wave_labels (wave) where state in ('todo', 'undo');

-- Whether we talked with somebody before.
create index conversations_person on alert.conversations (counterpart, platform, account_id);
