// Runs steps one after the other, each with its deadline, and tells each one's end as a line of JSON.
import { within } from '../lib/wait.mjs';

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** What every client has to show, in this order. */
export const STEPS = [
  'qr', 'link', 'ready', 'text', 'acks', 'media', 'reply', 'reaction', 'incoming', 'number_check', 'group',
  'reconnect', 'conflict', 'relaunch', 'unlink',
];

/** Without these nothing that follows can be tried. */
const FOUNDATIONS = ['qr', 'link', 'ready', 'relaunch'];

const DEADLINE_MS = 25_000;

export async function runSteps(version, client) {
  say({ version });
  let missing = null;
  for (const step of STEPS) {
    const started = performance.now();
    if (missing) {
      say({ step, result: 'not_reached', reason: `needs ${missing}`, ms: 0 });
      continue;
    }
    let result = 'passed';
    let reason = null;
    try {
      await within(DEADLINE_MS, step, client[step]());
    } catch (error) {
      result = 'failed';
      reason = String(error?.message ?? error).split('\n')[0].slice(0, 300);
      if (process.env.STEADFAST_PEERS_TRACE) process.stderr.write(`${step}: ${error?.stack ?? error}\n`);
      if (FOUNDATIONS.includes(step)) missing = step;
    }
    say({ step, result, reason, ms: Math.round(performance.now() - started) });
  }
}

/** Known bugs of a client: each is tried, and seen to be there or not. */
export async function runKnownBugs(bugs) {
  for (const [step, attempt] of Object.entries(bugs)) {
    const started = performance.now();
    let result = 'passed';
    let reason = null;
    try {
      await within(2 * DEADLINE_MS, step, attempt());
    } catch (error) {
      result = 'failed';
      reason = String(error?.message ?? error).split('\n')[0].slice(0, 300);
    }
    say({ step, result, reason, ms: Math.round(performance.now() - started) });
  }
}

export function check(truth, words) {
  if (!truth) throw new Error(words);
}
