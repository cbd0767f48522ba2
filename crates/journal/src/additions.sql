-- At most one of these events per request, beside the constraints of the tables themselves.
CREATE UNIQUE INDEX IF NOT EXISTS one_trace ON events (body ->> '$.request_id')
    WHERE body ->> '$.type' = 'traced';
CREATE UNIQUE INDEX IF NOT EXISTS one_attribution ON events (body ->> '$.request_id')
    WHERE body ->> '$.type' = 'attributed';

-- Kept beside events and no part of the history, which is why it may lose its oldest rows.
CREATE TABLE IF NOT EXISTS enclosures (
    age INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;
