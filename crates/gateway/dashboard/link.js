// Linking a number: a code that renews itself, or one that is typed.

import { at, blob, get, may, post } from './api.js';
import { act, badge, field, fill, h, say } from './dom.js';
import { doing } from './overview.js';
import { every, follow } from './live.js';

export async function link({ sheet, name, until, gone }) {
  const path = `/v1/sessions/${at(name)}`;
  const status = h('p', { class: 'row' });
  const picture = h('div', { class: 'qr' }, 'The code appears here in a moment.');
  const left = h('span', {});
  const bar = h('meter-bar', { 'aria-hidden': 'true' }, left);
  let code = null;
  let ends = 0;
  let began = 0;
  let url = null;
  let linked = false;

  function forget(text) {
    code = null;
    if (url) URL.revokeObjectURL(url);
    url = null;
    fill(picture, text);
  }

  async function look() {
    const session = await get(path);
    if (gone()) return;
    fill(status, badge(session.state), h('span', {}, doing(session)));
    if (session.ready && !linked) {
      linked = true;
      done(session);
      return;
    }
    if (linked) return;
    if (!session.has_qr) {
      forget(session.state === 'linking' ? 'WhatsApp is asked for a new code.' : session.authenticated ? 'Linked. WhatsApp Web is syncing.' : 'The browser starts.');
      return;
    }
    const now = await get(`${path}/qr`).catch(() => null);
    if (gone() || !now || now.code === code) return;
    const image = await blob(`${path}/qr?format=svg`);
    if (gone()) return;
    if (url) URL.revokeObjectURL(url);
    url = URL.createObjectURL(image);
    code = now.code;
    began = Date.now();
    ends = new Date(now.expires_at).getTime();
    fill(picture, h('img', { src: url, alt: 'QR code to be scanned with WhatsApp on the phone' }));
  }

  function tick() {
    const share = code ? Math.max(0, (ends - Date.now()) / Math.max(1, ends - began)) : 0;
    left.style.width = `${share * 100}%`;
    if (code && share === 0) look().catch(() => {});
  }

  function done(session) {
    const me = session.me;
    fill(sheet, h('div', { class: 'head' }, h('h1', {}, `${name} is linked`), badge('ready')),
      h('div', { class: 'card' },
        h('p', {}, `This gateway now speaks for ${me?.push_name ? `${me.push_name}, ` : ''}${me ? `+${me.id.split('@')[0]}` : 'the number'}. The login is kept on this machine: a restart needs no phone.`),
        h('div', { class: 'row' },
          h('a', { class: 'button first', href: `#/send?session=${at(name)}` }, 'Send a test message'),
          h('a', { class: 'button', href: `#/session/${at(name)}` }, 'See the session'))));
    say(`${name} is linked.`);
  }

  const phone = h('input', { type: 'tel', autocomplete: 'tel', inputmode: 'tel', placeholder: '+49 151 2345678', required: true });
  const typed = h('div', { role: 'status', 'aria-live': 'polite' });
  const pairing = h('form', { class: 'card', onsubmit: (event) => event.preventDefault() },
    h('h2', {}, 'Or type a code on the phone'),
    field('The account’s number', phone, 'In international form.'),
    h('div', { class: 'row' }, act('Get a code', async () => {
      if (!phone.reportValidity()) return;
      const answer = await post(`${path}/pairing-code`, { phone: phone.value.replace(/[\s()/-]/g, '') });
      fill(typed, h('p', { class: 'pair' }, `${answer.code.slice(0, 4)}-${answer.code.slice(4)}`),
        h('small', {}, 'On the phone: Linked devices, Link a device, Link with phone number instead.'));
    }, { type: 'submit' })), typed);

  const session = await get(path);
  until(() => url && URL.revokeObjectURL(url));
  fill(sheet,
    h('div', { class: 'head' }, h('h1', {}, `Link ${name}`), status,
      h('p', {}, 'The account’s phone must allow this gateway once, as it would allow a browser.')),
    session.state === 'stopped' && may('admin') ? h('div', { class: 'card' }, h('p', {}, 'This session is stopped.'),
      h('div', { class: 'row' }, act('Start it', () => post(`${path}/start`).then(look), { class: 'first' }))) : null,
    h('div', { class: 'card' }, h('div', { class: 'linking' },
      h('div', { class: 'field' }, picture, bar),
      h('div', { class: 'field' }, h('h2', {}, 'Scan this code'),
        h('ol', { class: 'steps' }, h('li', {}, 'Open WhatsApp on the phone.'), h('li', {}, 'Settings, Linked devices, Link a device.'),
          h('li', {}, 'Point the camera at the code. It renews itself.'))))),
    pairing);
  if (session.ready) done(session);
  linked = session.ready;
  if (linked) return;
  await look();
  until(follow(['session.'], look, 200));
  until(every(2000, look));
  until(every(250, tick));
}
