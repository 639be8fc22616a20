-- The log of everything that happens, and where it is pushed to.

-- What makes ids of events unlike those of any other store.
ALTER TABLE store ADD COLUMN salt BLOB NOT NULL DEFAULT x'';
UPDATE store SET salt = randomblob(16);
-- Up to this position events were dropped for their age or number.
ALTER TABLE store ADD COLUMN events_dropped_upto INTEGER NOT NULL DEFAULT 0;

CREATE TABLE events (
    -- The position. Where one row stands for several events, that of the last of them.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind INTEGER NOT NULL,
    -- So many events stand here. Messages accepted one after the other in one
    -- transaction share a row, so that an accept pays next to nothing for it.
    count INTEGER NOT NULL DEFAULT 1,
    -- NULL: of no session, or of messages, which know their sessions.
    sid INTEGER REFERENCES sessions (sid),
    -- The message (messages.seq, of the last event) or inbound message (inbound.seq) that it tells of.
    ref INTEGER,
    at INTEGER NOT NULL,
    -- What makes a happening one and the same, however often it is told.
    key TEXT,
    -- JSON: what cannot be read elsewhere.
    data TEXT
) STRICT;
CREATE INDEX events_by_session ON events (sid) WHERE sid IS NOT NULL;
CREATE UNIQUE INDEX events_once ON events (sid, key) WHERE key IS NOT NULL;

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    -- JSON, with its secrets: this file is its owner's alone.
    record TEXT NOT NULL,
    -- Up to this position it was given every event, or has it in `deliveries`.
    cursor INTEGER NOT NULL,
    -- Whether events beyond that are kept for it.
    holds INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- What an endpoint did not take at once. The event is kept here whole: the log may drop it.
CREATE TABLE deliveries (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    -- waiting, dead.
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    detail TEXT,
    -- NULL: of no session.
    session TEXT,
    -- JSON.
    event TEXT NOT NULL,
    PRIMARY KEY (webhook, seq)
) WITHOUT ROWID, STRICT;
CREATE INDEX deliveries_by_state ON deliveries (webhook, state, next_at);
CREATE INDEX deliveries_by_session ON deliveries (session) WHERE session IS NOT NULL;

-- The newest attempts of each endpoint, for its owner to see.
CREATE TABLE delivery_attempts (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    -- The HTTP status; NULL: no answer came.
    status INTEGER,
    outcome TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX delivery_attempts_by_webhook ON delivery_attempts (webhook, n);
