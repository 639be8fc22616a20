// The knobs that make the page another WhatsApp Web, and the faults that only a page can have.
import { afterEach, beforeEach, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Sim, BOB } from '../lib/sim.mjs';
import { launch, makeProfile, removeProfile } from '../lib/browser.mjs';
import {
  authCode, link, listen, mintKey, openPage, socketState, waitForMain, waitForState,
} from '../lib/wa.mjs';

const CHAT = `${BOB}@c.us`;

describe('the page', () => {
  let sim; let browser; let page; let profile;

  beforeEach(() => { profile = makeProfile(); });
  afterEach(async () => {
    await browser?.close().catch(() => {});
    await sim?.stop();
    removeProfile(profile);
    browser = undefined;
  });

  async function start(knobs = {}, { linked = true } = {}) {
    sim = await Sim.start({ knobs });
    browser = await launch(sim, { profile });
    page = await openPage(browser);
    if (linked) {
      await link(page, sim);
      await listen(page);
    }
  }

  const send = (text = 'text', key = mintKey(CHAT)) => page.evaluate((to, body, messageId) => (
    WPP.chat.sendTextMessage(to, body, { messageId })
      .then(({ id, ack, sendMsgResult }) => ({ id, ack, result: sendMsgResult?.messageSendResult }), (error) => ({ error: error.message }))
  ), CHAT, text, key);

  describe('as another WhatsApp Web', () => {
    test('with the key\'s text under another name', async () => {
      await start({ msgkey_field: '$1' }, { linked: false });
      // Before a library has repaired it: what a caller of `_serialized` finds.
      const bare = await browser.newPage();
      await bare.goto('https://web.whatsapp.com/');
      await bare.waitForFunction(() => { try { return require('WAWebSocketModel').Socket.state === 'UNPAIRED'; } catch { return false; } });
      assert.deepEqual(await bare.evaluate(() => {
        const MsgKey = require('WAWebMsgKey');
        const key = new MsgKey({ fromMe: true, remote: require('WAWebWidFactory').createWid('1@c.us'), id: 'X' });
        return { old: key._serialized, text: String(key), named: key.$1 };
      }), { text: 'true_1@c.us_X', named: 'true_1@c.us_X' });
      await bare.close();
      await link(page, sim);
      const sent = await send();
      assert.ok(sent.ack >= 1);
      await page.reload();
      await waitForMain(page);
      assert.equal(await page.evaluate(async (id) => (await WPP.chat.getMessageById(id)).id._serialized, sent.id), sent.id);
    });

    test('without Debug', async () => {
      await start({ debug_present: false }, { linked: false });
      const bare = await browser.newPage();
      await bare.goto('https://web.whatsapp.com/');
      await bare.waitForFunction(() => { try { return require('WAWebSocketModel').Socket.state === 'UNPAIRED'; } catch { return false; } });
      assert.equal(await bare.evaluate(() => typeof window.Debug), 'undefined');
    });

    test('with a late start', async () => {
      await start({ boot_delay_ms: 1_500 }, { linked: false });
      assert.ok(await authCode(page));
    });

    test('with as many modules as the real one', async () => {
      await start({ filler_modules: 13_000 });
      assert.ok(await page.evaluate(() => Object.keys(require('__debug').modulesMap).length) > 13_000);
      assert.ok((await send()).ack >= 1);
    });

    test('of a version of its own', async () => {
      await start({ web_version: '2.3000.1099999999' }, { linked: false });
      await authCode(page);
      assert.equal(await page.evaluate(() => WPP.conn.getBuildConstants().VERSION_STR), '2.3000.1099999999');
    });

    test('that refuses a headless browser', async () => {
      await start({ refuse_headless: true }, { linked: false });
      assert.equal(await page.evaluate(() => typeof window.__d), 'undefined');
      const agent = (await browser.userAgent()).replace('HeadlessChrome', 'Chrome');
      await page.setUserAgent(agent);
      await page.reload();
      assert.ok(await authCode(page));
    });

    test('without a module that a library needs, while the page itself works', async () => {
      await start({ modules_removed: ['WAWebSendMsgChatAction'] });
      assert.match((await send()).error, /is not a function/);
      assert.equal(await page.evaluate(() => {
        try { return require('WAWebSendMsgChatAction'); } catch (error) { return error.message; }
      }), 'Requiring unknown module "WAWebSendMsgChatAction".');
      await sim.incoming('still here');
      await page.waitForFunction(() => window.heard.some((entry) => entry.body === 'still here'));
    });

    test('without an export, from the start and from one moment to the next', async () => {
      await start({ exports_removed: ['WAWebQueryExistsJob.queryWidExists'] });
      assert.equal(await page.evaluate(() => Object.keys(importNamespace('WAWebQueryExistsJob')).join()), 'queryPhoneExists');
      await sim.pageFault('remove_exports', { names: ['WAWebStreamModel.Stream'] });
      await page.waitForFunction(() => importNamespace('WAWebStreamModel').Stream === undefined);
      await sim.fault('drop_sockets');
      await waitForState(page, 'OPENING').catch(() => {});
      await waitForState(page, 'CONNECTED');
    });
  });

  describe('with a fault of its own', () => {
    test('hangs', async () => {
      await start();
      await sim.pageFault('hang', { ms: 2_000 });
      const began = Date.now();
      await page.evaluate(() => 1);
      assert.ok(Date.now() - began > 1_000);
    });

    test('lies about its state', async () => {
      await start();
      await sim.pageFault('force_state', { state: 'PROXYBLOCK' });
      await waitForState(page, 'PROXYBLOCK');
      await sim.pageFault('force_stream', { mode: 'OFFLINE' });
      await page.waitForFunction(() => WPP.conn.getStreamData().mode === 'OFFLINE');
      assert.ok((await send()).ack >= 1);
    });

    test('reloads, goes away', async () => {
      await start();
      let gone = page.waitForNavigation({ timeout: 20_000 });
      await sim.pageFault('reload');
      await gone;
      await waitForMain(page);
      gone = page.waitForNavigation({ timeout: 20_000 });
      await sim.pageFault('navigate', { url: 'about:blank' });
      await gone;
      assert.equal(page.url(), 'about:blank');
    });

    test('throws on a send, before and after the message has gone out', async () => {
      await start();
      await sim.pageFault('throw_on_send', { count: 1, when: 'before', text: 'no' });
      assert.deepEqual(await send('never'), { error: 'no' });
      await sim.pageFault('throw_on_send', { count: 1, when: 'after', text: 'too late' });
      assert.deepEqual(await send('all the same'), { error: 'too late' });
      await sim.waitFor('taken', (entry) => entry.body === 'all the same');
      assert.equal((await sim.journal('taken')).some((entry) => entry.body === 'never'), false);
    });

    test('never answers a send that has gone out', async () => {
      await start();
      await sim.pageFault('hang_send', { count: 1 });
      const key = mintKey(CHAT);
      const settled = await page.evaluate((to, messageId) => Promise.race([
        WPP.chat.sendTextMessage(to, 'silence', { messageId }).then(() => 'settled'),
        new Promise((resolve) => { setTimeout(resolve, 1_500, 'open'); }),
      ]), CHAT, key);
      assert.equal(settled, 'open');
      await sim.waitFor('taken', (entry) => entry.id === key.split('_')[2]);
    });

    test('tells nobody, and is right when asked', async () => {
      await start();
      await sim.pageFault('mute_events', { on: true });
      const { ids: [id] } = await sim.incoming('unheard');
      await sim.waitFor('received');
      const found = await page.evaluate(async (key) => (await WPP.chat.getMessageById(key)).body, `false_${CHAT}_${id}`);
      assert.equal(found, 'unheard');
      assert.equal(await page.evaluate(() => window.heard.some((entry) => entry.body === 'unheard')), false);
    });

    test('loses its store', async () => {
      await start();
      await sim.pageFault('lose_store');
      await page.waitForFunction(() => localStorage.length === 0);
      await page.reload();
      await authCode(page);
      assert.equal(await socketState(page), 'UNPAIRED');
    });

    test('gives up waiting after its time, and keeps the message', async () => {
      await start({ send_timeout_ms: 500 });
      await sim.fault('lose_sends', { count: 1 });
      const sent = await send('slow');
      assert.equal(sent.result, 'ERROR_NETWORK');
      await sim.fault('drop_sockets');
      await sim.waitFor('taken', (entry) => entry.body === 'slow');
    });
  });
});
