// wppconnect as its documentation shows it.
import path from 'node:path';
import { createRequire } from 'node:module';
import { puppeteerOptions } from './browser.mjs';

const require = createRequire(import.meta.url);

export class Wppconnect {
  constructor(folder, tell) {
    this.folder = folder;
    this.tell = tell;
  }

  async start() {
    const { create, defaultLogger } = require('@wppconnect-team/wppconnect');
    defaultLogger.transports.forEach((transport) => { transport.silent = true; });
    const { args, ...options } = puppeteerOptions(path.join(this.folder, 'session'));
    this.client = await create({
      session: 'session',
      folderNameToken: this.folder,
      catchQR: (image, ascii, attempt, code) => {
        this.tell({ event: 'qr', code: code.split(',').length === 4 ? `${code},1` : code });
      },
      statusFind: (status) => this.tell({ event: 'status', status }),
      headless: true, useChrome: false, logQR: false, disableWelcome: true, updatesLog: false, autoClose: 0,
      // The page that the server gives, not one of the client's own store.
      whatsappVersion: '',
      browserArgs: args,
      puppeteerOptions: { ...options, userDataDir: path.join(this.folder, 'session') },
    });
    // A conflict is taken back, as a person would by `use here`.
    this.client.onStateChange((state) => {
      if (state === 'CONFLICT') this.client.useHere().catch(() => {});
    });
    this.tell({ event: 'ready' });
  }

  async sendAcked(to, text) {
    const message = await this.client.sendText(to, text);
    if (!(message?.ack >= 1)) throw new Error(`no ack of the server: ${message?.ack}`);
    return 'sent';
  }

  /** It always waits for the server's ack. */
  async send(to, text) {
    await this.client.sendText(to, text);
    return 'sent';
  }
}
