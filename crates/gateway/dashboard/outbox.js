// What is owed and what became of it; a person's word on what is parked.

import { at, get, may, post, remove } from './api.js';
import { act, badge, button, cell, clock, count, field, fill, h, keep, say, select, span, sure, table, when, words } from './dom.js';
import { follow } from './live.js';

const FILTERS = [['', 'All'], ['accepted', 'Waiting'], ['sending', 'Sending'], ['parked', 'Parked'], ['sent', 'Sent'],
  ['delivered', 'Delivered'], ['read', 'Read'], ['rejected', 'Rejected'], ['expired', 'Expired'], ['cancelled', 'Cancelled']];
const PAGE = 50;
// Why a message waits, as one would say it.
const WAITS = {
  scheduled: 'its time has not come', retry: 'the next try', rate_limited: 'WhatsApp asked to slow down', session: 'the session is not ready',
  behind_another: 'another one of this chat goes first', pacing: 'pacing', quiet_hours: 'quiet hours', daily_cap: 'the day’s limit',
};

const due = (message) => (new Date(message.due_at) > Date.now() ? `, at ${clock(message.due_at)}` : '');

export const why = (message) => {
  if (message.waits_for) return `${WAITS[message.waits_for] ?? words(message.waits_for)}${due(message)}`;
  return [words(message.reason), message.detail].filter(Boolean).join(': ');
};

export async function outbox({ sheet, query, until, gone }) {
  const sessions = (await get('/v1/sessions')).items;
  let session = query.get('session') ?? (sessions.find((s) => s.outbox.parked) ?? sessions[0])?.name;
  let status = query.get('status') ?? '';
  let pages = ['end'];
  let next = null;
  let open = null;
  const body = h('tbody');
  const tabs = h('div', { class: 'tabs', role: 'group', 'aria-label': 'Status' });
  const pager = h('div', { class: 'row' });
  const empty = h('p', { class: 'empty', hidden: true }, 'No message here.');

  const decide = (message) => {
    const path = `/v1/messages/${at(message.id)}`;
    if (!may('send')) return null;
    if (message.status === 'parked') {
      return h('div', { class: 'row' },
        act('Send again', () => post(`${path}/release`).then(() => say('It goes again, under its old id.')).then(load), { class: 'small first' }),
        act('Drop', async () => {
          if (!await sure('Drop this message?', 'It will not be sent. This cannot be taken back.', 'Drop it')) return;
          await post(`${path}/discard`);
          say('It was dropped.');
          await load();
        }, { class: 'small danger' }));
    }
    if (message.status === 'accepted' && message.attempts === 0) {
      return act('Cancel', () => remove(path).then(() => say('It was cancelled.')).then(load), { class: 'small' });
    }
    if (['rejected', 'expired', 'cancelled'].includes(message.status) && message.kind === 'text') {
      const search = new URLSearchParams({ session: message.session, to: message.to, text: message.text ?? '' });
      return h('a', { class: 'button small', href: `#/send?${search}` }, 'Send anew');
    }
    return null;
  };

  const row = (message) => h('tr', { 'data-status': message.status },
    cell('Accepted', when(message.accepted_at)),
    cell('To', message.to.replace('@c.us', '')),
    cell('Message', h('div', { class: 'clip' }, message.text ?? words(message.kind))),
    cell('Status', badge(message.status)),
    cell('Why', why(message)),
    cell('Tries', count(message.attempts)),
    cell('', h('div', { class: 'row' }, decide(message),
      button(open === message.id ? 'Less' : 'More', () => { open = open === message.id ? null : message.id; detail(); }, { class: 'small plain', 'aria-expanded': String(open === message.id), 'aria-label': `${open === message.id ? 'Less' : 'More'} about the message to ${message.to.split('@')[0]}` }))));

  let shown = [];
  let turn = 0;
  async function detail() {
    const about = open && await get(`/v1/messages/${at(open)}`).catch(() => null);
    if (gone()) return;
    draw(about);
  }

  function draw(about = null) {
    const rows = shown.flatMap((message) => {
      const one = { ...message, open: open === message.id };
      return about && about.id === message.id ? [one, { id: `${message.id}+`, about }] : [one];
    });
    keep(body, rows, (r) => r.id, (r) => (r.about ? h('tr', { class: 'detail' }, h('td', { colspan: '7', 'data-label': '' }, story(r.about))) : row(r)));
    empty.hidden = shown.length > 0;
  }

  async function load() {
    const mine = ++turn;
    const before = pages[pages.length - 1];
    const filter = status ? `&status=${status}` : '';
    const [answer, now] = await Promise.all([
      get(`/v1/sessions/${at(session)}/messages?limit=${PAGE}&before=${before}${filter}`), get(`/v1/sessions/${at(session)}`)]);
    // An answer to an earlier question may come after that to a later one.
    if (gone() || mine !== turn) return;
    shown = answer.items;
    next = answer.next;
    const counts = { accepted: now.outbox.accepted, sending: now.outbox.sending, parked: now.outbox.parked };
    if (tabs.children.length === 0) {
      fill(tabs, FILTERS.map(([name, label]) => button(label, () => { status = name; pages = ['end']; open = null; load(); }, { class: 'small', 'data-filter': name })));
    }
    for (const tab of tabs.children) {
      const [name, label] = FILTERS.find(([of]) => of === tab.dataset.filter);
      tab.textContent = counts[name] ? `${label} ${count(counts[name])}` : label;
      tab.setAttribute('aria-pressed', String(name === status));
    }
    fill(pager,
      button('Newer', () => { pages.pop(); load(); }, { disabled: pages.length === 1 }),
      h('span', { class: 'soft' }, `page ${pages.length}`),
      button('Older', () => { pages.push(next); load(); }, { disabled: !next }));
    pager.hidden = pages.length === 1 && !next;
    if (open) await detail();
    else draw();
  }

  await load();
  until(follow(['message.'], load, 1200));
  fill(sheet,
    h('div', { class: 'head' }, h('h1', {}, 'Outbox')),
    h('div', { class: 'tools' }, field('Session', select(sessions.map((s) => [s.name, s.name]), session, (name) => { session = name; pages = ['end']; load(); })), tabs),
    table('Messages', ['Accepted', 'To', 'Message', 'Status', 'Why', 'Tries', ''], body), empty, pager);
}

function story(message) {
  const attempts = message.attempt_log ?? [];
  return h('dl', { class: 'facts' },
    h('dt', {}, 'Id'), h('dd', { class: 'mono' }, message.id),
    h('dt', {}, 'WhatsApp id'), h('dd', { class: 'mono' }, message.wa_message_id),
    h('dt', {}, 'Acks'), h('dd', {}, message.acks.map((ack) => `${ack.ack} ${clock(ack.at)}`).join(', ') || 'none yet'),
    message.expires_at ? [h('dt', {}, 'Expires'), h('dd', {}, when(message.expires_at))] : null,
    attempts.map((attempt) => [h('dt', {}, `Attempt ${attempt.number}`),
      h('dd', {}, `${clock(attempt.started_at)}, ${words(attempt.outcome ?? 'under way')}${attempt.ended_at ? ` after ${span(new Date(attempt.ended_at) - new Date(attempt.started_at))}` : ''}${attempt.detail ? `: ${attempt.detail}` : ''}`)]));
}
