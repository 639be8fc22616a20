// What a person, or a camera, sees.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import jsQR from 'jsqr';
import { Sim, BOB } from '../lib/sim.mjs';
import { launch, makeProfile, removeProfile } from '../lib/browser.mjs';
import { openPage, waitForMain } from '../lib/wa.mjs';

describe('the screen', () => {
  let sim; let browser; let page; let profile;

  before(async () => {
    sim = await Sim.start();
    profile = makeProfile();
    browser = await launch(sim, { profile });
    page = await openPage(browser);
  });

  after(async () => {
    await browser?.close();
    await sim?.stop();
    removeProfile(profile);
  });

  test('shows a code that a camera reads and a phone takes', async () => {
    await page.waitForSelector('canvas.qr');
    const image = await page.evaluate(() => {
      const canvas = document.querySelector('canvas.qr');
      const { width, height, data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return { width, height, data: [...data] };
    });
    const read = jsQR(Uint8ClampedArray.from(image.data), image.width, image.height);
    assert.ok(read, 'no code on the canvas');
    assert.equal(read.data.split(',').length, 5);
    await sim.scan(read.data);
    await waitForMain(page);
  });

  test('shows chats, messages and acks', async () => {
    await sim.incoming('are you there?');
    await page.waitForFunction(() => document.querySelector('#side')?.textContent.includes('are you there?'), { timeout: 20_000 });
    await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'I am'), `${BOB}@c.us`);
    await page.evaluate(() => document.querySelector('.row').click());
    await page.waitForFunction(() => document.querySelector('#main .out')?.textContent.includes('I am'), { timeout: 20_000 });
    await page.waitForFunction(() => document.querySelector('#main .ack3'), { timeout: 20_000 });
  });
});
