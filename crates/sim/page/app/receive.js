// Everything that the server sends and that must keep its order: messages, receipts, changes, the
// history of a new device. Frames are applied one after another; what they change is written in
// one transaction per batch, and only then is the server told that they have arrived.
'use strict';

(() => {
  const { define } = WAPage;
  const MAX_BATCH = 200;

  define('WAWebReceive', (exports, use) => {
    const queue = [];
    let working = false;

    exports.enqueue = (frame) => {
      queue.push(frame);
      if (!working) work();
    };

    async function work() {
      working = true;
      while (queue.length > 0) {
        const batch = new Batch();
        for (const frame of queue.splice(0, MAX_BATCH)) {
          try {
            await apply(frame, batch);
          } catch (error) {
            console.error('cannot apply a frame', frame.op, error);
            use('WAWebWire').send({ op: 'log', level: 'error', text: `${frame.op}: ${error.message}` });
          }
        }
        try {
          await batch.commit();
        } catch (error) {
          console.error('cannot store a batch', error);
        }
      }
      working = false;
    }

    // What a run of frames has changed, and what to answer once that is on disk.
    class Batch {
      constructor() {
        this.messages = new Set();
        this.removedMessages = new Set();
        this.chats = new Set();
        this.sids = [];
        this.afterwards = [];
      }

      async commit() {
        const table = use('WAWebMessageTable');
        if (this.messages.size > 0 || this.removedMessages.size > 0) {
          await use('WAWebStorage').write(['message'], (store) => {
            // First, since a message that only changes its key keeps its row number.
            for (const key of this.removedMessages) store('message').delete(key);
            for (const message of this.messages) store('message').put(table.toRow(message));
          });
        }
        for (const chat of this.chats) await use('WAWebChatCollection').ChatCollection.save(chat);
        if (this.sids.length > 0) use('WAWebWire').send({ op: 'received', sids: this.sids });
        for (const callback of this.afterwards) await callback();
      }
    }

    async function apply(frame, batch) {
      if (frame.sid !== undefined) batch.sids.push(frame.sid);
      switch (frame.op) {
        case 'message': await onMessage(frame, batch); break;
        case 'receipt': await use('WAWebReceipts').onReceipt(frame, batch); break;
        case 'sync': await use('WAWebHistory').onSync(frame, batch); break;
        case 'offline': use('WAWebOfflineHandler').OfflineMessageHandler.expect(frame.count); break;
        case 'offline_done': batch.afterwards.push(() => finishSync()); break;
        case 'chat_update': use('WAWebChatUpdates').onChatUpdate(frame, batch); break;
        case 'contact_update': await onContactUpdate(frame); break;
        case 'group_update': await use('WAWebGroupUpdates').onGroupUpdate(frame, batch); break;
        case 'lid_migration': await use('WAWebLidMigration').migrate(frame, batch); break;
        case 'blocklist_update':
          use('WAWebBlocklistCollection').BlocklistCollection.take(frame.blocklist);
          break;
        case 'me_update': await use('WAWebSessionController').onMe(frame.me); break;
        default:
      }
      if (frame.offline) use('WAWebOfflineHandler').OfflineMessageHandler.tick();
    }

    async function finishSync() {
      if (!use('WAWebWire').isLoggedIn()) return;
      await use('WAWebSessionController').onHistoryStored();
      use('WAWebSessionController').onOfflineDone();
    }

    async function onContactUpdate({ contact }) {
      use('WAWebContactCollection').ContactCollection.take(contact);
      await use('WAWebStorage').put('contact', contact);
    }

    async function onMessage(frame, batch) {
      if (frame.author_pn && frame.author?.endsWith('@lid')) {
        use('WAWebApiContact').learnPair(frame.author_pn, frame.author);
      }
      const addon = use('WAWebMessageAddons').handlerOf(frame.kind);
      if (addon) {
        await addon(frame, batch);
        return;
      }
      const attributes = use('WAWebMessageCodec').fromFrame(frame);
      const known = use('WAWebMsgCollection').MsgCollection.get(attributes.id);
      if (await becameReadable(known, attributes, batch)) return;
      if (known) {
        // Again, since an earlier write may have failed: it is answered only when it is on disk.
        batch.messages.add(known);
        return;
      }
      if (await use('WAWebStorage').get('message', String(attributes.id))) return;
      const { chat } = await use('WAWebFindChatAction').findOrCreateLatestChat(attributes.id.remote);
      learnSender(frame);
      attributes.isNewMsg = true;
      const [message] = await use('WAWebMsgCollection').MsgCollection.processMultipleMessages(
        attributes.id.remote, [attributes], { chat },
      );
      batch.messages.add(message);
      batch.chats.add(chat);
    }

    // The text of a message that could not be decrypted when it came: the same message has it
    // now, at its old place and time. One that is not in memory is read from the database.
    async function becameReadable(known, attributes, batch) {
      const held = known ?? await use('WAWebStorage').get('message', String(attributes.id));
      if (held?.type !== 'ciphertext' || attributes.type === 'ciphertext') return false;
      const message = known ?? (await use('WAWebMessageTable').load([String(attributes.id)]))[0];
      const { id, t, ...readable } = attributes;
      message.set(readable);
      batch.messages.add(message);
      return true;
    }

    function learnSender(frame) {
      if (frame.from_me || !frame.push_name) return;
      const { ContactCollection } = use('WAWebContactCollection');
      const contact = ContactCollection.gadd(frame.author, { silent: true });
      contact.set({ pushname: frame.push_name });
    }
  });

  define('WAWebHandleSingleMsg', (exports, use) => {
    // Takes one message from outside into a chat.
    exports.handleSingleMsg = async (chatId, attributes, options = {}) => {
      const { ChatCollection } = use('WAWebChatCollection');
      const { MsgCollection } = use('WAWebMsgCollection');
      if (attributes.type === 'protocol') return handleProtocol(attributes);
      const chat = options.chat ?? ChatCollection.get(chatId);
      const message = new (use('WAWebMsgModel').default)(attributes);
      use('WAWebMediaDataModel').attach(message);
      MsgCollection.add(message);
      chat.msgs.add(message);
      chat.msgs.trim();
      chat.set({ t: Math.max(chat.t ?? 0, message.t ?? 0), lastReceivedKey: message.id });
      const countsAsUnread = attributes.isNewMsg && !message.id.fromMe && use('WAWebMsgGetters').isUnreadTypeMsg(message);
      if (countsAsUnread) chat.set({ unreadCount: Math.max(0, chat.unreadCount) + 1 });
      if (chat.archive && attributes.isNewMsg) chat.set({ archive: false });
      ChatCollection.sort();
      return message;
    };

    function handleProtocol(attributes) {
      const target = use('WAWebMsgCollection').MsgCollection.get(attributes.protocolMessageKey);
      if (target && attributes.subtype?.endsWith('revoke')) use('WAWebRevokeMsgAction').applyRevoke(target);
      return target;
    }
  });

  define('WAWebChatUpdates', (exports, use) => {
    exports.onChatUpdate = (frame, batch) => {
      const { ChatCollection } = use('WAWebChatCollection');
      const chat = ChatCollection.get(frame.chat);
      if (!chat) return;
      if (frame.deleted || frame.cleared) {
        for (const message of chat.msgs.getModelsArray()) batch.removedMessages.add(String(message.id));
        use('WAWebMsgCollection').MsgCollection.remove(chat.msgs.getModelsArray());
        chat.msgs.reset();
      }
      if (frame.deleted) {
        ChatCollection.remove(chat);
        batch.afterwards.push(() => use('WAWebStorage').remove('chat', frame.chat));
        return;
      }
      if (frame.unread !== undefined) chat.set({ unreadCount: frame.unread });
      if (frame.archived !== undefined) chat.set({ archive: frame.archived });
      if (frame.pinned !== undefined) chat.set({ pin: frame.pinned || 0 });
      if (frame.mute_until !== undefined) chat.mute.set({ expiration: frame.mute_until });
      if (frame.ephemeral_s !== undefined) chat.set({ ephemeralDuration: frame.ephemeral_s || undefined });
      batch.chats.add(chat);
    };
  });

  define('WAWebGroupUpdates', (exports, use) => {
    exports.onGroupUpdate = async (frame, batch) => {
      const { createWid } = use('WAWebWidFactory');
      const id = createWid(frame.group.id);
      await use('WAWebGroupMsgAction').updateDBForGroupAction(
        { chatId: id, author: frame.author ? createWid(frame.author) : undefined, t: frame.t },
        {
          actionType: frame.action,
          participants: (frame.participants ?? []).map((member) => ({ id: createWid(member) })),
          group: frame.group,
        },
      );
      const { chat } = await use('WAWebFindChatAction').findOrCreateLatestChat(id);
      const { participants } = use('WAWebGroupMetadataCollection').default.gadd(id);
      chat.set({ isReadOnly: !participants.iAmMember() });
      batch.chats.add(chat);
      await addNotice(id, chat, frame, batch);
    };

    // The line in the chat that says what has happened.
    async function addNotice(id, chat, frame, batch) {
      const { createWid } = use('WAWebWidFactory');
      const author = frame.author ? createWid(frame.author) : undefined;
      const key = new (use('WAWebMsgKey').default)({
        fromMe: false, remote: id, id: `${frame.t}${frame.sid ?? ''}`, participant: author,
      });
      const { MsgCollection } = use('WAWebMsgCollection');
      if (MsgCollection.get(key) || await use('WAWebStorage').get('message', String(key))) return;
      const [message] = await MsgCollection.processMultipleMessages(id, [{
        id: key, type: 'gp2', subtype: frame.action, isNotification: true, isNewMsg: true, t: frame.t,
        from: id, to: use('WAWebUserPrefsMeUser').getMePnUserOrThrow(), author,
        recipients: (frame.participants ?? []).map(createWid),
        body: frame.action === 'subject' ? frame.group.subject : undefined,
      }], { chat });
      batch.messages.add(message);
    }
  });

  // The account moves from numbers to hidden ids: chats keep their messages under another address.
  define('WAWebLidMigration', (exports, use) => {
    exports.migrate = async (frame, batch) => {
      const { ChatCollection } = use('WAWebChatCollection');
      const moves = [];
      for (const { pn, lid } of frame.pairs) {
        use('WAWebApiContact').learnPair(pn, lid);
        const chat = ChatCollection.get(pn);
        if (!chat) continue;
        await chat.msgs.loadEarlierMsgs(Infinity);
        moves.push({ chat, pn, lid });
      }
      // From here on without a pause: nobody may find a chat under neither of its addresses.
      for (const move of moves) moveChat(move, batch);
      use('WAWebLid1X1MigrationGating').setAddressing(frame.addressing);
    };

    function moveChat({ chat, pn, lid }, batch) {
      const MsgKey = use('WAWebMsgKey').default;
      const { MsgCollection } = use('WAWebMsgCollection');
      const target = use('WAWebWidFactory').createWid(lid);
      for (const message of chat.msgs.getModelsArray()) {
        const oldKey = message.id;
        const key = new MsgKey({ ...oldKey, remote: target });
        batch.removedMessages.add(String(oldKey));
        chat.msgs.rekey(message, key);
        MsgCollection.forgetKey(oldKey);
        MsgCollection.rekey(message, key);
        message.set(message.id.fromMe ? { to: target } : { from: target }, { silent: true });
        batch.messages.add(message);
      }
      use('WAWebChatCollection').ChatCollection.rekey(chat, target);
      if (chat.lastReceivedKey) chat.set({ lastReceivedKey: new MsgKey({ ...chat.lastReceivedKey, remote: target }) });
      batch.chats.add(chat);
      batch.afterwards.push(() => use('WAWebStorage').remove('chat', pn));
    }
  });
})();
