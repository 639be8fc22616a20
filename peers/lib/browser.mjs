// The browser in which every client runs, and its flags.
import fs from 'node:fs';

/** Named by cargo xtask: the binary itself, not a distribution's wrapper. */
export const EXECUTABLE = process.env.STEADFAST_PEERS_BROWSER ?? '/usr/bin/chromium';

/** For which the simulator is https://web.whatsapp.com, and nothing else exists. */
export function simulatorArgs(sim) {
  return [
    `--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:${sim.port},MAP * ~NOTFOUND,EXCLUDE 127.0.0.1`,
    `--ignore-certificate-errors-spki-list=${sim.spki}`,
  ];
}

export function conformanceArgs(sim) {
  return [
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    // So that a page can close itself, as a fault.
    '--blink-settings=allowScriptsToCloseWindows=true',
    '--no-first-run', '--disable-gpu', '--disable-component-update', ...simulatorArgs(sim),
  ];
}

export function removeFolder(dir) {
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}
