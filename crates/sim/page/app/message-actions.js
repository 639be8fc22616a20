// What one does with a message: edit, revoke, delete, star, pin, forward; and what arrives when
// others do.
'use strict';

(() => {
  const { define } = WAPage;
  // WhatsApp's own windows.
  const EDIT_WINDOW_S = 15 * 60;
  const REVOKE_WINDOW_S = 2.5 * 24 * 60 * 60;

  // How a frame names the message that it speaks of, and back.
  define('WAWebMessageTarget', (exports, use) => {
    exports.of = (message) => ({
      id: message.id.id,
      chat: String(message.id.remote),
      from_me: message.id.fromMe,
      author: String(message.id.participant ?? message.sender),
    });

    // The message in memory or in the database, or null.
    exports.find = async (target) => {
      const { MsgCollection } = use('WAWebMsgCollection');
      const matches = (message) => message.id.id === target.id;
      const known = MsgCollection.findFirst(matches);
      if (known) return known;
      const rows = await use('WAWebMessageTable').findByStanza(target.id);
      return use('WAWebMessageTable').hydrate(rows).find(matches) ?? null;
    };

    // The frame of something that speaks of another message.
    exports.frame = async (message, kind, body, content) => ({
      op: 'send',
      id: await use('WAWebMsgKey').default.newId(),
      chat: String(message.id.remote),
      kind,
      body,
      t: use('WATimeUtils').unixTime(),
      content: { target: exports.of(message), ...content },
    });

    exports.send = async (message, kind, body, content) => {
      const frame = await exports.frame(message, kind, body, content);
      const { stored, result } = use('WAWebOutbox').submitFrame(frame);
      await stored;
      return { frame, result: await result };
    };
  });

  // Messages that change another one instead of standing in the chat.
  define('WAWebMessageAddons', (exports, use) => {
    const HANDLERS = {
      edit: (frame, batch) => use('WAWebReceiveEdit').onEdit(frame, batch),
      revoke: (frame, batch) => use('WAWebReceiveRevoke').onRevoke(frame, batch),
      reaction: (frame) => use('WAWebReactionsBackend').onReaction(frame),
      poll_vote: (frame) => use('WAWebPollVotesBackend').onVote(frame),
      pin: (frame) => use('WAWebPinInChatBackend').onPin(frame),
      ephemeral_setting: (frame, batch) => use('WAWebEphemeralSetting').onSetting(frame, batch),
    };
    exports.handlerOf = (kind) => HANDLERS[kind];
  });

  define('WAWebMsgActionCapability', (exports, use) => {
    const age = (message) => use('WATimeUtils').unixTime() - message.t;
    exports.canEditText = (message) => Boolean(
      message.id.fromMe && message.type === 'chat' && message.ack >= 1 && age(message) < EDIT_WINDOW_S,
    );
    exports.canEditMsg = exports.canEditText;
    exports.canEditCaption = (message) => Boolean(
      message.id.fromMe && message.caption && message.ack >= 1 && age(message) < EDIT_WINDOW_S,
    );
    exports.canSenderRevokeMsg = (message) => Boolean(
      message.id.fromMe && message.type !== 'revoked' && age(message) < REVOKE_WINDOW_S,
    );
    exports.canAdminRevokeMsg = (message) => {
      if (!message.id.remote.isGroup()) return false;
      return use('WAWebGroupMetadataCollection').default.gadd(message.id.remote).participants.iAmAdmin();
    };
    exports.canStarMsg = (message) => message.type !== 'revoked';
    exports.canReplyMsg = (message) => use('WAWebMsgReply').canReplyMsg(message);
  });

  define('WAWebSendMessageEditAction', (exports, use) => {
    exports.sendMessageEdit = async (message, text) => {
      const MsgKey = use('WAWebMsgKey').default;
      await exports.addAndSendMessageEdit(message, {
        id: new MsgKey({ ...message.id, id: await MsgKey.newId() }),
        body: text, caption: text, t: use('WATimeUtils').unixTime(),
      });
    };

    exports.addAndSendMessageEdit = async (message, edit) => {
      const frame = {
        ...await use('WAWebMessageTarget').frame(message, 'edit', edit.body, {}),
        id: edit.id.id,
      };
      const { stored, result } = use('WAWebOutbox').submitFrame(frame);
      await stored;
      const answer = await result;
      if (answer.messageSendResult !== 'OK') throw new Error(`edit: ${answer.messageSendResult}`);
      use('WAWebReceiveEdit').applyEdit(message, edit.body, edit.id, edit.t);
      await use('WAWebMessageTable').save(message);
      return answer;
    };
  });

  define('WAWebReceiveEdit', (exports, use) => {
    exports.applyEdit = (message, text, key, t) => {
      const field = use('WAWebMessageCodec').isMediaType(message.type) ? 'caption' : 'body';
      message.set({ [field]: text, latestEditMsgKey: key, latestEditSenderTimestampMs: t * 1000 });
    };
    exports.onEdit = async (frame, batch) => {
      const message = await use('WAWebMessageTarget').find(frame.content.target);
      if (!message) return;
      const MsgKey = use('WAWebMsgKey').default;
      exports.applyEdit(message, frame.body, new MsgKey({ ...message.id, id: frame.id }), frame.t);
      batch.messages.add(message);
    };
  });

  define('WAWebRevokeMsgAction', (exports, use) => {
    exports.sendRevoke = async (chat, messages) => {
      for (const message of messages) {
        const { result } = await use('WAWebMessageTarget').send(message, 'revoke', '', {});
        if (result.messageSendResult !== 'OK') throw new Error(`revoke: ${result.messageSendResult}`);
        exports.applyRevoke(message);
        await use('WAWebMessageTable').save(message);
      }
    };
    exports.applyRevoke = (message) => {
      message.set({ type: 'revoked', body: undefined, caption: undefined, mediaData: undefined, mediaObject: undefined });
    };
  });

  define('WAWebReceiveRevoke', (exports, use) => {
    exports.onRevoke = async (frame, batch) => {
      const { createWid } = use('WAWebWidFactory');
      const message = await use('WAWebMessageTarget').find(frame.content.target);
      if (!message) return;
      const notice = use('WAWebMessageCodec').fromFrame(frame);
      const byAdmin = String(message.sender) !== String(createWid(frame.author));
      await use('WAWebMsgCollection').MsgCollection.processMultipleMessages(notice.id.remote, [{
        ...notice, type: 'protocol', subtype: byAdmin ? 'admin_revoke' : 'sender_revoke',
        isNewMsg: true, protocolMessageKey: message.id,
      }]);
      batch.messages.add(message);
    };
  });

  define('WAWebDeleteMsgAction', (exports, use) => {
    // For this account only.
    exports.sendDeleteMsgs = async (chat, messages) => {
      for (const message of messages) {
        use('WAWebMsgCollection').MsgCollection.remove(message);
        chat.msgs.remove(message);
        await use('WAWebStorage').remove('message', String(message.id));
      }
    };
  });

  define('WAWebStarMsgAction', (exports, use) => {
    exports.star = (chat, messages, star) => {
      chat.promises.sendStarMsgs = Promise.all(messages.map(async (message) => {
        message.set({ star });
        await use('WAWebMessageTable').save(message);
      }));
      return chat.promises.sendStarMsgs;
    };
  });

  define('WAWebPinInChatCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class PinInChatModel extends BaseModel {}
    defineModel(PinInChatModel, 'pinInChat', ['id', 'parentMsgKey', 'pinType', 'chatId']);

    class PinInChatCollectionImpl extends BaseCollection {
      static model = PinInChatModel;

      getByParentMsgKey(key) { return this.get(key); }
    }
    exports.PinInChatCollection = new PinInChatCollectionImpl();
  });

  define('WAWebPinInChatBackend', (exports, use) => {
    exports.apply = (message, pinned) => {
      const { PIN_STATE } = use('WAWebPinInChatConstants');
      use('WAWebPinInChatCollection').PinInChatCollection.gadd(message.id).set({
        parentMsgKey: message.id, chatId: message.id.remote, pinType: pinned ? PIN_STATE.PIN : PIN_STATE.UNPIN,
      });
    };
    exports.onPin = async (frame) => {
      const message = await use('WAWebMessageTarget').find(frame.content.target);
      if (message) exports.apply(message, frame.content.pinned !== false);
    };
  });

  define('WAWebPinInChatSchema', (exports, use) => {
    exports.getTable = () => ({
      equals: async (names, chatId) => use('WAWebPinInChatCollection').PinInChatCollection
        .filter((pin) => String(pin.chatId) === String(chatId))
        .map((pin) => ({ parentMsgKey: String(pin.parentMsgKey), pinType: pin.pinType, chatId: String(pin.chatId) })),
    });
  });

  define('WAWebSendPinMessageAction', (exports, use) => {
    exports.sendPinInChatMsg = async (message, action, duration) => {
      const pinned = action === use('WAWebPinInChatConstants').PIN_STATE.PIN;
      const seconds = pinned ? use('WAWebPinMsgConstants').getPinExpiryDuration(duration) : 0;
      const { result } = await use('WAWebMessageTarget').send(message, 'pin', '', { pinned, expires_s: seconds });
      if (result.messageSendResult === 'OK') use('WAWebPinInChatBackend').apply(message, pinned);
      return result;
    };
  });

  define('WAWebEphemeralSetting', (exports, use) => {
    exports.onSetting = async (frame, batch) => {
      const { chat } = await use('WAWebFindChatAction').findOrCreateLatestChat(use('WAWebWidFactory').createWid(frame.chat));
      chat.set({ ephemeralDuration: frame.content.ephemeral_s || undefined });
      batch.chats.add(chat);
    };
  });

  define('WAWebChatForwardMessage', (exports, use) => {
    const NOT_FORWARDED = new Set([
      'id', 'ack', 'from', 'to', 'author', 'self', 't', 'rowId', 'star', 'quotedMsg', 'quotedStanzaID',
      'quotedParticipant', 'quotedRemoteJid', 'latestEditMsgKey', 'hasReaction', 'isNewMsg', 'notifyName',
    ]);

    exports.forwardMessages = async ({ chat, msgs, includeCaption = true }) => {
      const results = [];
      for (const message of msgs) {
        const kept = Object.entries(message.attributes).filter(([name]) => !NOT_FORWARDED.has(name));
        const fresh = await use('WAWebSendTextMsgChatAction').createTextMsgData(chat, message.body);
        const attributes = { ...fresh, ...Object.fromEntries(kept), isForwarded: true, isNewMsg: true };
        if (!includeCaption) delete attributes.caption;
        const [stored, result] = use('WAWebSendMsgChatAction').addAndSendMsgToChat(chat, attributes);
        await stored;
        results.push(await result);
      }
      return results;
    };
  });

  define('WAWebForwardMessagesToChat', (exports, use) => {
    exports.forwardMessagesToChats = async (msgs, chats, includeCaption) => {
      for (const chat of chats) {
        await use('WAWebChatForwardMessage').forwardMessages({ chat, msgs, includeCaption });
      }
      return chats;
    };
  });
})();
