// Chromium for which the simulator is https://web.whatsapp.com.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import puppeteer from 'puppeteer-core';

export const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

export function chromiumArgs(sim) {
  return [
    '--no-sandbox', '--no-first-run', '--disable-gpu', '--disable-component-update',
    `--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:${sim.port},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1`,
    `--ignore-certificate-errors-spki-list=${sim.spki}`,
  ];
}

export function makeProfile() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'sim-page-'));
}

export function removeProfile(dir) {
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** @param {{ profile: string, args?: string[] }} options */
export function launch(sim, { profile, args = [] }) {
  return puppeteer.launch({
    executablePath: EXECUTABLE, headless: true, userDataDir: profile,
    args: [...chromiumArgs(sim), ...args],
  });
}
