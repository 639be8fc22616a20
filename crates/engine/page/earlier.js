// What only WhatsApp Web's own database has. A document begins with the newest few
// messages of each chat in memory; what an earlier one had taken from the server, and
// the gateway had not on disk when it died, may lie behind those, and WhatsApp does not
// send it again. So each chat is read back to the time that the gateway names.

/** Messages read at a time. */
const EARLIER_BATCH = 50;
/** Messages read for one document at most; that there were more is told. */
const EARLIER_LIMIT = 50000;
/** How long one read may take; how often it is tried, and after what pause again. */
const EARLIER_READ_MS = 20000;
const EARLIER_TRIES = 5;
const EARLIER_PAUSE_MS = 2000;

/** Whether all that was sent since `sweepFrom` has been offered once. */
let caughtUp = false;
/** The run that counts; one that was overtaken ends. */
let earlierRun = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads every chat back to `sweepFrom`, one after the other, and offers what is found. */
async function readEarlier() {
  earlierRun += 1;
  const number = earlierRun;
  const run = { from: sweepFrom, left: EARLIER_LIMIT, isOver: () => number !== earlierRun };
  caughtUp = false;
  inboxOverflowed = false;
  do {
    await wppReaches(3, EARLIER_PAUSE_MS);
    if (run.isOver()) return;
  } while (wppLevel() < 2);
  const since = (chat) => Math.max(messageTime(chat), ...models(chat?.msgs).slice(-5).map(messageTime));
  const chats = models(chatStore())
    .filter((chat) => OF_OUR_KIND.test(widText(chat?.id) ?? '') && since(chat) >= run.from);
  let unread = 0;
  // Where one fails, whatever fails it may fail them all.
  let tries = EARLIER_TRIES;
  for (const chat of chats) {
    const read = await readBackPatiently(chat, run, tries);
    if (run.isOver()) return;
    tries = read ? EARLIER_TRIES : 1;
    if (!read) unread += 1;
  }
  // One chat that can never be read must not hold the mark for ever; where none can be,
  // the next document may have better luck.
  caughtUp = chats.length === 0 || unread < chats.length;
  sweepInbox(true);
  sweepHappenings(true);
  emit('earlier', { chats: chats.length, unread, whole: run.left > 0 });
}

async function readBackPatiently(chat, run, tries) {
  for (let attempt = 1; !run.isOver(); attempt += 1) {
    try {
      await readBack(chat, run);
      return true;
    } catch {
      // What it is that fails shows where the same chat is asked for by the gateway.
      if (attempt >= tries) return false;
    }
    await pause(EARLIER_PAUSE_MS * attempt);
  }
  return false;
}

/** Reads one chat back. Its database is in order of arrival, which is nearly that of time:
 * all before a batch that is older as a whole is older too. */
async function readBack(chat, run) {
  const found = new Map();
  let anchor = null;
  while (run.left > 0 && !run.isOver()) {
    const options = { count: EARLIER_BATCH, direction: 'before' };
    if (anchor) options.id = String(anchor.id);
    const messages = await within(window.WPP.chat.getMessages(widText(chat.id), options), EARLIER_READ_MS, null);
    if (messages === null) throw new Error('Timeout: a chat could not be read');
    const fresh = newestFirst(messages.filter((msg) => keyParts(msg?.id) && !found.has(String(msg.id))));
    if (fresh.length === 0 || messageTime(fresh[0]) < run.from) break;
    for (const msg of fresh) {
      found.set(String(msg.id), msg);
      if (UNREADABLE.has(msg.type)) noteUnreadable(getFrom(msgStore(), msg.id) ?? msg);
    }
    run.left -= fresh.length;
    anchor = fresh[fresh.length - 1];
  }
  for (const msg of [...found.values()].reverse()) {
    // A store that is slow, or refuses, holds this up too.
    while (waiting.size >= WAITING_LIMIT) {
      await pause(EARLIER_PAUSE_MS);
      if (run.isOver()) return;
    }
    offerMissed(msg, run.from);
  }
}

/** Up to where (s) all that this page knows is on the gateway's disk; null where all of it is. */
function confirmedTo() {
  if (sweepFrom === null || !caughtUp || inboxOverflowed || !pageReady) return 0;
  let oldest = null;
  for (const { t } of waiting.values()) if (oldest === null || t < oldest) oldest = t;
  return oldest;
}
