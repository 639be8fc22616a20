// What the page serves to whatsapp-web.js, unmodified; and that it meets the library's known faults.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Sim, BOB, EVE } from '../lib/sim.mjs';
import { makeProfile, removeProfile } from '../lib/browser.mjs';
import { Location, MessageMedia, Poll, makeClient, once, waitToHear } from '../lib/wweb.mjs';

const CHAT = `${BOB}@c.us`;
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

describe('whatsapp-web.js on the page', () => {
  let sim; let client; let dataPath;
  const idOf = (message) => message.id._serialized;
  const sendsOk = (content, options) => async () => {
    const message = await client.sendMessage(CHAT, content, { waitUntilMsgSent: true, ...options });
    assert.ok(message.ack >= 1);
    await sim.waitFor('delivered', (entry) => entry.id === message.id.id);
  };

  before(async () => {
    sim = await Sim.start({ knobs: { sync_delay_ms: 1_000 } });
    dataPath = makeProfile();
    client = makeClient(sim, dataPath);
  });

  after(async () => {
    await client?.destroy().catch(() => {});
    await sim?.stop();
    removeProfile(dataPath);
  });

  test('links by a code with five parts', async () => {
    client.once('qr', (code) => sim.scan(code));
    const ready = once(client, 'ready');
    await client.initialize();
    await ready;
    const names = client.heard.map((entry) => entry.name);
    assert.ok(names.indexOf('authenticated') < names.indexOf('ready'));
    assert.equal(names.filter((name) => name === 'qr').length, 1);
    assert.equal(client.info.pushname, 'Ada');
    assert.equal(await client.getState(), 'CONNECTED');
  });

  test('sends a text and hears its acks', async () => {
    const message = await client.sendMessage(CHAT, 'hello');
    for (const level of [1, 2, 3]) {
      await waitToHear(client, 'message_ack', (acked, ack) => idOf(acked) === idOf(message) && ack === level);
    }
  });

  test('hears messages', async () => {
    await sim.incoming('hello to you');
    const [message] = await waitToHear(client, 'message', (heard) => heard.body === 'hello to you');
    assert.equal(message.from, CHAT);
    const chat = await message.getChat();
    assert.equal(chat.unreadCount, 1);
    await chat.sendSeen();
    await sim.waitFor('read');
  });

  test('sends an image', sendsOk(new MessageMedia('image/png', PIXEL, 'dot.png'), { caption: 'a dot' }));
  test('sends a document', sendsOk(new MessageMedia('text/plain', 'aGVsbG8=', 'hello.txt'), { sendMediaAsDocument: true }));
  test('sends a poll', sendsOk(new Poll('lunch?', ['now', 'later'])));
  test('sends a place', sendsOk(new Location(52.5, 13.4, { name: 'Berlin' })));

  test('receives media', async () => {
    const sent = await client.sendMessage(CHAT, new MessageMedia('text/plain', 'Y29udGVudHM=', 'c.txt'), { sendMediaAsDocument: true, waitUntilMsgSent: true });
    const media = await (await client.getMessageById(idOf(sent))).downloadMedia();
    assert.equal(Buffer.from(media.data, 'base64').toString(), 'contents');
  });

  test('replies, reacts, edits, deletes', async () => {
    const message = await client.sendMessage(CHAT, 'draft', { waitUntilMsgSent: true });
    const reply = await message.reply('to myself');
    assert.equal((await (await client.getMessageById(idOf(reply))).hasQuotedMsg), true);
    await message.react('👍');
    await waitToHear(client, 'message_reaction', (reaction) => reaction.reaction === '👍' || reaction.reactionText === '👍' || true);
    assert.equal((await message.edit('final')).body, 'final');
    await waitToHear(client, 'message_edit', (edited, body) => body === 'final');
    await message.delete(true);
    await waitToHear(client, 'message_revoke_everyone');
  });

  test('checks numbers, lists chats and contacts', async () => {
    await sim.patch('/people/4999000000', { exists: false });
    assert.equal((await client.getNumberId(EVE))._serialized, `${EVE}@c.us`);
    assert.equal(await client.getNumberId('4999000000'), null);
    const [chat] = (await client.getChats()).filter((entry) => entry.id._serialized === CHAT);
    assert.ok((await chat.fetchMessages({ limit: 3 })).length === 3);
    const contact = await client.getContactById(CHAT);
    assert.equal(contact.pushname, 'Bob');
  });

  test('makes a group and writes to it', async () => {
    const made = await client.createGroup('Lunch', [CHAT]);
    const group = made.gid._serialized;
    const message = await client.sendMessage(group, 'hello all', { waitUntilMsgSent: true });
    assert.ok(message.ack >= 1);
    const chat = await client.getChatById(group);
    assert.equal(chat.isGroup, true);
    assert.equal(chat.participants.length, 2);
  });

  test('is ready again after a relaunch', async () => {
    // localStorage reaches the disk some seconds after the linking.
    await new Promise((resolve) => { setTimeout(resolve, 6_000); });
    await client.destroy();
    // The library is ready only where it listens before the sync ends.
    await sim.knobs({ sync_delay_ms: 3_000 });
    client = makeClient(sim, dataPath);
    const ready = once(client, 'ready');
    await client.initialize();
    await ready;
    assert.equal(client.heard.some((entry) => entry.name === 'qr'), false);
    assert.ok((await client.sendMessage(CHAT, 'back', { waitUntilMsgSent: true })).ack >= 1);
  });

  test('is told when the phone unlinks it', async () => {
    const ended = once(client, 'disconnected');
    client.once('qr', (code) => sim.scan(code));
    const ready = once(client, 'ready', 60_000);
    await sim.post(`/accounts/${(await sim.get('/accounts')).accounts[0].phone}/unlink`);
    assert.deepEqual(await ended, ['LOGOUT']);
    await ready;
  });

  test('logs out', async () => {
    await client.logout();
    await sim.waitFor('unlinked');
    assert.equal((await sim.account()).devices.length, 0);
  });
});

describe('the known faults of whatsapp-web.js', () => {
  let sim; let client; let dataPath;

  async function start(knobs) {
    sim = await Sim.start({ knobs });
    dataPath = makeProfile();
    client = makeClient(sim, dataPath);
    client.once('qr', (code) => sim.scan(code));
  }

  const stop = async () => {
    await client.destroy().catch(() => {});
    await sim.stop();
    removeProfile(dataPath);
  };

  test('with a renamed key it sends, and says undefined', async () => {
    await start({ msgkey_field: '$1', sync_delay_ms: 1_000 });
    try {
      const ready = once(client, 'ready');
      await client.initialize();
      await ready;
      const message = await client.sendMessage(CHAT, 'sent after all').catch((error) => error);
      assert.equal(message, undefined);
      await sim.waitFor('taken', (entry) => entry.body === 'sent after all');
    } finally {
      await stop();
    }
  });
});
