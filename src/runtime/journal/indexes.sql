-- At most one of these events per request, beside the constraints of the tables themselves.
CREATE UNIQUE INDEX IF NOT EXISTS one_trace ON events (body ->> '$.request_id')
    WHERE body ->> '$.type' = 'traced';
CREATE UNIQUE INDEX IF NOT EXISTS one_attribution ON events (body ->> '$.request_id')
    WHERE body ->> '$.type' = 'attributed';
