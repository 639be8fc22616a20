// Every session: how it stands, since when, and what is being done about it.

import { at, fresh, get, may, post, whole } from './api.js';
import { act, badge, bytes, button, cell, count, field, fill, h, keep, say, span, table, when, words } from './dom.js';
import { every, follow } from './live.js';

const PAGE = 25;

// What the supervisor does now, in a line.
export function doing(session) {
  const { incident, state, pacing, outbox } = session;
  if (incident) {
    const step = incident.rung ? `${words(incident.rung)}, attempt ${incident.attempt || 1}` : 'looking for the cheapest step';
    return `${words(incident.kind)}: ${step}`;
  }
  if (session.has_passkey_challenge) return 'waits for the account’s passkey';
  if (state === 'linking') return session.has_qr ? 'shows a code to be scanned' : 'waits for a code from WhatsApp';
  if (state === 'ready' && pacing.held_by) return `holds new messages back: ${words(pacing.held_by)}`;
  if (state === 'ready') return outbox.sending ? `sending ${count(outbox.sending)}` : 'nothing to do';
  return session.detail ?? words(session.reason) ?? '';
}

const figure = (label, value, tone) => h('div', {}, h('dt', {}, label), h('dd', { class: tone }, value));

export async function overview({ sheet, query, until }) {
  let sessions = [];
  let page = Number(query.get('page') ?? 0);
  let filter = '';
  const body = h('tbody');
  const figures = h('dl', { class: 'figures' });
  const pager = h('div', { class: 'row' });
  const find = h('input', { type: 'search', oninput: () => { filter = find.value.trim().toLowerCase(); page = 0; draw(); } });
  const tools = h('div', { class: 'tools' }, field('Find', find));

  const row = (session) => h('tr', {},
    cell('Session', h('a', { href: `#/session/${at(session.name)}` }, session.name), session.me ? h('small', { class: 'soft' }, ` ${session.me.push_name ?? ''}`) : null),
    cell('State', badge(session.state)),
    cell('Now', doing(session)),
    cell('Since', when(session.since)),
    cell('Ready for', session.ready ? span(Date.now() - new Date(session.since)) : '–'),
    cell('Memory', bytes(session.browser_memory_bytes)),
    cell('Owed', count(session.outbox.accepted + session.outbox.sending)),
    cell('Parked', session.outbox.parked ? h('a', { href: `#/outbox?session=${at(session.name)}&status=parked` }, count(session.outbox.parked)) : '0'),
    cell('', session.state === 'linking' && may('admin')
      ? h('a', { class: 'button small first', href: `#/link/${at(session.name)}`, 'aria-label': `Link ${session.name}` }, 'Link') : null));

  function draw() {
    const sum = (of) => sessions.reduce((total, session) => total + of(session), 0);
    const ready = sum((s) => (s.ready ? 1 : 0));
    const open = sum((s) => (s.incident ? 1 : 0));
    const parked = sum((s) => s.outbox.parked);
    fill(figures,
      figure('Sessions ready', `${ready} of ${sessions.length}`, ready < sessions.length ? 'warn' : ''),
      figure('Messages owed', count(sum((s) => s.outbox.accepted + s.outbox.sending))),
      figure('Parked', count(parked), parked ? 'bad' : ''),
      figure('Incidents under way', count(open), open ? 'warn' : ''),
      figure('Browser memory', bytes(sum((s) => s.browser_memory_bytes ?? 0))));
    const found = sessions.filter((s) => !filter || `${s.name} ${s.state} ${s.me?.push_name ?? ''}`.toLowerCase().includes(filter));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    keep(body, found.slice(page * PAGE, (page + 1) * PAGE), (s) => s.name, row);
    tools.hidden = sessions.length < 6;
    fill(pager, pages > 1 ? [
      button('Previous', () => { page -= 1; draw(); }, { disabled: page === 0 }),
      h('span', { class: 'soft' }, `page ${page + 1} of ${pages}`),
      button('Next', () => { page += 1; draw(); }, { disabled: page === pages - 1 })] : null);
  }

  async function load() {
    sessions = (await get('/v1/sessions')).items;
    draw();
  }

  await load();
  const unlinked = sessions.filter((s) => !s.authenticated && ['linking', 'starting'].includes(s.state));
  if (!location.hash && may('admin') && unlinked.length && unlinked.length === sessions.length) {
    location.replace(`#/link/${at(unlinked[0].name)}`);
    return;
  }
  until(follow(['session.', 'incident.', 'message.'], load));
  until(every(5000, load));
  fill(sheet,
    h('div', { class: 'head' }, h('h1', {}, 'Sessions'),
      may('admin') && whole() ? h('div', { class: 'row end' }, adding(load)) : null),
    figures, tools, table('Sessions', ['Session', 'State', 'Now', 'Since', 'Ready for', 'Memory', 'Owed', 'Parked', ''], body), pager);
}

function adding(load) {
  return button('Add a session', () => {
    const name = h('input', { required: true, pattern: '[A-Za-z0-9_\\-]{1,64}', autocomplete: 'off', value: '' });
    const dialog = h('dialog', { 'aria-labelledby': 'add-title' },
      h('h2', { id: 'add-title' }, 'Add a session'),
      h('p', {}, 'A session is one WhatsApp account. After this it shows a code for that account’s phone.'),
      field('Name', name, 'Letters, digits, - and _.'),
      h('div', { class: 'row end' }, button('Cancel', () => dialog.close()),
        act('Add', async () => {
          if (!name.reportValidity()) return;
          await post('/v1/sessions', { name: name.value.trim() }, { 'Idempotency-Key': fresh() });
          dialog.close();
          say(`${name.value.trim()} was added.`);
          location.hash = `#/link/${at(name.value.trim())}`;
          await load();
        }, { class: 'first' })));
    dialog.addEventListener('close', () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  });
}
