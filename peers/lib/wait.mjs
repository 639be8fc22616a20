// Waiting with a bound: nothing here waits for ever.

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The promise, or an error once the time is over. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The first thing heard that pleases; what was heard before counts too. */
export class Heard {
  constructor() {
    this.entries = [];
    this.waiting = new Set();
  }

  add(name, ...args) {
    this.entries.push({ name, args });
    for (const look of [...this.waiting]) look();
  }

  mark() { return this.entries.length; }

  wait(name, pleases = () => true, { from = 0, ms = 20_000 } = {}) {
    return within(ms, `the event ${name}`, new Promise((resolve) => {
      const look = () => {
        const found = this.entries.slice(from).find((entry) => entry.name === name && pleases(...entry.args));
        if (!found) return;
        this.waiting.delete(look);
        resolve(found.args);
      };
      this.waiting.add(look);
      look();
    }));
  }
}
