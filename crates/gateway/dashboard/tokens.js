// Who may ask the gateway, and for what.

import { at, get, me, post, remove } from './api.js';
import { act, badge, cell, field, fill, h, keep, say, secret, select, sure, table, when } from './dom.js';

const LASTS = [['', 'for ever'], ['86400', 'a day'], ['2592000', '30 days'], ['7776000', '90 days'], ['31536000', 'a year']];

export async function tokens({ sheet, gone }) {
  const body = h('tbody');
  const fresh = h('div', {});
  let scope = 'send';
  let lasts = '';

  const row = (token) => h('tr', {},
    cell('Name', token.name, token.name === me.name ? h('small', {}, ' (this login)') : null), cell('Scope', badge(token.scope)),
    cell('Sessions', token.sessions?.join(', ') ?? 'all'),
    cell('Made', when(token.created_at)), cell('Ends', token.expires_at ? when(token.expires_at) : 'never'), cell('Last used', token.last_used_at ? when(token.last_used_at) : 'never'),
    cell('', h('div', { class: 'row' },
      act('Rotate', async () => {
        if (!await sure(`Give ${token.name} a new secret?`, 'The old one is still taken for a day.', 'Rotate')) return;
        const made = await post(`/v1/tokens/${at(token.name)}/rotate`);
        fill(fresh, secret(`The new secret of ${token.name}`, made.token));
        await load();
      }, { class: 'small', 'aria-label': `Rotate ${token.name}` }),
      act('Revoke', async () => {
        if (!await sure(`Revoke ${token.name}?`, 'Whoever uses it is refused from now on, logins with it too.', 'Revoke')) return;
        await remove(`/v1/tokens/${at(token.name)}`);
        say(`${token.name} was revoked.`);
        await load();
      }, { class: 'small danger', 'aria-label': `Revoke ${token.name}` }))));

  async function load() {
    const { items } = await get('/v1/tokens');
    if (!gone()) keep(body, items, (token) => token.name, row);
  }

  const name = h('input', { required: true, pattern: '[A-Za-z0-9_.\\-]{1,64}', autocomplete: 'off' });
  const only = h('input', { autocomplete: 'off', placeholder: 'default, shop' });
  const form = h('form', { class: 'card', onsubmit: (event) => event.preventDefault() },
    h('h2', {}, 'Make a token'),
    h('div', { class: 'tools' }, field('Name', name),
      field('It may', select([['read', 'look'], ['send', 'look and send'], ['admin', 'do everything']], scope, (value) => { scope = value; })),
      field('It lasts', select(LASTS, lasts, (value) => { lasts = value; })),
      field('Sessions', only, 'All, where none is named.')),
    h('div', { class: 'row' }, act('Make it', async () => {
      if (!form.reportValidity()) return;
      const sessions = only.value.split(',').map((one) => one.trim()).filter(Boolean);
      const made = await post('/v1/tokens', { name: name.value.trim(), scope, ...(sessions.length ? { sessions } : {}), ...(lasts ? { expires_in: Number(lasts) } : {}) });
      fill(fresh, secret(`The secret of ${made.name}`, made.token));
      name.value = '';
      await load();
    }, { class: 'first', type: 'submit' })));

  await load();
  fill(sheet, h('div', { class: 'head' }, h('h1', {}, 'Tokens')),
    table('Tokens', ['Name', 'Scope', 'Sessions', 'Made', 'Ends', 'Last used', ''], body), fresh, form);
}
