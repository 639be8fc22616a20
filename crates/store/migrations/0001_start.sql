-- The first schema. Migrations only append: this file is never changed again,
-- and no later one may delete what is owed.
--
-- Times are milliseconds since 1970-01-01 UTC. Statuses, scopes and reasons
-- stand under the names that the API uses.

-- One row: counters of the whole store.
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    -- The highest fence that was ever given out. One counter for all sessions,
    -- so that a session removed and made anew never meets its old fences.
    fence INTEGER NOT NULL,
    -- How often somebody asked whether a write would succeed.
    checks INTEGER NOT NULL
) STRICT;
INSERT INTO store (only, fence, checks) VALUES (1, 0, 0);

CREATE TABLE sessions (
    sid INTEGER PRIMARY KEY AUTOINCREMENT,
    -- NULL: removed. Nothing of it can be seen any more; its rows are cleared
    -- away in small pieces, so that nobody waits for a long transaction.
    name TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    enabled INTEGER NOT NULL,
    login INTEGER NOT NULL,
    parked TEXT,
    -- Who may write its messages.
    fence INTEGER NOT NULL,
    -- Its messages up to this seq that are owed stand in `queue`. Later ones
    -- have not been looked at yet: all of them are accepted, none was claimed.
    queued_upto INTEGER NOT NULL DEFAULT 0,
    -- How many of its messages have this status: kept, never counted.
    accepted INTEGER NOT NULL DEFAULT 0,
    sending INTEGER NOT NULL DEFAULT 0,
    waiting_for_a_person INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid INTEGER NOT NULL REFERENCES sessions (sid),
    id TEXT NOT NULL,
    wa_message_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    -- JSON, by kind.
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    attempts INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER,
    updated_at INTEGER NOT NULL,
    login INTEGER,
    -- When each ack was first known.
    server_at INTEGER,
    device_at INTEGER,
    read_at INTEGER,
    played_at INTEGER
) STRICT;
-- Our ids begin with their time, so new entries land at the right-hand end.
CREATE UNIQUE INDEX messages_by_id ON messages (id);
-- SQLite appends the row's own key, seq: this is (sid, status, seq).
CREATE INDEX messages_by_status ON messages (sid, status);
-- WhatsApp's ids are random: an entry costs a page of its own. A message that
-- no attempt has touched cannot be acked, so accepting pays nothing for this.
CREATE INDEX messages_by_wa ON messages (sid, wa_message_id) WHERE attempts > 0;

-- The messages that are owed (accepted or sending), chat by chat, up to
-- sessions.queued_upto. Of each chat exactly one row is not `behind`: its
-- head, or the one that is claimed.
--
-- Chats come at random, so a row here costs a page of its own. Accepting
-- writes none: a claim puts the newest messages in their places first.
CREATE TABLE queue (
    sid INTEGER NOT NULL,
    chat TEXT NOT NULL,
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- 0 behind, 1 head, 2 claimed.
    state INTEGER NOT NULL,
    PRIMARY KEY (sid, chat, seq)
) WITHOUT ROWID, STRICT;
CREATE INDEX queue_heads ON queue (sid, due_at, seq) WHERE state = 1;
CREATE INDEX queue_claimed ON queue (sid, chat) WHERE state = 2;

CREATE TABLE attempts (
    seq INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    detail TEXT,
    PRIMARY KEY (seq, number)
) WITHOUT ROWID, STRICT;

CREATE TABLE idempotency_keys (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    seq INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
    keep_until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (keep_until);
CREATE INDEX idempotency_keys_by_message ON idempotency_keys (seq);

CREATE TABLE inbound (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid INTEGER NOT NULL REFERENCES sessions (sid),
    chat TEXT NOT NULL,
    wa_message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    from_me INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    recovered INTEGER NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX inbound_once ON inbound (sid, chat, wa_message_id);
CREATE INDEX inbound_by_session ON inbound (sid);

CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE incidents (
    rowid INTEGER PRIMARY KEY,
    sid INTEGER NOT NULL REFERENCES sessions (sid),
    id TEXT NOT NULL,
    -- JSON.
    incident TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_by_session ON incidents (sid, id);
