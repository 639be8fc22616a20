// The gateway itself: whether it is well, who changed what, and one file for
// whoever is to help.

import { blob, get, may, me, whole } from './api.js';
import { act, badge, button, cell, clock, fill, h, keep, say, span, table, when, words } from './dom.js';
import { every } from './live.js';

export async function system({ sheet, until, gone }) {
  const facts = h('dl', { class: 'facts' });
  const checks = h('tbody');
  const trail = h('tbody');
  const pager = h('div', { class: 'row' });
  const admin = may('admin') && whole();
  let acts = [];

  async function load() {
    const [alive, ready] = await Promise.all([get('/healthz'), fetch('/readyz', { cache: 'no-store' }).then((r) => r.json())]);
    if (gone()) return;
    fill(facts, h('dt', {}, 'Version'), h('dd', {}, alive.version), h('dt', {}, 'Runs for'), h('dd', {}, span(alive.uptime_seconds * 1000)),
      h('dt', {}, 'Accepts messages'), h('dd', {}, ready.ready ? 'yes' : `no: ${ready.reasons.join('; ')}`),
      h('dt', {}, 'You are'), h('dd', {}, `${me.name}, scope ${me.scope}${me.sessions ? `, for ${me.sessions.join(', ')}` : ''}`));
    keep(checks, Object.entries(ready.checks), ([name]) => name, ([name, check]) => h('tr', {},
      cell('Check', words(name)), cell('', badge(check.status)), cell('Found', check.detail)));
  }

  async function more(before) {
    const page = await get(`/v1/audit?limit=30${before ? `&before=${before}` : ''}`);
    if (gone()) return;
    acts = [...acts, ...page.items];
    keep(trail, acts, (one) => one.seq, (one) => h('tr', {},
      cell('When', when(one.at)), cell('Who', one.actor), cell('What', words(one.act)), cell('On', one.target ?? ''), cell('Done', one.done ? 'yes' : 'failed')));
    fill(pager, page.next ? button('Older', () => more(page.next)) : null);
  }

  async function diagnostics() {
    const file = await blob('/dashboard/diagnostics');
    const url = URL.createObjectURL(file);
    const link = h('a', { href: url, download: `steadfast-diagnostics-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`The file was made at ${clock(new Date())}.`);
  }

  await load();
  if (admin) await more(null);
  until(every(5000, load));
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'System')),
    h('div', { class: 'card' }, facts),
    table('Checks', ['Check', '', 'Found'], checks),
    admin ? h('div', { class: 'card' }, h('h2', {}, 'Diagnostics'),
      h('p', {}, 'One file for whoever is to help: versions, configuration, every session’s state and how it came there, incidents, the newest warnings of the log, the figures, and a picture of each page on which nothing can be read. Numbers, names, tokens and message texts are not in it; look through it before you pass it on.'),
      h('div', { class: 'row' }, act('Save diagnostics', diagnostics, { class: 'first' }))) : null,
    admin ? [h('h2', {}, 'Who changed what'), table('Audit log', ['When', 'Who', 'What', 'On', 'Done'], trail), pager] : null,
    h('p', { class: 'soft' }, h('a', { href: '/docs' }, 'The interface for programs')));
}
