// Files on their way into the page and out of it, in pieces that one call can carry.
//
// Pieces become Blobs at once: the browser keeps those outside of the page's
// own memory. A file is named by a token that the gateway makes; one that
// nobody fetches or drops is pushed out by newer ones.

const FILES_LIMIT = 8;
const FILES_BYTES = 512 * 1024 * 1024;
/** token -> {parts, have, size, mime, blob} */
const files = new Map();

function bytesOf(base64) {
  if (typeof Uint8Array.fromBase64 === 'function') return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function base64Of(bytes) {
  if (typeof bytes.toBase64 === 'function') return bytes.toBase64();
  const letters = [];
  for (let at = 0; at < bytes.length; at += 0x8000) {
    letters.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  }
  return btoa(letters.join(''));
}

/** Makes room for a file of this size by dropping the oldest. */
function makeRoom(size) {
  if (size > FILES_BYTES) throw new Error(`a file of ${size} bytes is larger than the page may hold`);
  const used = () => [...files.values()].reduce((sum, file) => sum + file.size, 0);
  for (const token of [...files.keys()]) {
    if (files.size < FILES_LIMIT && used() + size <= FILES_BYTES) break;
    files.delete(token);
  }
}

function beginFile({ token, size, mime }) {
  files.delete(token);
  makeRoom(size);
  files.set(token, { parts: [], have: 0, size, mime, blob: null });
  return { have: 0 };
}

function addPiece({ token, at, data }) {
  const file = files.get(token);
  if (!file || at !== file.have) throw new Error('a piece of a file came out of place');
  const bytes = bytesOf(data);
  if (file.have + bytes.length > file.size) throw new Error('a file is longer than it was said to be');
  file.parts.push(new Blob([bytes]));
  file.have += bytes.length;
  return { have: file.have };
}

/** The whole file, once all of it is here. */
function wholeFile(token, name) {
  const file = files.get(token);
  if (!file || file.have !== file.size) throw new Error('the file is not in the page');
  return new File(file.parts, name, { type: file.mime });
}

function dropFile({ token }) {
  files.delete(token);
  return {};
}

// ------------------------------------------------------------- download

/** Fetches and decrypts the file of a message; answers its size and type, or why there is none. */
async function openFile({ token, message, limit, search_ms: searchMs, fetch_ms: fetchMs }) {
  await wppFully(searchMs);
  const found = await findTarget(message, searchMs);
  if (!found.msg) return { found: false, conclusive: found.searched, why: found.why ?? '' };
  const { msg } = found;
  const announced = Number(msg.mediaData?.size ?? msg.size);
  if (announced > limit) return { found: true, size: announced, mime: '', too_large: true };
  const late = new Error('the file did not come in time');
  const blob = await within(window.WPP.chat.downloadMedia(String(msg.id)), fetchMs, late);
  if (blob === late) throw late;
  if (!(blob instanceof Blob)) throw new Error('WhatsApp Web gave no file for the message');
  if (blob.size > limit) return { found: true, size: blob.size, mime: '', too_large: true };
  makeRoom(blob.size);
  files.set(token, { parts: [], have: blob.size, size: blob.size, mime: blob.type, blob });
  return { found: true, size: blob.size, mime: String(msg.mimetype ?? blob.type ?? '') };
}

async function readFile({ token, at, limit }) {
  const file = files.get(token);
  if (!file?.blob) throw new Error('the file is not in the page');
  const piece = await file.blob.slice(at, at + limit).arrayBuffer();
  return { data: base64Of(new Uint8Array(piece)) };
}
