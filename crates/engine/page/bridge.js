// The gateway's way in: one function that takes a name and arguments and
// always answers with text, whatever the page does to prototypes or promises.

const CALLS = {
  health: () => {
    beginPulse();
    return { doc: DOC, seq: sequence, levels: snapshot().body, waiting: waiting.size, happenings: happened.size };
  },
  adopt: async (args) => {
    // Under the epoch before: what the page says of its conflict is not heard any more.
    if (args.take_over_ms) await takeOver(args.take_over_ms);
    epoch = args.epoch;
    lastSnapshot = '';
    // The answer to what was asked in the epoch before may have gone with it.
    libraryAsked = false;
    // A script that is ended takes what waited in the microtask queue with it.
    looking = false;
    qrBusy = false;
    beginPulse();
    if (waiting.size > 0) emit('inbox', { waiting: waiting.size });
    if (happened.size > 0) emit('happenings', { waiting: happened.size });
    return { doc: DOC };
  },
  reconnect: reconnectNow,
  send: delivers(sendMessage),
  lookup: delivers(lookupOwn),
  resend: delivers(resendOwn),
  file_begin: beginFile,
  file_piece: addPiece,
  file_open: openFile,
  file_read: readFile,
  file_drop: dropFile,
  inbox_fetch: (args) => fetchInbox(args.limit),
  inbox_confirm: (args) => confirmInbox(args.keys),
  inbox_sweep: (args) => {
    const swept = startSweeping(args);
    sweepHappenings(true);
    return swept;
  },
  happenings_fetch: fetchHappenings,
  happenings_confirm: confirmHappenings,
  resume: resumeOwn,
  check_number: checkNumber,
  perform: performAction,
  chats: listChats,
  pair_code: pairCode,
  answer_passkey: answerPasskey,
  logout,
};

async function checkNumber({ number, ms }) {
  const wid = makeWid(number);
  const exists = await numberExists(wid, ms);
  if (exists !== undefined) return { known: true, id: exists === null ? null : widText(exists) };
  // wa-js answers null for "no" and for "could not ask" alike: only its yes counts.
  if (wppLevel() >= 2) {
    const found = await within(window.WPP.contact.queryExists(number), ms, null);
    const id = widText(found?.wid);
    if (id) return { known: true, id };
  }
  return { known: false, id: null };
}

function listChats({ limit }) {
  const chats = [];
  for (const chat of models(chatStore())) {
    const id = widText(chat?.id);
    if (!id || !/@(c\.us|lid|g\.us)$/.test(id)) continue;
    const title = chat.formattedTitle ?? chat.name ?? chat.contact?.name ?? id.split('@')[0];
    chats.push({
      id, name: cut(String(title), 200), is_group: id.endsWith('@g.us'),
      unread: Math.max(0, Number(chat.unreadCount) || 0), t: messageTime(chat),
    });
  }
  chats.sort((a, b) => b.t - a.t);
  return { chats: chats.slice(0, limit), total: chats.length };
}

async function pairCode({ phone }) {
  // WhatsApp Web has no socket to ask through once it has stopped showing codes.
  if (readLevels().socket === 'UNPAIRED_IDLE') {
    member('WAWebCmd', 'Cmd')?.refreshQR();
    await levelsBecome((levels) => levels.socket !== 'UNPAIRED_IDLE', 5000);
  }
  pairCodeAt = performance.now();
  const api = mod('WAWebAltDeviceLinkingApi');
  if (typeof api?.startAltLinkingFlow === 'function') {
    api.setPairingType?.('ALT_DEVICE_LINKING');
    await api.initializeAltDeviceLinking?.();
    return { code: String(await api.startAltLinkingFlow(phone, true)) };
  }
  if (wppLevel() >= 2) {
    return { code: String(await window.WPP.conn.genLinkDeviceCodeForPhoneNumber(phone, true)) };
  }
  throw new Error('WAWebAltDeviceLinkingApi.startAltLinkingFlow is missing');
}

const inConflict = (levels) => levels.socket === 'CONFLICT' || levels.mode === 'CONFLICT';

/** Takes the link back from whoever opened it elsewhere, and waits until the page goes on. */
async function takeOver(ms) {
  if (!inConflict(readLevels())) return;
  const socket = socketOf();
  if (typeof socket?.takeover !== 'function') {
    throw new Error('WAWebSocketModel.Socket.takeover is missing');
  }
  const until = performance.now() + ms;
  await within(socket.takeover(), ms);
  await levelsBecome((levels) => !inConflict(levels), until - performance.now());
}

/** Has a page that waits between two tries connect now. */
function reconnectNow() {
  const levels = readLevels();
  if (levels.socket === 'CONNECTED' || isUnpaired(levels) || inConflict(levels)) return {};
  const socket = socketOf();
  // Its own word for it (the banner's "retry"); else what a browser says when the network is back.
  if (typeof socket?.poke === 'function') socket.poke();
  else window.dispatchEvent(new Event('online'));
  return {};
}

async function logout() {
  const socket = socketOf();
  if (typeof socket?.logout === 'function') await socket.logout();
  else if (wppLevel() >= 2) await window.WPP.conn.logout();
  else throw new Error('WAWebSocketModel.Socket.logout is missing');
  return {};
}

Object.defineProperty(window, CONFIG.bridge, {
  enumerable: false,
  value: async (name, forEpoch, args) => {
    try {
      if (name !== 'adopt' && forEpoch !== epoch) {
        return JSON.stringify({ error: { name: 'OtherEpoch', message: '', stack: '' } });
      }
      if (!Object.hasOwn(CALLS, name)) throw new Error(`no such call: ${name}`);
      return JSON.stringify({ ok: await CALLS[name](args) });
    } catch (thrown) {
      return JSON.stringify({ error: plainError(thrown) });
    }
  },
});
