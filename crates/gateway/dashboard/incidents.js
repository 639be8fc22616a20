// Failures at a glance: what failed, each rung, how long, who waited.

import { at, get } from './api.js';
import { badge, button, count, field, fill, h, keep, select, span, when, words } from './dom.js';
import { every, follow } from './live.js';

const PAGE = 20;
const HEAVY = ['restart_browser', 'restore_profile', 'relink', 'operator', 'gave_up'];

const tone = (step) => {
  if (step === 'detected' || step === 'waiting' || step === 'ready') return step;
  return HEAVY.includes(step) ? 'heavy' : 'rung';
};

// The steps with how long each lasted; the last of an open one lasts until now.
function lengths(incident) {
  const end = new Date(incident.closed_at ?? Date.now());
  return incident.steps.map((step, index) => {
    const from = new Date(step.at);
    const until = index + 1 < incident.steps.length ? new Date(incident.steps[index + 1].at) : end;
    return { ...step, after: from - new Date(incident.opened_at), ms: Math.max(0, until - from) };
  });
}

function result(incident) {
  if (!incident.closed_at) return h('strong', {}, `under way for ${span(Date.now() - new Date(incident.opened_at))}`);
  if (incident.outcome === 'recovered') {
    const by = incident.healed_by ? ` by ${words(incident.healed_by)}` : '';
    return h('span', {}, `ready again after ${span(incident.recovery_ms)}${by}`);
  }
  return h('span', {}, `ended after ${span(new Date(incident.closed_at) - new Date(incident.opened_at))}`);
}

export function card(incident, full = true) {
  const steps = lengths(incident);
  const waited = incident.messages_waited;
  const ribbon = h('div', { class: 'ribbon', role: 'img', 'aria-label': steps.map((s) => `${words(s.step)} ${span(s.ms)}`).join(', ') },
    steps.map((step) => {
      const piece = h('span', { class: tone(step.step), title: `${words(step.step)}: ${span(step.ms)}` });
      piece.style.flexGrow = String(Math.max(step.ms, 1));
      return piece;
    }));
  return h('li', { class: 'card incident', 'data-incident': incident.id, 'data-outcome': incident.outcome ?? 'open' },
    h('div', { class: 'top' }, h('h2', {}, words(incident.kind)), badge(incident.outcome ?? 'open'), result(incident),
      h('span', { class: 'end soft' }, when(incident.opened_at))),
    ribbon,
    full ? h('ol', { class: 'rungs' }, steps.map((step) =>
      h('li', {}, h('span', { class: 'mono' }, step.after < 1000 ? `+${Math.max(0, step.after)} ms` : `+${(step.after / 1000).toFixed(1)} s`),
        h('strong', {}, words(step.step)), h('span', { class: 'soft' }, step.detail)))) : null,
    h('p', { class: 'soft' }, waited ? `${count(waited)} ${waited === 1 ? 'message' : 'messages'} waited, and none was lost. ` : 'No message waited. ',
      full ? incident.evidence : null));
}

export async function incidents({ sheet, query, until, gone }) {
  const sessions = (await get('/v1/sessions')).items;
  let session = query.get('session') ?? (sessions.find((s) => s.incident) ?? sessions[0])?.name;
  let pages = [''];
  let next = null;
  const list = h('ol', { class: 'plain-list sheet-list', 'aria-label': 'Incidents, newest first' });
  const empty = h('p', { class: 'empty', hidden: true }, 'Nothing has failed here.');
  const pager = h('div', { class: 'row' });

  async function load() {
    const before = pages[pages.length - 1];
    const answer = await get(`/v1/sessions/${at(session)}/incidents?limit=${PAGE}${before ? `&before=${at(before)}` : ''}`);
    if (gone()) return;
    next = answer.next;
    empty.hidden = answer.items.length > 0;
    keep(list, answer.items.map((one) => (one.closed_at ? one : { ...one, now: Date.now() })), (one) => one.id, (one) => card(one));
    fill(pager,
      button('Newer', () => { pages.pop(); load(); }, { disabled: pages.length === 1 }),
      h('span', { class: 'soft' }, `page ${pages.length}`),
      button('Older', () => { pages.push(next); load(); }, { disabled: !next }));
    pager.hidden = pages.length === 1 && !next;
  }

  await load();
  until(follow(['incident.', 'session.'], load, 300));
  until(every(2000, () => list.querySelector('[data-outcome="open"]') && load()));
  fill(sheet,
    h('div', { class: 'head' }, h('h1', {}, 'Incidents'),
      h('p', {}, 'From the first sign of a failure to ready again; the ribbon shows where the time went.')),
    h('div', { class: 'tools' }, field('Session', select(sessions.map((s) => [s.name, s.name]), session, (name) => { session = name; pages = ['']; load(); }))),
    empty, list, pager);
}

