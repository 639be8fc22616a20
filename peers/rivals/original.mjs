// The approach that this project began from: a wrapper that tries again, a restart on what it takes for a session's
// end, a health check every 30 s, and a queue in memory while the client is not ready.
import { makeClient } from './plain.mjs';

/** What it takes for a session's end, as published. */
const PUBLISHED = ['Session closed', 'Protocol error', 'Navigation timeout'];

/** All that is known to mean it. */
const WIDER = [
  ...PUBLISHED, 'Target closed', 'detached Frame', 'Execution context was destroyed', 'Execution context is not available',
  'Cannot find context', 'Cannot read properties of undefined', 'Cannot read properties of null', 'timed out', 'Connection closed',
  'Navigating frame was detached', 'Requesting main frame too early', 'browser has disconnected', 'is not defined',
  'Evaluation failed', 'ECONNRESET', 'ECONNREFUSED', 'WebSocket is not open', 'Page crashed',
];

const HEALTH_CHECK_MS = 30_000;
const FIRST_PAUSE_MS = 1_000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const bounded = (promise, ms) => Promise.race([
  promise, sleep(ms).then(() => { throw new Error(`timed out after ${ms} ms`); }),
]);

export class Original {
  constructor(folder, tell, { improved = false } = {}) {
    this.folder = folder;
    this.tell = tell;
    this.improved = improved;
    this.sessionErrors = improved ? WIDER : PUBLISHED;
    this.isReady = false;
    this.restartInProgress = false;
    this.queue = [];
  }

  async start() {
    // It never ends by an unhandled rejection.
    process.on('unhandledRejection', (error) => process.stderr.write(`unhandled rejection: ${error?.stack ?? error}\n`));
    process.on('uncaughtException', (error) => process.stderr.write(`uncaught exception: ${error?.stack ?? error}\n`));
    setInterval(() => this.performHealthCheck(), HEALTH_CHECK_MS);
    await this.initialize();
  }

  async initialize() {
    const client = makeClient(this.folder, this.improved ? { protocolTimeout: 10_000 } : {});
    this.client = client;
    client.on('qr', (code) => this.tell({ event: 'qr', code }));
    client.on('ready', () => {
      if (client !== this.client) return;
      this.isReady = true;
      this.tell({ event: 'ready' });
      this.flush();
    });
    client.on('disconnected', (reason) => {
      if (client !== this.client) return;
      this.isReady = false;
      this.restart(`disconnected: ${reason}`);
    });
    client.on('auth_failure', () => this.restart('auth_failure'));
    await client.initialize();
  }

  isSessionError(error) {
    const text = String(error?.message ?? error);
    return this.sessionErrors.some((known) => text.includes(known));
  }

  /** Tries three times, with pauses of 1, 2 and 4 s. */
  async executeWithRetry(operation, attempts = 3) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await operation();
      } catch (error) {
        if (this.isSessionError(error)) this.restart(error.message);
        if (attempt === attempts) throw error;
        await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1));
      }
    }
  }

  async deliver(to, text, options) {
    if (!this.isReady) {
      this.queue.push({ to, text });
      return 'queued';
    }
    try {
      return await this.executeWithRetry(async () => {
        // The client is being made anew: the queue keeps it.
        if (!this.isReady) {
          this.queue.push({ to, text });
          return 'queued';
        }
        await this.client.sendMessage(to, text, options);
        return 'sent';
      });
    } catch (error) {
      if (!this.isSessionError(error)) throw error;
      this.queue.push({ to, text });
      return 'queued';
    }
  }

  sendAcked(to, text) { return this.deliver(to, text, { waitUntilMsgSent: true }); }

  send(to, text) { return this.deliver(to, text, {}); }

  async flush() {
    while (this.isReady && this.queue.length > 0) {
      const { to, text } = this.queue.shift();
      await this.deliver(to, text, {}).catch((error) => this.tell({ event: 'flush_failed', error: String(error?.message) }));
    }
  }

  async performHealthCheck() {
    if (this.restartInProgress || !this.client?.pupPage) return;
    let state = null;
    try {
      state = await this.client.getState();
    } catch (error) {
      this.restart(`health check: ${error?.message}`);
      return;
    }
    if (state !== 'CONNECTED') this.restart(`health check: ${state}`);
  }

  async restart(why) {
    if (this.restartInProgress) return;
    this.restartInProgress = true;
    this.isReady = false;
    this.tell({ event: 'restart', why: String(why).split('\n')[0] });
    try {
      const old = this.client;
      const browser = old?.pupBrowser?.process?.();
      if (this.improved) {
        await bounded(Promise.resolve(old?.destroy()), 2_000).catch(() => {});
        // What does not go by itself, or was stopped, is killed: it holds the profile.
        if (browser?.pid) {
          try { process.kill(browser.pid, 'SIGKILL'); } catch { /* It is gone. */ }
        }
        await bounded(this.initialize(), 60_000);
      } else {
        await old?.destroy().catch(() => {});
        await this.initialize();
      }
    } catch (error) {
      this.tell({ event: 'restart_failed', error: String(error?.message).split('\n')[0] });
      this.restartInProgress = false;
      setTimeout(() => this.restart('the restart failed'), FIRST_PAUSE_MS);
      return;
    }
    this.restartInProgress = false;
  }
}
