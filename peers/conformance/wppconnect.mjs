// wppconnect, unmodified: a Node client on wa-js.
import { createRequire } from 'node:module';
import { BOB, EVE, NOBODY } from '../lib/sim.mjs';
import { EXECUTABLE, conformanceArgs } from '../lib/browser.mjs';
import { Heard, sleep } from '../lib/wait.mjs';
import { check } from './steps.mjs';
import { DOCUMENT, DOCUMENT_SHA256, reactionTo } from './content.mjs';

const require = createRequire(import.meta.url);
const CHAT = `${BOB}@c.us`;

export class Wppconnect {
  constructor(packageName, sim, folder) {
    this.library = require(packageName);
    this.version = require(`${packageName}/package.json`).version;
    this.library.defaultLogger.level = 'error';
    this.library.defaultLogger.transports.forEach((transport) => { transport.silent = true; });
    this.sim = sim;
    this.folder = folder;
  }

  start() {
    this.heard = new Heard();
    this.starting = this.library.create({
      session: 'conformance',
      folderNameToken: this.folder,
      catchQR: (image, ascii, attempt, code) => this.heard.add('qr', code),
      statusFind: (status) => this.heard.add('status', status),
      headless: true, useChrome: false, logQR: false, disableWelcome: true, updatesLog: false, autoClose: 0,
      // The page that the server gives, not one of the client's own store.
      whatsappVersion: '',
      puppeteerOptions: {
        executablePath: EXECUTABLE, userDataDir: `${this.folder}/conformance`, args: conformanceArgs(this.sim),
      },
    });
    this.starting.then((client) => {
      this.client = client;
      client.onStateChange((state) => this.heard.add('state', state));
      client.onAck((ack) => this.heard.add('ack', ack));
      client.onAnyMessage((message) => this.heard.add('message', message));
      client.onReactionMessage((reaction) => this.heard.add('reaction', reaction));
      this.heard.add('created');
    }, (error) => this.heard.add('failed', error));
  }

  async close() { await this.client?.close().catch(() => {}); }

  async send(text) {
    const sent = await this.client.sendText(CHAT, text);
    check(sent?.ack >= 1, `no ack of the server with the answer: ${sent?.ack}`);
    return this.keyOf(sent);
  }

  keyOf(sent) {
    const key = String(sent.id?._serialized ?? sent.id);
    return { key, id: key.split('_')[2] };
  }

  async qr() {
    this.start();
    [this.code] = await this.heard.wait('qr');
  }

  async link() {
    const parts = this.code.split(',').length;
    await this.sim.scan(parts === 4 ? `${this.code},1` : this.code);
    await this.sim.waitFor('linked');
    this.linkedAt = Date.now();
  }

  async ready() {
    await this.heard.wait('created');
    check(await this.client.isConnected(), 'it says that it is not connected');
  }

  async text() {
    this.message = await this.send('a text');
    await this.sim.waitFor('delivered', (entry) => entry.id === this.message.id && entry.body === 'a text');
  }

  async acks() {
    for (const level of [1, 2, 3]) {
      await this.heard.wait('ack', (ack) => JSON.stringify(ack.id).includes(this.message.id) && ack.ack === level);
    }
  }

  async media() {
    const sent = await this.client.sendFile(CHAT, `data:text/plain;base64,${DOCUMENT.toString('base64')}`, {
      type: 'document', filename: 'letter.txt', waitForAck: true,
    });
    const { id } = this.keyOf(sent);
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === id);
    check(arrived.file?.sha256 === DOCUMENT_SHA256, 'other bytes arrived than were sent');
  }

  async reply() {
    const reply = this.keyOf(await this.client.sendText(CHAT, 'a reply', { quotedMsg: this.message.key }));
    const arrived = await this.sim.waitFor('delivered', (entry) => entry.id === reply.id);
    check(arrived.content?.quoted?.id === this.message.id, 'what arrived quotes nothing');
  }

  async reaction() {
    await this.client.sendReactionToMessage(this.message.key, '👍');
    await this.sim.waitFor('taken', (entry) => entry.kind === 'reaction');
    await this.sim.incoming('', reactionTo(this.message.id, CHAT, this.sim.phone, '🎉'));
    await this.heard.wait('reaction', (reaction) => reaction.reactionText === '🎉');
  }

  async incoming() {
    await this.sim.incoming('hello to you');
    const [message] = await this.heard.wait('message', (heard) => heard.body === 'hello to you');
    check(String(message.from) === CHAT, `it is from ${message.from}`);
  }

  async number_check() {
    await this.sim.patch(`/people/${NOBODY}`, { exists: false });
    check((await this.client.checkNumberStatus(`${EVE}@c.us`)).numberExists === true, 'a number is not found');
    const missing = await this.client.checkNumberStatus(`${NOBODY}@c.us`).catch((error) => error);
    check(missing?.numberExists !== true, 'a number that is not on WhatsApp is found');
  }

  async group() {
    const made = await this.client.createGroup('Lunch', CHAT);
    const gid = String(made.gid?._serialized ?? made.gid);
    const { key } = this.keyOf(await this.client.sendText(gid, 'hello all'));
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
    const from = this.heard.mark();
    await this.sim.fault('conflict');
    await this.heard.wait('state', (state) => state === 'CONFLICT', { from });
    await this.client.useHere();
    await this.heard.wait('state', (state) => state === 'CONNECTED', { from });
    await this.send('mine again');
  }

  async relaunch() {
    // The page's local storage is on disk some seconds after the linking.
    await sleep(Math.max(0, this.linkedAt + 6_000 - Date.now()));
    await this.close();
    this.start();
    await this.heard.wait('created');
    check(!this.heard.entries.some((entry) => entry.name === 'qr'), 'it asked for a new link');
    await this.send('back');
  }

  async unlink() {
    const from = this.heard.mark();
    await this.sim.unlink();
    await this.heard.wait('qr', () => true, { from });
  }

  knownBugs() { return {}; }
}
