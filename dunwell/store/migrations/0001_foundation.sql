-- People. What names or reaches a human is sealed under a key of its own: destroying the key erases it.
create table person (
    id            text primary key,
    time_zone     text,
    language      text   not null,
    jurisdiction  text   not null,
    points        text[] not null,
    past_episodes int    not null default 0,
    version       bigint not null default 0
);
create table person_key (
    person_id text primary key references person,
    key       bytea not null
);
create table personal (
    person_id text primary key references person,
    sealed    bytea not null
);
create table content (
    id        uuid primary key,
    person_id text        not null references person,
    at        timestamptz not null,
    sealed    bytea       not null
);
create table hold (
    id        text        not null,
    person_id text        not null references person,
    loan_id   text,
    kind      text        not null,
    channel   text,
    placed_at timestamptz not null,
    ends_on   date,
    lifted_at timestamptz,
    primary key (person_id, id)
);

-- Money. Amounts are minor units; every journal of entries sums to zero.
create table loan (
    id                   text primary key,
    person_id            text   not null references person,
    product              text   not null,
    currency             text   not null,
    version              bigint not null default 0,
    oldest_unpaid_due_on date
);
create index loan_of_person on loan (person_id);
create index loan_unpaid on loan (id) include (oldest_unpaid_due_on) where oldest_unpaid_due_on is not null;
create table schedule (
    loan_id text   not null references loan,
    version int    not null default 0,
    from_on date   not null,
    covered bigint not null default 0,
    primary key (loan_id, version)
);
create table instalment (
    loan_id text   not null,
    version int    not null default 0,
    number  int    not null,
    due_on  date   not null,
    amount  bigint not null check (amount > 0),
    primary key (loan_id, version, number),
    foreign key (loan_id, version) references schedule
);
create table money_event (
    source       text        not null,
    external_id  text        not null,
    loan_id      text        not null references loan,
    kind         text        not null,
    value_date   date        not null,
    amount       bigint      not null check (amount > 0),
    arrived_at   timestamptz not null,
    reverses     text,
    reversed_on  date,
    primary key (source, external_id)
);
create index money_of_loan on money_event (loan_id, value_date);
create table ledger_entry (
    loan_id     text        not null,
    source      text        not null,
    external_id text        not null,
    account     text        not null,
    amount      bigint      not null,
    value_date  date        not null,
    booked_at   timestamptz not null,
    primary key (source, external_id, account),
    foreign key (source, external_id) references money_event
);
create index entry_of_loan on ledger_entry (loan_id);
create function entries_balance() returns trigger language plpgsql as $$
begin
    if (select sum(amount) from ledger_entry
        where source = new.source and external_id = new.external_id) <> 0 then
        raise exception 'journal %/% does not sum to zero', new.source, new.external_id
            using errcode = 'integrity_constraint_violation';
    end if;
    return null;
end $$;
create constraint trigger entries_balance after insert on ledger_entry
    deferrable initially deferred for each row execute function entries_balance();
-- What cannot be posted as it came waits here for a person; nothing is dropped.
create table money_review (
    id          bigint generated always as identity primary key,
    source      text        not null,
    external_id text        not null,
    loan_id     text        not null,
    why         text        not null,
    value_date  date        not null,
    amount      bigint,
    currency    text        not null,
    arrived_at  timestamptz not null,
    unique nulls not distinct (source, external_id, loan_id, value_date, amount)
);

-- Cases. The row is a snapshot of the fold over the journal, and where it stands in its chain.
create table collection_case (
    id               uuid primary key,
    loan_id          text        not null unique references loan,
    person_id        text        not null references person,
    sequence         int         not null default 0,
    stage            text        not null default 'pre_due',
    ending           text,
    next_kind        text,
    next_due         timestamptz,
    next_code        text,
    next_reason      text,
    attention        text,
    holds            text[]      not null default '{}',
    segment          text,
    oldest_due_on    date,
    snapshot         jsonb,
    snapshot_version int         not null default 1,
    journal_length   int         not null default 0,
    head             bytea       not null default '\x',
    last_at          timestamptz,
    seen_loan        bigint      not null default -1,
    seen_person      bigint      not null default -1,
    opened_at        timestamptz not null
);
create index case_of_person on collection_case (person_id);
create index case_next_due on collection_case (next_due) where stage <> 'closed';
create table journal (
    case_id uuid        not null references collection_case,
    number  int         not null,
    at      timestamptz not null,
    kind    text        not null,
    bytes   bytea       not null,
    hash    bytea       not null,
    run_id  text,
    primary key (case_id, number)
);
create table message (
    case_id    uuid        not null references collection_case,
    id         text        not null,
    name       text        not null,
    raw        bytea       not null,
    arrived_at timestamptz not null,
    taken_at   timestamptz,
    answer     jsonb,
    primary key (case_id, id)
);
create index message_waiting on message (case_id) where taken_at is null;
create table intent (
    key         uuid primary key,
    case_id     uuid        not null references collection_case,
    person_id   text        not null,
    loan_id     text        not null,
    number      int         not null,
    channel     text        not null,
    purpose     text        not null,
    state       text        not null,
    made_at     timestamptz not null,
    expires_at  timestamptz not null,
    attempts    int         not null default 1,
    provider_id text,
    code        text,
    settled_at  timestamptz
);
create index intent_of_person on intent (person_id, made_at);
create index intent_planned on intent (case_id) where state = 'planned';
-- Wake-ups for cases. A row goes when its case has seen what it tells of, never before.
create table outbox (
    id             bigint generated always as identity primary key,
    case_id        uuid        not null references collection_case,
    name           text        not null,
    message_id     text        not null,
    loan_version   bigint      not null default -1,
    person_version bigint      not null default -1,
    at             timestamptz not null,
    next_try       timestamptz not null default now(),
    tries          int         not null default 0
);
create index outbox_due on outbox (next_try);
create index outbox_of_case on outbox (case_id);
create table overdue (
    on_date   date   not null,
    loan_id   text   not null references loan,
    person_id text   not null,
    currency  text   not null,
    dpd       int    not null,
    past_due  bigint not null,
    reason    text   not null,
    primary key (on_date, loan_id)
);
create table chain_anchor (
    on_date date primary key,
    head    bytea not null,
    cases   int   not null
);
