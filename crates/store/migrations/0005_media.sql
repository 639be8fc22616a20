-- Files of messages: what is kept in the media folder, and who needs it.

-- What an inbound message carries beside its text, as JSON; NULL for nothing.
ALTER TABLE inbound ADD COLUMN extras TEXT;
-- Its file, where it was fetched.
ALTER TABLE inbound ADD COLUMN file TEXT;

CREATE TABLE media (
    -- SHA-256 of the content, in hex: its name in the folder.
    id TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mime TEXT NOT NULL,
    used_at INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX media_by_use ON media (used_at);

-- Which messages were accepted with which file. A row here costs only the
-- messages that have one.
CREATE TABLE media_refs (
    media TEXT NOT NULL,
    seq INTEGER NOT NULL REFERENCES messages (seq) ON DELETE CASCADE,
    PRIMARY KEY (media, seq)
) WITHOUT ROWID, STRICT;
CREATE INDEX media_refs_by_message ON media_refs (seq);
