// Messages: the model, all messages that are in memory, and those of one chat.
'use strict';

(() => {
  const { define } = WAPage;
  const KEPT_PER_CHAT = 500;

  define('WAWebMsgModel', (exports, use) => {
    const { BaseModel, defineModel, serializeValue } = use('WAWebBaseModel');
    const NAMES = [
      'id', 'ack', 'body', 'caption', 'type', 'subtype', 'kind', 't', 'from', 'to', 'author', 'self', 'local',
      'isNewMsg', 'notifyName', 'star', 'isMdHistoryMsg', 'isForwarded', 'mentionedJidList',
      'groupMentions', 'nonJidMentions', 'quotedMsg', 'quotedStanzaID', 'quotedParticipant',
      'quotedRemoteJid', 'mediaData', 'mediaObject', 'mimetype', 'filename', 'filehash', 'encFilehash',
      'size', 'directPath', 'clientUrl', 'deprecatedMms3Url', 'mediaKey', 'mediaKeyTimestamp',
      'width', 'height', 'duration', 'pageCount', 'isGif', 'isViewOnce', 'isUnsentMedia', 'isMedia',
      'lat', 'lng', 'loc', 'isLive', 'vcardList', 'vcardFormattedName', 'pollName', 'pollOptions',
      'pollSelectableOptionsCount', 'messageSecret', 'latestEditMsgKey', 'latestEditSenderTimestampMs',
      'protocolMessageKey', 'revokeSender', 'isEphemeral', 'ephemeralDuration',
      'ephemeralSettingTimestamp', 'hasReaction', 'isStatusV3', 'rowId', 'serverId', 'isFailed',
      'lastPlaybackProgress', 'recipients', 'invis', 'broadcast', 'isNotification', 'waveform',
      'sendErrorText', 'title', 'description', 'matchedText', 'canonicalUrl', 'thumbnail',
    ];

    class MsgModel extends BaseModel {
      static defaults() {
        return { ack: 0, isNewMsg: false, star: false, invis: false, mentionedJidList: [], groupMentions: [] };
      }

      get sender() {
        if (this.id?.fromMe && !this.author) return this.from;
        return this.author ?? this.from;
      }

      get senderObj() { return use('WAWebContactCollection').ContactCollection.gadd(this.sender, { silent: true }); }

      get isSentByMe() { return Boolean(this.id?.fromMe); }

      isSentByMeFromWeb() { return Boolean(this.id?.fromMe && this.id.id.startsWith('3EB0')); }

      isExpired() { return false; }

      canReply() { return use('WAWebMsgReply').canReplyMsg(this); }

      canRevoke() { return Boolean(this.id?.fromMe) && this.ack >= 1; }

      updateAck(ack) { use('WAWebMsgAck').raise(this, ack); }

      // Hands an unsent or refused message to the outbox again, under the same id.
      resend() { return use('WAWebResendMsgAction').resendMsg(this); }

      downloadMedia(options) { return use('WAWebMediaDownload').downloadMsgMedia(this, options); }

      avParams() { return { type: this.type, mimetype: this.mimetype, size: this.size }; }

      // What a reply to this message carries about it.
      msgContextInfo(chat) {
        const remote = chat?.id ?? chat;
        const quotedMsg = serializeValue({ type: this.type, body: this.body, caption: this.caption });
        return {
          quotedMsg,
          quotedStanzaID: this.id.id,
          quotedParticipant: this.sender,
          ...(remote && !this.id.remote.equals(remote) && { quotedRemoteJid: this.id.remote }),
        };
      }
    }
    defineModel(MsgModel, 'msg', NAMES);
    exports.default = MsgModel;
  });

  define('WAWebMsgCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class MsgCollectionImpl extends BaseCollection {
      static model = use('WAWebMsgModel').default;

      constructor() {
        super();
        Object.defineProperty(this, '__ownByStanza', { value: new Map(), enumerable: false });
      }

      add(items, options) {
        const added = super.add(items, options);
        for (const model of Array.isArray(added) ? added : [added]) {
          if (model.id.fromMe) this.__ownByStanza.set(model.id.id, model);
        }
        return added;
      }

      remove(items, options) {
        for (const item of Array.isArray(items) ? items : [items]) {
          const model = this.get(item);
          if (model?.id.fromMe) this.__ownByStanza.delete(model.id.id);
        }
        super.remove(items, options);
      }

      rekey(model, id) {
        super.rekey(model, id);
        if (id.fromMe) this.__ownByStanza.set(id.id, model);
      }

      // One of our own messages by its bare id.
      getOwnByStanza(id) { return this.__ownByStanza.get(id); }

      async find(key) {
        const known = this.get(key);
        if (known) return known;
        const [message] = await use('WAWebMessageTable').load([String(key)]);
        if (!message) throw new Error(`message ${key} not found`);
        return message;
      }

      async getMessagesById(keys) {
        const messages = [];
        for (const key of keys) {
          const message = this.get(key) ?? (await use('WAWebMessageTable').load([String(key)]))[0];
          if (message) messages.push(message);
        }
        return { messages };
      }

      // Takes attributes of several messages of one chat.
      async processMultipleMessages(chatId, list, options = {}) {
        const { handleSingleMsg } = use('WAWebHandleSingleMsg');
        const handled = [];
        for (const attributes of list) handled.push(await handleSingleMsg(chatId, attributes, options));
        return handled;
      }
    }

    exports.MsgCollection = new MsgCollectionImpl();
    exports.MsgCollectionImpl = MsgCollectionImpl;
  });

  // The messages of one chat that are loaded.
  define('WAWebChatMessages', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class ChatMsgsCollection extends BaseCollection {
      static model = use('WAWebMsgModel').default;

      static comparator = (one, other) => (one.t - other.t) || ((one.rowId ?? Infinity) - (other.rowId ?? Infinity)) || 0;

      constructor(chatId) {
        super();
        this.chatId = chatId;
        this.loadAroundPromise = Promise.resolve();
        this.msgLoadState = { noEarlierMsgs: false, isLoadingEarlierMsgs: false };
      }

      // The client keeps the newest of a long chat in memory; the rest lies in the database.
      trim() {
        if (this.length < 2 * KEPT_PER_CHAT) return;
        const { MsgCollection } = use('WAWebMsgCollection');
        const old = this._models.slice(0, this.length - KEPT_PER_CHAT)
          .filter((message) => message.rowId !== undefined && !(message.id.fromMe && message.ack === 0));
        this.remove(old, { silent: true });
        MsgCollection.remove(old, { silent: true });
      }

      // Loads earlier messages from our own database.
      async loadEarlierMsgs(count = 50) {
        const first = this._models.find((message) => message.rowId !== undefined);
        const messages = await use('WAWebMessageTable').loadBefore(this.chatId, first?.rowId, count);
        this.msgLoadState.noEarlierMsgs = messages.length < count;
        return messages;
      }
    }
    exports.ChatMsgsCollection = ChatMsgsCollection;
  });

  define('WAWebChatLoadMessages', (exports) => {
    exports.loadEarlierMsgs = async ({ chat, count }) => chat.msgs.loadEarlierMsgs(count);
  });

  define('WAWebChatMessageSearch', (exports, use) => {
    // A view of the chat around one message, read from the database.
    exports.getSearchContext = (chat, key) => {
      const wanted = String(key?.id?.remote ? key.id : key);
      const collection = new (use('WAWebChatMessages').ChatMsgsCollection)(chat.id);
      collection.loadAroundPromise = use('WAWebMessageTable').load([wanted]).then((messages) => {
        collection.add(messages, { silent: true });
        return messages;
      });
      return { collection, msg: use('WAWebMsgCollection').MsgCollection.get(wanted), key: wanted };
    };
  });

  // An ack only ever goes up; a failure comes before it or not at all.
  define('WAWebMsgAck', (exports, use) => {
    exports.raise = (message, ack, t) => {
      if (message.ack > 0 ? ack <= message.ack : ack === message.ack) return false;
      message.set({
        ack,
        ...(t && { t }),
        ...(message.isUnsentMedia && { isUnsentMedia: false }),
        ...(message.isFailed && { isFailed: false }),
      });
      return true;
    };
    exports.persist = (message) => use('WAWebMessageTable').save(message);
  });

  define('WAWebMsgGetters', (exports) => {
    const UNREAD_TYPES = new Set([
      'chat', 'image', 'video', 'audio', 'ptt', 'document', 'sticker', 'location', 'vcard',
      'multi_vcard', 'poll_creation', 'groups_v4_invite', 'event_creation',
    ]);
    exports.getIsUnreadType = (message) => UNREAD_TYPES.has(message.type);
    exports.isUnreadTypeMsg = (message) => UNREAD_TYPES.has(message.type);
    exports.getIsSentByMe = (message) => message.id.fromMe;
    exports.getAck = (message) => message.ack;
  });

  define('WAWebMsgReply', (exports) => {
    exports.canReplyMsg = (message) => message.ack >= 0 && message.type !== 'revoked' && message.type !== 'protocol';
  });

  define('WAWebQuotedMsgModelUtils', (exports, use) => {
    exports.getQuotedMsgObj = (message) => {
      if (!message.quotedStanzaID) return undefined;
      const { MsgCollection } = use('WAWebMsgCollection');
      return MsgCollection.findFirst((other) => other.id.id === message.quotedStanzaID);
    };
  });

  define('WAWebMsgDataFromModel', (exports) => {
    exports.msgDataFromMsgModel = (message) => ({ ...message.attributes });
  });

  define('WAWebDuplicateMessageError', (exports) => {
    exports.DuplicateMessageError = class DuplicateMessageError extends Error {
      constructor(key) {
        super(`duplicate message key: ${key}`);
        this.name = 'DuplicateMessageError';
      }
    };
  });
})();
