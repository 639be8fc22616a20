// Receipts: who has received, read or played a message of ours.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebReceipts', (exports, use) => {
    const NAMES = { 2: 'delivery', 3: 'read', 4: 'played' };

    exports.onReceipt = async (frame, batch) => {
      const { createWid } = use('WAWebWidFactory');
      const chat = createWid(frame.chat);
      const messages = [];
      for (const id of frame.ids) {
        const message = await use('WAWebOutbox').findOwn(id);
        if (message) messages.push(message);
      }
      // The server's own sum over all members of a group: no receipt of anybody, so it does not
      // pass through the handlers of receipts.
      if (chat.isGroup() && !frame.participant) {
        raiseAll(messages, frame, batch);
        return;
      }
      const receipt = {
        ack: frame.level,
        ackString: NAMES[frame.level],
        from: chat.isUser() ? createWid(frame.from ?? frame.chat) : chat,
        participant: frame.participant ? createWid(frame.participant) : null,
        recipient: null,
        externalIds: [...frame.ids],
        ts: frame.t,
      };
      const handlers = use('WAWebHandleMsgSimpleReceipt');
      if (chat.isGroup()) await handlers.handleGroupSimpleReceipt(receipt);
      else if (chat.isStatus()) await handlers.handleStatusSimpleReceipt(receipt);
      else await handlers.handleChatSimpleReceipt(receipt);
      if (!chat.isGroup()) raiseAll(messages, frame, batch);
      for (const message of messages) use('WAWebMsgInfoCollection').note(message, receipt);
    };

    function raiseAll(messages, frame, batch) {
      for (const message of messages) {
        if (use('WAWebMsgAck').raise(message, frame.level)) batch.messages.add(message);
      }
    }
  });

  // Called with every receipt; the levels of messages are raised by the caller, under the same
  // database write.
  define('WAWebHandleMsgSimpleReceipt', (exports) => {
    exports.handleChatSimpleReceipt = async (receipt) => receipt;
    exports.handleGroupSimpleReceipt = async (receipt) => receipt;
    exports.handleStatusSimpleReceipt = async (receipt) => receipt;
  });

  define('WAWebMsgInfoCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class MsgInfoParticipantModel extends BaseModel {}
    defineModel(MsgInfoParticipantModel, 'msgInfoParticipant', ['id', 't']);

    class MsgInfoModel extends BaseModel {
      static defaults() {
        return { delivery: [], read: [], played: [], deliveryRemaining: 0, readRemaining: 0, playedRemaining: 0 };
      }
    }
    defineModel(MsgInfoModel, 'msgInfo', ['id', 'delivery', 'read', 'played', 'deliveryRemaining', 'readRemaining', 'playedRemaining']);

    class MsgInfoCollectionImpl extends BaseCollection {
      static model = MsgInfoModel;

      async find(key) { return this.gadd(key); }
    }

    exports.MsgInfoCollection = new MsgInfoCollectionImpl();
    exports.note = (message, { ackString, participant, from, ts }) => {
      const info = exports.MsgInfoCollection.gadd(message.id, { silent: true });
      const id = participant ?? from;
      const entries = info[ackString].filter((entry) => !entry.id.equals(id));
      info.set({ [ackString]: [...entries, new MsgInfoParticipantModel({ id, t: ts })] });
    };
  });
})();
