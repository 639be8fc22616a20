// A page with wa-js in it, unmodified, injected before the page's own scripts.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const BUNDLE = fs.readFileSync(require.resolve('@wppconnect/wa-js'), 'utf8');
// Neither analytics nor foreign servers for link previews: wa-js has both on by default.
const CONFIG = 'window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] };';
// By time, not by frame: a tab in the background draws none.
const WAIT = { timeout: 30_000, polling: 100 };

/** Opens the page; `page.problems` collects errors that it reports. */
export async function openPage(browser, { bundle = true } = {}) {
  const page = (await browser.pages())[0] ?? await browser.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('favicon') && !message.text().includes('404')) {
      page.problems.push(message.text());
    }
  });
  if (bundle) await page.evaluateOnNewDocument(`${CONFIG}\n${BUNDLE}`);
  await page.goto('https://web.whatsapp.com/');
  return page;
}

export const waitForLibrary = (page) => page.waitForFunction(() => window.WPP?.isFullReady, WAIT);

export const waitForMain = (page) => page.waitForFunction(
  () => window.WPP?.isFullReady && WPP.conn.isAuthenticated() && WPP.conn.getStreamData().mode === 'MAIN', WAIT,
);

export const socketState = (page) => page.evaluate(() => require('WAWebSocketModel').Socket.state);

export const waitForState = (page, state) => page.waitForFunction(
  (wanted) => require('WAWebSocketModel').Socket.state === wanted, WAIT, state,
);

/** The code on the screen, as wa-js reads it. */
export async function authCode(page) {
  await waitForLibrary(page);
  const handle = await page.waitForFunction(
    () => WPP.conn.getAuthCode().then((code) => code?.fullCode), WAIT,
  );
  return handle.jsonValue();
}

export async function link(page, sim) {
  // wa-js leaves out the last part, the kind of device.
  await sim.scan(`${await authCode(page)},1`);
  await waitForMain(page);
}

/** Keeps what wa-js emits in `window.heard`. */
export const listen = (page) => page.evaluate(() => {
  window.heard = [];
  WPP.ev.on('chat.msg_ack_change', ({ ack, ids }) => window.heard.push({ event: 'ack', ack, ids: ids.map(String) }));
  WPP.ev.on('chat.new_message', (message) => (
    window.heard.push({ event: 'message', id: String(message.id), body: message.body ?? message.caption, type: message.type })
  ));
  WPP.ev.on('chat.new_reaction', ({ reactionText }) => window.heard.push({ event: 'reaction', text: reactionText }));
  WPP.ev.on('chat.msg_revoke', ({ refId }) => window.heard.push({ event: 'revoke', id: String(refId) }));
  WPP.ev.on('chat.msg_edited', ({ id }) => window.heard.push({ event: 'edit', id }));
  WPP.ev.on('chat.poll_response', ({ msgId }) => window.heard.push({ event: 'vote', id: String(msgId) }));
  WPP.ev.on('group.participant_changed', ({ action }) => window.heard.push({ event: 'group', action }));
});

/** Waits until an entry of `window.heard` has all these members. */
export const waitToHear = (page, wanted) => page.waitForFunction(
  (members) => window.heard.some((entry) => Object.entries(members).every(([name, value]) => (
    Array.isArray(entry[name]) ? entry[name].includes(value) : entry[name] === value
  ))), WAIT, wanted,
);

/** The key that wa-js takes as `messageId`. */
export const mintKey = (chat) => {
  const hex = Array.from({ length: 18 }, () => '0123456789ABCDEF'[Math.floor(Math.random() * 16)]).join('');
  return `true_${chat}_3EB0${hex}`;
};
