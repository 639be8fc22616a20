// What each kind of message is to wa-js: how it is handed over, and how an
// existing message is changed. `send.js` decides whether and when.

/** The key of a message anywhere, as WhatsApp Web's own class. */
function keyOfTarget(chat, { id, from_me: fromMe, participant }) {
  if (fromMe) return keyFor(chat, id).key;
  const Key = msgKeyClass();
  if (!Key) throw new Error('WAWebMsgKey is missing');
  const author = participant ? makeWid(participant) : undefined;
  return new Key({ fromMe: false, remote: chat.id, id, participant: author });
}

const isTarget = ({ id, from_me: fromMe }) => (msg) => {
  const key = keyParts(msg?.id);
  return key?.id === id && key.fromMe === fromMe;
};

/**
 * The message that another one speaks of. `searched` where its chat was
 * searched: then a message that is not found is not there.
 */
async function findTarget(target, searchMs) {
  const wid = makeWid(target.chat);
  const other = widIs(wid, 'isGroup', 'g.us') ? null : otherAddress(wid);
  const chats = [];
  for (const each of [wid, other]) {
    const chat = each ? await chatOf(each, false) : null;
    if (chat) chats.push(chat);
  }
  const matches = isTarget(target);
  for (const chat of chats) {
    const msg = models(chat.msgs).find(matches);
    if (msg) return { msg, searched: true };
  }
  const msg = models(msgStore()).find(matches);
  if (msg) return { msg, searched: true };
  // All chats are in memory once the page has synced.
  if (chats.length === 0) return { msg: null, searched: true, why: 'there is no such chat' };
  return searchStored(chats, target.id, searchMs, (chat) => keyOfTarget(chat, target));
}

/** Options that all of wa-js's senders share. */
function wppOptions(key, body, quoted) {
  return {
    messageId: key, createChat: true, waitForAck: true, markIsRead: false, detectMentioned: false,
    delay: 0, linkPreview: false,
    ...(quoted && { quotedMsg: quoted }),
    ...(body.mentions?.length > 0 && { mentionedList: body.mentions.map((id) => makeWid(id)) }),
  };
}

/** Previews that held a message up: the next try goes without. */
const previewLate = new Set();

const SENDERS = {
  text: ({ id, to, body, options }) => window.WPP.chat.sendTextMessage(to, body.text, {
    ...options, linkPreview: body.link_preview === true && !previewLate.has(id),
  }),
  media: ({ to, body, options, file }) => {
    const { as, caption, file: { mime, name } } = body;
    return window.WPP.chat.sendFileMessage(to, wholeFile(file, name ?? `${as}.${extensionOf(mime)}`), {
      ...options,
      type: as === 'voice' ? 'audio' : as,
      ...(as === 'voice' && { isPtt: true, waveform: true }),
      ...(caption && { caption }),
      ...(name && { filename: name }),
      mimetype: mime,
    });
  },
  location: ({ to, body, options }) => window.WPP.chat.sendLocationMessage(to, {
    ...options, lat: body.latitude, lng: body.longitude, name: body.name, address: body.address,
  }),
  contacts: ({ to, body, options }) => {
    const cards = body.cards.map(({ name, vcard }) => ({ displayName: name, vcard }));
    const raw = cards.length === 1
      ? { type: 'vcard', body: cards[0].vcard, vcardFormattedName: cards[0].displayName }
      : { type: 'multi_vcard', vcardList: cards };
    return window.WPP.chat.sendRawMessage(to, raw, options);
  },
  poll: ({ to, body, options }) => window.WPP.chat.sendCreatePollMessage(to, body.question, body.options, {
    ...options, selectableCount: body.selectable,
  }),
  forward: forwardTarget,
};

function extensionOf(mime) {
  const found = /^[a-z]+\/(?:x-|vnd\.)?([a-z0-9]{1,8})/.exec(mime);
  return found ? found[1] : 'bin';
}

/** Chat -> key of the forward under way in it. One message of a chat is under way at a time. */
const forwards = new Map();

/**
 * WhatsApp's own forwarding mints an id of its own. Its message gets ours at
 * the gate, so that it can be looked up like any other.
 */
async function forwardTarget({ id, chat, to, key, target }) {
  forwards.set(to, key);
  try {
    const before = new Set(models(chat.msgs).map((msg) => keyParts(msg?.id)?.id));
    const results = await window.WPP.chat.forwardMessages(to, [target], { displayCaptionText: true });
    if (gate.get(id) === 'passed') return { sendMsgResult: Array.isArray(results) ? results[0] : null };
    // It went around the gate: whatever is new in the chat is it, under WhatsApp's own id.
    const msg = models(chat.msgs).find((each) => each?.id && isOwnForward(each, before));
    if (!msg) throw new Error('WhatsApp Web forwarded nothing');
    gate.set(id, 'passed');
    followOwn(id, msg);
    return { sendMsgResult: null };
  } finally {
    forwards.delete(to);
  }
}

function isOwnForward(msg, before) {
  const key = keyParts(msg.id);
  return Boolean(key?.fromMe) && msg.isForwarded === true && !before.has(key.id);
}

/** Gives the message of a forward its key, where the gate meets it. */
function keyOfForward(chat, message) {
  const key = forwards.get(widText(chat?.id));
  if (key === undefined || message?.isForwarded !== true) return message;
  forwards.delete(widText(chat.id));
  if (typeof message.set === 'function') {
    message.set({ id: key });
    return message;
  }
  return { ...message, id: key };
}

// -------------------------------------------- changes of existing messages

const REFUSED = (reason) => ({ state: 'rejected', reason });

/** What to do to the message that is meant. Doing any of it twice is doing it once. */
const CHANGES = {
  reaction: async ({ msg, body }) => {
    const { sendMsgResult } = await window.WPP.chat.sendReactionToMessage(msg, body.emoji);
    return sendMsgResult;
  },
  edit: async ({ msg, body, key }) => {
    if (!keyParts(msg.id)?.fromMe) return REFUSED('not_ours');
    if ((msg.type === 'chat' ? msg.body : msg.caption) === body.text) return 'OK';
    try {
      const sent = await window.WPP.chat.editMessage(String(msg.id), body.text, {
        messageId: key, detectMentioned: false, markIsRead: false, linkPreview: false,
      });
      return sent?.sendMsgResult;
    } catch (thrown) {
      if (thrown?.code === 'edit_message_error') return REFUSED('not_editable');
      throw thrown;
    }
  },
  revoke: async ({ msg, chat }) => {
    // wa-js deletes another's message for this account alone: never what was meant.
    if (!keyParts(msg.id)?.fromMe) return REFUSED('not_ours');
    if (msg.type === 'revoked') return 'OK';
    if (callable('WAWebMsgActionCapability', 'canSenderRevokeMsg')?.(msg) === false) {
      return REFUSED('too_late_to_revoke');
    }
    const done = await window.WPP.chat.deleteMessage(widText(chat.id), String(msg.id), true, true);
    return done?.isRevoked === true ? 'OK' : done?.sendMsgResult;
  },
};

/** Changes another message: no message of its own, so no gate and nothing to look up. */
async function changeMessage({ id, to, body, search_ms: searchMs }, left) {
  let msg;
  let chat;
  let key;
  try {
    await wppFully(left());
    const found = await findTarget(body.message, Math.min(searchMs, left()));
    if (!found.msg) {
      if (found.searched) return REFUSED('no_such_message');
      throw new Error(found.why ?? 'the message could not be looked for');
    }
    ({ msg } = found);
    chat = await chatOf(msg.id.remote ?? makeWid(to), false);
    if (!chat) throw new Error('the chat of the message is not in the page');
    ({ key } = keyFor(chat, id));
  } catch (thrown) {
    return notSent('prepare', thrown);
  }
  try {
    const late = {};
    const result = await within(CHANGES[body.kind]({ msg, chat, key, body }), left(), late);
    if (result === late) return { state: 'handed', level: 0 };
    if (result?.state) return result;
    const word = result?.messageSendResult ?? result;
    // Some of WhatsApp's functions answer nothing where all is well.
    if (word === undefined || word === null || word === 'OK') return { state: 'handed', level: 1 };
    return { state: 'result', result: String(word) };
  } catch (thrown) {
    return { state: 'unknown', error: plainError(thrown) };
  }
}
