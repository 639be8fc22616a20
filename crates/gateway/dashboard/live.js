// What happens, as it happens: one stream of events for the whole page. When
// the gateway goes away this says so, comes back by itself, and knows whether
// it was restarted meanwhile; the stream goes on behind the last event seen.

import { get } from './api.js';

export const live = new EventTarget();
live.state = 'connecting';

let source = null;
let last = null;
let started = null;
let wait = 500;
let timer = null;

function enter(state, detail = {}) {
  if (live.state === state) return;
  live.state = state;
  live.dispatchEvent(new CustomEvent('state', { detail: { state, ...detail } }));
}

function heard(message) {
  if (message.lastEventId) last = message.lastEventId;
  if (message.type === 'gap') {
    live.dispatchEvent(new Event('gap'));
    return;
  }
  const event = JSON.parse(message.data);
  live.dispatchEvent(new CustomEvent('event', { detail: event }));
}

const TYPES = [
  'message.accepted', 'message.sending', 'message.sent', 'message.delivered', 'message.read', 'message.played',
  'message.rejected', 'message.expired', 'message.cancelled', 'message.parked', 'message.released',
  'message.received', 'message.edited', 'message.revoked', 'message.reaction', 'group.changed',
  'session.created', 'session.deleted', 'session.state', 'incident.opened', 'incident.closed',
  'webhook.disabled', 'webhook.gap', 'gap',
];

export function open(since) {
  close();
  started ??= since;
  connect();
}

export function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
  last = null;
  started = null;
  wait = 500;
  live.state = 'connecting';
}

async function connect() {
  source?.close();
  // A position that is not known any more is told as a gap.
  source = new EventSource(`/v1/events/stream${last === null ? '' : `?after=${last}`}`);
  const mine = source;
  for (const type of TYPES) mine.addEventListener(type, heard);
  mine.onmessage = heard;
  mine.onopen = async () => {
    wait = 500;
    const was = live.state;
    let restarted = false;
    try {
      const now = (await get('/dashboard/me')).started_at;
      // Both are worked out from two clocks, and a second apart at most.
      restarted = Math.abs(new Date(now) - new Date(started)) > 2000;
      started = now;
    } catch { /* Another message says why. */ }
    if (mine !== source) return;
    enter('online', { restarted, back: was === 'offline', at: started });
  };
  mine.onerror = () => {
    if (mine !== source) return;
    enter('offline');
    // The browser would come again by itself, in its own time and not after an error status.
    mine.close();
    clearTimeout(timer);
    timer = setTimeout(connect, wait);
    wait = Math.min(wait * 1.6, 8000);
  };
}

// Calls `work` when something of these kinds happened, at most every so often,
// and when the gateway is back. The answer ends it.
export function follow(kinds, work, pause = 700) {
  let due = null;
  let ended = false;
  const soon = () => {
    due ??= setTimeout(async () => {
      if (!ended) await Promise.resolve(work()).catch(() => {});
      due = null;
    }, pause);
  };
  const onEvent = ({ detail }) => kinds.some((kind) => detail.type.startsWith(kind)) && soon();
  const onState = ({ detail }) => detail.state === 'online' && detail.back && soon();
  live.addEventListener('event', onEvent);
  live.addEventListener('state', onState);
  live.addEventListener('gap', soon);
  return () => {
    ended = true;
    clearTimeout(due);
    live.removeEventListener('event', onEvent);
    live.removeEventListener('state', onState);
    live.removeEventListener('gap', soon);
  };
}

// Calls `work` every so often while the page is looked at.
export function every(ms, work) {
  const tick = () => document.visibilityState === 'visible' && live.state !== 'offline' && Promise.resolve(work()).catch(() => {});
  const handle = setInterval(tick, ms);
  return () => clearInterval(handle);
}
