// One message of ours: handing it over, finding it again, sending it again.
//
// Everything here turns on one question: had the message been given to
// WhatsApp's own send function? Before that it surely was not sent, after that
// it may have been. `gate` is that function's doorkeeper and keeps the answer.

const GATE_LIMIT = 5000;
/** id -> 'open' (may pass), 'shut' (given up), 'passed'. */
const gate = new Map();
const doorkeepers = new WeakSet();

/** One of our messages goes through, unless it was given up before. */
function passGate(key) {
  const id = keyParts(key)?.id;
  if (id === undefined || !gate.has(id)) return;
  if (gate.get(id) === 'shut') throw new Error('steadfast: given up before it was handed over');
  gate.set(id, 'passed');
}

/** Puts the doorkeeper before WhatsApp's send function. False where that cannot be done. */
function guardSends() {
  const live = namespace('WAWebSendMsgChatAction');
  const original = live?.addAndSendMsgToChat;
  if (typeof original !== 'function') return false;
  if (doorkeepers.has(original)) return true;
  const keeper = function addAndSendMsgToChat(...args) {
    args[1] = keyOfForward(args[0], args[1]);
    passGate(args[1]?.id);
    return original.apply(this, args);
  };
  doorkeepers.add(keeper);
  try {
    live.addAndSendMsgToChat = keeper;
  } catch {
    return false;
  }
  return live.addAndSendMsgToChat === keeper;
}

/** The same for files, whose way to the chat begins earlier. wa-js counts this function's arguments. */
function guardFiles() {
  const owner = namespace('WAWebPrepRawMedia') ?? wppFound('whatsapp', 'MediaPrep');
  const proto = owner?.MediaPrep?.prototype;
  const original = proto?.sendToChat;
  if (typeof original !== 'function') return false;
  if (doorkeepers.has(original)) return true;
  const keeper = function sendToChat(...args) {
    const options = original.length === 1 ? args[0]?.options : args[1];
    passGate(options?.productMsgOptions?.id);
    return original.apply(this, args);
  };
  doorkeepers.add(keeper);
  try {
    Object.defineProperty(keeper, 'length', { value: original.length });
    proto.sendToChat = keeper;
  } catch {
    return false;
  }
  return proto.sendToChat === keeper;
}

const notSent = (stage, thrown) => ({ state: 'not_sent', stage, error: plainError(thrown) });

/** The chat for a recipient as WhatsApp knows it, made where `make` allows it. */
async function chatOf(wid, make) {
  const known = getFrom(chatStore(), wid);
  if (known || !make) return known;
  const find = callable('WAWebFindChatAction', 'findOrCreateLatestChat')
    ?? wppFound('functions', 'findOrCreateLatestChat');
  if (!find) throw new Error('WAWebFindChatAction.findOrCreateLatestChat is missing');
  const found = await find(wid, 'createChat');
  return found?.chat ?? getFrom(chatStore(), wid);
}

/** Whether this chat has ever held a message: then its number needs no check. */
function isUsed(chat) {
  try {
    return Boolean(chat) && (count(chat.msgs) > 0 || Boolean(chat.lastReceivedKey) || Number(chat.t) > 0);
  } catch {
    return false;
  }
}

/** Our own address towards a chat, and our part in its keys. */
function selfFor(chat) {
  const ask = (key) => {
    try {
      return callable('WAWebUserPrefsMeUser', key)?.() ?? null;
    } catch {
      return null;
    }
  };
  const pn = ask('getMaybeMePnUser');
  const lid = ask('getMaybeMeLidUser');
  const group = widIs(chat.id, 'isGroup', 'g.us');
  let from = widIs(chat.id, 'isLid', 'lid') ? lid ?? pn : pn ?? lid;
  if (group && chat.groupMetadata?.isLidAddressingMode === true) from = lid ?? pn;
  if (from === null && wppLevel() >= 2) from = window.WPP.conn.getMyUserWid?.() ?? null;
  if (from === null) throw new Error('WAWebUserPrefsMeUser tells no address of ours');
  let participant;
  if (group) {
    participant = from;
    try {
      participant = callable('WAWebWidFactory', 'asUserWidOrThrow')?.(from) ?? from;
    } catch {
      // The address with its device number serves as well.
    }
  }
  return { from, participant };
}

function keyFor(chat, id) {
  const Key = msgKeyClass();
  if (!Key) throw new Error('WAWebMsgKey is missing');
  const { from, participant } = selfFor(chat);
  return { from, key: new Key({ from, to: chat.id, id, participant, selfDir: 'out' }) };
}

/** Asks whether a number has WhatsApp: its wid, null for no, undefined where it cannot be known. */
async function numberExists(wid, ms) {
  const query = callable('WAWebQueryExistsJob', 'queryWidExists');
  if (!query) return undefined;
  const result = await within(query(wid), ms, 'late');
  if (result === 'late') return undefined;
  return result?.wid ?? null;
}

/** Answers of the last minutes, so that a wrong number in a long list is asked about once. */
const numbersAsked = new Map();
const NUMBERS_LIMIT = 1000;
const NUMBER_KNOWN_MS = 600000;
const NUMBER_UNKNOWN_MS = 60000;

async function numberExistsLately(wid, ms) {
  const name = widText(wid);
  const known = numbersAsked.get(name);
  const age = performance.now() - (known?.at ?? 0);
  if (known && age < (known.exists ? NUMBER_KNOWN_MS : NUMBER_UNKNOWN_MS)) return known.exists;
  const exists = await numberExists(wid, ms);
  if (exists !== undefined) {
    numbersAsked.set(name, { exists, at: performance.now() });
    trim(numbersAsked, NUMBERS_LIMIT);
  }
  return exists;
}

const isOwn = (id) => (msg) => {
  const key = keyParts(msg?.id);
  return Boolean(key?.fromMe) && key.id === id;
};

/** A message of ours by its key alone. */
function byKey(chat, id) {
  const followed = own.get(id)?.msg;
  if (followed) return followed;
  if (!chat) return null;
  try {
    const { key } = keyFor(chat, id);
    return getFrom(msgStore(), key) ?? getFrom(chat.msgs, key);
  } catch {
    return null;
  }
}

/** A message of ours anywhere in memory, whichever address its chat has now. */
function inMemory(chat, id) {
  return byKey(chat, id) ?? models(chat?.msgs).find(isOwn(id)) ?? models(msgStore()).find(isOwn(id)) ?? null;
}

/** The other address of a person, where WhatsApp knows it. */
function otherAddress(wid) {
  const text = widText(wid) ?? '';
  const keys = text.endsWith('@lid') ? ['getPhoneNumber', 'getPnForLid'] : ['getCurrentLid'];
  for (const key of keys) {
    try {
      const other = callable('WAWebApiContact', key)?.(wid) ?? wppFound('whatsapp', 'lidPnCache')?.[key]?.(wid);
      if (other) return other;
    } catch {
      // Not known.
    }
  }
  return null;
}

/** The same of an address as text. */
function otherText(text) {
  try {
    return widText(otherAddress(makeWid(text)));
  } catch {
    return null;
  }
}

/** What becomes of a message that has passed the gate. */
async function settle(id, chat, result, left) {
  const finished = Promise.resolve(result).then(
    (value) => ({ result: value?.messageSendResult ?? (typeof value === 'string' ? value : null) }),
    (thrown) => ({ error: plainError(thrown) }),
  );
  const end = await Promise.race([
    finished,
    ackWithin(id, null, left()).then((level) => ({ level })),
  ]);
  const msg = byKey(chat, id);
  if (msg) followOwn(id, msg);
  const level = end.level ?? Number(msg?.ack ?? 0);
  if (level !== 0) return byLevel(level);
  // OK is the server's own answer, whether or not the model has been told yet.
  if (end.result === 'OK') return byLevel(1);
  if (end.result) return { state: 'result', result: end.result };
  if (end.error && !msg) return { state: 'unknown', error: end.error };
  // It threw, or ended without a word, but the page holds the message: its ack decides.
  return byLevel(await ackWithin(id, msg, left()));
}

const byLevel = (level) => (level < 0 ? { state: 'failed', level } : { state: 'handed', level });

/** By wa-js, whose authors follow WhatsApp's changes to what a message is made of. */
async function sendByWpp(given) {
  const options = wppOptions(given.key, given.body, given.quoted);
  const sent = await SENDERS[given.body.kind]({ ...given, to: widText(given.chat.id), options });
  return sent?.sendMsgResult ?? null;
}

/** A text by exact names, while wa-js is not there yet or lacks a binding. */
async function sendByName({ chat, from, key, body, quoted }) {
  const send = callable('WAWebSendMsgChatAction', 'addAndSendMsgToChat')
    ?? wppFound('functions', 'addAndSendMsgToChat');
  if (!send) throw new Error('WAWebSendMsgChatAction.addAndSendMsgToChat is missing');
  let ephemeral = {};
  try {
    ephemeral = callable('WAWebGetEphemeralFieldsMsgActionsUtils', 'getEphemeralFields')?.(chat) ?? {};
  } catch {
    // A chat without disappearing messages has none.
  }
  const message = {
    ...ephemeral, id: key, ack: 0, body: body.text, from, to: chat.id, local: true, self: 'out',
    t: Math.floor(Date.now() / 1000), isNewMsg: true, type: 'chat',
    ...(body.mentions?.length > 0 && { mentionedJidList: body.mentions.map((id) => makeWid(id)) }),
    ...quoted?.msgContextInfo(chat.id),
  };
  gate.set(keyParts(key).id, 'passed');
  const [stored, result] = await send(chat, message);
  await stored;
  return result;
}

/** Hands one message of any kind over, or says why it was not. */
async function sendMessage(args) {
  const { id, to, body, ack_ms: ackMs, check_ms: checkMs, search_ms: searchMs, by } = args;
  const before = readLevels();
  if (!readiness(before)) {
    return { state: 'not_ready', socket: before.socket, mode: before.mode, missing: before.missing };
  }
  const deadline = performance.now() + ackMs;
  const left = () => Math.max(0, deadline - performance.now());
  if (Object.hasOwn(CHANGES, body.kind)) return changeMessage(args, left);
  const plain = body.kind === 'text';
  const given = { id, body, file: args.file };
  let guarded;
  // From here to the gate nothing has been handed over.
  try {
    guarded = guardSends();
    const found = await prepareChat(to, id, checkMs, left);
    if (found.end) return await found.end;
    given.chat = found.chat;
    Object.assign(given, keyFor(given.chat, id));
    if (!plain) await wppFully(left());
    for (const [name, target] of [['quoted', body.reply_to], ['target', forwarded(body)]]) {
      if (!target) continue;
      const other = await findTarget(target, Math.min(searchMs, left()));
      if (!other.msg && other.searched) return REFUSED('no_such_message');
      if (!other.msg) throw new Error(other.why ?? 'a message could not be looked for');
      given[name] = other.msg;
    }
  } catch (thrown) {
    return notSent('prepare', thrown);
  }

  gate.set(id, 'open');
  trim(gate, GATE_LIMIT);
  followOwn(id, null);
  if (body.kind === 'media' && !guardFiles()) gate.set(id, 'passed');
  if (!plain && !guarded) gate.set(id, 'passed');
  if (!plain || (guarded && by !== 'name' && wppLevel() >= 3)) {
    const sent = sendByWpp(given);
    const ended = await Promise.race([
      sent.then(() => true, () => true),
      ackWithin(id, null, left()).then(() => false),
    ]);
    if (gate.get(id) === 'passed') return settle(id, given.chat, sent, left);
    // wa-js failed, or hangs, before the gate: shut it, then go our own way.
    gate.set(id, 'shut');
    if (!ended) {
      previewLate.add(id);
      trim(previewLate, GATE_LIMIT);
      return notSent('hang', new Error('wa-js did not hand the message over in time'));
    }
    if (!plain) {
      return sent.then(
        () => notSent('prepare', new Error('wa-js ended without handing the message over')),
        (thrown) => notSent('prepare', thrown),
      );
    }
  }
  const sent = sendByName(given);
  sent.catch(() => {});
  // What throws before the gate does so at once.
  if (gate.get(id) !== 'passed') return sent.catch((thrown) => notSent('prepare', thrown));
  return settle(id, given.chat, sent, left);
}

const forwarded = (body) => (body.kind === 'forward' ? body.message : null);

/** The chat to write to, or how the message ended without being written. */
async function prepareChat(to, id, checkMs, left) {
  let wid = makeWid(to);
  let chat = await chatOf(wid, false);
  if (byKey(chat, id)) return { end: settleExisting(id, byKey(chat, id), left()) };
  const byNumber = !widIs(wid, 'isGroup', 'g.us') && !widIs(wid, 'isLid', 'lid');
  if (byNumber && !isUsed(chat)) {
    let exists;
    try {
      exists = await numberExistsLately(wid, checkMs);
    } catch {
      // Not asked is not "no": the server has the last word.
    }
    if (exists === null) return { end: { state: 'rejected', reason: 'not_on_whatsapp' } };
    if (exists !== undefined) wid = exists;
  }
  chat = chat ?? await within(chatOf(wid, true), left(), null);
  if (!chat?.id) throw new Error('WhatsApp gives no chat for this recipient in time');
  const present = byKey(chat, id);
  return present ? { end: settleExisting(id, present, left()) } : { chat };
}

/** The page has this id already: wait for its ack, never add it a second time. */
async function settleExisting(id, msg, ms) {
  followOwn(id, msg);
  return byLevel(await ackWithin(id, msg, ms));
}

// ---------------------------------------------------------------- look-up

async function findOwn({ id, to, search_ms: searchMs }) {
  const wid = makeWid(to);
  const other = widIs(wid, 'isGroup', 'g.us') ? null : otherAddress(wid);
  const chats = [];
  for (const each of [wid, other]) {
    const chat = each ? await chatOf(each, false) : null;
    if (chat) chats.push(chat);
    const msg = inMemory(chat, id);
    if (msg) return { msg, searched: true };
  }
  if (chats.length === 0) {
    let chat = null;
    try {
      chat = await within(chatOf(wid, true), searchMs, null);
    } catch {
      // Some recipients can have no chat.
    }
    if (!chat) {
      // Nobody is there: then nothing was sent to them either.
      const nobody = await numberExistsLately(wid, searchMs).catch(() => undefined) === null;
      return { msg: null, searched: nobody, why: 'the chat cannot be loaded' };
    }
    chats.push(chat);
    const msg = inMemory(chat, id);
    if (msg) return { msg, searched: true };
  }
  return searchStored(chats, id, searchMs);
}

/** Asks WhatsApp's own database, by every way that it offers. */
async function searchStored(chats, id, searchMs, keyOf = (chat) => keyFor(chat, id).key) {
  let searched = false;
  let why = 'wa-js and its search are not there';
  for (const chat of chats) {
    const key = keyOf(chat);
    const store = msgStore();
    if (typeof store?.getMessagesById === 'function') {
      try {
        const found = await within(store.getMessagesById([String(key)]), searchMs, null);
        const msg = found?.messages?.find((each) => keyParts(each?.id)?.id === id);
        if (msg) return { msg, searched: true };
        if (found !== null) searched = true;
      } catch (thrown) {
        why = plainError(thrown).message;
      }
    }
    if (await wppWithin(searched ? 0 : searchMs) && typeof window.WPP.chat?.getMessageById === 'function') {
      try {
        const msg = await within(window.WPP.chat.getMessageById(key), searchMs, null);
        if (msg) return { msg, searched: true };
      } catch (thrown) {
        const { name, message } = plainError(thrown);
        const code = String(thrown?.code ?? name);
        // Only this one says that the chat was there and had been searched.
        if (code === 'msg_not_found' || /^Message .* not found$/.test(message)) searched = true;
        else why = message;
      }
    }
  }
  return { msg: null, searched, why };
}

async function lookupOwn(args) {
  const levels = readLevels();
  if (levels.socket !== 'CONNECTED' || levels.synced !== true) {
    return { found: false, conclusive: false, why: `not synced: ${levels.socket}` };
  }
  const found = await findOwn(args);
  if (found.msg) {
    followOwn(args.id, found.msg);
    const level = Number(found.msg.ack ?? 0);
    return { found: true, level: Number.isInteger(level) ? level : 0 };
  }
  return { found: false, conclusive: found.searched, wpp: wppLevel(), why: found.why ?? '' };
}

async function resendOwn(args) {
  const { id, ack_ms: ackMs } = args;
  const found = await findOwn(args);
  if (!found.msg) return { state: 'absent', conclusive: found.searched };
  const { msg } = found;
  followOwn(id, msg);
  const deadline = performance.now() + ackMs;
  const left = () => Math.max(0, deadline - performance.now());
  // The page sends its outbox by itself after it has connected: give it the first third.
  let level = await ackWithin(id, msg, ackMs / 3);
  if (level > 0) return byLevel(level);
  if (typeof msg.resend === 'function') {
    try {
      await within(msg.resend(), left(), null);
    } catch (thrown) {
      return { state: 'unknown', error: plainError(thrown) };
    }
  }
  level = await ackWithin(id, msg, left(), level);
  // WhatsApp clears a failure before it tries again: wait for what comes of that too.
  if (level === 0) level = await ackWithin(id, msg, left());
  return byLevel(level);
}
