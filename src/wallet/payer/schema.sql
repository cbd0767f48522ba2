-- One row per channel; `body` is the whole of it, the columns are what rows are found by.
CREATE TABLE channels (
    chain_id INTEGER NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    used_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (chain_id, id)
) STRICT;

-- One row per signature that pays; `counted` is what it takes of its day's budget.
CREATE TABLE spendings (
    number INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    chain_id INTEGER NOT NULL,
    token TEXT NOT NULL,
    word TEXT NOT NULL,
    day INTEGER NOT NULL,
    open INTEGER NOT NULL,
    counted TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX spendings_by_request ON spendings (request_id);
CREATE INDEX spendings_by_day ON spendings (chain_id, token, day);
CREATE INDEX spendings_in_doubt ON spendings (chain_id, word) WHERE open = 1;

-- What became of transactions, as the journal's events have it.
CREATE TABLE facts (
    number INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
