// wa-js: when the page is given it, and how a call waits for it.
//
// To read and run it keeps the page's main thread for more than half a second. All
// that a text needs is found by name, so wa-js comes when nobody waits for the page:
// not while it connects and syncs, and not before what waited has been sent.

/** A page that lacks something so long after its start may need wa-js to find it. */
const LIBRARY_WAIT_MS = 400;
/** A page that lacks nothing, and is still not ready, gets it all the same after so long. */
const LIBRARY_SYNC_MS = 15000;
/** No message has been under way for so long: now it disturbs nobody. */
const LIBRARY_IDLE_MS = 300;
/** However much is sent: so long after the page has become ready. */
const LIBRARY_LATEST_MS = 5000;

let startedAt = null;
let readyAt = null;
let libraryAsked = false;
let libraryNeeded = false;
let libraryTimer = null;
/** Calls that run for a message, and when the last of them ended. */
let delivering = 0;
let deliveredAt = -Infinity;

/** A call that wa-js must not hold up. */
const delivers = (call) => async (args) => {
  delivering += 1;
  try {
    return await call(args);
  } finally {
    delivering -= 1;
    deliveredAt = performance.now();
  }
};

/** Nothing is missing that wa-js might find: the rest is up to the server. */
const isOnItsWay = (levels) => levels.missing.length === 0 && levels.socket !== null
  && levels.synced !== null && !isUnpaired(levels);

/** When wa-js is to come, by what this look has found. */
function libraryDue(levels, ready, now) {
  if (libraryNeeded) return now;
  if (!ready) return startedAt + (isOnItsWay(levels) ? LIBRARY_SYNC_MS : LIBRARY_WAIT_MS);
  const idleSince = delivering > 0 ? now : Math.max(readyAt, deliveredAt);
  return Math.min(idleSince + LIBRARY_IDLE_MS, readyAt + LIBRARY_LATEST_MS);
}

/** Asks for wa-js, once, when it is due. */
function followLibrary(levels, ready) {
  if (libraryAsked || !startedUp()) return;
  const now = performance.now();
  startedAt ??= now;
  if (ready) readyAt ??= now;
  const due = libraryDue(levels, ready, now);
  clearTimeout(libraryTimer);
  if (due <= now) libraryAsked = wppLevel() > 0 || emit('library', {});
  else if (ready) libraryTimer = setTimeout(lookSoon, due - now);
}

/** Waits until wa-js has come to `level`, at most `ms`. Does not call for it. */
async function wppReaches(level, ms) {
  const until = performance.now() + ms;
  while (wppLevel() < level && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Calls for wa-js: somebody cannot do without it. */
function needLibrary() {
  if (libraryNeeded) return;
  libraryNeeded = true;
  lookSoon();
}

/** Waits for wa-js, at most `ms`: whether it can be used. */
async function wppWithin(ms) {
  if (ms > 0) needLibrary();
  await wppReaches(3, ms);
  return wppLevel() >= 2;
}

/** Waits for all of wa-js, at most `ms`. What is not a plain text needs it. */
async function wppFully(ms) {
  needLibrary();
  await wppReaches(3, ms);
  if (wppLevel() < 3) throw new Error('wa-js is not ready: only plain texts can be sent without it');
}
