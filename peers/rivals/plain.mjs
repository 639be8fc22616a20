// whatsapp-web.js as its documentation shows it, and nothing around it.
import path from 'node:path';
import { createRequire } from 'node:module';
import { puppeteerOptions } from './browser.mjs';

const { Client, LocalAuth } = createRequire(import.meta.url)('whatsapp-web.js');

/** A client on this folder. LocalAuth keeps its profile in `session`. */
export function makeClient(folder, { protocolTimeout } = {}) {
  return new Client({
    authStrategy: new LocalAuth({ dataPath: folder }),
    // The page that the server gives, not one of the client's own store.
    webVersionCache: { type: 'none' },
    // Off by default; without it a conflict ends the client.
    takeoverOnConflict: true,
    takeoverTimeoutMs: 0,
    puppeteer: puppeteerOptions(path.join(folder, 'session'), protocolTimeout ? { protocolTimeout } : {}),
  });
}

export class Plain {
  constructor(folder, tell) {
    this.folder = folder;
    this.tell = tell;
  }

  async start() {
    this.client = makeClient(this.folder);
    this.client.on('qr', (code) => this.tell({ event: 'qr', code }));
    this.client.on('ready', () => this.tell({ event: 'ready' }));
    this.client.on('disconnected', (reason) => this.tell({ event: 'disconnected', reason: String(reason) }));
    await this.client.initialize();
  }

  /** Resolves once the server has acked it. */
  async sendAcked(to, text) {
    const message = await this.client.sendMessage(to, text, { waitUntilMsgSent: true });
    if (!(message?.ack >= 1)) throw new Error(`no ack of the server: ${message?.ack}`);
    return 'sent';
  }

  /** As the library does it unasked: resolves before the server has acked it. */
  async send(to, text) {
    await this.client.sendMessage(to, text);
    return 'sent';
  }
}
