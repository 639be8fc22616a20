// What the other files here share: looking WhatsApp Web's modules up, reading
// its ids, and talking to the gateway.
//
// src/script.rs joins the files here, in its order, into
// one strict function that runs before the page's own code. CONFIG comes from there:
// {binding, text_chars, hold_passkeys}. Nothing here may throw while it is being loaded, and
// no module is remembered: WhatsApp Web and wa-js replace them while they run.

/** Names this document among all that the page has shown. */
const DOC = (() => {
  const bytes = new Uint8Array(8);
  crypto.getRandomValues(bytes);
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
})();

/** The connection epoch that this document belongs to. None until `adopt` gives one. */
let epoch = null;

/** Hands one message to the gateway. The binding may come a moment after us. */
function emit(kind, body) {
  const send = window[CONFIG.binding];
  if (typeof send !== 'function' || epoch === null) return false;
  try {
    send(JSON.stringify({ kind, doc: DOC, epoch, ...body }));
    return true;
  } catch {
    return false;
  }
}

/** At most `most` units of a text, and no half of a surrogate pair: strangers write
 * these, and JSON that holds such a half cannot be read by the gateway. */
function cut(text, most) {
  const last = text.length > most ? text.charCodeAt(most - 1) : 0;
  const end = last >= 0xd800 && last <= 0xdbff ? most - 1 : most;
  return text.slice(0, end).replace(/\p{Surrogate}/gu, '\ufffd');
}

/** Any thrown thing as plain data. */
function plainError(thrown) {
  const text = (value) => {
    try {
      return cut(String(value), 4000);
    } catch {
      return 'unprintable';
    }
  };
  if (thrown !== null && typeof thrown === 'object') {
    return {
      name: text(thrown.name ?? 'Error'),
      message: text(thrown.message ?? thrown.text ?? thrown),
      stack: text(thrown.stack ?? ''),
    };
  }
  return { name: 'Error', message: text(thrown), stack: '' };
}

/** A module by its exact name, or null: WhatsApp's require throws for unknown names. */
function mod(name) {
  const load = window.require;
  if (typeof load !== 'function') return null;
  try {
    return load(name) ?? null;
  } catch {
    return null;
  }
}

/** The object whose members the page itself calls through, for replacing one of them. */
function namespace(name) {
  if (typeof window.importNamespace === 'function') {
    try {
      const live = window.importNamespace(name);
      if (live) return live;
    } catch {
      // Unknown name: the plain look-up below says so too.
    }
  }
  return mod(name);
}

/** One member of a module, read anew each time. */
function member(name, key) {
  try {
    return mod(name)?.[key] ?? null;
  } catch {
    return null;
  }
}

/** A function of a module, bound to the module as the page would call it. */
function callable(name, key) {
  const owner = mod(name);
  try {
    return typeof owner?.[key] === 'function' ? (...args) => owner[key](...args) : null;
  } catch {
    return null;
  }
}

/** How far wa-js is: 0 absent, 1 there, 2 ready, 3 fully ready. */
function wppLevel() {
  try {
    const wpp = window.WPP;
    if (!wpp) return 0;
    if (wpp.isFullReady) return 3;
    return wpp.isReady ? 2 : 1;
  } catch {
    return 0;
  }
}

/** What wa-js failed to find, with the time: each of its misses searches every module again. */
const wppMisses = new Map();

/** A thing that wa-js found by what it exports, for where the exact name is gone. */
function wppFound(group, key) {
  if (wppLevel() < 2) return null;
  const name = `${group}.${key}`;
  const missed = wppMisses.get(name);
  if (missed !== undefined && performance.now() - missed < 5000) return null;
  let found = null;
  try {
    const owner = group === 'whatsapp' ? window.WPP.whatsapp : window.WPP.whatsapp[group];
    found = owner?.[key] ?? null;
  } catch {
    found = null;
  }
  if (found === null) wppMisses.set(name, performance.now());
  else wppMisses.delete(name);
  return found;
}

const msgStore = () => member('WAWebCollections', 'Msg') ?? wppFound('whatsapp', 'MsgStore');
const chatStore = () => member('WAWebCollections', 'Chat') ?? wppFound('whatsapp', 'ChatStore');

/** WAWebMsgKey exports nothing but its class; be ready for either form. */
function msgKeyClass() {
  const found = mod('WAWebMsgKey');
  if (typeof found === 'function') return found;
  if (typeof found?.default === 'function') return found.default;
  const other = wppFound('whatsapp', 'MsgKey');
  return typeof other === 'function' ? other : null;
}

function makeWid(text) {
  const make = callable('WAWebWidFactory', 'createWid') ?? wppFound('functions', 'createWid');
  if (!make) throw new Error('WAWebWidFactory.createWid is missing');
  return make(text);
}

/** `user@server` of a wid in whatever form, without its device number. */
function widText(wid) {
  if (wid === null || wid === undefined) return null;
  let text = null;
  try {
    if (typeof wid === 'string') text = wid;
    else if (typeof wid.user === 'string' && typeof wid.server === 'string') {
      text = `${wid.user}@${wid.server}`;
    } else if (typeof wid._serialized === 'string') text = wid._serialized;
    else text = String(wid);
  } catch {
    return null;
  }
  return text.includes('@') ? text.replace(/[:.]\d+(?=@)/, '') : null;
}

/** Asks a wid what it is (`isLid`, `isGroup`, ...), or judges by its server. */
function widIs(wid, question, server) {
  try {
    if (typeof wid?.[question] === 'function') return Boolean(wid[question]());
  } catch {
    // Judge by the text below.
  }
  return (widText(wid) ?? '').endsWith(`@${server}`);
}

/** The parts of a message key. The name of its serialised property is not to be relied on. */
function keyParts(key) {
  if (key === null || key === undefined) return null;
  try {
    if (typeof key === 'object' && typeof key.id === 'string') {
      return {
        id: key.id,
        fromMe: Boolean(key.fromMe),
        remote: widText(key.remote),
        participant: widText(key.participant),
      };
    }
    const [fromMe, remote, id, participant] = String(key).split('_');
    return id ? { id, fromMe: fromMe === 'true', remote, participant: participant ?? null } : null;
  } catch {
    return null;
  }
}

/** All models of one of WhatsApp's collections. */
function models(collection) {
  if (!collection) return [];
  try {
    if (typeof collection.getModelsArray === 'function') return collection.getModelsArray();
    if (typeof collection.toArray === 'function') return collection.toArray();
    if (Array.isArray(collection.models)) return collection.models;
    if (Array.isArray(collection._models)) return collection._models;
    if (typeof collection[Symbol.iterator] === 'function') return [...collection];
  } catch {
    // An unreadable collection counts as empty; look-ups have other ways.
  }
  return [];
}

/** How many models a collection has, without copying them where that can be avoided. */
function count(collection) {
  try {
    if (typeof collection?.length === 'number') return collection.length;
    return models(collection).length;
  } catch {
    return 0;
  }
}

/** A collection's model by key; a miss in one form of the key is tried in the other. */
function getFrom(collection, key) {
  if (typeof collection?.get !== 'function') return null;
  const forms = [() => key, () => String(key), () => key._serialized, () => widText(key)];
  for (const form of forms) {
    try {
      const text = form();
      const found = text === undefined || text === null ? null : collection.get(text);
      if (found) return found;
    } catch {
      // Some collections refuse a form instead of answering undefined.
    }
  }
  return null;
}

/** Subscribes where the target can be subscribed to at all. */
function listen(target, events, handler) {
  for (const event of events) {
    try {
      target.on(event, (...args) => {
        try {
          handler(...args);
        } catch {
          // The page's own event loop must never see an error of ours.
        }
      });
    } catch {
      // No such event here: the level is read all the same.
    }
  }
}

/** The value, or the fallback once `ms` are over. */
function within(promise, ms, fallback) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(fallback), ms);
  });
  return Promise.race([Promise.resolve(promise), late]).finally(() => clearTimeout(timer));
}

/** A Map or Set that forgets its oldest entries beyond `limit`. */
function trim(entries, limit) {
  for (const key of entries.keys()) {
    if (entries.size <= limit) break;
    entries.delete(key);
  }
}
