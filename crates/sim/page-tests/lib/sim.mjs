// Starts the simulator (the example of this crate) and speaks its control side.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const BINARY = process.env.STEADFAST_SIM ?? path.join(HERE, '../../../../target/debug/examples/sim');
const PAGE_DIR = path.join(HERE, '../../page');

/** The account that the tests link, and two people whom it writes to. */
export const ME = '491701234567';
export const BOB = '4915100000001';
export const EVE = '4915100000002';

export class Sim {
  /** @param {{ knobs?: object, account?: object }} [options] */
  static async start({ knobs = {}, account = {} } = {}) {
    const child = spawn(BINARY, ['--page-dir', PAGE_DIR, '--knobs', JSON.stringify(knobs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout });
    const [line] = await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(([code]) => { throw new Error(`the simulator ended: ${code}`); }),
    ]);
    const sim = new Sim(child, JSON.parse(line));
    await sim.post('/accounts', { phone: ME, push_name: 'Ada', ...account });
    await sim.patch(`/people/${BOB}`, { push_name: 'Bob' });
    return sim;
  }

  constructor(child, { addr, control, spki }) {
    this.child = child;
    this.port = Number(addr.split(':').at(-1));
    this.control = control.startsWith('http') ? control : `http://${control}`;
    this.spki = spki;
  }

  async request(method, url, body) {
    const response = await fetch(this.control + url, {
      method,
      headers: { 'x-steadfast-sim': '1' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  get(url) { return this.request('GET', url); }

  post(url, body = {}) { return this.request('POST', url, body); }

  patch(url, body) { return this.request('PATCH', url, body); }

  account() { return this.get(`/accounts/${ME}`); }

  scan(code) { return this.post(`/accounts/${ME}/scan`, { code }); }

  knobs(patch) { return this.patch('/knobs', patch); }

  fault(kind, members = {}) { return this.post('/faults', { kind, ...members }); }

  /** Resolves when a page has obeyed, or, where that ends the page, when it has been told. */
  async pageFault(kind, members = {}) {
    const { last } = await this.get('/journal?after=0&limit=1');
    await this.fault('page', { fault: { kind, ...members } });
    const told = (entry) => entry.seq > last && JSON.stringify(entry).includes(`fault ${kind}`);
    if (!['reload', 'navigate', 'close_page'].includes(kind)) await this.waitFor('page_log', told);
  }

  incoming(text, members = {}) { return this.post(`/accounts/${ME}/messages`, { from: BOB, text, ...members }); }

  /** All entries so far with these event names. */
  async journal(...events) {
    const { entries } = await this.get(`/journal?after=0&limit=10000&events=${events.join(',')}`);
    return entries;
  }

  /** Waits for an entry that pleases. */
  async waitFor(event, pleases = () => true, withinMs = 20_000) {
    const end = Date.now() + withinMs;
    let after = 0;
    while (Date.now() < end) {
      const page = await this.get(`/journal?after=${after}&limit=10000&events=${event}&wait_ms=1000`);
      const found = page.entries.find(pleases);
      if (found) return found;
      after = page.next;
    }
    throw new Error(`no journal entry ${event} within ${withinMs} ms`);
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    this.child.kill('SIGINT');
    await once(this.child, 'exit');
  }
}
