-- On which day (UTC) it was last told that an account's token ends soon.
create table ingest.token_notices (
    source text not null,
    account_id text not null,
    told_on date not null,
    primary key (source, account_id)
);
