// Endpoints: how each does, its attempts, what it did not take, and replay.

import { at, get, post, remove } from './api.js';
import { act, badge, button, cell, count, field, fill, h, keep, say, secret, sure, table, when, words } from './dom.js';
import { every, follow } from './live.js';

const host = (url) => {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
};

export async function webhooks({ sheet, name, until, gone }) {
  if (name) return endpoint({ sheet, name, until, gone });
  const body = h('tbody');
  const empty = h('p', { class: 'empty', hidden: true }, 'No endpoint yet. One that you add is told of everything from then on.');
  const fresh = h('div', {});
  const row = (hook) => h('tr', {},
    cell('Endpoint', h('a', { href: `#/webhooks/${at(hook.id)}` }, host(hook.url))),
    cell('State', badge(hook.status?.down ? 'failed' : hook.state), hook.status?.down ? h('small', {}, ' does not answer') : null),
    cell('Events', hook.events.join(', ') || 'all'),
    cell('Behind', count(hook.status?.lag)),
    cell('Waiting', count(hook.status?.waiting)),
    cell('Given up', count(hook.status?.dead)),
    cell('Last taken', when(hook.status?.taken_at)));

  async function load() {
    const { items } = await get('/v1/webhooks');
    if (gone()) return;
    keep(body, items, (hook) => hook.id, row);
    empty.hidden = items.length > 0;
  }

  const url = h('input', { type: 'url', required: true, placeholder: 'your server’s address' });
  const types = h('input', { placeholder: 'message.*, session.*' });
  const form = h('form', { class: 'card', onsubmit: (event) => event.preventDefault() },
    h('h2', {}, 'Add an endpoint'),
    h('div', { class: 'tools' }, field('Address', url), field('Types of events', types, 'All, where nothing is said.')),
    h('div', { class: 'row' }, act('Add', async () => {
      if (!form.reportValidity()) return;
      const events = types.value.split(',').map((type) => type.trim()).filter(Boolean);
      const made = await post('/v1/webhooks', { url: url.value, ...(events.length ? { events } : {}) });
      fill(fresh, secret('Its secret, to check signatures with', made.secret));
      form.reset();
      await load();
    }, { class: 'first', type: 'submit' })));

  await load();
  until(every(5000, load));
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'Webhooks')),
    table('Endpoints', ['Endpoint', 'State', 'Events', 'Behind', 'Waiting', 'Given up', 'Last taken'], body), empty, fresh, form);
  return null;
}

async function endpoint({ sheet, name, until, gone }) {
  const path = `/v1/webhooks/${at(name)}`;
  const head = h('div', { class: 'row' });
  const facts = h('dl', { class: 'facts' });
  const deeds = h('div', { class: 'row' });
  const attempts = h('tbody');
  const dead = h('tbody');
  const none = h('p', { class: 'empty', hidden: true }, 'Every event was taken, or is still being tried.');
  const more = h('div', { class: 'row' });
  let older = [];
  let state = '';

  const attempt = (one) => h('tr', {},
    cell('When', when(one.at)), cell('Event', h('code', {}, one.type)), cell('Try', one.number || 'probe'),
    cell('Outcome', badge(one.outcome)), cell('Status', one.status ?? ''), cell('Took', `${one.took_ms} ms`), cell('Detail', one.detail ?? ''));
  const letter = (one) => h('tr', {},
    cell('Event', h('code', {}, one.event.type)), cell('Position', one.event.seq), cell('Tries', one.attempts), cell('Last', when(one.updated_at)), cell('Detail', one.detail ?? ''),
    cell('', act('Try again', () => post(`${path}/replay`, { seq: one.event.seq }).then(() => say('It is tried again now.')).then(load), { class: 'small', 'aria-label': `Try event ${one.event.seq} again` })));

  async function load() {
    const [hook, tried, given] = await Promise.all([get(path), get(`${path}/attempts?limit=50`), get(`${path}/deliveries?state=dead&limit=50`)]);
    if (gone()) return;
    fill(head, badge(hook.status?.down ? 'failed' : hook.state), hook.reason ? h('span', {}, hook.reason) : null);
    fill(facts, h('dt', {}, 'Address'), h('dd', {}, hook.url), h('dt', {}, 'Events'), h('dd', {}, hook.events.join(', ') || 'all'),
      h('dt', {}, 'Sessions'), h('dd', {}, hook.sessions.join(', ') || 'all'),
      h('dt', {}, 'Order'), h('dd', {}, hook.ordered ? 'each waits for the one before' : 'side by side'),
      h('dt', {}, 'Behind'), h('dd', {}, `${count(hook.status?.lag)} positions, ${count(hook.status?.waiting)} wait for another try`),
      hook.status?.failure ? [h('dt', {}, 'Last failure'), h('dd', {}, when(hook.status.failed_at), ' ', words(hook.status.failure))] : null);
    if (state !== hook.state) {
      state = hook.state;
      fill(deeds,
        hook.state === 'active' ? act('Pause', () => post(`${path}/pause`).then(load)) : act('Resume', () => post(`${path}/resume`).then(load), { class: 'first' }),
        act('Send a test', async () => {
          const came = await post(`${path}/test`);
          say(came.delivered ? `It was taken in ${came.took_ms} ms.` : `It was not taken: ${came.detail ?? `status ${came.status}`}`, came.delivered ? 'good' : 'bad');
          await load();
        }),
        act('Remove', async () => {
          if (!await sure('Remove this endpoint?', 'All that it is owed is removed with it.', 'Remove')) return;
          await remove(path);
          location.hash = '#/webhooks';
        }, { class: 'danger' }));
    }
    keep(attempts, [...tried.items, ...older], (one) => `${one.event}${one.at}${one.number}`, attempt);
    keep(dead, given.items, (one) => one.event.seq, letter);
    none.hidden = given.items.length > 0;
    all.hidden = given.items.length === 0;
    if (!older.length) fill(more, tried.next ? button('Older attempts', () => back(tried.next)) : null);
  }

  async function back(before) {
    const page = await get(`${path}/attempts?limit=50&before=${before}`);
    if (gone()) return;
    older = [...older, ...page.items];
    fill(more, page.next ? button('Older attempts', () => back(page.next)) : null);
    await load();
  }

  const all = act('Try all again', async () => {
    const { replayed } = await post(`${path}/replay`, {});
    say(`${count(replayed)} are tried again now.`);
    await load();
  });
  await load();
  until(every(4000, load));
  until(follow(['webhook.'], load));
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'Webhook'), head, deeds), h('div', { class: 'card' }, facts),
    h('div', { class: 'head' }, h('h2', {}, 'Given up'), all), table('Events that were given up', ['Event', 'Position', 'Tries', 'Last', 'Detail', ''], dead), none,
    h('h2', {}, 'Attempts'), table('Attempts, newest first', ['When', 'Event', 'Try', 'Outcome', 'Status', 'Took', 'Detail'], attempts), more);
}
