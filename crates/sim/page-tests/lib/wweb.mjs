// whatsapp-web.js, unmodified, on the simulator.
import { createRequire } from 'node:module';
import { EXECUTABLE, chromiumArgs } from './browser.mjs';

const require = createRequire(import.meta.url);
export const { Client, LocalAuth, Location, MessageMedia, Poll } = require('whatsapp-web.js');

export function makeClient(sim, dataPath, options = {}) {
  const client = new Client({
    authStrategy: new LocalAuth({ dataPath }),
    webVersionCache: { type: 'none' },
    puppeteer: { executablePath: EXECUTABLE, headless: true, args: chromiumArgs(sim) },
    ...options,
  });
  client.heard = [];
  for (const name of ['qr', 'code', 'authenticated', 'ready', 'disconnected', 'change_state', 'message', 'message_ack', 'message_edit', 'message_reaction', 'message_revoke_everyone', 'vote_update', 'group_join']) {
    client.on(name, (...args) => client.heard.push({ name, args }));
  }
  return client;
}

export function once(client, name, withinMs = 30_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${name} within ${withinMs} ms`)), withinMs);
    client.once(name, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

/** Waits until something was heard that pleases. */
export async function waitToHear(client, name, pleases = () => true, withinMs = 30_000) {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = client.heard.find((entry) => entry.name === name && pleases(...entry.args));
    if (found) return found.args;
    if (Date.now() > end) throw new Error(`no ${name} within ${withinMs} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
