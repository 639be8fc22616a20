// What one does with a chat: read it, archive, pin, mute, clear, delete.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebChatAction', (exports, use) => {
    exports.run = (id, action, value) => (
      use('WAWebWire').query('chat_action', { chat: String(id), action, ...(value !== undefined && { value }) })
    );
  });

  define('WAWebUpdateUnreadChatAction', (exports, use) => {
    // Called with a chat or with `{ chat, ... }`, by the age of the caller.
    exports.sendSeen = async (target) => {
      const chat = target.chat ?? target;
      const { ChatCollection } = use('WAWebChatCollection');
      if (chat.unreadCount === 0) return;
      const count = chat.unreadCount > 0 ? chat.unreadCount : 1;
      const unread = chat.msgs.filter((message) => !message.id.fromMe).slice(-count);
      use('WAWebWire').send({
        op: 'read', chat: String(chat.id), ids: unread.map((message) => message.id.id),
      });
      chat.set({ unreadCount: 0 });
      await ChatCollection.save(chat);
    };

    exports.markUnread = async (chat, unread = true) => {
      await use('WAWebChatAction').run(chat.id, 'unread', unread);
      chat.set({ unreadCount: unread ? -1 : 0 });
      await use('WAWebChatCollection').ChatCollection.save(chat);
    };
  });

  define('WAWebMarkPlayedAction', (exports, use) => {
    exports.canMarkPlayed = (message) => !message.id.fromMe && (message.type === 'ptt' || message.type === 'ptv');
    exports.markPlayed = async (message) => {
      use('WAWebWire').send({ op: 'played', chat: String(message.id.remote), ids: [message.id.id] });
    };
  });

  define('WAWebSetArchiveChatAction', (exports, use) => {
    // Shown at once, taken back where the server refuses.
    exports.setArchive = async (chat, archive) => {
      chat.set({ archive });
      try {
        await use('WAWebChatAction').run(chat.id, 'archive', archive);
      } catch (error) {
        chat.set({ archive: !archive });
        throw error;
      }
      await use('WAWebChatCollection').ChatCollection.save(chat);
    };
  });

  define('WAWebSetPinChatAction', (exports, use) => {
    exports.setPin = async (chat, pin) => {
      await use('WAWebChatAction').run(chat.id, 'pin', pin);
      chat.set({ pin: pin ? use('WATimeUtils').unixTime() : 0 });
      use('WAWebChatCollection').ChatCollection.sort();
      await use('WAWebChatCollection').ChatCollection.save(chat);
    };
  });

  define('WAWebGetNumChatsPinned', (exports, use) => {
    exports.getNumChatsPinned = () => use('WAWebChatCollection').ChatCollection.filter((chat) => chat.pin).length;
  });

  define('WAWebChatClearBridge', (exports, use) => {
    exports.sendClear = (chat, keepStarred) => {
      const target = use("WAWebStateUtils").unproxy(chat);
      target.promises.sendClear = use('WAWebChatAction').run(target.id, 'clear', Boolean(keepStarred)).then(() => {
        const gone = target.msgs.filter((message) => !(keepStarred && message.star));
        use('WAWebMsgCollection').MsgCollection.remove(gone);
        target.msgs.remove(gone);
        return Promise.all(gone.map((message) => use('WAWebStorage').remove('message', String(message.id))));
      }).then(() => ({ status: 200 }));
      return target.promises.sendClear;
    };
  });

  define('WAWebDeleteChatAction', (exports, use) => {
    exports.sendDelete = (chat) => {
      chat.promises.sendDelete = use('WAWebChatAction').run(chat.id, 'delete').then(async () => {
        use('WAWebMsgCollection').MsgCollection.remove(chat.msgs.getModelsArray());
        use('WAWebChatCollection').ChatCollection.remove(chat);
        await use('WAWebStorage').remove('chat', String(chat.id));
        return { status: 200 };
      });
      return chat.promises.sendDelete;
    };
  });
})();
