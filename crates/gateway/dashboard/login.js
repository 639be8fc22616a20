// Logging in with a token. Only the gateway keeps anything: the browser gets a
// cookie that scripts cannot read.

import { post } from './api.js';
import { field, fill, h } from './dom.js';

export function login(main, why) {
  return new Promise((done) => {
    const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true, spellcheck: 'false' });
    const error = h('p', { class: 'notice bad', role: 'alert', hidden: !why }, h('span', {}, why));
    const enter = h('button', { type: 'submit', class: 'first' }, 'Log in');
    const form = h('form', { class: 'card login', onsubmit: async (event) => {
      event.preventDefault();
      enter.disabled = true;
      try {
        await post('/login', { token: token.value.trim() });
        done();
      } catch (refused) {
        error.hidden = false;
        fill(error, h('span', {}, refused.message));
        enter.disabled = false;
        token.select();
      }
    } },
    h('h1', {}, 'Steadfast'),
    field('Token', token, 'The gateway printed one at its first start. More: steadfast token new --name me --scope admin'),
    error, h('div', { class: 'row' }, enter));
    fill(main, form);
    document.title = 'Log in · Steadfast';
    main.removeAttribute('aria-busy');
    token.focus();
  });
}
