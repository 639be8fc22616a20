-- Tokens that end, that are rotated, that are for some sessions only; who
-- changed what; through which proxy a session goes.

-- A JSON list of names; NULL: every session, and the gateway itself.
ALTER TABLE tokens ADD COLUMN sessions TEXT;
ALTER TABLE tokens ADD COLUMN expires_at INTEGER;
-- The secret before the newest one, and until when it is taken.
ALTER TABLE tokens ADD COLUMN previous_hash BLOB;
ALTER TABLE tokens ADD COLUMN previous_until INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_at INTEGER;
CREATE INDEX tokens_by_previous ON tokens (previous_hash) WHERE previous_hash IS NOT NULL;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    target TEXT,
    done INTEGER NOT NULL,
    detail TEXT
) STRICT;

ALTER TABLE sessions ADD COLUMN proxy TEXT;
