// The flags of every contender's browser: those with which the gateway starts its own, word by word.
import path from 'node:path';
import fs from 'node:fs';
import { EXECUTABLE } from '../lib/browser.mjs';

const FLAGS = JSON.parse(process.env.STEADFAST_PEERS_FLAGS ?? '[]');

/** Options for puppeteer on this profile. Nothing of puppeteer's own default flags is added. */
export function puppeteerOptions(profile, more = {}) {
  fs.mkdirSync(profile, { recursive: true });
  return {
    executablePath: EXECUTABLE,
    headless: true,
    ignoreDefaultArgs: true,
    args: [...FLAGS, `--user-data-dir=${path.resolve(profile)}`, 'about:blank'],
    ...more,
  };
}
