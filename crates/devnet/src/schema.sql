-- The development chain's tables. State is kept as versions: a row says what a value became at a
-- step, and a step is a block or an edit between two blocks. Going back deletes the later steps.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    step INTEGER PRIMARY KEY,
    -- Hash over all changes up to this step; a block's header carries it as the state root.
    commitment BLOB NOT NULL CHECK (length(commitment) = 32)
) STRICT;

CREATE TABLE accounts (
    address BLOB NOT NULL CHECK (length(address) = 20),
    step INTEGER NOT NULL,
    balance BLOB NOT NULL CHECK (length(balance) = 32),
    nonce INTEGER NOT NULL,
    code_hash BLOB NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (address, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_by_step ON accounts (step);

CREATE TABLE slots (
    address BLOB NOT NULL CHECK (length(address) = 20),
    slot BLOB NOT NULL CHECK (length(slot) = 32),
    step INTEGER NOT NULL,
    value BLOB NOT NULL CHECK (length(value) = 32),
    PRIMARY KEY (address, slot, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX slots_by_step ON slots (step);

CREATE TABLE code (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- RLP, the very bytes that the hash covers.
    header BLOB NOT NULL
) STRICT;

CREATE TABLE transactions (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sender BLOB NOT NULL CHECK (length(sender) = 20),
    gas_used INTEGER NOT NULL,
    -- EIP-2718 encodings.
    raw BLOB NOT NULL,
    receipt BLOB NOT NULL,
    UNIQUE (block, position)
) STRICT, WITHOUT ROWID;

-- Accepted transactions that wait for their turn.
CREATE TABLE pool (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    sender BLOB NOT NULL CHECK (length(sender) = 20),
    raw BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    block INTEGER NOT NULL,
    time_offset INTEGER NOT NULL
) STRICT;
