// What becomes of messages and groups that exist already: edits, deletions for
// everyone, reactions, changes of groups.
//
// They wait here as messages do, until the gateway has them on disk and says so.
// What no event told of is found again where WhatsApp Web still shows it: an edit
// and a deletion on the message itself, a reaction in its message's list, a change
// of a group as a line in the chat. A reaction that was taken back while nobody
// listened leaves nothing to be found.

const HAPPENINGS_LIMIT = 5000;
/** How often the level is read where events may have been missed. */
const HAPPENINGS_SWEEP_MS = 30000;
/** Messages whose reactions are read in one sweep, the newest. */
const REACTED_LIMIT = 200;

/** Offered, not confirmed: key -> happening, in order. */
const happened = new Map();
/** Confirmed keys. */
const happenedDone = new Set();
let happeningsOverflowed = false;
let happeningsSweptAt = -Infinity;
let reactionsSwept = false;
const happeningsBound = new Map();
const reactionKeepers = new WeakSet();

/** Milliseconds, cut to seconds: WhatsApp tells the same time in either unit. */
function wholeSeconds(time) {
  const value = Number(time);
  if (!Number.isFinite(value) || value <= 0) return null;
  return Math.floor(value < 1e11 ? value : value / 1000) * 1000;
}

const OF_OUR_KIND = /@(c\.us|lid|g\.us|s\.whatsapp\.net)$/;
const myAddress = () => {
  const me = readMe();
  return me.pn ?? me.lid;
};

/** A message's name for the gateway, or null where the chat is none of its business. */
function nameOfMessage(key, author) {
  const parts = keyParts(key);
  if (!parts || !parts.id || !parts.remote || !OF_OUR_KIND.test(parts.remote)) return null;
  const group = parts.remote.endsWith('@g.us');
  const writer = parts.fromMe ? myAddress() : parts.participant ?? widText(author);
  return {
    chat: parts.remote, id: parts.id, from_me: parts.fromMe,
    participant: group ? writer ?? undefined : undefined,
  };
}

/** The key that it had where its chat has moved from a number to a hidden id since. */
function movedKey(named, chat) {
  const other = chat && !chat.endsWith('@g.us') ? otherText(chat) : null;
  return other === null ? null : cut(named.replaceAll(chat, other), KEY_CHARS);
}

function tellHappening(named, happening) {
  // It comes back in the confirmation, by way of the gateway.
  const key = cut(named, KEY_CHARS);
  const known = (name) => happenedDone.has(name) || happened.has(name);
  if (known(key) || known(movedKey(named, happening.message?.chat))) return;
  if (happened.size >= HAPPENINGS_LIMIT) {
    // What the page still shows is found by the sweep when there is room.
    happeningsOverflowed = true;
    return;
  }
  happened.set(key, { key, ...happening });
  if (happened.size === 1) emit('happenings', { waiting: 1 });
}

function tellEdit(msg) {
  const at = wholeSeconds(msg?.latestEditSenderTimestampMs);
  const message = at === null ? null : nameOfMessage(msg.id, msg.author);
  if (!message) return;
  const written = msg.type === 'chat' ? msg.body : msg.caption;
  const text = typeof written === 'string' ? cut(written, CONFIG.text_chars) : '';
  tellHappening(`edited ${message.from_me} ${message.chat} ${message.id} ${at}`, { what: 'edited', message, text, at });
}

function tellRevoke(msg) {
  if (msg?.type !== 'revoked') return;
  const message = nameOfMessage(msg.id, msg.author);
  if (!message) return;
  const at = wholeSeconds(msg.revokeTimestamp) ?? Date.now();
  tellHappening(`revoked ${message.from_me} ${message.chat} ${message.id}`, { what: 'revoked', message, at });
}

function tellReaction({ parent, own, sender, emoji, time }) {
  const message = nameOfMessage(parent, null);
  const who = own ? myAddress() : widText(sender);
  const at = wholeSeconds(time);
  if (!message || !who || at === null) return;
  const text = typeof emoji === 'string' ? cut(emoji, 64) : '';
  tellHappening(`reaction ${message.chat} ${message.id} ${who} ${text} ${at}`, {
    what: 'reaction', message, sender: who, emoji: text, at,
  });
}

/** A line in a group's chat that says what has changed. */
function tellGroupChange(msg) {
  const key = keyParts(msg?.id);
  if (msg?.type !== 'gp2' || !key?.remote?.endsWith('@g.us')) return;
  const at = wholeSeconds(messageTime(msg));
  const change = typeof msg.subtype === 'string' ? cut(msg.subtype, 64) : '';
  if (at === null || change === '') return;
  const participants = (Array.isArray(msg.recipients) ? msg.recipients : []).map(widText).filter(Boolean);
  tellHappening(`group ${key.remote} ${key.id}`, {
    what: 'group', group: key.remote, change, by: widText(msg.author) ?? key.participant,
    participants: participants.slice(0, 1024), at,
  });
}

/** Listens at the table that every reaction passes through, ours and others'. */
function guardReactions() {
  const table = member('WAWebAddonReactionTableMode', 'reactionTableMode');
  const original = table?.bulkUpsert;
  if (typeof original !== 'function' || reactionKeepers.has(original)) return;
  const keeper = function bulkUpsert(...args) {
    try {
      for (const each of Array.isArray(args[0]) ? args[0] : []) {
        tellReaction({
          parent: each.reactionParentKey, own: keyParts(each.id)?.fromMe === true,
          sender: each.author ?? each.from, emoji: each.reactionText, time: each.reactionTimestamp,
        });
      }
    } catch {
      // WhatsApp's own table must never see an error of ours.
    }
    return original.apply(this, args);
  };
  reactionKeepers.add(keeper);
  try {
    table.bulkUpsert = keeper;
  } catch {
    // Frozen: the lists of reactions are read all the same.
  }
}

/** Subscribes to whatever has appeared, or was replaced, since the last look. */
function bindHappenings() {
  if (!startedUp()) return;
  const store = msgStore();
  if (store && happeningsBound.get('msg') !== store) {
    happeningsBound.set('msg', store);
    listen(store, ['change:latestEditSenderTimestampMs', 'change:latestEditMsgKey'], tellEdit);
    listen(store, ['change:type'], tellRevoke);
    listen(store, ['add'], (msg) => {
      if (msg?.isNewMsg) tellGroupChange(msg);
    });
  }
  guardReactions();
}

/** Reads by level what no event told of, since the time that the gateway named. */
function sweepHappenings(force = false) {
  if (sweepFrom === null) return;
  const now = performance.now();
  const room = happened.size < HAPPENINGS_LIMIT;
  const again = happeningsOverflowed && room;
  if (force || again) reactionsSwept = false;
  if (!reactionsSwept && wppLevel() >= 3) sweepReactions();
  if (!force && !again && now - happeningsSweptAt < HAPPENINGS_SWEEP_MS) return;
  happeningsSweptAt = now;
  if (room) happeningsOverflowed = false;
  for (const msg of models(msgStore())) {
    const sent = messageTime(msg);
    if (msg?.type === 'revoked') {
      if (Math.max(sent, Number(msg.revokeTimestamp) || 0) >= sweepFrom) tellRevoke(msg);
    } else if (msg?.type === 'gp2') {
      if (sent >= sweepFrom) tellGroupChange(msg);
    } else if ((wholeSeconds(msg?.latestEditSenderTimestampMs) ?? 0) >= sweepFrom * 1000) tellEdit(msg);
  }
}

/** Reads the reactions of the newest messages that have some. */
async function sweepReactions() {
  reactionsSwept = true;
  const reacted = models(msgStore()).filter((msg) => msg?.hasReaction === true);
  reacted.sort((a, b) => messageTime(b) - messageTime(a));
  for (const msg of reacted.slice(0, REACTED_LIMIT)) {
    try {
      const found = await within(window.WPP.chat.getReactions(String(msg.id)), 5000, null);
      for (const { senders } of found?.reactions ?? []) {
        for (const each of senders ?? []) {
          const at = wholeSeconds(each.timestamp);
          if (at === null || at < sweepFrom * 1000) continue;
          tellReaction({
            parent: msg.id, own: keyParts(each.id)?.fromMe === true, sender: each.sender,
            emoji: each.reactionText, time: at,
          });
        }
      }
    } catch {
      // A message without a list; the others may have theirs.
    }
  }
}

/** The oldest that wait, at most `limit`. */
function fetchHappenings({ limit }) {
  return { happenings: [...happened.values()].slice(0, limit) };
}

/** The gateway has these on disk. */
function confirmHappenings({ keys }) {
  for (const key of keys) {
    happened.delete(key);
    happenedDone.add(key);
  }
  trim(happenedDone, DONE_LIMIT);
  return { waiting: happened.size };
}
