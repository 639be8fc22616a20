// whatsapp-web.js, unmodified, through every step.
import { createRequire } from 'node:module';
import { BOB, EVE, NOBODY } from '../lib/sim.mjs';
import { EXECUTABLE, conformanceArgs } from '../lib/browser.mjs';
import { Heard, sleep, within } from '../lib/wait.mjs';
import { check } from './steps.mjs';
import { DOCUMENT, DOCUMENT_SHA256, reactionTo } from './content.mjs';

const require = createRequire(import.meta.url);
const CHAT = `${BOB}@c.us`;
const EVENTS = ['qr', 'authenticated', 'ready', 'disconnected', 'change_state', 'message', 'message_ack', 'message_reaction'];

export class WhatsappWeb {
  constructor(packageName, sim, folder) {
    this.library = require(packageName);
    this.version = require(`${packageName}/package.json`).version;
    this.sim = sim;
    this.folder = folder;
  }

  start() {
    const { Client, LocalAuth } = this.library;
    this.client = new Client({
      authStrategy: new LocalAuth({ dataPath: this.folder }),
      webVersionCache: { type: 'none' },
      takeoverOnConflict: true,
      takeoverTimeoutMs: 200,
      puppeteer: { executablePath: EXECUTABLE, headless: true, args: conformanceArgs(this.sim) },
    });
    this.heard = new Heard();
    for (const name of EVENTS) this.client.on(name, (...args) => this.heard.add(name, ...args));
    this.starting = this.client.initialize().catch((error) => this.heard.add('failed', error));
  }

  async close() { await this.client?.destroy().catch(() => {}); }

  send(content, options = {}) { return this.client.sendMessage(CHAT, content, { waitUntilMsgSent: true, ...options }); }

  async qr() {
    // Sync takes as long as on a phone with some chats: the client is ready only where it listens before it ends.
    await this.sim.knobs({ sync_delay_ms: 3_000 });
    this.start();
    [this.code] = await this.heard.wait('qr');
    check(this.code.split(',').length === 5, `the code has ${this.code.split(',').length} parts`);
  }

  async link() {
    await this.sim.scan(this.code);
    await this.sim.waitFor('linked');
    this.linkedAt = Date.now();
    await this.heard.wait('authenticated');
  }

  async ready() {
    await this.heard.wait('ready');
    check(await this.client.getState() === 'CONNECTED', 'the state is not CONNECTED');
    await this.sim.knobs({ sync_delay_ms: 100 });
  }

  async text() {
    this.message = await this.send('a text');
    check(this.message?.ack >= 1, 'no ack of the server with the answer');
    await this.sim.waitFor('delivered', (entry) => entry.id === this.message.id.id && entry.body === 'a text');
  }

  async acks() {
    const id = this.message.id._serialized;
    for (const level of [1, 2, 3]) {
      await this.heard.wait('message_ack', (message, ack) => message.id._serialized === id && ack === level);
    }
  }

  async media() {
    const { MessageMedia } = this.library;
    const sent = await this.send(new MessageMedia('text/plain', DOCUMENT.toString('base64'), 'letter.txt'), { sendMediaAsDocument: true });
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === sent.id.id);
    check(arrived.file?.sha256 === DOCUMENT_SHA256, 'other bytes arrived than were sent');
  }

  async reply() {
    const reply = await this.message.reply('a reply');
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === reply.id.id);
    check(arrived.content?.quoted?.id === this.message.id.id, 'what arrived quotes nothing');
  }

  async reaction() {
    await this.message.react('👍');
    await this.sim.waitFor('taken', (entry) => entry.kind === 'reaction');
    await this.sim.incoming('', reactionTo(this.message.id.id, CHAT, this.sim.phone, '🎉'));
    await this.heard.wait('message_reaction', (reaction) => reaction.reaction === '🎉');
  }

  async incoming() {
    await this.sim.incoming('hello to you');
    const [message] = await this.heard.wait('message', (heard) => heard.body === 'hello to you');
    check(message.from === CHAT, `it is from ${message.from}`);
  }

  async number_check() {
    await this.sim.patch(`/people/${NOBODY}`, { exists: false });
    check((await this.client.getNumberId(EVE))?._serialized === `${EVE}@c.us`, 'a number is not found');
    check(await this.client.getNumberId(NOBODY) === null, 'a number that is not on WhatsApp is found');
  }

  async group() {
    const made = await this.client.createGroup('Lunch', [CHAT]);
    const sent = await this.client.sendMessage(made.gid._serialized, 'hello all', { waitUntilMsgSent: true });
    await this.sim.waitFor('delivered', (entry) => entry.id === sent.id.id && entry.chat?.includes('@g.us'));
  }

  async reconnect() {
    const after = await this.sim.now();
    await this.sim.fault('drop_sockets');
    await this.sim.waitFor('logged_in', () => true, { after });
    const sent = await this.send('after the drop');
    await this.sim.waitFor('delivered', (entry) => entry.id === sent.id.id);
  }

  async conflict() {
    const from = this.heard.mark();
    await this.sim.fault('conflict');
    await this.heard.wait('change_state', (state) => state === 'CONFLICT', { from });
    await this.heard.wait('change_state', (state) => state === 'CONNECTED', { from });
    check((await this.send('mine again')).ack >= 1, 'no ack of the server');
  }

  async relaunch() {
    // The page's local storage is on disk some seconds after the linking.
    await sleep(Math.max(0, this.linkedAt + 6_000 - Date.now()));
    await this.close();
    await this.sim.knobs({ sync_delay_ms: 4_000 });
    this.start();
    await this.heard.wait('ready');
    check(!this.heard.entries.some((entry) => entry.name === 'qr'), 'it asked for a new link');
    await this.sim.knobs({ sync_delay_ms: 100 });
    check((await this.send('back')).ack >= 1, 'no ack of the server');
  }

  async unlink() {
    await this.sim.unlink();
    const [reason] = await this.heard.wait('disconnected');
    check(reason === 'LOGOUT', `it ended with ${reason}`);
  }

  /** What is known to be wrong with it. They begin linked and up or not at all. */
  knownBugs() {
    return {
      quick_sync: () => this.quickSync(),
      renamed_key: () => this.renamedKey(),
      page_closed: () => this.pageClosed(),
    };
  }

  async linkAgain(knobs) {
    await this.close();
    await this.sim.unlink();
    await this.sim.knobs({ sync_delay_ms: 3_000, ...knobs });
    this.folder = `${this.folder}-again`;
    this.start();
    const [code] = await this.heard.wait('qr');
    await this.sim.scan(code);
    await this.heard.wait('ready');
  }

  /** The page has synced before the client listens. */
  async quickSync() {
    await this.linkAgain({});
    await sleep(6_000);
    await this.close();
    await this.sim.knobs({ sync_delay_ms: 0 });
    const after = await this.sim.now();
    this.start();
    await this.sim.waitFor('synced', () => true, { after });
    await this.heard.wait('ready', () => true, { ms: 10_000 });
  }

  /** As of July 2026: the key's text has another name. */
  async renamedKey() {
    await this.linkAgain({ msgkey_field: '$1' });
    try {
      const message = await within(10_000, 'the send', this.client.sendMessage(CHAT, 'sent after all'));
      await this.sim.waitFor('taken', (entry) => entry.body === 'sent after all');
      check(message !== undefined, 'the message was sent, and sendMessage said undefined');
    } finally {
      await this.sim.knobs({ msgkey_field: '_serialized' });
    }
  }

  /** Somebody or something closes the page: is it told? */
  async pageClosed() {
    await this.linkAgain({});
    const from = this.heard.mark();
    const after = await this.sim.now();
    await this.sim.fault('page', { fault: { kind: 'close_page' } });
    await this.sim.waitFor('disconnected', () => true, { after });
    await this.heard.wait('disconnected', () => true, { from, ms: 8_000 });
  }
}
