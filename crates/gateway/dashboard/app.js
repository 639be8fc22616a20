// The frame: who is logged in, where one is, whether the gateway is there.

import { bus, get, me, may, post, whole } from './api.js';
import { button, clock, fill, h, say } from './dom.js';
import { close, live, open } from './live.js';
import { login } from './login.js';
import { events } from './events.js';
import { incidents } from './incidents.js';
import { link } from './link.js';
import { outbox } from './outbox.js';
import { overview } from './overview.js';
import { send } from './send.js';
import { session } from './session.js';
import { system } from './system.js';
import { tokens } from './tokens.js';
import { webhooks } from './webhooks.js';

const anyone = () => true;
// The name in the address, what the navigation calls it, and who may see it.
const VIEWS = {
  sessions: { label: 'Sessions', show: overview, for: anyone },
  session: { show: session, for: anyone, under: 'sessions' },
  link: { show: link, for: () => may('admin'), under: 'sessions' },
  send: { label: 'Send', show: send, for: () => may('send') },
  outbox: { label: 'Outbox', show: outbox, for: anyone },
  incidents: { label: 'Incidents', show: incidents, for: anyone },
  webhooks: { label: 'Webhooks', show: webhooks, for: () => may('admin') && whole() },
  events: { label: 'Events', show: events, for: anyone },
  tokens: { label: 'Tokens', show: tokens, for: () => may('admin') && whole() },
  system: { label: 'System', show: system, for: anyone },
};

const main = document.getElementById('main');
const top = document.getElementById('top');
let leave = null;
let turn = 0;

// #/outbox?session=default -> { view: 'outbox', name: null, query }
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const [view, ...rest] = path.split('/');
  return { view: view || 'sessions', name: rest.length ? decodeURIComponent(rest.join('/')) : null, query: new URLSearchParams(query ?? '') };
}

export const go = (path) => { location.hash = `#/${path}`; };

// `moved`: somebody went there, and reads on from its title.
async function show(moved = false) {
  const mine = ++turn;
  leave?.();
  leave = null;
  const { view, name, query } = place();
  const wanted = VIEWS[view];
  if (!wanted || !wanted.for()) return go('sessions');
  const here = wanted.under ?? view;
  for (const anchor of top.querySelectorAll('nav a')) {
    if (anchor.dataset.view === here) anchor.setAttribute('aria-current', 'page');
    else anchor.removeAttribute('aria-current');
  }
  const sheet = h('div', { class: 'sheet' });
  const ends = [];
  const until = (end) => (mine === turn ? ends.push(end) : end());
  leave = () => ends.forEach((end) => end());
  main.setAttribute('aria-busy', 'true');
  try {
    await wanted.show({ sheet, name, query, until, gone: () => mine !== turn });
  } catch (error) {
    if (mine !== turn) return;
    fill(sheet, h('div', { class: 'empty' }, h('p', {}, error.message), button('Try again', () => show())));
  }
  if (mine !== turn) return;
  fill(main, sheet);
  main.removeAttribute('aria-busy');
  const title = main.querySelector('h1');
  document.title = title ? `${title.textContent} · Steadfast` : 'Steadfast';
  if (title && moved && document.activeElement === document.body) {
    title.tabIndex = -1;
    title.focus({ preventScroll: true });
  }
  window.scrollTo(0, 0);
}

const THEMES = { auto: 'dark', dark: 'light', light: 'auto' };
function theme(next) {
  if (next === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  localStorage.setItem('theme', next);
}
theme(localStorage.getItem('theme') ?? 'auto');

function frame() {
  const pulse = h('span', { class: 'pulse', id: 'pulse' }, 'connecting');
  const look = button('', () => {
    theme(THEMES[localStorage.getItem('theme') ?? 'auto']);
    name();
  }, { class: 'small' });
  const name = () => { look.textContent = { auto: 'Auto', dark: 'Dark', light: 'Light' }[localStorage.getItem('theme') ?? 'auto']; look.setAttribute('aria-label', `Colours: ${look.textContent}`); };
  name();
  const items = Object.entries(VIEWS).filter(([, view]) => view.label && view.for());
  fill(top,
    h('a', { class: 'brand', href: '#/sessions' }, h('img', { src: '/assets/icon.svg', alt: '' }), 'Steadfast'),
    h('nav', { 'aria-label': 'Dashboard' }, h('ul', {}, items.map(([view, { label }]) =>
      h('li', {}, h('a', { href: `#/${view}`, 'data-view': view }, label))))),
    pulse, look, button('Log out', logOut, { class: 'small' }));
  top.hidden = false;
}

async function logOut() {
  await post('/logout').catch(() => {});
  location.hash = '';
  await ask('');
}

// Shows the login, and all else once somebody is in.
async function ask(why) {
  turn += 1;
  leave?.();
  leave = null;
  close();
  top.hidden = true;
  fill(top);
  await login(main, why);
  await begin();
}

async function begin() {
  try {
    Object.assign(me, await get('/dashboard/me'));
  } catch (error) {
    if (error.status === 401) return ask(asking ? 'The browser did not keep the login: does it refuse cookies?' : '');
    fill(main, h('div', { class: 'empty' }, h('p', {}, error.message), button('Try again', begin)));
    return null;
  }
  asking = false;
  frame();
  open(me.started_at);
  return show();
}

let asking = false;
bus.addEventListener('logged-out', () => {
  if (asking || top.hidden) return;
  asking = true;
  ask('Your login has ended. Log in again.').finally(() => { asking = false; });
});

live.addEventListener('state', ({ detail }) => {
  const pulse = document.getElementById('pulse');
  if (!pulse) return;
  pulse.className = `pulse ${detail.state}`;
  pulse.textContent = detail.state === 'online' ? 'live' : 'gateway away';
  if (detail.state === 'offline') {
    say('The gateway does not answer. What you see may be old; this page comes back by itself.', 'warn');
  } else if (detail.restarted) {
    say(`The gateway was restarted at ${clock(detail.at)} and is back. What was accepted is kept.`, 'good');
  } else if (detail.back) {
    say('The gateway is back.', 'good');
  }
});

addEventListener('hashchange', () => { if (!top.hidden) show(true); });
begin();
