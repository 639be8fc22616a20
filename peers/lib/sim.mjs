// The control side of a simulator that is already running: be the phone, the other people and fate.
// STEADFAST_PEERS_SIM holds the line with which the simulator told where it is.

/** The people whom the clients write to. */
export const BOB = '4915100000101';
export const EVE = '4915100000102';
export const NOBODY = '4999000000';

export class Sim {
  constructor(about, phone) {
    this.port = Number(about.addr.split(':').at(-1));
    this.control = about.control.startsWith('http') ? about.control : `http://${about.control}`;
    this.spki = about.spki;
    this.phone = phone;
  }

  static fromEnvironment(phone) {
    const said = process.env.STEADFAST_PEERS_SIM;
    if (!said) throw new Error('STEADFAST_PEERS_SIM is not set: this is started by cargo xtask');
    return new Sim(JSON.parse(said), phone);
  }

  async request(method, url, body) {
    const response = await fetch(this.control + url, {
      method,
      headers: { 'x-steadfast-sim': '1' },
      signal: AbortSignal.timeout(40_000),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }

  get(url) { return this.request('GET', url); }

  post(url, body = {}) { return this.request('POST', url, body); }

  patch(url, body) { return this.request('PATCH', url, body); }

  account() { return this.get(`/accounts/${this.phone}`); }

  scan(code) { return this.post(`/accounts/${this.phone}/scan`, { code }); }

  unlink() { return this.post(`/accounts/${this.phone}/unlink`); }

  knobs(patch) { return this.patch('/knobs', patch); }

  fault(kind, members = {}) { return this.post('/faults', { kind, account: this.phone, ...members }); }

  incoming(text, members = {}) { return this.post(`/accounts/${this.phone}/messages`, { from: BOB, text, ...members }); }

  /** The number of the newest entry of the journal. */
  async now() { return (await this.get('/journal?after=0&limit=1')).last; }

  /** Waits for an entry of this account that pleases. The step's own deadline bounds it. */
  async waitFor(event, pleases = () => true, { after = 0, withinMs = 20_000 } = {}) {
    const end = Date.now() + withinMs;
    let cursor = after;
    while (Date.now() < end) {
      const page = await this.get(`/journal?after=${cursor}&limit=10000&events=${event}&wait_ms=1000`);
      const found = page.entries.find((entry) => (!entry.account || entry.account.startsWith(this.phone)) && pleases(entry));
      if (found) return found;
      cursor = page.next;
    }
    throw new Error(`the server has seen no ${event} within ${withinMs} ms`);
  }
}
