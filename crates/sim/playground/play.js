// The phone, its chats and fate, over the control side of the simulator.
import { FAULTS } from '/playground/faults.js';

const $ = (id) => document.getElementById(id);
const flat = (children) => children.flat(3).filter((child) => child !== null && child !== undefined && child !== false);

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...flat(children));
  return element;
}

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method, cache: 'no-store', headers: { 'X-Steadfast-Sim': '1', ...(body ? { 'Content-Type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.error ?? `The simulator answered ${answer.status}.`);
  return json;
}

function say(text, bad = false) {
  $('said').textContent = text;
  $('said').className = bad ? 'bad' : '';
}

const act = (label, work, attributes = {}) => h('button', { type: 'button', ...attributes, onclick: async () => {
  try {
    say(await work() ?? '');
  } catch (error) {
    say(error.message, true);
  }
} }, label);

const field = (label, input) => h('label', {}, label, input);
const input = (value, attributes = {}) => h('input', { value, autocomplete: 'off', ...attributes });

let phone = null;
let accounts = [];
const account = () => `/accounts/${encodeURIComponent(phone)}`;

// ------------------------------------------------------------ the phone

const number = input('4915112345678', { inputmode: 'tel' });
const called = input('Shop');
const code = input('', { placeholder: 'ABCD1234' });
const fresh = h('div', { class: 'row' }, field('Number', number), field('Name', called), act('Get a phone', async () => {
  const made = await ask('POST', '/accounts', { phone: number.value.replace(/\D/g, ''), push_name: called.value });
  phone = made.phone;
  await look();
  return `+${phone} has WhatsApp now. Let the gateway show its code, then scan it.`;
}, { class: 'first' }));
const chooser = h('div', { class: 'row' });
const devices = h('ul', { class: 'devices' });
const online = h('input', { type: 'checkbox', checked: true, onchange: () => ask('POST', `${account()}/online`, { online: online.checked }).then(() => say(online.checked ? 'The phone has network.' : 'The phone has no network.')) });
const addressing = h('span', { class: 'soft' });
const held = h('div', { class: 'held' }, addressing,
  act('Scan the code on show', async () => {
    const { codes } = await ask('GET', '/codes');
    if (!codes.length) throw new Error('No code is on show: start linking in the gateway’s dashboard.');
    await ask('POST', `${account()}/scan`, { code: codes[codes.length - 1] });
    await look();
    return 'Scanned.';
  }, { class: 'first', id: 'scan' }),
  h('div', { class: 'row' }, field('Or type a pairing code', code), act('Enter', async () => {
    await ask('POST', `${account()}/pairing-code`, { code: code.value.replace(/[\s-]/g, '').toUpperCase() });
    return 'Taken.';
  })),
  h('h3', {}, 'Linked devices'), devices,
  h('label', { class: 'check' }, online, 'The phone has network'),
  h('div', { class: 'row' },
    act('Ban for a minute', () => ask('POST', `${account()}/ban`, { ms: 60000 }).then(() => 'Banned.')),
    act('Unban', () => ask('POST', `${account()}/unban`).then(() => 'Not banned.')),
    act('Change to hidden ids', () => ask('POST', `${account()}/lid-migration`).then(() => 'People stand by hidden ids now.'))));
$('account').append(chooser, fresh, held);

async function look() {
  accounts = (await ask('GET', '/accounts')).accounts;
  phone ??= accounts[0]?.phone ?? null;
  const one = accounts.find((each) => each.phone === phone);
  held.hidden = !one;
  fresh.hidden = accounts.length > 0;
  chooser.replaceChildren(...accounts.map((each) => h('button', { type: 'button', 'aria-pressed': String(each.phone === phone), onclick: () => { phone = each.phone; chats(); look(); } }, `${each.push_name || 'phone'} +${each.phone}`)),
    ...(accounts.length ? [h('button', { type: 'button', onclick: () => { fresh.hidden = false; number.value = String(BigInt(accounts[accounts.length - 1].phone) + 1n); number.focus(); } }, 'Another phone')] : []));
  if (!one) return;
  addressing.textContent = `Companions name people by ${one.addressing === 'lid' ? 'hidden id' : 'number'}.`;
  online.checked = one.phone_online;
  const lines = one.devices.map((device) => h('li', {}, h('span', {}, `Device ${device.number} `, h('small', {}, `${device.connected ? 'connected' : 'away'}${device.queued ? `, ${device.queued} wait` : ''}`)),
    act('Unlink', () => ask('POST', `${account()}/unlink`, { device: device.id }).then(look).then(() => 'Unlinked.'), { 'aria-label': `Unlink device ${device.number}` })));
  const now = JSON.stringify(one.devices);
  if (devices.shown !== now) {
    devices.shown = now;
    devices.replaceChildren(...(lines.length ? lines : [h('li', { class: 'soft' }, 'none')]));
  }
}

// ------------------------------------------------------------ chats

const talks = new Map();
const to = input('4915198765432', { inputmode: 'tel' });
const first = input('Hello, are you open today?');
const list = h('div', {});
$('chats').append(h('form', { class: 'row', onsubmit: (event) => event.preventDefault() }, field('Somebody’s number', to), field('writes', first),
  act('Write to the account', () => write(to.value.replace(/\D/g, ''), first.value), { type: 'submit', class: 'first' })), list);

async function write(from, text) {
  if (!phone) throw new Error('Get a phone first.');
  await ask('POST', `${account()}/messages`, { from, text });
  return 'Written.';
}

function talk(with_) {
  const key = `${phone} ${with_}`;
  if (!talks.has(key)) {
    const bubbles = h('ol', { class: 'bubbles', tabindex: '0', 'aria-label': `Messages with ${with_}`, 'aria-live': 'polite' });
    const answer = input('', { 'aria-label': `Reply as ${with_}` });
    const reply = async () => {
      const text = answer.value || 'OK';
      answer.value = '';
      return write(with_.replace(/\D/g, ''), text);
    };
    const box = h('article', { class: 'chat' }, h('strong', {}, `+${with_}`), bubbles,
      h('form', { class: 'row', onsubmit: (event) => event.preventDefault() }, field('Reply as them', answer), act('Reply', reply, { type: 'submit' }),
        act('Write from the phone itself', async () => {
          const text = answer.value || 'From the phone';
          answer.value = '';
          await ask('POST', `${account()}/send`, { to: with_, text });
          return 'Written.';
        })));
    talks.set(key, { of: phone, box, bubbles, seen: new Map() });
  }
  return talks.get(key);
}

function bubble(entry, name, ours) {
  if (!name || name.includes('@g.us')) return;
  const with_ = name.replace('@c.us', '');
  const before = phone;
  phone = entry.account ?? phone;
  const chat = talk(with_);
  phone = before;
  const time = new Date(entry.at_ms).toLocaleTimeString('en-GB');
  const mark = h('small', {}, time);
  const line = h('li', { class: ours ? 'ours' : '' }, entry.body || entry.kind || '', mark);
  chat.bubbles.append(line);
  while (chat.bubbles.children.length > 200) chat.bubbles.firstElementChild.remove();
  if (entry.id) chat.seen.set(entry.id, mark);
  chat.bubbles.scrollTop = chat.bubbles.scrollHeight;
  list.prepend(chat.box);
  chats();
}

function chats() {
  for (const chat of talks.values()) chat.box.hidden = chat.of !== phone;
}

// ------------------------------------------------------------ fate

for (const [group, faults] of FAULTS) {
  $('faults').append(h('h3', {}, group));
  for (const fault of faults) {
    const value = fault.input ? input(fault.input.value, { type: 'number', min: 0 }) : null;
    $('faults').append(h('div', { class: 'fault' }, h('div', { class: 'row' },
      value ? h('label', {}, h('span', {}, `${fault.input.label}`), value) : null,
      act(fault.name, async () => {
        await ask('POST', '/faults', JSON.parse(JSON.stringify(fault.of(phone ?? undefined, value ? Number(value.value) : 0))));
        return `${fault.name}: done. Watch the gateway heal.`;
      })), fault.about ? h('small', {}, fault.about) : null));
    if (value) value.setAttribute('aria-label', `${fault.name}: ${fault.input.label}`);
  }
}
const delays = h('div', { class: 'row' });
$('faults').append(h('h3', {}, 'Delays'), delays);
ask('GET', '/knobs').then((knobs) => {
  for (const [name, label] of [['ack_delay_ms', 'ack, ms'], ['delivery_delay_ms', 'delivery, ms'], ['read_delay_ms', 'read, ms']]) {
    const knob = input(knobs[name], { type: 'number', min: 0, onchange: () => ask('PATCH', '/knobs', { [name]: Number(knob.value) }).then(() => say(`${label}: ${knob.value}`), (error) => say(error.message, true)) });
    delays.append(field(label, knob));
  }
}).catch((error) => say(error.message, true));

// ------------------------------------------------------------ what happens

const QUIET = ['query', 'page_log', 'connected', 'hello', 'received', 'presence', 'chatstate'];
let after = 0;

function tell(entry) {
  if (entry.event === 'delivered') bubble(entry, entry.peer ?? entry.chat, true);
  else if (entry.event === 'phone_sent') bubble(entry, entry.peer ?? entry.chat, true);
  else if (entry.event === 'incoming') bubble(entry, entry.peer ?? entry.chat, false);
  else if (entry.event === 'receipt' && entry.level >= 3) for (const chat of talks.values()) chat.seen.get(entry.id)?.append(' · read');
  if (QUIET.includes(entry.event)) return;
  const what = [entry.kind, entry.peer ?? entry.chat, entry.body, entry.detail].filter(Boolean).join(' · ');
  $('journal').prepend(h('li', {}, h('span', {}, new Date(entry.at_ms).toLocaleTimeString('en-GB')), h('strong', {}, entry.event.replaceAll('_', ' ')), h('span', {}, what)));
  while ($('journal').children.length > 200) $('journal').lastElementChild.remove();
}

async function follow() {
  const { last } = await ask('GET', '/journal?after=0&limit=1');
  after = Math.max(0, last - 3000);
  for (;;) {
    try {
      const page = await ask('GET', `/journal?after=${after}&limit=500&wait_ms=20000`);
      // Only the newest are of interest to who comes late.
      page.entries.forEach(tell);
      after = page.next;
      if (page.entries.length) await look();
      if ($('said').dataset.away) {
        delete $('said').dataset.away;
        say('The simulator is back.');
      }
    } catch {
      if (!$('said').dataset.away) say('The simulator does not answer. Trying again.', true);
      $('said').dataset.away = '1';
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
}

look().catch((error) => say(error.message, true));
setInterval(() => document.visibilityState === 'visible' && look().catch(() => {}), 3000);
follow().catch((error) => say(error.message, true));
