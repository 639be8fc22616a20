// One session: how it stands, its plots, its last incidents, what can be done.

import { at, get, may, post, remove } from './api.js';
import { act, badge, bytes, button, count, fill, h, keep, say, span, sure, when } from './dom.js';
import { card } from './incidents.js';
import { every, follow } from './live.js';
import { doing } from './overview.js';
import { plot } from './plot.js';

const percent = (share) => `${(share * 100).toFixed(share > 0.9995 || share < 0.1 ? 0 : 1)} %`;
const seconds = (value) => span(value * 1000);

export async function session({ sheet, name, until, gone }) {
  const path = `/v1/sessions/${at(name)}`;
  const head = h('div', { class: 'row' });
  const facts = h('dl', { class: 'figures' });
  const advice = h('div', { class: 'card' });
  const deeds = h('div', { class: 'row' });
  const plots = h('div', { class: 'cards' });
  const spans = h('div', { class: 'tabs', role: 'group', 'aria-label': 'How far back' });
  const list = h('ol', { class: 'plain-list sheet-list' });
  let day = false;
  let said = '';

  const fact = (label, value, tone = '') => h('div', {}, h('dt', {}, label), h('dd', { class: tone }, value));

  async function load() {
    const [now, stats] = await Promise.all([get(path), get(`${path}/stats`)]);
    if (gone()) return;
    fill(head, badge(now.state), h('span', {}, doing(now)), h('span', { class: 'soft' }, 'since ', when(now.since)));
    const ratio = stats.availability.ratio;
    fill(facts,
      fact('Ready for', now.ready ? span(now.uptime_seconds * 1000) : '–'),
      fact('Available', ratio === null ? '–' : percent(ratio), ratio !== null && ratio < 0.95 ? 'warn' : ''),
      fact('Owed', count(now.outbox.accepted + now.outbox.sending)),
      fact('Parked', count(now.outbox.parked), now.outbox.parked ? 'bad' : ''),
      fact('Incidents', count(stats.incidents.reduce((sum, one) => sum + one.count, 0))),
      fact('Browser memory', bytes(now.browser_memory_bytes)));
    const about = JSON.stringify([now.recommendations, now.state, now.web_version, now.me, now.proxy]);
    if (about === said) return;
    said = about;
    fill(advice, h('h2', {}, 'What to do'), h('ul', { class: 'steps' }, now.recommendations.map((line) => h('li', {}, line))),
      h('dl', { class: 'facts' },
        now.me ? [h('dt', {}, 'Account'), h('dd', {}, `${now.me.push_name ?? ''} +${now.me.id.split('@')[0]}`.trim())] : null,
        now.web_version ? [h('dt', {}, 'WhatsApp Web'), h('dd', {}, now.web_version)] : null,
        now.proxy ? [h('dt', {}, 'Proxy'), h('dd', {}, now.proxy)] : null,
        now.missing_bindings.length ? [h('dt', {}, 'Missing in the page'), h('dd', {}, now.missing_bindings.join(', '))] : null));
    fill(deeds, may('admin') ? acts(now) : null,
      may('send') ? h('a', { class: 'button', href: `#/send?session=${at(name)}` }, 'Send') : null,
      h('a', { class: 'button', href: `#/outbox?session=${at(name)}` }, 'Outbox'));
  }

  const tell = (verb, text) => act(text, () => post(`${path}/${verb}`).then(load));
  const acts = (now) => [
    ['linking', 'logged_out'].includes(now.state) ? h('a', { class: 'button first', href: `#/link/${at(name)}` }, 'Link') : null,
    now.state === 'stopped' || now.state === 'parked' || now.state === 'logged_out' ? tell('start', 'Start') : tell('restart', 'Restart'),
    now.state === 'stopped' ? null : tell('stop', 'Stop'),
    now.authenticated ? act('Log out', async () => {
      if (!await sure(`Log ${name} out?`, 'WhatsApp forgets this device and the login is removed. The phone must link it again.', 'Log out')) return;
      await post(`${path}/logout`);
      await load();
    }, { class: 'danger' }) : null,
    now.state === 'stopped' ? act('Delete', async () => {
      if (!await sure(`Delete ${name}?`, 'The session, its login and what it owes are removed.', 'Delete')) return;
      await remove(path);
      say(`${name} was deleted.`);
      location.hash = '#/sessions';
    }, { class: 'danger' }) : null];

  async function draw() {
    const past = await get(`/dashboard/history/${at(name)}?span=${day ? 'day' : 'hour'}`);
    if (gone()) return;
    // Whoever reads a plot keeps it.
    if (plots.contains(document.activeElement) || plots.matches(':hover')) return;
    const { at: times } = past;
    const sheetOf = (...figure) => h('div', { class: 'card' }, figure);
    if (times.length === 0) {
      fill(plots, h('p', { class: 'empty' }, day ? 'The first point of the day comes after four minutes.' : 'The first point comes in a moment.'));
      return;
    }
    fill(plots,
      sheetOf(plot({ title: 'Delivery, accepted to sent (half / 95 %)', at: times, values: past.p50_seconds, second: past.p95_seconds, show: seconds })),
      sheetOf(plot({ title: 'Messages owed', at: times, values: past.depth, show: count })),
      sheetOf(plot({ title: 'Available', at: times, values: past.available, show: percent, top: 1 })),
      sheetOf(plot({ title: 'Recoveries', at: times, values: past.recoveries, show: count, kind: 'bar', note: `${count(past.recoveries.reduce((a, b) => a + b, 0))} in all` })),
      sheetOf(plot({ title: 'Browser memory', at: times, values: past.memory_bytes, show: bytes })),
      sheetOf(plot({ title: 'Sent', at: times, values: past.sent, show: count, kind: 'bar', note: `${count(past.sent.reduce((a, b) => a + b, 0))} in all` })));
  }

  function choose() {
    fill(spans, [[false, 'Hour'], [true, 'Day']].map(([of, label]) =>
      button(label, () => { day = of; choose(); spans.querySelector('[aria-pressed="true"]').focus(); draw(); }, { class: 'small', 'aria-pressed': String(day === of) })));
  }

  async function failures() {
    const { items } = await get(`${path}/incidents?limit=3`);
    if (gone()) return;
    keep(list, items, (one) => one.id, (one) => card(one, false));
    if (!items.length) fill(list, h('li', { class: 'empty' }, 'Nothing has failed here.'));
  }

  choose();
  await Promise.all([load(), draw(), failures()]);
  until(follow(['session.', 'incident.', 'message.'], load));
  until(follow(['incident.'], failures));
  until(every(5000, load));
  until(every(10000, draw));
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, name), head, deeds),
    facts, advice,
    h('div', { class: 'head' }, h('h2', {}, 'The past'), spans), plots,
    h('div', { class: 'head' }, h('h2', {}, 'Last incidents'), h('a', { href: `#/incidents?session=${at(name)}` }, 'All of them')), list);
}
