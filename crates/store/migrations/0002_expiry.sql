-- Messages that wait and have an end: found by it, without a look at the rest of the queue.
CREATE INDEX messages_by_end ON messages (sid, expires_at)
    WHERE status = 'accepted' AND expires_at IS NOT NULL;
