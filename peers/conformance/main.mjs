// One client through every step: node conformance/main.mjs CLIENT PHONE FOLDER [--full]
import { Sim, BOB } from '../lib/sim.mjs';
import { sleep } from '../lib/wait.mjs';
import { runKnownBugs, runSteps } from './steps.mjs';

const CLIENTS = {
  'whatsapp-web.js': () => import('./whatsapp-web.mjs').then((it) => it.WhatsappWeb),
  'whatsapp-web.js-newest': () => import('./whatsapp-web.mjs').then((it) => it.WhatsappWeb),
  '@wppconnect/wa-js': () => import('./wa-js.mjs').then((it) => it.WaJs),
  '@wppconnect/wa-js-newest': () => import('./wa-js.mjs').then((it) => it.WaJs),
  '@wppconnect-team/wppconnect': () => import('./wppconnect.mjs').then((it) => it.Wppconnect),
};

const [name, phone, folder, form] = process.argv.slice(2);
// A client's late failure must not end the table: whatsapp-web.js rejects promises that nobody holds.
process.on('unhandledRejection', (error) => process.stderr.write(`unhandled rejection: ${error?.stack ?? error}\n`));

const sim = Sim.fromEnvironment(phone);
// It may be there already.
await sim.post('/accounts', { phone, push_name: 'Ada' }).catch((error) => {
  if (!error.message.includes('"exists"')) throw error;
});
await sim.patch(`/people/${BOB}`, { push_name: 'Bob' });
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

let client;
try {
  const Client = await CLIENTS[name]();
  client = new Client(name, sim, folder);
} catch (error) {
  say({ unavailable: String(error?.message ?? error).split('\n')[0] });
  process.exit(1);
}
await runSteps(client.version, client);
if (form === '--full') await runKnownBugs(client.knownBugs());
say({ done: true });
await Promise.race([client.close(), sleep(5_000)]);
process.exit(0);
