// The passkey that WhatsApp asks some accounts for while a device links. The key is in its
// owner's phone or password manager, which this browser has no way to: the page's question to the
// browser is held, its options are told to the gateway, and an answer that was made elsewhere, on
// this origin, is passed back in place of the browser's own.
//
// How WhatsApp Web asks is not known from its own code. What is relied on is the web's standard
// (WebAuthn Level 3): a call of `navigator.credentials.get` with `publicKey`, awaited, whose result
// is read as a PublicKeyCredential. A page that asks first whether the browser has an authenticator
// of its own (`isUserVerifyingPlatformAuthenticatorAvailable`) gets the browser's true answer, and
// may then never call it; linking in a visible browser is the way then.

/** How long a question is held: by its own `timeout` within bounds; `usual` where it names none
 * (WebAuthn Level 3 recommends 300 s). */
const PASSKEY_MS = { least: 1000, usual: 300000, most: 600000 };
/** Larger options are no ones that a person could carry to another browser. */
const PASSKEY_CHARS = 16384;

/** The newest question, until another document is loaded. */
let passkey = null;
let passkeys = 0;
/** Questions that the browser itself has before its user. */
let passkeysOpen = 0;

function passkeyHeld() {
  return passkey !== null && passkey.end === null;
}

/** Whether somebody looks for a passkey now, here or elsewhere. */
function passkeyWanted() {
  return passkeyHeld() || passkeysOpen > 0;
}

/** The newest question, as the gateway gets it with the other levels. */
function passkeyLevel() {
  if (passkey === null) return null;
  const { n, options, until, end } = passkey;
  return { n, options: end === null ? options : '', until_ms: until, end };
}

function toBase64Url(source) {
  if (!ArrayBuffer.isView(source) && !(source instanceof ArrayBuffer)) throw new TypeError('no bytes');
  const bytes = ArrayBuffer.isView(source)
    ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    : new Uint8Array(source);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function fromBase64Url(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0)).buffer;
}

/** `PublicKeyCredentialRequestOptionsJSON` of what the page asks for, with the time that it has. */
function passkeyOptions(asked, ms) {
  if (!asked.challenge) throw new TypeError('no challenge');
  const allowed = [...(asked.allowCredentials ?? [])].map((one) => ({
    type: 'public-key',
    id: toBase64Url(one.id),
    ...(one.transports ? { transports: [...one.transports].map(String) } : {}),
  }));
  const plain = {
    challenge: toBase64Url(asked.challenge),
    timeout: ms,
    rpId: String(asked.rpId ?? location.hostname),
    allowCredentials: allowed,
    userVerification: String(asked.userVerification ?? 'preferred'),
  };
  if (asked.hints) plain.hints = [...asked.hints].map(String);
  if (asked.extensions) plain.extensions = asked.extensions;
  const binary = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);
  return JSON.stringify(plain, (_, value) => (binary(value) ? toBase64Url(value) : value));
}

/** Whether a question is one of linking that a person must answer. What asks without being
 * seen (`conditional`, `silent`), and what a linked page asks for, is the browser's. */
function isLinkingPasskey(question) {
  if (!question?.publicKey) return false;
  if (question.mediation === 'conditional' || question.mediation === 'silent') return false;
  return socketOf()?.state !== 'CONNECTED';
}

/** Ends the question that is held; `settle` gives the page its answer or error. */
function endPasskey(end, settle) {
  if (!passkeyHeld()) return;
  passkey.end = end;
  clearTimeout(passkey.timer);
  settle(passkey);
  lookSoon();
}

function holdPasskey(question) {
  const { publicKey, signal } = question;
  const told = Number(publicKey.timeout ?? PASSKEY_MS.usual);
  const wanted = Number.isFinite(told) ? told : PASSKEY_MS.usual;
  const ms = Math.round(Math.min(PASSKEY_MS.most, Math.max(PASSKEY_MS.least, wanted)));
  const options = passkeyOptions(publicKey, ms);
  if (options.length > PASSKEY_CHARS) throw new RangeError('too long');
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    if (passkeyHeld()) {
      // As Chromium says where a second question is asked beside the first.
      reject(new DOMException('A request is already pending.', 'OperationError'));
      return;
    }
    passkeys += 1;
    const n = passkeys;
    const own = (end, settle) => () => {
      if (passkey?.n === n) endPasskey(end, settle);
    };
    const late = () => reject(new DOMException('The operation timed out.', 'NotAllowedError'));
    passkey = {
      n, options, until: Math.round(Date.now() + ms), end: null, resolve,
      challenge: toBase64Url(publicKey.challenge),
      timer: setTimeout(own('timed_out', late), ms),
    };
    signal?.addEventListener('abort', own('given_up', () => reject(signal.reason)), { once: true });
    lookSoon();
  });
}

/** What the page gets in place of the browser's own PublicKeyCredential. */
function credentialOf(answer) {
  const give = (prototype, members) => {
    const made = Object.create(prototype);
    for (const [name, value] of Object.entries(members)) {
      Object.defineProperty(made, name, { value, enumerable: true });
    }
    return made;
  };
  const { clientDataJSON, authenticatorData, signature, userHandle } = answer.response;
  const response = give(window.AuthenticatorAssertionResponse.prototype, {
    clientDataJSON: fromBase64Url(clientDataJSON),
    authenticatorData: fromBase64Url(authenticatorData),
    signature: fromBase64Url(signature),
    userHandle: userHandle ? fromBase64Url(userHandle) : null,
  });
  return give(window.PublicKeyCredential.prototype, {
    id: answer.id,
    rawId: fromBase64Url(answer.id),
    type: 'public-key',
    authenticatorAttachment: answer.authenticatorAttachment ?? null,
    response,
    getClientExtensionResults: () => structuredClone(answer.clientExtensionResults ?? {}),
    toJSON: () => structuredClone(answer),
  });
}

/** Passes an answer (`AuthenticationResponseJSON`) on to the page, where it answers what was asked. */
function answerPasskey({ answer }) {
  if (!passkeyHeld()) return { taken: false, why: 'the page asks for no passkey now' };
  const client = JSON.parse(new TextDecoder().decode(fromBase64Url(answer.response.clientDataJSON)));
  if (client.challenge !== passkey.challenge) {
    return { taken: false, why: 'this answers another challenge than the page has now' };
  }
  const credential = credentialOf(answer);
  endPasskey('answered', ({ resolve }) => resolve(credential));
  return { taken: true };
}

/** The browser's own function. Its user may take a while. */
function askBrowser(native, self, given) {
  const asked = Reflect.apply(native, self, given);
  passkeysOpen += 1;
  const over = () => {
    passkeysOpen -= 1;
  };
  asked.then(over, over);
  return asked;
}

/** Stands before the browser's own function, which a look at it still shows. */
function watchPasskeys() {
  const container = window.CredentialsContainer?.prototype;
  if (typeof container?.get !== 'function') return;
  container.get = new Proxy(container.get, {
    apply(native, self, given) {
      let linking = false;
      try {
        linking = isLinkingPasskey(given[0]);
        if (linking && CONFIG.hold_passkeys) return holdPasskey(given[0]);
      } catch {
        // What cannot be read is the browser's to refuse.
      }
      return linking ? askBrowser(native, self, given) : Reflect.apply(native, self, given);
    },
  });
}

try {
  watchPasskeys();
} catch {
  // A page without it links as before, or cannot be helped by us.
}
