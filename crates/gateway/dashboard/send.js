// A message on its way, watched: accepted, sent, delivered, read.

import { at, fresh, get, post } from './api.js';
import { act, badge, clock, field, fill, h, select } from './dom.js';
import { live } from './live.js';

const STEPS = [['accepted', 'Accepted'], ['sent', 'Sent'], ['delivered', 'Delivered'], ['read', 'Read']];
const RANK = { accepted: 0, sending: 0, sent: 1, delivered: 2, read: 3, played: 3 };
const KEPT = 10;
// Messages that were sent from here stay while the page does.
const journeys = new Map();

function journey(message) {
  const list = h('ol', { class: 'journey', 'aria-label': 'How far it has come' });
  const state = h('span', {});
  const times = new Map();
  const card = h('li', { class: 'card', 'data-message': message.id },
    h('div', { class: 'row' }, h('strong', {}, `+${message.to.split('@')[0]}`), h('span', { class: 'clip' }, message.text ?? ''), h('span', { class: 'row end' }, state)),
    list);
  let rank = -1;
  function reach(status, when, why) {
    const now = RANK[status];
    fill(state, badge(status), why ? h('small', {}, why) : null);
    card.dataset.status = status;
    if (now === undefined) return;
    for (let step = 0; step <= now; step += 1) if (!times.has(step)) times.set(step, step === now || step > rank ? when : null);
    rank = Math.max(rank, now);
    fill(list, STEPS.map(([, label], step) => h('li', { class: step <= rank ? 'done' : '', 'aria-label': `${label}: ${step <= rank ? 'yes' : 'not yet'}` },
      label, times.get(step) ? h('time', {}, clock(times.get(step))) : null)));
  }
  reach('accepted', message.accepted_at);
  return { card, reach };
}

export async function send({ sheet, query, until }) {
  const sessions = (await get('/v1/sessions')).items;
  const chosen = query.get('session') ?? (sessions.find((s) => s.ready) ?? sessions[0])?.name;
  let session = chosen;
  const to = h('input', { type: 'tel', inputmode: 'tel', required: true, autocomplete: 'off', placeholder: '+49 151 2345678', value: query.get('to') ?? '' });
  const text = h('textarea', { required: true, maxlength: '4096' });
  text.value = query.get('text') ?? 'Hello from Steadfast.';
  const sent = h('ul', { class: 'plain-list cards', 'aria-label': 'Messages sent from this page' });
  const none = h('p', { class: 'empty' }, 'What you send here is shown with each step as it happens.');

  function draw() {
    none.hidden = journeys.size > 0;
    fill(sent, [...journeys.values()].reverse().map(({ card }) => card));
  }

  async function again() {
    for (const [id, { reach }] of journeys) {
      const message = await get(`/v1/messages/${at(id)}`).catch(() => null);
      if (message) reach(message.status, message.updated_at, message.reason ?? message.waits_for);
    }
  }

  const onEvent = ({ detail }) => {
    if (!detail.type.startsWith('message.')) return;
    journeys.get(detail.data.id)?.reach(detail.data.status, detail.timestamp, detail.data.detail);
  };
  const onState = ({ detail }) => detail.state === 'online' && detail.back && again();
  live.addEventListener('event', onEvent);
  live.addEventListener('state', onState);
  live.addEventListener('gap', again);
  until(() => {
    live.removeEventListener('event', onEvent);
    live.removeEventListener('state', onState);
    live.removeEventListener('gap', again);
  });

  const form = h('form', { class: 'card', onsubmit: (event) => event.preventDefault() },
    h('div', { class: 'tools' },
      field('From', select(sessions.map((s) => [s.name, `${s.name} (${s.state.replaceAll('_', ' ')})`]), chosen, (name) => { session = name; })),
      field('To', to)),
    field('Text', text),
    h('div', { class: 'row' }, act('Send', async () => {
      if (!form.reportValidity()) return;
      const body = { to: to.value.replace(/[\s()/-]/g, ''), text: text.value };
      const accepted = await post(`/v1/sessions/${at(session)}/messages`, body, { 'Idempotency-Key': fresh() });
      journeys.set(accepted.id, journey({ ...accepted, text: body.text }));
      if (journeys.size > KEPT) journeys.delete(journeys.keys().next().value);
      draw();
      // What happened before it was watched.
      await again();
    }, { class: 'first', type: 'submit' }), h('small', {}, 'It is on disk once it is accepted, whatever the session’s state.')));

  draw();
  again();
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'Send')), form, none, sent);
}
