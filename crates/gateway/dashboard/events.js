// The log of events, newest first, and what is added to it as it happens.

import { at, get } from './api.js';
import { button, cell, field, fill, h, keep, select, table, when } from './dom.js';
import { live } from './live.js';

const WINDOW = 200;
const SHOWN = 200;
const KINDS = [['', 'All'], ['message.*', 'Messages'], ['session.*', 'Sessions'], ['incident.*', 'Incidents'], ['webhook.*', 'Webhooks'], ['group.*', 'Groups']];

function line(event) {
  const { data } = event;
  if (event.type === 'session.state') return `${data.from} → ${data.to}${data.reason ? ` (${data.reason})` : ''}`;
  if (event.type.startsWith('incident.')) return `${data.kind}${data.outcome ? `, ${data.outcome}` : ''}`;
  if (event.type === 'message.received') return `from ${data.push_name ?? data.sender}`;
  if (data.to) return `to ${data.to.replace('@c.us', '')}${data.detail ? `: ${data.detail}` : ''}`;
  return data.detail ?? '';
}

export async function events({ sheet, query, until, gone }) {
  const sessions = (await get('/v1/sessions')).items;
  let kind = query.get('types') ?? '';
  let session = query.get('session') ?? '';
  let items = [];
  let oldest = 0;
  const body = h('tbody');
  const empty = h('p', { class: 'empty', hidden: true }, 'Nothing yet.');
  const older = button('Older', () => back());
  const filters = () => `${kind ? `&types=${at(kind)}` : ''}${session ? `&session=${at(session)}` : ''}`;

  const row = (event) => h('tr', {},
    cell('When', when(event.timestamp)), cell('Type', h('code', {}, event.type)), cell('Session', event.session ?? ''), cell('What', line(event)),
    cell('', h('details', {}, h('summary', { 'aria-label': `All of it: ${event.type} ${event.seq}` }, 'All of it'), h('pre', {}, JSON.stringify(event, null, 2)))));

  function draw() {
    keep(body, items, (event) => event.seq, row);
    empty.hidden = items.length > 0;
    older.disabled = oldest <= 0;
  }

  // The log is read forwards; a window of positions at a time brings the newest first.
  async function back() {
    const found = [];
    while (oldest > 0 && found.length < 50) {
      const from = Math.max(0, oldest - WINDOW);
      let after = from;
      const window = [];
      for (;;) {
        const page = await get(`/v1/events?after=${after}&limit=200${filters()}`);
        if (gone()) return;
        window.push(...page.items.filter((event) => event.seq <= oldest));
        after = Number(page.next);
        if (!page.more || after >= oldest) break;
      }
      found.push(...window.reverse());
      oldest = from;
    }
    items = [...items, ...found];
    draw();
  }

  async function load() {
    items = [];
    oldest = Number((await get(`/v1/events?after=end&limit=1${filters()}`)).next);
    await back();
  }

  const fits = (event) => (!session || event.session === session) && (!kind || event.type.startsWith(kind.slice(0, -1)));
  let due = null;
  const onEvent = ({ detail }) => {
    if (!fits(detail) || items.some((event) => event.seq === detail.seq)) return;
    items = [detail, ...items].sort((a, b) => b.seq - a.seq);
    // Who reads further down keeps what is there.
    if (items.length > SHOWN && window.scrollY < 200) {
      items.length = SHOWN;
      oldest = items[items.length - 1].seq - 1;
    }
    due ??= setTimeout(() => { due = null; draw(); }, 150);
  };

  await load();
  live.addEventListener('event', onEvent);
  const onGap = () => load().catch(() => {});
  live.addEventListener('gap', onGap);
  until(() => {
    clearTimeout(due);
    live.removeEventListener('event', onEvent);
    live.removeEventListener('gap', onGap);
  });
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'Events')),
    h('div', { class: 'tools' },
      field('Type', select(KINDS, kind, (name) => { kind = name; load(); })),
      field('Session', select([['', 'All'], ...sessions.map((s) => [s.name, s.name])], session, (name) => { session = name; load(); }))),
    table('Events, newest first', ['When', 'Type', 'Session', 'What', ''], body), empty, h('div', { class: 'row' }, older));
}
