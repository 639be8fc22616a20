-- What a surface keeps beside a session, under a name of its own.
CREATE TABLE notes (
    sid INTEGER NOT NULL REFERENCES sessions (sid),
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (sid, name)
) WITHOUT ROWID, STRICT;
