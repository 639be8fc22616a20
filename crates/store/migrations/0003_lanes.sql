-- Lanes, messages of a later time, what pacing remembers, keys of whole requests.

-- Which lane a message waits in: 0 high, 1 normal, 2 low.
ALTER TABLE messages ADD COLUMN lane INTEGER NOT NULL DEFAULT 1;
-- With the lane inside, what is new is found lane by lane, and accepting
-- writes no index more than before: this is (sid, status, lane, seq).
DROP INDEX messages_by_status;
CREATE INDEX messages_by_status ON messages (sid, status, lane);

-- As queued_upto, for the other two lanes.
ALTER TABLE sessions ADD COLUMN queued_upto_high INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN queued_upto_low INTEGER NOT NULL DEFAULT 0;
-- When its first message ever began: a warm-up counts its days from there.
ALTER TABLE sessions ADD COLUMN first_begun_at INTEGER;
UPDATE sessions SET first_begun_at =
    (SELECT accepted_at FROM messages m WHERE m.sid = sessions.sid AND m.attempts > 0
     ORDER BY m.seq LIMIT 1);

-- The queue with lanes. Of each chat exactly one row is not `behind`: its
-- head, which is the first by lane and seq, or the one that is claimed.
CREATE TABLE queue_of_lanes (
    sid INTEGER NOT NULL,
    chat TEXT NOT NULL,
    lane INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    -- 0 behind, 1 head, 2 claimed.
    state INTEGER NOT NULL,
    -- Whether an attempt has begun before, and was not refused as too fast:
    -- such a one waits for no turn.
    begun INTEGER NOT NULL,
    PRIMARY KEY (sid, chat, lane, seq)
) WITHOUT ROWID, STRICT;
INSERT INTO queue_of_lanes (sid, chat, lane, seq, due_at, state, begun)
    SELECT q.sid, q.chat, 1, q.seq, q.due_at, q.state, m.attempts > 0
    FROM queue q JOIN messages m ON m.seq = q.seq;
DROP TABLE queue;
ALTER TABLE queue_of_lanes RENAME TO queue;
CREATE INDEX queue_heads ON queue (sid, lane, begun, due_at, seq) WHERE state = 1;
CREATE INDEX queue_claimed ON queue (sid, chat) WHERE state = 2;

-- Messages that their owners want sent later. They stand in no queue until
-- they are due, so that they hold up nobody.
CREATE TABLE schedule (
    sid INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (sid, lane, due_at, seq)
) WITHOUT ROWID, STRICT;

-- What pacing must know after a restart, by quarters of an hour.
CREATE TABLE pace (
    sid INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    -- Messages whose first attempt began.
    begun INTEGER NOT NULL DEFAULT 0,
    -- Attempts that WhatsApp refused because they came too fast.
    refused INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (sid, starts_at)
) WITHOUT ROWID, STRICT;

-- A key is that of one message, or that of a whole request with its answer.
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    digest BLOB NOT NULL,
    sid INTEGER NOT NULL,
    seq INTEGER REFERENCES messages (seq) ON DELETE CASCADE,
    answer TEXT,
    keep_until INTEGER NOT NULL,
    CHECK ((seq IS NULL) <> (answer IS NULL))
) WITHOUT ROWID, STRICT;
INSERT INTO keys (key, digest, sid, seq, keep_until)
    SELECT k.key, k.digest, m.sid, k.seq, k.keep_until
    FROM idempotency_keys k JOIN messages m ON m.seq = k.seq;
DROP TABLE idempotency_keys;
ALTER TABLE keys RENAME TO idempotency_keys;
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (keep_until);
CREATE INDEX idempotency_keys_by_message ON idempotency_keys (seq) WHERE seq IS NOT NULL;
CREATE INDEX idempotency_keys_by_session ON idempotency_keys (sid) WHERE seq IS NULL;
