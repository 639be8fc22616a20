// The probe: reads how WhatsApp Web is, by level, and tells the gateway what changed.
//
// Events only say when to look again. Where one is missed, or the page fires
// none, a slow timer finds the same level a moment later.

/** Text needs these; each by exact name first, by wa-js's own search second. */
const NEEDED = [
  ['WAWebSocketModel.Socket', () => Boolean(member('WAWebSocketModel', 'Socket') ?? wppFound('whatsapp', 'Socket'))],
  ['WAWebCollections.Msg', () => Boolean(msgStore())],
  ['WAWebCollections.Chat', () => Boolean(chatStore())],
  ['WAWebMsgKey', () => Boolean(msgKeyClass())],
  ...[
    ['WAWebWidFactory', 'createWid'],
    ['WAWebFindChatAction', 'findOrCreateLatestChat'],
    ['WAWebSendMsgChatAction', 'addAndSendMsgToChat'],
  ].map(([name, key]) => [`${name}.${key}`, () => Boolean(callable(name, key) ?? wppFound('functions', key))]),
];

/** Each of these missing switches its own feature off, and nothing else. */
const OPTIONAL = [
  ['WAWebStreamModel', 'Stream'],
  ['WAWebConnModel', 'Conn'],
  ['WAWebCmd', 'Cmd'],
  ['WAWebUserPrefsMeUser', 'getMaybeMePnUser'],
  ['WAWebUserPrefsMeUser', 'getMaybeMeLidUser'],
  ['WAWebQueryExistsJob', 'queryWidExists'],
  ['WAWebGetEphemeralFieldsMsgActionsUtils', 'getEphemeralFields'],
  ['WAWebAltDeviceLinkingApi', 'startAltLinkingFlow'],
];

/** How long until the next look, by what the last one found. Events come sooner. */
const POLL_MS = { first: 10, early: 20, starting: 100, unpaired: 500, ready: 1000 };
/** A look that is so late was held up by a script that somebody had to end, or by the machine. */
const HELD_UP_MS = 200;
/** A page is early for so long: what it comes to then is what a recovery waits for. */
const EARLY_MS = 3000;
/** No module more for so long: what is missing now stays missing. */
const SETTLED_MS = 3000;
/** wa-js, which finds by what a module exports what has lost its name, gets so long to get ready. */
const LIBRARY_MS = 25000;
/** Where modules cannot be counted, so long after the document has loaded. */
const SETTLED_BLIND_MS = 15000;
/** WhatsApp Web shows a few QRs and then waits to be asked for more. */
const REFRESH_QR_GAP_MS = 2000;
/** A pairing code lives so long; a new QR meanwhile would take it away. */
const PAIR_CODE_MS = 180000;

const socketOf = () => member('WAWebSocketModel', 'Socket') ?? wppFound('whatsapp', 'Socket');
const streamOf = () => member('WAWebStreamModel', 'Stream') ?? (wppLevel() >= 3 ? wppFound('whatsapp', 'Stream') : null);
const connOf = () => member('WAWebConnModel', 'Conn') ?? (wppLevel() >= 3 ? wppFound('whatsapp', 'Conn') : null);

const started = performance.now();
let loadedAt = null;
let lastSnapshot = '';
/** As the last look found it: what came while the link was away has arrived. */
let pageReady = false;
let sequence = 0;
let qr = { ref: null, code: null };
let shown = { ref: null, until: null };
let lastRefresh = -Infinity;
let pairCodeAt = -Infinity;
let moduleCount = { value: -1, since: performance.now(), readAt: -Infinity };
const bound = new Map();

/** Whether the page's own start has come far enough for its modules to be asked for.
 *
 * Asking runs a module's factory; done before the page is there to do it itself,
 * that would change the order in which WhatsApp Web starts. */
function startedUp() {
  if (window.Debug?.VERSION !== undefined) return true;
  if (document.readyState === 'complete' && loadedAt === null) loadedAt = performance.now();
  return loadedAt !== null && performance.now() - loadedAt > 150;
}

/** Whether modules have stopped coming, and wa-js has had its time. */
function settled() {
  const now = performance.now();
  if (document.readyState !== 'complete') return false;
  if (loadedAt === null) loadedAt = now;
  if (now - moduleCount.readAt > 250) {
    let value = -1;
    try {
      value = Object.keys(window.require('__debug').modulesMap).length;
    } catch {
      value = -1;
    }
    moduleCount.readAt = now;
    if (value !== moduleCount.value) {
      moduleCount.value = value;
      moduleCount.since = now;
    }
  }
  const quiet = now - Math.max(moduleCount.since, loadedAt);
  if (wppLevel() === 1 && quiet < LIBRARY_MS) return false;
  return quiet >= (moduleCount.value > 0 ? SETTLED_MS : SETTLED_BLIND_MS);
}

function readMe() {
  const ask = (key) => {
    try {
      return widText(callable('WAWebUserPrefsMeUser', key)?.());
    } catch {
      return null;
    }
  };
  const me = { pn: ask('getMaybeMePnUser'), lid: ask('getMaybeMeLidUser'), name: null };
  if (me.pn === null && me.lid === null && wppLevel() >= 3) {
    try {
      me.pn = widText(window.WPP.conn.getMyUserId());
    } catch {
      // Not logged in, or wa-js does not find it either.
    }
  }
  const name = connOf()?.pushname;
  if (typeof name === 'string' && name !== '') me.name = cut(name, 200);
  return me;
}

/** A reason code in the address means that WhatsApp has logged this link out. */
function readLogout() {
  try {
    const query = new URLSearchParams(location.search);
    if (query.get('post_logout') !== '1') return null;
    const reason = Number.parseInt(query.get('logout_reason') ?? '', 10);
    return { reason: Number.isFinite(reason) ? reason : null };
  } catch {
    return null;
  }
}

const textOrNull = (value) => (typeof value === 'string' ? value : null);

/** Every level at once. Never throws. */
function readLevels() {
  const levels = {
    socket: null, synced: null, mode: null, ref: null, needs_update: false,
    me: { pn: null, lid: null, name: null },
    version: textOrNull(window.Debug?.VERSION), logout: readLogout(),
    wpp: wppLevel(), missing: [], missing_optional: [], settled: false,
  };
  if (!startedUp()) return levels;
  try {
    const socket = socketOf();
    levels.socket = textOrNull(socket?.state);
    levels.synced = typeof socket?.hasSynced === 'boolean' ? socket.hasSynced : null;
    const stream = streamOf();
    levels.mode = textOrNull(stream?.mode);
    levels.needs_update = stream?.needsUpdate === true;
    levels.ref = textOrNull(connOf()?.ref);
    levels.me = readMe();
    levels.missing = NEEDED.filter(([, there]) => !there()).map(([name]) => name);
    levels.missing_optional = OPTIONAL.filter(([name, key]) => member(name, key) === null)
      .map(([name, key]) => `${name}.${key}`);
    levels.settled = levels.missing.length === 0 && levels.socket !== null ? true : settled();
  } catch {
    // A half-built page: the next look sees more.
  }
  return levels;
}

function readiness(levels) {
  return levels.socket === 'CONNECTED' && levels.synced === true
    && (levels.mode === null || levels.mode === 'MAIN') && levels.missing.length === 0;
}

const isUnpaired = (levels) => levels.socket === 'UNPAIRED' || levels.socket === 'UNPAIRED_IDLE';

/** The string that a phone scans, for the ref on show: whatsapp-web.js's way, else wa-js's. */
async function qrCode(ref) {
  try {
    const [noise, registration, secret] = await Promise.all([
      member('WAWebUserPrefsInfoStore', 'waNoiseInfo').get(),
      member('WAWebSignalStoreApi', 'waSignalStore').getRegistrationInfo(),
      callable('WAWebUserPrefsMultiDevice', 'getADVSecretKey')(),
    ]);
    const base64 = callable('WABase64', 'encodeB64');
    const platform = member('WAWebCompanionRegClientUtils', 'DEVICE_PLATFORM');
    return [
      ref,
      base64(noise.staticKeyPair.pubKey),
      base64(registration.identityKeyPair.pubKey),
      secret,
      platform,
    ].join(',');
  } catch {
    // A binding is missing or not filled yet; wa-js finds them by another way.
  }
  try {
    if (wppLevel() < 2) return null;
    const auth = await window.WPP.conn.getAuthCode();
    if (!auth?.fullCode || auth.ref !== ref) return null;
    const platform = member('WAWebCompanionRegClientUtils', 'DEVICE_PLATFORM');
    const parts = auth.fullCode.split(',').length;
    return parts === 4 && platform !== null ? `${auth.fullCode},${platform}` : auth.fullCode;
  } catch {
    return null;
  }
}

/** A ref's life by WhatsApp Web's own word is between these; anything else is no such word. */
const REF_TTL_MS = { least: 100, most: 300000 };
/** Until when a phone may scan this ref, in Unix milliseconds, or null where the page
 * does not tell. Fixed when the ref is first seen, which its own event makes the moment it came. */
function refUntil(ref) {
  if (shown.ref !== ref) {
    const ttl = Number(connOf()?.refTTL);
    const told = ttl >= REF_TTL_MS.least && ttl <= REF_TTL_MS.most;
    shown = { ref, until: told ? Math.round(Date.now() + ttl) : null };
  }
  return shown.until;
}

let qrBusy = false;
function followQr(levels) {
  // Another code would take the phone's yes away that the passkey is asked for.
  if (!isUnpaired(levels) || passkeyWanted()) return;
  if (levels.socket === 'UNPAIRED_IDLE') {
    const now = performance.now();
    if (now - lastRefresh < REFRESH_QR_GAP_MS || now - pairCodeAt < PAIR_CODE_MS) return;
    lastRefresh = now;
    try {
      member('WAWebCmd', 'Cmd')?.refreshQR();
    } catch {
      // Asked again at the next look.
    }
    return;
  }
  if (levels.ref === null || levels.ref === qr.ref || qrBusy) return;
  qrBusy = true;
  const ref = levels.ref;
  qrCode(ref)
    .then((code) => {
      // A ref that changed meanwhile is read again by the look that follows.
      if (code !== null) qr = { ref, code };
    })
    .finally(() => {
      qrBusy = false;
      look();
    });
}

/** The levels as the gateway gets them. */
function snapshot() {
  const levels = readLevels();
  const ready = readiness(levels);
  const { ref, ...rest } = levels;
  const until = isUnpaired(levels) && ref !== null ? refUntil(ref) : null;
  const code = isUnpaired(levels) && ref !== null && qr.ref === ref ? qr.code : null;
  return {
    levels, ready,
    body: { ...rest, qr: code, qr_until_ms: code === null ? null : until, passkey: passkeyLevel() },
  };
}

/** Who waits for the levels to become something. */
const awaited = new Set();
/** Ends with the look that finds the levels as they are wanted, at most after `ms`. */
function levelsBecome(wanted, ms) {
  if (wanted(readLevels())) return Promise.resolve();
  const waiting = { wanted };
  const come = new Promise((resolve) => { waiting.resolve = resolve; });
  awaited.add(waiting);
  return within(come, ms).finally(() => awaited.delete(waiting));
}

/** Looks, and tells the gateway where anything is different from the last time. */
function look() {
  bindEvents();
  const { levels, ready, body } = snapshot();
  pageReady = ready;
  for (const waiting of awaited) if (waiting.wanted(levels)) waiting.resolve();
  followQr(levels);
  const text = JSON.stringify(body);
  if (text !== lastSnapshot) {
    sequence += 1;
    if (emit('levels', { seq: sequence, levels: body })) lastSnapshot = text;
  }
  followLibrary(levels, ready);
  return { levels, ready };
}

let looking = false;
/** Looks once the code that fired an event has finished. */
function lookSoon() {
  if (looking) return;
  looking = true;
  queueMicrotask(() => {
    looking = false;
    try {
      look();
    } catch {
      // The timer looks again.
    }
  });
}

/** Subscribes to whatever has appeared, or was replaced, since the last look. */
function bindEvents() {
  if (!startedUp()) return;
  const bind = (name, target, events, handler) => {
    if (!target || bound.get(name) === target) return;
    bound.set(name, target);
    listen(target, events, handler);
  };
  bind('socket', socketOf(), ['change:state', 'change:hasSynced', 'change:stream'], lookSoon);
  bind('stream', streamOf(), ['change:mode', 'change:info', 'change:needsUpdate'], lookSoon);
  bind('conn', connOf(), ['change:ref', 'change:pushname'], lookSoon);
  bind('cmd', member('WAWebCmd', 'Cmd'), ['logout', 'logout_from_bridge', 'main_loaded',
    'offline_progress_update_from_bridge'], lookSoon);
  bind('msg', msgStore(), ['add'], onMessageAdded);
  bind('ack', msgStore(), ['change:ack'], onAckChanged);
  bind('type', msgStore(), ['change:type'], onTypeChanged);
  bind('body', msgStore(), ['change:body'], onMessageChanged);
  bindHappenings();
}

let pulseTimer = null;
let pulseDue = null;

function pulseIn(ms) {
  clearTimeout(pulseTimer);
  pulseDue = performance.now() + ms;
  pulseTimer = setTimeout(pulse, ms);
}

/** Looks again and again. The next look is set before this one begins, so that a
 * script that is ended from outside in the middle of it does not end the pulse. */
function pulse() {
  const heldUp = pulseDue !== null && performance.now() - pulseDue > HELD_UP_MS;
  if (heldUp) {
    // Whoever has freed the page comes first, and this look right after.
    pulseIn(POLL_MS.early);
    pulseDue = null;
    return;
  }
  pulseIn(POLL_MS.ready);
  let next = POLL_MS.starting;
  try {
    const { levels, ready } = look();
    readAcks();
    if (ready) {
      sweepInbox();
      sweepHappenings();
      next = POLL_MS.ready;
    } else if (isUnpaired(levels)) {
      next = POLL_MS.unpaired;
    } else if (performance.now() - started < EARLY_MS && !isOnItsWay(levels)) {
      // From there on events tell, and the page has its processor for itself.
      next = levels.socket === null ? POLL_MS.first : POLL_MS.early;
    }
  } catch {
    // Half-built page; see the next pulse.
  }
  pulseIn(next);
}

/** Looks, and begins the pulse anew once whoever asked has the answer. */
function beginPulse() {
  pulseIn(0);
  try {
    look();
  } catch {
    // Half-built page; see the pulse.
  }
}
