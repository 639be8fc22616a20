// What the clients send.
import { createHash } from 'node:crypto';

export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

/** A document of which every byte must arrive. */
export const DOCUMENT = Buffer.from('every byte of this must arrive\n'.repeat(40));
export const DOCUMENT_SHA256 = createHash('sha256').update(DOCUMENT).digest('hex');

/** A reaction of Bob's to a message of ours. */
export const reactionTo = (id, chat, me, emoji) => ({
  kind: 'reaction', content: { target: { id, chat, from_me: true, author: `${me}@c.us` }, reaction: emoji },
});
