// Chats: the model, the list, and finding or making one for an address.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebMuteModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class MuteModel extends BaseModel {
      static defaults() { return { expiration: 0 }; }

      get isMuted() { return this.expiration !== 0 && this.expiration !== undefined; }

      canMute() { return true; }

      async mute({ expiration }) {
        await use('WAWebChatAction').run(this.id, 'mute', expiration);
        this.set({ expiration });
        return 200;
      }

      async unmute() { return this.mute({ expiration: 0 }); }
    }
    defineModel(MuteModel, 'mute', ['id', 'expiration']);
    exports.default = MuteModel;
  });

  define('WAWebChatModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const NAMES = [
      'id', 'accountLid', 't', 'name', 'unreadCount', 'archive', 'pin', 'mute', 'isReadOnly', 'msgs',
      'presence', 'groupMetadata', 'contact', 'active', 'ephemeralDuration',
      'ephemeralSettingTimestamp', 'lastReceivedKey', 'labels', 'notSpam', 'kind', 'unreadMentionCount',
      'isParentGroup', 'composeContents', 'pausedTimerId', 'hasChatBeenOpened',
    ];

    class ChatModel extends BaseModel {
      static defaults() {
        return { unreadCount: 0, archive: false, pin: 0, labels: [], active: false, notSpam: true, isReadOnly: false };
      }

      initialize() {
        const { id } = this;
        if (!id) return;
        // Held outside the attributes' events: these come and go with every message.
        Object.defineProperty(this, 'promises', { value: {}, enumerable: false });
        this.set({
          msgs: new (use('WAWebChatMessages').ChatMsgsCollection)(id),
          mute: this.mute ?? new (use('WAWebMuteModel').default)({ id }),
          presence: use('WAWebPresenceCollection').PresenceCollection.gadd(id),
        }, { silent: true });
      }

      get formattedTitle() {
        if (!this.id) return undefined;
        if (this.groupMetadata?.subject) return this.groupMetadata.subject;
        if (this.name) return this.name;
        const contact = use('WAWebContactCollection').ContactCollection.get(this.id);
        return contact ? use('WAWebContactFormattedGetters').getDisplayName(contact) : this.id.user;
      }

      // Derived; a library that writes it changes nothing.
      set formattedTitle(_title) {}

      getComposeContents() { return this.composeContents; }

      setComposeContents(contents) { this.set({ composeContents: contents }); }

      serialize() {
        const last = this.msgs?.last();
        return {
          id: this.id,
          t: this.t,
          timestamp: this.t,
          unreadCount: this.unreadCount,
          archive: Boolean(this.archive),
          pin: this.pin,
          isReadOnly: Boolean(this.isReadOnly),
          name: this.name ?? this.formattedTitle,
          formattedTitle: this.formattedTitle,
          muteExpiration: this.mute?.expiration ?? 0,
          labels: this.labels,
          ...(this.groupMetadata && { groupMetadata: this.groupMetadata.serialize() }),
          ...(this.ephemeralDuration && { ephemeralDuration: this.ephemeralDuration }),
          ...(this.lastReceivedKey && { lastReceivedKey: this.lastReceivedKey }),
          msgs: last ? [last.serialize()] : [],
        };
      }
    }
    defineModel(ChatModel, 'chat', NAMES);
    exports.default = ChatModel;
  });

  define('WAWebChatCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class ChatCollectionImpl extends BaseCollection {
      static model = use('WAWebChatModel').default;

      static comparator = (one, other) => (other.pin ? 1 : 0) - (one.pin ? 1 : 0) || (other.t ?? 0) - (one.t ?? 0);

      async find(id) {
        const { chat } = await use('WAWebFindChatAction').findOrCreateLatestChat(use('WAWebWidFactory').createWid(String(id)));
        return chat;
      }

      getActive() { return this.findFirst((chat) => chat.active); }

      // From the server's or our own database's row.
      take(row, options = {}) {
        const id = use('WAWebWidFactory').createWid(row.id);
        const chat = this.get(id) ?? this.add({ id, t: row.t }, options);
        chat.set({
          name: row.name || chat.name,
          t: Math.max(row.t ?? 0, chat.t ?? 0),
          unreadCount: row.unread ?? 0,
          archive: Boolean(row.archived),
          pin: row.pinned ? row.pinned : 0,
          ephemeralDuration: row.ephemeral_s || undefined,
        });
        chat.mute.set({ expiration: row.mute_until ?? 0 });
        if (id.isGroup()) {
          chat.set({ groupMetadata: use('WAWebGroupMetadataCollection').default.gadd(id) }, { silent: true });
        }
        return chat;
      }

      save(chat) {
        return use('WAWebStorage').put('chat', {
          id: String(chat.id),
          name: chat.name ?? '',
          t: chat.t ?? 0,
          unread: chat.unreadCount,
          archived: Boolean(chat.archive),
          pinned: chat.pin || 0,
          mute_until: chat.mute.expiration ?? 0,
          ephemeral_s: chat.ephemeralDuration ?? 0,
        });
      }
    }

    exports.ChatCollection = new ChatCollectionImpl();
    exports.ChatCollectionImpl = ChatCollectionImpl;
  });

  define('WAWebFindChatAction', (exports, use) => {
    // The chat of an address under the address in use, made where there is none. A new person of
    // an account that has moved to hidden ids needs a hidden id, which only the server knows.
    exports.findOrCreateLatestChat = async (wid) => {
      const { ChatCollection } = use('WAWebChatCollection');
      const known = exports.findLocal(wid);
      if (known) return { chat: known, created: false };
      let id = wid;
      if (wid.isUser()) id = await resolveAddress(wid);
      const chat = exports.findLocal(id) ?? ChatCollection.add({ id, t: use('WATimeUtils').unixTime() });
      if (id.isGroup()) {
        const metadata = await use('WAWebGroupMetadataCollection').default.find(id);
        chat.set({ groupMetadata: metadata });
      } else if (id.isUser()) {
        use('WAWebContactCollection').ContactCollection.gadd(id, { silent: true });
      }
      await ChatCollection.save(chat);
      return { chat, created: true };
    };

    exports.findLocal = (wid) => {
      const { ChatCollection } = use('WAWebChatCollection');
      const direct = ChatCollection.get(wid);
      if (direct || !wid.isUser()) return direct;
      const other = use('WAWebApiContact').getAlternateUserWid(wid);
      return other ? ChatCollection.get(other) : undefined;
    };

    async function resolveAddress(wid) {
      const { toAddressInUse } = use('WAWebApiContact');
      const { isLidMigrated } = use('WAWebLid1X1MigrationGating').Lid1X1MigrationUtils;
      const settled = (candidate) => candidate.isLid() === isLidMigrated();
      const known = toAddressInUse(wid);
      if (settled(known)) return known;
      await use('WAWebQueryExistsJob').queryWidExists(wid);
      const found = toAddressInUse(wid);
      if (!settled(found) && isLidMigrated()) throw new Error('No LID for user');
      return found;
    }

    exports.findExistingChat = (wid) => exports.findLocal(wid);
  });

  define('WAWebCreateChat', (exports, use) => {
    exports.createChat = async (wid) => (await use('WAWebFindChatAction').findOrCreateLatestChat(wid)).chat;
  });
  define('WAWebChatExistsOrCreate', (exports, use) => {
    exports.checkChatExistsOrCreate = async (wid) => (await use('WAWebFindChatAction').findOrCreateLatestChat(wid)).chat;
  });
  define('WAWebSelectChatForOneOnOneMessage', (exports, use) => {
    exports.selectChatForOneOnOneMessage = (wid) => use('WAWebFindChatAction').findLocal(wid) ?? null;
  });
  define('WAWebCreateChatRecord', (exports, use) => {
    exports.createChatRecord = async (record) => use('WAWebStorage').put('chat', record);
  });

  define('WAWebChatGetters', (exports, use) => {
    Object.assign(exports, {
      getIsUser: (chat) => chat.id.isUser(),
      getIsGroup: (chat) => chat.id.isGroup(),
      getIsNewsletter: (chat) => chat.id.isNewsletter(),
      getIsBroadcast: (chat) => chat.id.isBroadcast(),
      getIsPSA: (chat) => chat.id.isPSA(),
      getHasUnread: (chat) => chat.unreadCount !== 0,
      getShouldAppearInList: (chat) => use('WAWebUi').passesFilter(chat),
      getPreviewMessage: (chat) => chat.msgs?.last(),
      getShowChangeNumberNotification: () => false,
      getShouldShowUnreadDivider: () => false,
    });
  });

  define('WAWebGetEphemeralFieldsMsgActionsUtils', (exports) => {
    exports.getEphemeralFields = (chat) => (chat.ephemeralDuration
      ? { ephemeralDuration: chat.ephemeralDuration, ephemeralSettingTimestamp: chat.ephemeralSettingTimestamp }
      : {});
  });
})();
