// wa-js, unmodified, injected before the page's own scripts.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import puppeteer from 'puppeteer-core';
import { BOB, EVE, NOBODY } from '../lib/sim.mjs';
import { EXECUTABLE, conformanceArgs } from '../lib/browser.mjs';
import { sleep } from '../lib/wait.mjs';
import { check } from './steps.mjs';
import { DOCUMENT, DOCUMENT_SHA256, reactionTo } from './content.mjs';

const require = createRequire(import.meta.url);
const CHAT = `${BOB}@c.us`;
// Neither analytics nor foreign servers for link previews: wa-js has both on by default.
const CONFIG = 'window.WPPConfig = { disableGoogleAnalytics: true, linkPreviewApiServers: [] };';
// By time, not by frame: a tab in the background draws none.
const WAIT = { timeout: 20_000, polling: 50 };

export class WaJs {
  constructor(packageName, sim, folder) {
    const main = require.resolve(packageName);
    this.bundle = fs.readFileSync(main, 'utf8');
    this.version = JSON.parse(fs.readFileSync(path.join(main, '../../package.json'), 'utf8')).version;
    this.sim = sim;
    this.folder = folder;
  }

  async start() {
    this.browser = await puppeteer.launch({
      executablePath: EXECUTABLE, headless: true, userDataDir: this.folder, args: conformanceArgs(this.sim),
    });
    this.page = (await this.browser.pages())[0] ?? await this.browser.newPage();
    await this.page.evaluateOnNewDocument(`${CONFIG}\n${this.bundle}`);
    await this.page.goto('https://web.whatsapp.com/');
  }

  async close() { await this.browser?.close().catch(() => {}); }

  evaluate(...args) { return this.page.evaluate(...args); }

  wait(condition, ...args) { return this.page.waitForFunction(condition, WAIT, ...args); }

  main() {
    return this.wait(() => window.WPP?.isFullReady && WPP.conn.isAuthenticated() && WPP.conn.getStreamData().mode === 'MAIN');
  }

  async send(text, options = {}) {
    const sent = await this.evaluate((to, body, more) => WPP.chat.sendTextMessage(to, body, more), CHAT, text, options);
    check(sent.sendMsgResult?.messageSendResult === 'OK' && sent.ack >= 1, `it says ${JSON.stringify(sent.sendMsgResult)}, ack ${sent.ack}`);
    return { key: sent.id, id: sent.id.split('_')[2] };
  }

  heard(wanted) {
    return this.wait((members) => window.heard.some((entry) => Object.entries(members).every(([name, value]) => (
      Array.isArray(entry[name]) ? entry[name].includes(value) : entry[name] === value
    ))), wanted);
  }

  async qr() {
    await this.start();
    await this.wait(() => window.WPP?.isFullReady);
    const handle = await this.wait(() => WPP.conn.getAuthCode().then((code) => code?.fullCode));
    this.code = await handle.jsonValue();
    check(this.code.split(',').length === 4, `the code has ${this.code.split(',').length} parts`);
  }

  async link() {
    // It leaves out the last part, the kind of device.
    await this.sim.scan(`${this.code},1`);
    await this.sim.waitFor('linked');
    this.linkedAt = Date.now();
  }

  async ready() {
    await this.main();
    await this.evaluate(() => {
      window.heard = [];
      WPP.ev.on('chat.msg_ack_change', ({ ack, ids }) => window.heard.push({ event: 'ack', ack, ids: ids.map(String) }));
      WPP.ev.on('chat.new_message', (message) => window.heard.push({ event: 'message', body: message.body, from: String(message.from) }));
      WPP.ev.on('chat.new_reaction', ({ reactionText }) => window.heard.push({ event: 'reaction', text: reactionText }));
    });
  }

  async text() {
    this.message = await this.send('a text');
    await this.sim.waitFor('delivered', (entry) => entry.id === this.message.id && entry.body === 'a text');
  }

  async acks() {
    for (const ack of [1, 2, 3]) await this.heard({ event: 'ack', ack, ids: this.message.key });
  }

  async media() {
    const data = `data:text/plain;base64,${DOCUMENT.toString('base64')}`;
    const key = await this.evaluate(async (to, file) => (
      (await WPP.chat.sendFileMessage(to, file, { type: 'document', filename: 'letter.txt' })).id
    ), CHAT, data);
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === key.split('_')[2]);
    check(arrived.file?.sha256 === DOCUMENT_SHA256, 'other bytes arrived than were sent');
  }

  async reply() {
    const { id } = await this.send('a reply', { quotedMsg: this.message.key });
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === id);
    check(arrived.content?.quoted?.id === this.message.id, 'what arrived quotes nothing');
  }

  async reaction() {
    await this.evaluate((key) => WPP.chat.sendReactionToMessage(key, '👍').then(() => true), this.message.key);
    await this.sim.waitFor('taken', (entry) => entry.kind === 'reaction');
    await this.sim.incoming('', reactionTo(this.message.id, CHAT, this.sim.phone, '🎉'));
    await this.heard({ event: 'reaction', text: '🎉' });
  }

  async incoming() {
    await this.sim.incoming('hello to you');
    await this.heard({ event: 'message', body: 'hello to you', from: CHAT });
  }

  async number_check() {
    await this.sim.patch(`/people/${NOBODY}`, { exists: false });
    const [found, missing] = await this.evaluate(async (known, unknown) => [
      String((await WPP.contact.queryExists(known))?.wid), await WPP.contact.queryExists(unknown),
    ], `${EVE}@c.us`, `${NOBODY}@c.us`);
    check(found === `${EVE}@c.us`, 'a number is not found');
    check(missing === null, 'a number that is not on WhatsApp is found');
  }

  async group() {
    const key = await this.evaluate(async (member) => {
      const { gid } = await WPP.group.create('Lunch', [member]);
      return (await WPP.chat.sendTextMessage(String(gid), 'hello all')).id;
    }, CHAT);
    await this.sim.waitFor('delivered', (entry) => key.includes(entry.id) && entry.chat?.includes('@g.us'));
  }

  async reconnect() {
    const after = await this.sim.now();
    await this.sim.fault('drop_sockets');
    await this.sim.waitFor('logged_in', () => true, { after });
    const { id } = await this.send('after the drop');
    await this.sim.waitFor('delivered', (entry) => entry.id === id);
  }

  async conflict() {
    await this.sim.fault('conflict');
    await this.wait(() => WPP.conn.getStreamData().mode === 'CONFLICT');
    await this.evaluate(() => WPP.whatsapp.Socket.takeover());
    await this.wait(() => WPP.conn.getStreamData().mode === 'MAIN' && WPP.whatsapp.Socket.state === 'CONNECTED');
    await this.send('mine again');
  }

  async relaunch() {
    // The page's local storage is on disk some seconds after the linking.
    await sleep(Math.max(0, this.linkedAt + 6_000 - Date.now()));
    await this.close();
    await this.start();
    await this.main();
    await this.send('back');
  }

  async unlink() {
    const gone = this.page.waitForNavigation({ timeout: 20_000 });
    await this.sim.unlink();
    await gone;
    check(/post_logout=1/.test(this.page.url()), `the page went to ${this.page.url()}`);
    await this.wait(() => window.WPP?.isFullReady && WPP.conn.getAuthCode().then(Boolean));
    check(await this.evaluate(() => WPP.conn.isAuthenticated()) === false, 'it says that it is still logged in');
  }

  knownBugs() { return {}; }
}
