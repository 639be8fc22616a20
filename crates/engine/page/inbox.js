// What comes to us: messages of others, and how far our own have come.
//
// Messages wait here until the gateway has them on disk and says so. It fetches
// them itself, so that a slow disk holds them back here and not in a queue of its own.

/** Kinds that carry nothing a person wrote. */
const NOT_MESSAGES = new Set(['e2e_notification', 'notification', 'notification_template', 'gp2',
  'broadcast_notification', 'call_log', 'protocol', 'debug', 'pinned_message', 'newsletter_notification']);
/** Cannot be read yet; the same message changes its type once it can. */
const UNREADABLE = new Set(['ciphertext', 'unknown']);
const UNREADABLE_LIMIT = 1000;
const WAITING_LIMIT = 5000;
const DONE_LIMIT = 20000;
const OWN_LIMIT = 2000;
/** No key of WhatsApp's is nearly as long. */
const KEY_CHARS = 1000;
/** Acks told at a time. */
const ACK_BATCH = 500;

/** Offered, not confirmed: key -> message, in order of arrival. */
const waiting = new Map();
/** Confirmed keys. */
const done = new Set();
/** Our own messages that this gateway handed over: id -> {chat, level}. */
const own = new Map();
/** Levels to tell the gateway: id -> level. */
const ackNews = new Map();
/** Messages sent at or after this time (s) are offered even where no event told of them. */
let sweepFrom = null;
/** What was sent before this time (s) was not sent to this login. */
let receivedFrom = null;
let sweptCount = -1;
let inboxOverflowed = false;

function messageTime(msg) {
  const t = Number(msg?.t);
  return Number.isFinite(t) ? t : 0;
}

/** By what a message is known here. It comes back in the confirmation, by way of the gateway. */
const messageKey = (fromMe, chat, id) => cut(`${fromMe}_${chat}_${id}`, KEY_CHARS);

/** A message as the gateway stores it, or null where it is none of its business. */
function describeMessage(msg, recovered) {
  const key = keyParts(msg?.id);
  if (!key || !key.remote || !key.id) return null;
  if (!/@(c\.us|lid|g\.us|s\.whatsapp\.net)$/.test(key.remote)) return null;
  const kind = typeof msg.type === 'string' ? msg.type : 'unknown';
  if (NOT_MESSAGES.has(kind) || UNREADABLE.has(kind)) return null;
  const group = key.remote.endsWith('@g.us');
  let sender = key.remote;
  if (key.fromMe) {
    const me = readMe();
    sender = me.pn ?? me.lid ?? key.remote;
  } else if (group) sender = widText(msg.author) ?? key.participant ?? widText(msg.sender) ?? key.remote;
  // The body of a picture is its thumbnail; what was written stands in the caption.
  const written = kind === 'chat' ? msg.body : msg.caption;
  let extras = {};
  try {
    extras = describeExtras(msg, kind);
  } catch {
    // A message whose extras cannot be read is a message all the same.
  }
  return {
    key: messageKey(key.fromMe, key.remote, key.id),
    id: key.id, chat: key.remote, also: group ? null : otherText(key.remote), sender, from_me: key.fromMe, type: kind,
    text: typeof written === 'string' ? cut(written, CONFIG.text_chars) : '',
    t: messageTime(msg), recovered, extras,
  };
}

/** Kinds that bring a file. */
const WITH_FILE = new Set(['image', 'video', 'ptv', 'audio', 'ptt', 'document', 'sticker']);

const shortText = (value, most) => (typeof value === 'string' && value !== '' ? cut(value, most) : null);

/** What a message carries beside its text. */
function describeExtras(msg, kind) {
  const content = structured(msg, kind);
  return {
    push_name: shortText(msg.notifyName, 200),
    reply_to: shortText(msg.quotedStanzaID, 128),
    mentions: (msg.mentionedJidList ?? []).slice(0, 256).map(widText).filter((id) => id !== null),
    media: WITH_FILE.has(kind) ? describeFile(msg) : null,
    content: content === null ? null : JSON.stringify(content),
  };
}

function describeFile(msg) {
  const size = Number(msg.size ?? msg.mediaData?.size);
  return {
    mime: shortText(msg.mimetype ?? msg.mediaData?.mimetype, 200) ?? 'application/octet-stream',
    size: Number.isSafeInteger(size) && size >= 0 ? size : null,
    name: shortText(msg.filename, 255),
  };
}

/** The place, contact cards or poll that a message is. Bounded: strangers write these. */
function structured(msg, kind) {
  const card = (name, vcard) => ({ name: shortText(name, 200) ?? '', vcard: shortText(vcard, 16384) ?? '' });
  switch (kind) {
    case 'location':
      return {
        latitude: Number(msg.lat), longitude: Number(msg.lng), description: shortText(msg.loc, 1000) ?? '',
      };
    case 'vcard':
      return { cards: [card(msg.vcardFormattedName, msg.body)] };
    case 'multi_vcard':
      return { cards: (msg.vcardList ?? []).slice(0, 50).map((each) => card(each.displayName, each.vcard)) };
    case 'poll_creation':
      return {
        question: shortText(msg.pollName, 1000) ?? '',
        options: (msg.pollOptions ?? []).slice(0, 20).map((each) => shortText(each.name ?? each, 1000) ?? ''),
        selectable: Number(msg.pollSelectableOptionsCount ?? 0),
      };
    default:
      return null;
  }
}

function offer(msg, recovered) {
  const known = (key) => done.has(key) || waiting.has(key);
  const described = describeMessage(msg, recovered);
  if (!described || known(described.key)) return;
  // Its chat may have moved from a number to a hidden id since.
  if (described.also !== null && known(messageKey(described.from_me, described.also, described.id))) return;
  if (described.from_me && own.has(described.id)) return;
  if (waiting.size >= WAITING_LIMIT) {
    // It stays in WhatsApp's own database, which is read when there is room.
    inboxOverflowed = true;
    return;
  }
  waiting.set(described.key, described);
  if (waiting.size === 1) emit('inbox', { waiting: 1 });
}

function onMessageAdded(msg) {
  const key = keyParts(msg?.id);
  if (key?.fromMe && own.has(key.id)) followOwn(key.id, msg);
  else if (msg?.isNewMsg) offer(msg, false);
}

/** Messages that could not be read when last looked at: key -> message. Their text may
 * come hours later, to a document that does not hold them for new. */
const unreadable = new Map();

function noteUnreadable(msg) {
  unreadable.set(String(msg.id), msg);
  trim(unreadable, UNREADABLE_LIMIT);
}

/** Offers those that can be read by now. */
function offerReadable() {
  if (receivedFrom === null) return;
  for (const [key, msg] of unreadable) {
    if (UNREADABLE.has(msg?.type)) continue;
    unreadable.delete(key);
    if (msg?.type !== 'revoked') offerMissed(msg, receivedFrom);
  }
}

function onMessageChanged(msg) {
  if (msg?.isNewMsg && !keyParts(msg.id)?.fromMe) offer(msg, false);
}

/** A type changes where a message has become readable, or is deleted for everyone. */
function onTypeChanged(msg) {
  onMessageChanged(msg);
  if (msg?.isNewMsg || !keyParts(msg?.id)) return;
  noteUnreadable(msg);
  offerReadable();
}

/** Offers what no event told of. Only our own ids tell our messages from those
 * that another device of this account sent, so those of the shape that web
 * clients make are left out here. */
function offerMissed(msg, from) {
  if (messageTime(msg) < from) return;
  const key = keyParts(msg?.id);
  if (key?.fromMe && /^3EB0[0-9A-F]{18}$/.test(key.id)) return;
  offer(msg, true);
}

/** Finds what is in memory and was not told of. */
function sweepInbox(force = false) {
  if (sweepFrom === null) return;
  offerReadable();
  const store = msgStore();
  const size = count(store);
  // What there was no room for may be in memory no more.
  const again = inboxOverflowed && caughtUp && waiting.size < WAITING_LIMIT;
  if (!force && size === sweptCount && !again) return;
  sweptCount = size;
  const all = models(store);
  for (const msg of all) if (UNREADABLE.has(msg?.type)) noteUnreadable(msg);
  const found = all.filter((msg) => messageTime(msg) >= sweepFrom);
  found.sort((a, b) => messageTime(a) - messageTime(b));
  for (const msg of found) offerMissed(msg, sweepFrom);
  if (again) readEarlier().catch(() => {});
}

/** The gateway has these on disk. */
function confirmInbox(keys) {
  for (const key of keys) {
    waiting.delete(key);
    done.add(key);
  }
  trim(done, DONE_LIMIT);
  return { waiting: waiting.size, confirmed_to: confirmedTo() };
}

/** The oldest that wait, at most `limit`. */
function fetchInbox(limit) {
  const messages = [];
  for (const message of waiting.values()) {
    if (messages.length >= limit) break;
    messages.push(message);
  }
  return { messages, waiting: waiting.size, confirmed_to: confirmedTo() };
}

/** Starts offering what was missed: everything since `from` (s) except `known` keys, and
 * what becomes readable late, since `login` (s). */
function startSweeping({ from, login, known }) {
  for (const key of known) done.add(key);
  sweepFrom = from;
  receivedFrom = login;
  sweepInbox(true);
  // Where it fails, the mark of what is confirmed stays where it is.
  readEarlier().catch(() => {});
  return { waiting: waiting.size };
}

// ------------------------------------------------------------------- acks

function tellAck(id, level) {
  ackNews.set(id, level);
  if (ackNews.size === 1) queueMicrotask(flushAcks);
}

/** Tells what has not been told; what cannot be told now waits for the next pulse. */
function flushAcks() {
  while (ackNews.size > 0) {
    const list = [...ackNews].slice(0, ACK_BATCH);
    if (!emit('acks', { acks: list })) {
      trim(ackNews, OWN_LIMIT);
      return;
    }
    for (const [told] of list) ackNews.delete(told);
  }
}

/** Those who wait for one message's ack: id -> callbacks. */
const ackWaiters = new Map();

function noteAck(id, level) {
  const known = own.get(id);
  if (known) {
    if (known.level === level) return;
    known.level = level;
    // Played is the end; read may still become played, and costs nothing to watch.
    if (level >= 4) own.delete(id);
  }
  if (level !== 0) tellAck(id, level);
  for (const tell of [...(ackWaiters.get(id) ?? [])]) tell(level);
}

function onAckChanged(msg, ack) {
  const key = keyParts(msg?.id);
  if (!key?.fromMe) return;
  const level = typeof ack === 'number' ? ack : Number(msg.ack);
  if (Number.isInteger(level)) noteAck(key.id, level);
}

/** Reads the level of every message of ours that is still under way. */
function readAcks() {
  flushAcks();
  for (const [id, entry] of own) {
    if (!entry.msg) continue;
    const level = Number(entry.msg.ack);
    if (Number.isInteger(level) && level !== entry.level) noteAck(id, level);
  }
}

/** Remembers a message of ours, so that its level is read without an event too. */
function followOwn(id, msg) {
  const known = own.get(id) ?? { level: 0, msg: null };
  if (msg) known.msg = msg;
  own.set(id, known);
  trim(own, OWN_LIMIT);
}

/** After a load: follow these messages of ours again, and tell how far the newest came. */
function resumeOwn({ ids, limit }) {
  const wanted = new Set(ids);
  const mine = models(msgStore()).filter((msg) => keyParts(msg?.id)?.fromMe);
  mine.sort((a, b) => messageTime(b) - messageTime(a));
  const acks = [];
  mine.forEach((msg, index) => {
    const { id } = keyParts(msg.id);
    const level = Number(msg.ack);
    if (!Number.isInteger(level)) return;
    if (wanted.has(id)) followOwn(id, msg);
    if (level !== 0 && (wanted.has(id) || index < limit)) acks.push([id, level]);
  });
  return { acks: acks.slice(0, limit + ids.length) };
}

/** Waits until one of our messages has left the level `from`, at most `ms`; answers its level then. */
function ackWithin(id, msg, ms, from = 0) {
  const level = () => {
    const value = Number((msg ?? own.get(id)?.msg)?.ack ?? own.get(id)?.level ?? 0);
    return Number.isInteger(value) ? value : 0;
  };
  if (level() !== from || ms <= 0) return Promise.resolve(level());
  return new Promise((resolve) => {
    let timer;
    let ticker;
    const tell = (value) => {
      if (value !== from) end(value);
    };
    const end = (value) => {
      clearTimeout(timer);
      clearInterval(ticker);
      const waiters = ackWaiters.get(id);
      waiters?.delete(tell);
      if (waiters?.size === 0) ackWaiters.delete(id);
      resolve(value);
    };
    if (!ackWaiters.has(id)) ackWaiters.set(id, new Set());
    ackWaiters.get(id).add(tell);
    timer = setTimeout(() => end(level()), ms);
    // Where the page fires no event the level still moves.
    ticker = setInterval(() => tell(level()), 250);
  });
}
