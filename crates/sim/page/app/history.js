// What the client already knows when it starts: its own database, or what the server gives a
// device that is new or has lost it.
'use strict';

(() => {
  const { define } = WAPage;
  // How many messages of a chat are in memory when the client starts. Older ones are read from the
  // database when somebody asks.
  const LOADED_AT_START = 5;

  define('WAWebHistory', (exports, use) => {
    exports.restore = async () => {
      const storage = use('WAWebStorage');
      await use('WAWebMessageTable').prepare();
      for (const { id, lid } of await storage.getAll('lid-pn')) use('WAWebLidPnCache').lidPnCache.add(id, lid);
      for (const row of await storage.getAll('contact')) use('WAWebContactCollection').ContactCollection.take(row);
      for (const row of await storage.getAll('group-metadata')) use('WAWebGroupMetadataCollection').default.take(row);
      await loadChats();
      await use('WAWebOutbox').restore();
      await loadUnanswered();
    };

    // Takes in what another page of this browser has written.
    exports.refresh = async () => {
      await use('WAWebMessageTable').prepare();
      await loadChats();
    };

    async function loadChats() {
      const { ChatCollection } = use('WAWebChatCollection');
      for (const row of await use('WAWebStorage').getAll('chat')) {
        const chat = ChatCollection.take(row, { silent: true });
        const messages = await use('WAWebMessageTable').loadBefore(chat.id, undefined, LOADED_AT_START);
        const last = messages.at(-1);
        if (last) chat.set({ lastReceivedKey: last.id });
      }
      ChatCollection.sort();
    }

    // Messages that the outbox still holds are in memory, however old they are.
    async function loadUnanswered() {
      const rows = await use('WAWebStorage').getAll('outbox');
      for (const { id } of rows) await use('WAWebOutbox').findOwn(id);
    }

    exports.onSync = async (frame, batch) => {
      const storage = use('WAWebStorage');
      for (const contact of frame.contacts ?? []) use('WAWebContactCollection').ContactCollection.take(contact);
      await storage.putAll('contact', frame.contacts ?? []);
      for (const group of frame.groups ?? []) use('WAWebGroupMetadataCollection').default.take(group);
      for (const row of frame.chats ?? []) batch.chats.add(use('WAWebChatCollection').ChatCollection.take(row));
      for (const row of frame.messages ?? []) takeOld(row, batch);
      if (frame.blocklist) use('WAWebBlocklistCollection').BlocklistCollection.take(frame.blocklist);
      use('WAWebHistorySyncProgress').set(frame.progress ?? 100);
      batch.afterwards.push(() => use('WAWebWire').send({ op: 'sync_ok', chunk: frame.chunk }));
    };

    function takeOld(row, batch) {
      const attributes = use('WAWebMessageCodec').fromFrame(row);
      const { MsgCollection } = use('WAWebMsgCollection');
      if (MsgCollection.get(attributes.id)) return;
      const chat = use('WAWebChatCollection').ChatCollection.get(attributes.id.remote);
      if (!chat) return;
      const message = MsgCollection.add({ ...attributes, isMdHistoryMsg: true }, { silent: true });
      use('WAWebMediaDataModel').attach(message);
      chat.msgs.add(message, { silent: true });
      chat.set({ lastReceivedKey: message.id });
      batch.messages.add(message);
    }
  });

  define('WAWebHistorySyncProgress', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class HistorySyncProgressModel extends BaseModel {
      static defaults() { return { progress: 0, paused: false, inProgress: false }; }

      get realProgress() { return this.progress; }

      get remainingPausedSeconds() { return 0; }
    }
    defineModel(HistorySyncProgressModel, 'historySyncProgress', ['progress', 'paused', 'inProgress']);
    const model = new HistorySyncProgressModel();
    exports.HistorySyncProgressModel = HistorySyncProgressModel;
    exports.getHistorySyncProgressModel = () => model;
    exports.set = (progress) => model.set({ progress, inProgress: progress < 100 });
  });

  define('WAWebMsgFind', (exports, use) => {
    // Messages of a chat before or after an anchor, from the database.
    exports.msgFindByDirection = async ({ anchor, count, direction }) => {
      const chat = use('WAWebChatCollection').ChatCollection.get(anchor.remote);
      const row = await use('WAWebStorage').get('message', String(anchor));
      const limit = Number.isFinite(count) ? count : Infinity;
      if (direction === 'after') {
        const range = IDBKeyRange.bound([String(chat.id), row?.rowId ?? 0], [String(chat.id), Number.MAX_SAFE_INTEGER], true);
        const rows = await use('WAWebStorage').walk('message', 'chat', range, 'next', limit);
        return { messages: use('WAWebMessageTable').hydrate(rows) };
      }
      return { messages: await use('WAWebMessageTable').loadBefore(chat.id, row?.rowId, limit) };
    };
    exports.msgFindBefore = (options) => exports.msgFindByDirection({ ...options, direction: 'before' });
    exports.msgFindAfter = (options) => exports.msgFindByDirection({ ...options, direction: 'after' });
  });
})();
