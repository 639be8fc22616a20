// Making elements, and saying times and sizes. Nothing is ever parsed as HTML.

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked' || name === 'selected') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...flat(children));
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...flat(children));
  return element;
}

const flat = (children) => children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);

// Shows these children and no others.
export function fill(parent, ...children) {
  parent.replaceChildren(...flat(children));
  return parent;
}

// Keeps the rows of a list in step with its items: a row whose item did not
// change stays the very element that it was, and keeps the focus; so does one
// that is being pressed, until the next time, or the click would go nowhere.
export function keep(parent, items, key, make) {
  const old = new Map([...parent.children].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const [name, now] = [String(key(item)), JSON.stringify(item)];
    const row = old.get(name);
    if (row && (row.shown === now || row.matches(':active'))) return row;
    const fresh = make(item);
    fresh.dataset.key = name;
    fresh.shown = now;
    return fresh;
  });
  const focused = document.activeElement;
  const place = focused && parent.contains(focused) ? focused.closest('[data-key]')?.dataset.key : null;
  const label = focused?.textContent;
  // Only what moved is touched: moving an element takes its focus away.
  rows.forEach((row, at) => {
    if (parent.children[at] !== row) parent.insertBefore(row, parent.children[at] ?? null);
  });
  while (parent.children.length > rows.length) parent.lastElementChild.remove();
  if (place && !parent.contains(document.activeElement)) {
    const row = rows.find((row) => row.dataset.key === place);
    const same = row && [...row.querySelectorAll('a, button, summary')].find((e) => e.textContent === label);
    (same ?? row?.querySelector('a, button, summary'))?.focus();
  }
}

const two = (n) => String(n).padStart(2, '0');

// 14:03:07 today, 12 Mar 14:03 before.
export function clock(at) {
  if (!at) return '';
  const time = new Date(at);
  const now = new Date();
  if (time.toDateString() === now.toDateString()) {
    return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  }
  const month = time.toLocaleString('en', { month: 'short' });
  const year = time.getFullYear() === now.getFullYear() ? '' : ` ${time.getFullYear()}`;
  return `${time.getDate()} ${month}${year} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

export const when = (at) => (at ? h('time', { datetime: at, title: new Date(at).toString() }, clock(at)) : '');

// 870 ms, 3.2 s, 4 min, 2 h 5 min, 3 d 4 h.
export function span(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(ms < 10e3 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60e3);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor((minutes % 1440) / 60)} h`;
}

export function bytes(n) {
  if (!n) return '–';
  if (n < 1048576) return `${Math.round(n / 1024)} KiB`;
  if (n < 1073741824) return `${Math.round(n / 1048576)} MiB`;
  return `${(n / 1073741824).toFixed(1)} GiB`;
}

export const count = (n) => Number(n ?? 0).toLocaleString('en');

// Names that programs know, for people: page_closed, page closed.
export const words = (name) => (name ?? '').replaceAll('_', ' ');

const TONES = {
  ready: 'good', read: 'good', played: 'good', delivered: 'good', sent: 'good', recovered: 'good', active: 'good',
  syncing: 'busy', starting: 'busy', linking: 'busy', recovering: 'warn', sending: 'busy', accepted: 'quiet',
  stopped: 'quiet', cancelled: 'quiet', paused: 'quiet', expired: 'warn', interrupted: 'quiet',
  conflict: 'warn', parked: 'bad', logged_out: 'bad', rejected: 'bad', disabled: 'bad', gave_up: 'bad',
  failed: 'warn', refused: 'bad', gone: 'bad', open: 'warn', pass: 'good', warning: 'warn', fail: 'bad', session_closed: 'bad',
};

// A state as a word with a dot; the word says it all, the colour only helps.
export const badge = (name) => h('span', { class: `badge ${TONES[name] ?? 'quiet'}` }, words(name));

export const button = (label, onclick, attributes = {}) =>
  h('button', { type: 'button', ...attributes, onclick }, label);

// A button that asks the gateway for something: it waits, and says what went wrong.
export function act(label, work, attributes = {}) {
  const made = button(label, async () => {
    made.disabled = true;
    try {
      await work();
    } catch (error) {
      say(error.message, 'bad');
    } finally {
      made.disabled = false;
    }
  }, attributes);
  return made;
}

// One line for everybody, also for those who do not see it.
let leaving;
export function say(text, tone = 'good', action = null) {
  clearTimeout(leaving);
  const line = h('p', { class: `notice ${tone}` }, h('span', {}, text), action,
    button('×', () => fill(document.getElementById('notice')), { class: 'plain', 'aria-label': 'Dismiss' }));
  fill(document.getElementById('notice'), line);
  if (tone === 'good') leaving = setTimeout(() => line.remove(), 6000);
  return line;
}

// Asks before what cannot be taken back. True where the answer is yes.
export function sure(question, detail, yes) {
  return new Promise((answer) => {
    const dialog = h('dialog', { 'aria-labelledby': 'sure-question' },
      h('h2', { id: 'sure-question' }, question), h('p', {}, detail),
      h('div', { class: 'row end' },
        button('No', () => dialog.close(''), { autofocus: true }),
        button(yes, () => dialog.close('yes'), { class: 'danger' })));
    dialog.addEventListener('close', () => {
      dialog.remove();
      answer(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const field = (label, input, hint) => {
  input.id ||= `f${Math.random().toString(36).slice(2)}`;
  const about = hint ? h('small', { id: `${input.id}-hint` }, hint) : null;
  if (about) input.setAttribute('aria-describedby', about.id);
  return h('div', { class: 'field' }, h('label', { for: input.id }, label), input, about);
};

export function select(options, value, onchange, attributes = {}) {
  return h('select', { ...attributes, onchange: (event) => onchange(event.target.value) },
    options.map(([name, label]) => h('option', { value: name, selected: name === value }, label)));
}

// A table that becomes a stack of labelled lines on a narrow screen.
export function table(caption, heads, body) {
  return h('div', { class: 'table', role: 'region', 'aria-label': caption, tabindex: '0' },
    h('table', {}, h('caption', { class: 'unseen' }, caption),
      h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))), body));
}

export const cell = (label, ...children) => h('td', { 'data-label': label }, ...children);

// A secret that is shown this once.
export function secret(title, text) {
  const shown = h('code', { class: 'secret', tabindex: '0' }, text);
  return h('div', { class: 'card secret-card', role: 'alert' }, h('h3', {}, title), shown,
    h('p', { class: 'row' }, copy(text), h('small', {}, 'It is shown this once.')));
}

export function copy(text, label = 'Copy') {
  const made = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = 'Copied';
    } catch {
      say('The browser does not allow copying here. Select the text instead.', 'warn');
    }
  });
  return made;
}
