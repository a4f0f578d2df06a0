-- "I'm here" at a shift's start: whom the rota asked, by which way, and who said so.

create table alert.shift_starts (
    rota text not null,
    begin_at timestamptz not null,
    person text not null,
    end_at timestamptz not null,
    here_by text,
    here_at timestamptz,
    over_at timestamptz,
    primary key (rota, begin_at)
);
create table alert.shift_asks (
    rota text not null,
    begin_at timestamptz not null,
    -- 0 for the first; what makes an ask this one, whichever replica writes it.
    number integer not null,
    person text not null,
    destination text not null,
    at timestamptz not null,
    primary key (rota, begin_at, number),
    foreign key (rota, begin_at) references alert.shift_starts (rota, begin_at)
);
