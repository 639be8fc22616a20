// One rival, driven over standard input and output: node rivals/main.mjs RIVAL FOLDER
//
// In, a line each:  {"op":"send","n":1,"to":"...@c.us","text":"..."}
//                   {"op":"burst","count":100,"in_flight":10,"chats":["...@c.us"],"tag":"..."}
// Out, a line each: {"event":"qr"|"ready"|...}, {"sent":1,"how":"sent"|"queued"}, {"sent":1,"error":"..."},
//                   {"burst":"tag","seconds":1.2,"latencies_ms":[...],"errors":[...]}
//
// A burst is timed here, inside the process: no pipe and no HTTP stand between, as they do for the gateway.
import { createInterface } from 'node:readline';
import { Plain } from './plain.mjs';
import { Original } from './original.mjs';
import { Wppconnect } from './wppconnect.mjs';

const [name, folder] = process.argv.slice(2);
const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const RIVALS = {
  plain: () => new Plain(folder, tell),
  original: () => new Original(folder, tell),
  improved: () => new Original(folder, tell, { improved: true }),
  wppconnect: () => new Wppconnect(folder, tell),
};
const rival = RIVALS[name]();

async function send({ n, to, text }) {
  try {
    tell({ sent: n, how: await rival.send(to, text) });
  } catch (error) {
    tell({ sent: n, error: String(error?.message ?? error).split('\n')[0] });
  }
}

async function burst({ count, in_flight: inFlight, chats, tag }) {
  const latencies = [];
  const errors = [];
  let next = 0;
  const started = performance.now();
  const work = async (worker) => {
    while (next < count) {
      const n = next;
      next += 1;
      const start = performance.now();
      try {
        await rival.sendAcked(chats[worker % chats.length], `${tag} ${n}`);
        latencies.push(performance.now() - start);
      } catch (error) {
        errors.push(String(error?.message ?? error).split('\n')[0]);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  tell({ burst: tag, seconds: (performance.now() - started) / 1000, latencies_ms: latencies, errors });
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => {
  const asked = JSON.parse(line);
  if (asked.op === 'send') send(asked);
  else if (asked.op === 'burst') burst(asked);
});
// Whoever drives it is gone.
input.on('close', () => process.exit(0));

await rival.start();
