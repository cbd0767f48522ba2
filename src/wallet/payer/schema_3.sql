-- The hash of a chain's first block: chains that begin anew have the same id.
CREATE TABLE chains (
    chain_id INTEGER PRIMARY KEY,
    genesis TEXT NOT NULL
) STRICT;
