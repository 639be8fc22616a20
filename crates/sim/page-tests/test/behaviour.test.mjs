// How the page behaves when the network, the phone, WhatsApp or fate do something.
import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Sim, ME, BOB } from '../lib/sim.mjs';
import { launch, makeProfile, removeProfile } from '../lib/browser.mjs';
import {
  authCode, link, listen, mintKey, openPage, socketState, waitForLibrary, waitForMain, waitForState, waitToHear,
} from '../lib/wa.mjs';

const CHAT = `${BOB}@c.us`;
const sendNow = (page, text, key) => page.evaluate(
  (to, body, messageId) => WPP.chat.sendTextMessage(to, body, { waitForAck: false, messageId }), CHAT, text, key,
);
const ackOf = (page, key) => page.evaluate((id) => WPP.chat.getMessageById(id).then((message) => message.ack), key);
const waitForAck = (page, key, ack) => page.waitForFunction(
  (id, wanted) => WPP.chat.getMessageById(id).then((message) => message.ack >= wanted), { timeout: 30_000 }, key, ack,
);
const stanza = (key) => key.split('_')[2];

describe('the page', () => {
  let sim; let browser; let page; let profile;

  beforeEach(() => { profile = makeProfile(); });
  afterEach(async () => {
    await browser?.close().catch(() => {});
    await sim?.stop();
    removeProfile(profile);
    browser = undefined;
  });

  async function start({ linked = true, ...options } = {}) {
    sim = await Sim.start(options);
    browser = await launch(sim, { profile });
    page = await openPage(browser);
    if (linked) {
      await link(page, sim);
      await listen(page);
    }
  }

  async function relaunch() {
    browser = await launch(sim, { profile });
    page = await openPage(browser);
  }

  describe('its outbox', () => {
    test('sends what was not acked again after a reload, in order, under the same ids', async () => {
      await start();
      await sim.fault('lose_sends', { count: 3 });
      const keys = [mintKey(CHAT), mintKey(CHAT), mintKey(CHAT)];
      for (const [index, key] of keys.entries()) await sendNow(page, `lost ${index}`, key);
      await sim.waitFor('lost_on_wire', (entry) => entry.id === stanza(keys[2]));
      for (const key of keys) assert.equal(await ackOf(page, key), 0);
      await page.reload();
      await waitForMain(page);
      for (const key of keys) await waitForAck(page, key, 1);
      const taken = (await sim.journal('taken')).map((entry) => entry.id);
      assert.deepEqual(taken, keys.map(stanza));
    });

    test('does so after the connection came back, and the server drops the copies', async () => {
      await start();
      await sim.fault('drop_acks', { count: 2 });
      const keys = [mintKey(CHAT), mintKey(CHAT)];
      for (const [index, key] of keys.entries()) await sendNow(page, `unacked ${index}`, key);
      await sim.waitFor('ack_dropped', (entry) => entry.id === stanza(keys[1]));
      await sim.fault('drop_sockets');
      await sim.waitFor('repeat', (entry) => entry.id === stanza(keys[1]));
      for (const key of keys) await waitForAck(page, key, 1);
      assert.deepEqual((await sim.journal('taken')).map((entry) => entry.id), keys.map(stanza));
      assert.deepEqual((await sim.journal('repeat')).map((entry) => entry.id), keys.map(stanza));
    });

    test('holds what is sent while the network is away', async () => {
      await start();
      await sim.fault('network_away', { ms: 0 });
      await page.waitForFunction(() => require('WAWebSocketModel').Socket.state !== 'CONNECTED');
      const key = mintKey(CHAT);
      await sendNow(page, 'meanwhile', key);
      assert.equal(await ackOf(page, key), 0);
      await sim.fault('network_back');
      await waitForAck(page, key, 1);
      assert.equal((await sim.journal('taken')).length, 1);
    });

    test('keeps order and loses nothing while the connection is cut again and again', async () => {
      await start();
      const bodies = Array.from({ length: 60 }, (_, index) => `number ${index}`);
      const sending = page.evaluate(async (to, texts) => {
        for (const text of texts) await WPP.chat.sendTextMessage(to, text, { waitForAck: false, linkPreview: false });
      }, CHAT, bodies);
      await sim.waitFor('taken', (entry) => entry.body === 'number 3');
      await sim.fault('cut_on_send', { count: 1, when: 'before' });
      await sim.waitFor('taken', (entry) => entry.body === 'number 10');
      await sim.fault('cut_on_send', { count: 1, when: 'after' });
      await sim.waitFor('taken', (entry) => entry.body === 'number 20');
      await sim.fault('drop_sockets');
      await sending;
      await sim.waitFor('taken', (entry) => entry.body === bodies.at(-1));
      assert.deepEqual((await sim.journal('taken')).map((entry) => entry.body), bodies);
      assert.equal((await sim.journal('delivered_repeat')).length, 0);
    });

    test('survives the death of the browser', async () => {
      await start();
      // localStorage reaches the disk some seconds after the linking.
      await new Promise((resolve) => { setTimeout(resolve, 8_000); });
      await sim.fault('lose_sends', { count: 1 });
      const key = mintKey(CHAT);
      await sendNow(page, 'written down', key);
      browser.process().kill('SIGKILL');
      await relaunch();
      await waitForMain(page);
      await waitForAck(page, key, 1);
      assert.deepEqual((await sim.journal('taken')).map((entry) => entry.id), [stanza(key)]);
    });

    test('lets a refused message go, and sends it again when asked', async () => {
      await start();
      await sim.fault('refuse_sends', { count: 1, code: 463 });
      const key = mintKey(CHAT);
      const sent = await page.evaluate((to, messageId) => WPP.chat.sendTextMessage(to, 'refused', { messageId }), CHAT, key);
      assert.equal(sent.ack, -1);
      assert.equal(sent.sendMsgResult.messageSendResult, 'ERROR_UNKNOWN');
      await page.reload();
      await waitForMain(page);
      assert.equal(await ackOf(page, key), -1);
      const again = await page.evaluate(async (id) => (await WPP.chat.getMessageById(id)).resend(), key);
      assert.equal(again.messageSendResult, 'OK');
      assert.deepEqual((await sim.journal('taken')).map((entry) => entry.id), [stanza(key)]);
    });

    test('sends media whose upload was cut off', async () => {
      await start();
      await sim.fault('network_away', { ms: 0 });
      await page.waitForFunction(() => require('WAWebSocketModel').Socket.state !== 'CONNECTED');
      const sent = await page.evaluate((to) => (
        WPP.chat.sendFileMessage(to, 'data:text/plain;base64,aGVsbG8=', { type: 'document', filename: 'h.txt', waitForAck: false })
      ), CHAT);
      assert.equal(sent.ack, 0);
      await sim.fault('network_back');
      // The page has begun to upload; what it had begun ends with it.
      await waitForState(page, 'CONNECTED');
      await page.reload();
      await waitForMain(page);
      await waitForAck(page, sent.id, 1);
      assert.deepEqual((await sim.journal('taken')).map((entry) => entry.id), [stanza(sent.id)]);
    });
  });

  describe('its login', () => {
    test('lasts over a restart, and brings what came meanwhile', async () => {
      await start();
      await new Promise((resolve) => { setTimeout(resolve, 8_000); });
      await browser.close();
      const { ids } = await sim.incoming('while you slept {n}', { count: 3 });
      await relaunch();
      await waitForMain(page);
      const bodies = await page.evaluate((list, chat) => Promise.all(list.map(async (id) => (
        (await WPP.chat.getMessageById(`false_${chat}_${id}`)).body
      ))), ids, CHAT);
      assert.deepEqual(bodies, ['while you slept 1', 'while you slept 2', 'while you slept 3']);
      assert.equal((await sim.journal('received')).length > 0, true);
    });

    test('is gone where one of its two stores is', async () => {
      await start();
      await page.evaluate(() => localStorage.clear());
      await page.reload();
      await authCode(page);
      assert.equal(await socketState(page), 'UNPAIRED');
    });

    for (const reason of [0, 1, 2, 3]) {
      test(`ends when the phone unlinks it, with reason ${reason}`, async () => {
        await start();
        const gone = page.waitForNavigation({ timeout: 20_000 });
        await sim.post(`/accounts/${ME}/unlink`, { logout_reason: reason });
        await gone;
        assert.match(page.url(), new RegExp(`\\?post_logout=1&logout_reason=${reason}$`));
        await authCode(page);
        assert.equal(await page.evaluate(() => WPP.conn.isAuthenticated()), false);
      });
    }

    test('ends while the browser was away', async () => {
      await start();
      await new Promise((resolve) => { setTimeout(resolve, 8_000); });
      await browser.close();
      await sim.post(`/accounts/${ME}/unlink`);
      await relaunch();
      await page.waitForFunction(() => location.search.includes('post_logout=1'), { timeout: 30_000 });
      await authCode(page);
    });
  });

  describe('its states', () => {
    test('shows codes that expire, then waits to be asked', async () => {
      await start({ linked: false, knobs: { qr_ttl_ms: 400, qr_refs: 3 } });
      await waitForState(page, 'UNPAIRED_IDLE');
      assert.equal(await page.evaluate(() => WPP.conn.getAuthCode()), null);
      await sim.knobs({ qr_ttl_ms: 20_000 });
      const code = await page.evaluate(() => WPP.conn.refreshQR());
      assert.ok(code.fullCode);
      assert.equal(await socketState(page), 'UNPAIRED');
    });

    test('links by a code for a number', async () => {
      await start({ linked: false });
      await waitForLibrary(page);
      const code = await page.evaluate((phone) => WPP.conn.genLinkDeviceCodeForPhoneNumber(phone), ME);
      await sim.post(`/accounts/${ME}/pairing-code`, { code });
      await waitForMain(page);
    });

    test('cancels where a passkey is asked for and none is there', async () => {
      await start({ linked: false, account: { passkey: true } });
      await sim.scan(`${await authCode(page)},1`);
      await sim.waitFor('passkey_asked');
      await page.waitForFunction(() => WPP.conn.getAuthCode().then(Boolean), { timeout: 90_000 });
      assert.equal((await sim.account()).devices.length, 0);
    });

    test('passes a passkey in', async () => {
      await start({ linked: false, account: { passkey: true } });
      await page.evaluate(() => {
        const text = (value) => new TextEncoder().encode(value).buffer;
        navigator.credentials.get = async ({ publicKey }) => {
          const challenge = btoa(String.fromCharCode(...new Uint8Array(publicKey.challenge)))
            .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
          const clientData = { type: 'webauthn.get', challenge, origin: location.origin, crossOrigin: false };
          return {
            id: 'a-key',
            response: {
              clientDataJSON: text(JSON.stringify(clientData)), authenticatorData: new ArrayBuffer(37), signature: new ArrayBuffer(64),
            },
          };
        };
      });
      await sim.scan(`${await authCode(page)},1`);
      await waitForMain(page);
    });

    test('yields to another page of the same device, and takes over again', async () => {
      await start();
      await sim.fault('conflict');
      await waitForState(page, 'CONFLICT');
      assert.equal(await page.evaluate(() => WPP.conn.getStreamData().mode), 'CONFLICT');
      await page.evaluate(() => require('WAWebSocketModel').Socket.takeover());
      await waitForState(page, 'CONNECTED');
      await page.waitForFunction(() => WPP.conn.getStreamData().mode === 'MAIN');
      const sent = await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'mine again'), CHAT);
      assert.equal(sent.ack >= 1, true);
    });

    test('yields to a second tab', async () => {
      await start();
      const second = await browser.newPage();
      await second.goto('https://web.whatsapp.com/');
      await waitForState(page, 'CONFLICT');
      await waitForState(second, 'CONNECTED');
      // What the second one has taken, the first one knows when it takes over.
      const { ids: [id] } = await sim.incoming('to the second tab');
      await sim.waitFor('received');
      await page.evaluate(() => require('WAWebSocketModel').Socket.takeover());
      await waitForState(page, 'CONNECTED');
      await waitForState(second, 'CONFLICT');
      const body = await page.evaluate(async (key) => (await WPP.chat.getMessageById(key)).body, `false_${CHAT}_${id}`);
      assert.equal(body, 'to the second tab');
      const sent = await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'from the first'), CHAT);
      assert.ok(sent.ack >= 1);
    });

    test('stays where it is while banned', async () => {
      await start();
      await sim.post(`/accounts/${ME}/ban`, { ms: 3_600_000 });
      await waitForState(page, 'TOS_BLOCK');
      assert.equal(await page.evaluate(() => WPP.conn.getStreamData().mode), 'TOS_BLOCK');
    });

    test('says that it is too old', async () => {
      await start({ linked: false, knobs: { deprecated: true } });
      await waitForState(page, 'DEPRECATED_VERSION');
      assert.equal(await page.evaluate(() => require('WAWebStreamModel').Stream.needsUpdate), true);
    });

    test('notices a connection on which nothing is heard', async () => {
      await start({ knobs: { ping_ms: 300, ping_timeout_ms: 500 } });
      await sim.fault('black_hole', { ms: 0 });
      await waitForState(page, 'TIMEOUT');
      await sim.fault('network_back');
      await waitForState(page, 'CONNECTED');
    });
  });

  describe('hidden ids', () => {
    test('are the addresses of an account that uses them', async () => {
      await start({ account: { addressing: 'lid' } });
      await sim.incoming('who am I');
      await waitToHear(page, { event: 'message', body: 'who am I' });
      const answer = await page.evaluate(async (number) => {
        const sent = await WPP.chat.sendTextMessage(number, 'to a number');
        const entry = await WPP.contact.getPnLidEntry(number);
        return { to: sent.to, from: sent.from, ack: sent.ack, lid: entry.lid._serialized, migrated: WPP.conn.getMigrationState().isLidMigrated };
      }, CHAT);
      assert.match(answer.to, /@lid$/);
      assert.match(answer.from, /@lid$/);
      assert.equal(answer.lid, answer.to);
      assert.equal(answer.ack >= 1, true);
      assert.equal(answer.migrated, true);
      await sim.patch('/people/4999000001', { exists: false });
      const failure = await page.evaluate(() => WPP.chat.sendTextMessage('4999000001@c.us', 'x').catch((error) => error.message));
      assert.match(failure, /No LID for user/);
    });

    test('come to an account while it runs', async () => {
      await start();
      const key = mintKey(CHAT);
      await page.evaluate((to, messageId) => WPP.chat.sendTextMessage(to, 'before', { messageId }), CHAT, key);
      await sim.post(`/accounts/${ME}/lid-migration`);
      await page.waitForFunction(() => WPP.conn.getMigrationState().isLidMigrated, { timeout: 30_000 });
      const answer = await page.evaluate(async (number, id) => {
        const lid = (await WPP.contact.getPnLidEntry(number)).lid._serialized;
        const chats = (await WPP.chat.list()).map((chat) => String(chat.id));
        const { body } = await WPP.chat.getMessageById(`true_${lid}_${id}`);
        const sent = await WPP.chat.sendTextMessage(number, 'after');
        return { lid, chats, body, to: sent.to };
      }, CHAT, stanza(key));
      assert.deepEqual(answer.chats, [answer.lid]);
      assert.equal(answer.body, 'before');
      assert.equal(answer.to, answer.lid);
      await page.reload();
      await waitForMain(page);
      assert.deepEqual(await page.evaluate(async () => (await WPP.chat.list()).map((chat) => String(chat.id))), [answer.lid]);
    });
  });

  describe('several devices', () => {
    test('each see what the others send', async () => {
      await start();
      const otherProfile = makeProfile();
      const otherBrowser = await launch(sim, { profile: otherProfile });
      try {
        const other = await openPage(otherBrowser);
        await link(other, sim);
        await listen(other);
        const sent = await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'from the first'), CHAT);
        await waitToHear(other, { event: 'message', id: sent.id, body: 'from the first' });
        await sim.post(`/accounts/${ME}/send`, { to: BOB, text: 'from the phone' });
        for (const each of [page, other]) await waitToHear(each, { event: 'message', body: 'from the phone' });
      } finally {
        await otherBrowser.close();
        removeProfile(otherProfile);
      }
    });
  });
});
