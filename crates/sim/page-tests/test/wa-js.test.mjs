// What the page serves to wa-js, unmodified.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Sim, ME, BOB, EVE } from '../lib/sim.mjs';
import { launch, makeProfile, removeProfile } from '../lib/browser.mjs';
import { authCode, link, listen, mintKey, openPage, waitForMain, waitToHear } from '../lib/wa.mjs';

const CHAT = `${BOB}@c.us`;
const OTHER = `${EVE}@c.us`;

describe('wa-js on the page', () => {
  let sim; let browser; let page; let profile;
  const firstKey = mintKey(CHAT);

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

  test('shows a code, gives a pairing code and links', async () => {
    const code = await authCode(page);
    assert.equal(code.split(',').length, 4);
    const pairing = await page.evaluate((phone) => WPP.conn.genLinkDeviceCodeForPhoneNumber(phone), ME);
    assert.match(pairing, /^[A-Z0-9]{8}$/);
    assert.equal(await page.evaluate(() => WPP.conn.isAuthenticated()), false);
    await link(page, sim);
    assert.equal((await sim.account()).devices.length, 1);
    await listen(page);
  });

  test('sends a text under the id that it is given, and waits for the ack', async () => {
    const key = firstKey;
    const sent = await page.evaluate((to, messageId) => WPP.chat.sendTextMessage(to, 'first', { messageId }), CHAT, key);
    assert.equal(sent.id, key);
    assert.ok(sent.ack >= 1);
    assert.equal(sent.sendMsgResult.messageSendResult, 'OK');
    await sim.waitFor('delivered', (entry) => entry.id === key.split('_')[2] && entry.body === 'first');
    for (const ack of [1, 2, 3]) await waitToHear(page, { event: 'ack', ack, ids: key });
    const found = await page.evaluate(async (id) => {
      const message = await WPP.chat.getMessageById(id);
      return { ack: message.ack, body: message.body };
    }, key);
    assert.deepEqual(found, { ack: 3, body: 'first' });
  });

  test('sends without waiting', async () => {
    const sent = await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'second', { waitForAck: false }), OTHER);
    assert.equal(sent.sendMsgResult, null);
    await waitToHear(page, { event: 'ack', ack: 1, ids: sent.id });
  });

  test('refuses a key that it holds', async () => {
    const key = mintKey(CHAT);
    const send = (text) => page.evaluate((to, body, messageId) => (
      WPP.chat.sendTextMessage(to, body, { messageId }).then((sent) => sent.ack >= 1, (error) => error.name)
    ), CHAT, text, key);
    assert.equal(await send('once'), true);
    assert.equal(await send('twice'), 'DuplicateMessageError');
  });

  test('receives', async () => {
    const { ids } = await sim.incoming('hello from Bob');
    await waitToHear(page, { event: 'message', id: `false_${CHAT}_${ids[0]}`, body: 'hello from Bob' });
    await sim.waitFor('received');
    const unread = await page.evaluate((id) => WPP.chat.get(id).unreadCount, CHAT);
    assert.equal(unread, 1);
    await page.evaluate((id) => WPP.chat.markIsRead(id), CHAT);
    await sim.waitFor('read', (entry) => entry.chat?.startsWith(BOB));
  });

  test('knows chats, contacts and whether a number exists', async () => {
    await sim.patch('/people/4999000000', { exists: false });
    const answer = await page.evaluate(async (known, unknown) => ({
      list: (await WPP.chat.list()).map((chat) => String(chat.id)),
      get: String(WPP.chat.get(known).id),
      find: String((await WPP.chat.find(known)).id),
      exists: String((await WPP.contact.queryExists(known)).wid),
      missing: await WPP.contact.queryExists(unknown),
      name: (await WPP.contact.get(known)).pushname,
    }), CHAT, '4999000000@c.us');
    assert.ok(answer.list.includes(CHAT) && answer.list.includes(OTHER));
    assert.deepEqual({ ...answer, list: [] }, { list: [], get: CHAT, find: CHAT, exists: CHAT, missing: null, name: 'Bob' });
  });

  test('says when a recipient does not exist', async () => {
    const sent = await page.evaluate((to) => WPP.chat.sendTextMessage(to, 'nobody'), '4999000000@c.us');
    assert.equal(sent.ack, -1);
    assert.notEqual(sent.sendMsgResult.messageSendResult, 'OK');
  });

  const kinds = {
    reply: (to) => WPP.chat.sendTextMessage(to, 'quoted').then((sent) => WPP.chat.sendTextMessage(to, 'reply', { quotedMsg: sent.id })),
    poll: (to) => WPP.chat.sendCreatePollMessage(to, 'lunch?', ['now', 'later']),
    location: (to) => WPP.chat.sendLocationMessage(to, { lat: 52.5, lng: 13.4, name: 'Berlin' }),
    contact: (to) => WPP.chat.sendVCardContactMessage(to, { id: to, name: 'Bob' }),
    buttons: (to) => WPP.chat.sendTextMessage(to, 'choose', { buttons: [{ id: '1', text: 'one' }] }),
    link: (to) => WPP.chat.sendTextMessage(to, 'see https://example.com/page'),
    image: (to) => {
      const canvas = document.createElement('canvas');
      canvas.getContext('2d').fillRect(2, 2, 9, 9);
      return WPP.chat.sendFileMessage(to, canvas.toDataURL(), { type: 'image', caption: 'a picture' });
    },
    document: (to) => WPP.chat.sendFileMessage(to, 'data:text/plain;base64,aGVsbG8=', { type: 'document', filename: 'hello.txt' }),
    voice: (to) => WPP.chat.sendFileMessage(to, `data:audio/ogg;base64,${btoa(`OggS${'\0'.repeat(400)}`)}`, { type: 'audio', isPtt: true }),
  };
  for (const [name, send] of Object.entries(kinds)) {
    test(`sends: ${name}`, async () => {
      const sent = await page.evaluate(send, CHAT);
      assert.equal(sent.sendMsgResult.messageSendResult, 'OK');
      assert.ok(sent.ack >= 1);
      await sim.waitFor('delivered', (entry) => entry.id === sent.id.split('_')[2]);
    });
  }

  test('uploads once, downloads what was sent', async () => {
    const size = await page.evaluate(async (to) => {
      const sent = await WPP.chat.sendFileMessage(to, `data:text/plain;base64,${btoa('contents')}`, { type: 'document', filename: 'x.txt' });
      return (await WPP.chat.downloadMedia(sent.id)).size;
    }, CHAT);
    assert.equal(size, 8);
  });

  test('says when an upload is refused', async () => {
    await sim.fault('refuse_uploads', { count: 1, status: 413 });
    const sent = await page.evaluate((to) => (
      WPP.chat.sendFileMessage(to, `data:text/plain;base64,${btoa('refused')}`, { type: 'document', filename: 'y.txt' })
    ), CHAT);
    assert.equal(sent.sendMsgResult.messageSendResult, 'ERROR_UPLOAD');
    assert.equal(sent.ack, -4);
  });

  test('edits, reacts, stars, pins and deletes', async () => {
    const answer = await page.evaluate(async (to) => {
      const { id } = await WPP.chat.sendTextMessage(to, 'draft');
      await WPP.chat.editMessage(id, 'final');
      const edited = (await WPP.chat.getMessageById(id)).body;
      await WPP.chat.sendReactionToMessage(id, '👍');
      const reactions = (await WPP.chat.getReactions(id)).reactions.map((entry) => entry.aggregateEmoji);
      await WPP.chat.starMessage(id);
      const { star } = await WPP.chat.getMessageById(id);
      const { pinned } = await WPP.chat.pinMsg(id);
      await WPP.chat.deleteMessage(to, id, false, true);
      return { edited, reactions, star, pinned, type: (await WPP.chat.getMessageById(id)).type };
    }, CHAT);
    assert.deepEqual(answer, { edited: 'final', reactions: ['👍'], star: true, pinned: true, type: 'revoked' });
  });

  test('hears edits, reactions, votes and deletions of others', async () => {
    const { ids: [id] } = await sim.incoming('changing');
    await waitToHear(page, { event: 'message', body: 'changing' });
    const target = { id, chat: CHAT, from_me: false, author: CHAT };
    await sim.incoming('changed', { kind: 'edit', content: { target } });
    await waitToHear(page, { event: 'edit' });
    await sim.incoming('', { kind: 'reaction', content: { target, reaction: '🎉' } });
    await waitToHear(page, { event: 'reaction', text: '🎉' });
    await sim.incoming('', { kind: 'revoke', content: { target } });
    await waitToHear(page, { event: 'revoke' });
    const poll = await page.evaluate((to) => WPP.chat.sendCreatePollMessage(to, 'tea?', ['yes', 'no']), CHAT);
    await sim.incoming('', {
      kind: 'poll_vote', content: { target: { id: poll.id.split('_')[2], chat: CHAT, from_me: true, author: `${ME}@c.us` }, selected: ['no'] },
    });
    await waitToHear(page, { event: 'vote', id: poll.id });
    const votes = await page.evaluate((msgId) => WPP.chat.getVotes(msgId), poll.id);
    assert.deepEqual(votes.votes[0].selectedOptions.filter(Boolean).map((option) => option.name), ['no']);
  });

  test('works on chats', async () => {
    const answer = await page.evaluate(async (to) => {
      await WPP.chat.markIsComposing(to);
      await WPP.chat.markIsPaused(to);
      await WPP.chat.archive(to);
      const archived = WPP.chat.get(to).archive;
      await WPP.chat.unarchive(to);
      await WPP.chat.pin(to);
      const pinned = Boolean(WPP.chat.get(to).pin);
      await WPP.chat.mute(to, { duration: 3600 });
      const { isMuted } = WPP.chat.get(to).mute;
      await WPP.chat.unmute(to);
      const messages = await WPP.chat.getMessages(to, { count: 5 });
      return { archived, pinned, isMuted, messages: messages.length };
    }, CHAT);
    assert.deepEqual(answer, { archived: true, pinned: true, isMuted: true, messages: 5 });
    await sim.waitFor('chatstate');
  });

  test('makes groups and writes to them', async () => {
    const answer = await page.evaluate(async (one, two) => {
      const { gid } = await WPP.group.create('Lunch', [one]);
      const group = String(gid);
      await WPP.group.addParticipants(group, [two]);
      const members = (await WPP.group.getParticipants(group)).length;
      await WPP.group.promoteParticipants(group, [two]);
      const admin = (await WPP.group.getParticipants(group)).filter((member) => member.isAdmin).length;
      await WPP.group.setSubject(group, 'Dinner');
      const code = await WPP.group.getInviteCode(group);
      const info = await WPP.group.getGroupInfoFromInviteCode(code);
      const sent = await WPP.chat.sendTextMessage(group, 'hello all');
      const listed = (await WPP.group.getAllGroups()).length;
      await WPP.group.removeParticipants(group, [two]);
      return { group, members, admin, subject: info.subject, sent, listed, left: (await WPP.group.getParticipants(group)).length };
    }, CHAT, OTHER);
    assert.equal(answer.members, 3);
    assert.equal(answer.admin, 2);
    assert.equal(answer.subject, 'Dinner');
    assert.equal(answer.sent.sendMsgResult.messageSendResult, 'OK');
    assert.equal(answer.left, 2);
    assert.ok(answer.listed >= 1);
  });

  test('keeps chats and messages over a reload', async () => {
    await page.reload();
    await waitForMain(page);
    const found = await page.evaluate(async (id) => {
      const inMemory = Boolean(WPP.whatsapp.MsgStore.get(id));
      const { body, ack } = await WPP.chat.getMessageById(id);
      return { inMemory, body, ack };
    }, firstKey);
    // So long ago that the page has not loaded it by itself: found by the search of last resort.
    assert.deepEqual(found, { inMemory: false, body: 'first', ack: 3 });
  });

  test('reports no error by itself', () => {
    assert.deepEqual(page.problems.filter((text) => !/status of 4(10|13)/.test(text)), []);
  });

  test('logs out', async () => {
    const gone = page.waitForNavigation({ timeout: 20_000 });
    await page.evaluate(() => { WPP.conn.logout(); });
    await gone;
    assert.match(page.url(), /post_logout=1&logout_reason=0/);
    await authCode(page);
    assert.equal((await sim.account()).devices.length, 0);
  });
});
