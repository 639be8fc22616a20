// People: the two addresses of each, contacts, presence, the blocklist.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebLid1X1MigrationGating', (exports) => {
    let migrated = false;
    exports.Lid1X1MigrationUtils = {
      isLidMigrated: () => migrated,
      isSyncdSessionMigrated: () => migrated,
      shouldApplyNonMigratedMessagingRules: () => !migrated,
    };
    exports.setAddressing = (addressing) => { migrated = addressing === 'lid'; };
  });

  define('WAWebLidPnCache', (exports, use) => {
    const lidOfPn = new Map();
    const pnOfLid = new Map();
    const wid = (text) => (text ? use('WAWebWidFactory').createWid(text) : undefined);

    exports.lidPnCache = {
      getCurrentLid: (value) => wid(lidOfPn.get(String(value))),
      getPhoneNumber: (value) => wid(pnOfLid.get(String(value))),
      getLid: (value) => wid(lidOfPn.get(String(value))),
      add(pn, lid) {
        lidOfPn.set(String(pn), String(lid));
        pnOfLid.set(String(lid), String(pn));
      },
      clear() {
        lidOfPn.clear();
        pnOfLid.clear();
      },
    };
  });

  // Before the getters of contacts: a search for `getPhoneNumber` has to end here.
  define('WAWebApiContact', (exports, use) => {
    const cache = () => use('WAWebLidPnCache').lidPnCache;
    const user = (value) => use('WAWebWidFactory').asUserWidOrThrow(use('WAWebWidFactory').createWidFromWidLike(value));

    exports.getCurrentLid = (value) => {
      const wid = user(value);
      return wid.isLid() ? wid : cache().getCurrentLid(wid);
    };
    exports.getPhoneNumber = (value) => {
      const wid = user(value);
      return wid.isLid() ? cache().getPhoneNumber(wid) : wid;
    };
    exports.getAlternateUserWid = (value) => {
      const wid = user(value);
      return wid.isLid() ? cache().getPhoneNumber(wid) : cache().getCurrentLid(wid);
    };

    exports.learnPair = (pn, lid) => {
      if (!pn || !lid || String(cache().getCurrentLid(pn) ?? '') === String(lid)) return;
      cache().add(pn, lid);
      use('WAWebStorage').put('lid-pn', { id: String(pn), lid: String(lid) }).catch(() => {});
    };

    // The address under which the account in its present addressing knows this person.
    exports.toAddressInUse = (wid) => {
      if (!wid.isUser()) return wid;
      const migrated = use('WAWebLid1X1MigrationGating').Lid1X1MigrationUtils.isLidMigrated();
      return (migrated ? exports.getCurrentLid(wid) : exports.getPhoneNumber(wid)) ?? wid;
    };
  });

  define('WAWebLidMigrationUtils', (exports, use) => {
    const contacts = () => use('WAWebApiContact');
    exports.toPn = (value) => contacts().getPhoneNumber(value) ?? null;
    exports.toLid = (value) => contacts().getCurrentLid(value) ?? null;
    exports.toUserLid = (value) => contacts().getCurrentLid(value) ?? null;
    exports.toUserLidOrThrow = (value) => {
      const lid = contacts().getCurrentLid(value);
      if (!lid) throw new Error('No LID for user');
      return lid;
    };
    exports.shouldHaveAccountLid = () => use('WAWebLid1X1MigrationGating').Lid1X1MigrationUtils.isLidMigrated();
    exports.getMeUserLidOrJidForChat = (chat) => {
      const me = use('WAWebUserPrefsMeUser');
      return chat.id.isLid() ? me.getMeLidUserOrThrow() : me.getMePnUserOrThrow();
    };
  });

  define('WAWebContactModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const NAMES = [
      'id', 'name', 'shortName', 'pushname', 'type', 'verifiedName', 'verifiedLevel', 'isBusiness',
      'isEnterprise', 'isContactBlocked', 'phoneNumber', 'syncToAddressbook', 'statusMute',
      'isAddressBookContact', 'isContactSyncCompleted', 'privacyMode', 'username', 'labels',
      'disappearingModeDuration', 'disappearingModeSettingTimestamp', 'sectionHeader',
    ];

    class ContactModel extends BaseModel {
      static defaults() {
        return { type: 'in', isBusiness: false, isEnterprise: false, isContactBlocked: false, labels: [] };
      }

      // Undefined on the prototype itself, where a library may look whether they are there.
      get formattedName() {
        return this.id ? use('WAWebContactFormattedGetters').getFormattedName(this) : undefined;
      }

      get displayName() {
        return this.id ? use('WAWebContactFormattedGetters').getDisplayName(this) : undefined;
      }
    }
    defineModel(ContactModel, 'contact', NAMES);
    exports.default = ContactModel;
  });

  define('WAWebContactCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class ContactCollectionImpl extends BaseCollection {
      static model = use('WAWebContactModel').default;

      gadd(value, options = {}) {
        const wid = use('WAWebWidFactory').createWidFromWidLike(value);
        return this.get(wid) ?? this.add({ id: wid, phoneNumber: use('WAWebApiContact').getPhoneNumber?.(wid) }, options);
      }

      async find(value) { return this.gadd(value); }

      getMeContact() { return this.gadd(use('WAWebUserPrefsMeUser').getMePnUserOrThrow()); }

      // From the server's or our own database's row.
      take(row) {
        use('WAWebApiContact').learnPair(row.pn, row.lid);
        const contact = this.gadd(row.id, { silent: true });
        contact.set({
          name: row.name ?? undefined,
          shortName: row.name?.split(' ')[0],
          pushname: row.push_name ?? contact.pushname,
          isBusiness: Boolean(row.business),
          isAddressBookContact: row.saved ? 1 : 0,
          syncToAddressbook: Boolean(row.saved),
          phoneNumber: row.pn ? use('WAWebWidFactory').createWid(row.pn) : undefined,
        });
        return contact;
      }
    }

    exports.ContactCollection = new ContactCollectionImpl();
    exports.ContactCollectionImpl = ContactCollectionImpl;
  });

  define('WAWebContactGetters', (exports, use) => {
    const no = () => false;
    Object.assign(exports, {
      getIsMe: (contact) => use('WAWebUserPrefsMeUser').isMeAccount(contact.id),
      getIsUser: (contact) => contact.id.isUser(),
      getIsGroup: (contact) => contact.id.isGroup(),
      getIsBroadcast: (contact) => contact.id.isBroadcast(),
      getIsNewsletter: (contact) => contact.id.isNewsletter(),
      getIsPSA: (contact) => contact.id.isPSA(),
      getIsIAS: no,
      getIsSupportAccount: no,
      getIsWAContact: (contact) => contact.id.isUser(),
      getCanRequestPhoneNumber: no,
      getShowBusinessCheckmarkAsPrimary: no,
      getShowBusinessCheckmarkAsSecondary: no,
      getShowBusinessCheckmarkInChatlist: no,
      getIsDisplayNameApproved: no,
      getShouldForceBusinessUpdate: no,
      getPremiumMessageName: () => undefined,
      getUserid: (contact) => contact.id.user,
      getNotifyName: (contact) => contact.pushname,
      getVerifiedName: (contact) => contact.verifiedName,
      getVerifiedLevel: (contact) => contact.verifiedLevel,
      getStatusMute: (contact) => Boolean(contact.statusMute),
      getName: (contact) => contact.name,
      getShortName: (contact) => contact.shortName,
      getPushname: (contact) => contact.pushname,
      getIsEnterprise: (contact) => Boolean(contact.isEnterprise),
      getUserhash: (contact) => contact.id.user,
    });
  });

  define('WAWebFrontendContactGetters', (exports, use) => {
    exports.getIsMyContact = (contact) => contact.isAddressBookContact === 1;
    exports.getMentionName = (contact) => (
      contact.shortName ?? use('WAWebContactFormattedGetters').getDisplayName(contact)
    );
  });

  define('WAWebContactFormattedGetters', (exports, use) => {
    const phoneOf = (contact) => use('WAWebApiContact').getPhoneNumber(contact.id);
    const formattedPhone = (contact) => (
      contact.id.isUser() ? `+${(phoneOf(contact) ?? contact.id).user}` : contact.id.user
    );
    const displayName = (contact) => (
      contact.name ?? contact.verifiedName ?? contact.pushname ?? formattedPhone(contact)
    );
    Object.assign(exports, {
      getPhoneNumber: phoneOf,
      getTextStatusString: () => '',
      getPnForLid: (contact) => (contact.id.isLid() ? phoneOf(contact) : undefined),
      getUserDisplayNameForLid: displayName,
      getDisplayNameOrPnForLid: displayName,
      getDisplayName: displayName,
      getFormattedPhone: formattedPhone,
      getFormattedUsernameOrPhone: formattedPhone,
      getFormattedShortName: (contact) => contact.shortName ?? displayName(contact),
      getFormattedShortNameWithNonBreakingSpaces: (contact) => (
        (contact.shortName ?? displayName(contact)).replaceAll(' ', '\u00a0')
      ),
      getFormattedName: displayName,
      getFormattedUser: formattedPhone,
      getSearchName: (contact) => displayName(contact).toLowerCase(),
    });
  });

  define('WAWebContactSearchGetters', (exports) => {
    exports.getSearchVerifiedName = (contact) => (contact.verifiedName ?? '').toLowerCase();
    exports.getHeader = (contact) => (contact.name ?? contact.pushname ?? '#').slice(0, 1).toUpperCase();
  });

  define('WAWebPresence', (exports, use) => {
    exports.onPresence = (frame) => {
      const { PresenceCollection } = use('WAWebPresenceCollection');
      const presence = PresenceCollection.gadd(use('WAWebWidFactory').createWid(frame.id));
      presence.set({ isOnline: frame.available, hasData: true });
      presence.chatstate.set({
        type: frame.available ? 'available' : 'unavailable', t: frame.last_seen_t ?? undefined,
      });
    };
    exports.onChatstate = (frame) => {
      const { PresenceCollection } = use('WAWebPresenceCollection');
      const { createWid } = use('WAWebWidFactory');
      const presence = PresenceCollection.gadd(createWid(frame.chat));
      presence.set({ hasData: true });
      const type = { composing: 'typing', recording: 'recording_audio', paused: 'available' }[frame.state];
      if (frame.participant) presence.chatstates.gadd(createWid(frame.participant)).set({ type });
      presence.chatstate.set({ type });
    };
  });

  define('WAWebPresenceCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class Chatstate extends BaseModel {}
    defineModel(Chatstate, 'chatstate', ['id', 'type', 't', 'deny']);

    class ChatstateCollection extends BaseCollection {
      static model = Chatstate;
    }

    class Presence extends BaseModel {
      static defaults() {
        return {
          chatstate: new Chatstate({ type: undefined }), chatstates: new ChatstateCollection(),
          isOnline: false, isSubscribed: false, hasData: false,
        };
      }

      get isGroup() { return this.id?.isGroup() ?? false; }

      get isUser() { return this.id?.isUser() ?? false; }

      async subscribe() {
        if (this.isSubscribed) return;
        this.set({ isSubscribed: true });
        use('WAWebWire').send({ op: 'presence_subscribe', id: String(this.id) });
      }
    }
    defineModel(Presence, 'presence', ['id', 'chatstate', 'chatstates', 'isOnline', 'isSubscribed', 'hasData']);

    class PresenceCollectionImpl extends BaseCollection {
      static model = Presence;
    }

    exports.Presence = Presence;
    exports.Chatstate = Chatstate;
    exports.ChatstateCollection = ChatstateCollection;
    exports.PresenceCollection = new PresenceCollectionImpl();
  });

  define('WAWebContactPresenceBridge', (exports, use) => {
    exports.subscribePresence = async (wid) => {
      await use('WAWebPresenceCollection').PresenceCollection.gadd(wid).subscribe();
    };
  });

  // Typing, in the two shapes that the client has.
  define('WAWebChatStateBridge', (exports, use) => {
    const say = async (wid, state) => {
      use('WAWebWire').send({ op: 'chatstate', chat: String(wid), state });
    };
    exports.sendChatStateComposing = (wid) => say(wid, 'composing');
    exports.sendChatStateRecording = (wid) => say(wid, 'recording');
    exports.sendChatStatePaused = (wid) => say(wid, 'paused');
  });

  define('WAWebPresenceChatAction', (exports, use) => {
    exports.markComposing = (chat) => use('WAWebChatStateBridge').sendChatStateComposing(chat.id);
    exports.markRecording = (chat) => use('WAWebChatStateBridge').sendChatStateRecording(chat.id);
    exports.markPaused = (chat) => use('WAWebChatStateBridge').sendChatStatePaused(chat.id);
    exports.sendPresenceAvailable = () => use('WAWebStreamModel').Stream.markAvailable();
    exports.sendPresenceUnavailable = () => use('WAWebStreamModel').Stream.markUnavailable();
  });

  define('WAWebBlocklistCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class BlocklistModel extends BaseModel {}
    defineModel(BlocklistModel, 'blocklist', ['id']);

    class BlocklistCollectionImpl extends BaseCollection {
      static model = BlocklistModel;

      take(addresses) {
        const { createWid } = use('WAWebWidFactory');
        this.reset({ silent: true });
        this.add(addresses.map((id) => ({ id: createWid(id) })), { silent: true });
        this.trigger('sort', this);
      }
    }
    exports.BlocklistCollection = new BlocklistCollectionImpl();
  });

  define('WAWebBlockContactAction', (exports, use) => {
    const change = async (contact, blocked) => {
      const target = contact.contact ?? contact;
      const { blocklist } = await use('WAWebWire').query('block', { id: String(target.id ?? target), blocked });
      use('WAWebBlocklistCollection').BlocklistCollection.take(blocklist);
    };
    exports.blockContact = (contact) => change(contact, true);
    exports.unblockContact = (contact) => change(contact, false);
  });
})();
