-- One row per signed deposit; `counted` is what it takes of its day's budget: all of it from before
-- the signature leaves until the chain shows that it can no longer be fetched, or that it is back.
CREATE TABLE deposits (
    number INTEGER PRIMARY KEY,
    chain_id INTEGER NOT NULL,
    token TEXT NOT NULL,
    channel TEXT NOT NULL,
    nonce TEXT NOT NULL,
    day INTEGER NOT NULL,
    open INTEGER NOT NULL,
    counted TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX deposits_by_day ON deposits (chain_id, token, day);
CREATE INDEX deposits_by_channel ON deposits (chain_id, channel);

-- Calls that were paid and whose answer has not been shown: what it takes to ask for it again.
CREATE TABLE attempts (
    request_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
