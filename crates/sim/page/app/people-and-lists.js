// Lists beside chats and messages: status updates, calls, labels, business profiles, saved
// contacts, channels. The server of the simulator fills few of them; they are there, empty, as on
// the page of an account that uses none.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebStatusCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class StatusModel extends BaseModel {
      initialize() {
        if (this.id && !this.msgs) {
          this.set({ msgs: new (use('WAWebChatMessages').ChatMsgsCollection)(this.id) }, { silent: true });
        }
      }

      sendReadStatus(message) {
        use('WAWebWire').send({ op: 'read', chat: 'status@broadcast', ids: [message.id.id], participant: String(this.id) });
      }

      serialize() {
        return { id: this.id, unreadCount: this.unreadCount ?? 0, totalCount: this.msgs?.length ?? 0 };
      }
    }
    defineModel(StatusModel, 'statusV3', ['id', 'msgs', 'unreadCount', 'totalCount', 'lastReceivedKey', 'contact']);

    class StatusCollectionImpl extends BaseCollection {
      static model = StatusModel;

      getMyStatus() { return this.gadd(use('WAWebUserPrefsMeUser').getMePnUserOrThrow(), { silent: true }); }

      addStatusMessages(author, messages) {
        const status = this.gadd(author);
        status.msgs.add(messages);
        status.set({ lastReceivedKey: messages.at(-1)?.id });
      }

      handleUpdate() {}

      sync() { this.trigger('sync', this); }
    }
    exports.default = StatusModel;
    exports.StatusCollection = new StatusCollectionImpl();
  });

  define('WAWebCallCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class CallModel extends BaseModel {
      getState() { return this.state; }
    }
    defineModel(CallModel, 'call', ['id', 'peerJid', 'isVideo', 'isGroup', 'outgoing', 'offerTime', 'participants', 'state']);

    class CallCollectionImpl extends BaseCollection {
      static model = CallModel;

      constructor() {
        super();
        this.activeCall = null;
        this.pendingOffers = new Map();
      }

      processIncomingCall(offer) {
        const call = this.add(offer);
        this.pendingOffers.set(call.id, call);
        return call;
      }

      setActiveCall(call) { this.activeCall = call; }
    }
    exports.default = new CallCollectionImpl();
  });

  define('WAWebLabelCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class LabelModel extends BaseModel {}
    defineModel(LabelModel, 'label', ['id', 'name', 'colorIndex', 'hexColor', 'count', 'type', 'predefinedId']);

    class LabelCollectionImpl extends BaseCollection {
      static model = LabelModel;

      async getNextAvailableColor() { return this.length % 20; }

      async addOrRemoveLabels(changes, chats) {
        for (const { id, type } of changes) {
          for (const chat of chats) {
            const utils = use('WAWebLabelCollectionUtils');
            if (type === 'add') await utils.addToLabelCollection(chat.id, id);
            else await utils.removeLabelFromCollection(chat.id, id);
          }
        }
      }
    }
    exports.LabelCollection = new LabelCollectionImpl();
    exports.LabelModel = LabelModel;
  });

  define('WAWebLabelCollectionUtils', (exports, use) => {
    const chatOf = (id) => use('WAWebChatCollection').ChatCollection.get(id);
    const listOf = (ids) => (Array.isArray(ids) ? ids : [ids]).map(String);
    exports.addToLabelCollection = async (id, labels) => {
      const chat = chatOf(id);
      chat?.set({ labels: [...new Set([...chat.labels, ...listOf(labels)])] });
    };
    exports.removeLabelFromCollection = async (id, labels) => {
      const chat = chatOf(id);
      chat?.set({ labels: chat.labels.filter((label) => !listOf(labels).includes(label)) });
    };
    exports.createLabelItemId = (label, id) => `${label}_${id}`;
    exports.getParentCollection = () => use('WAWebChatCollection').ChatCollection;
    exports.initializeLabels = () => {};
  });

  define('WAWebBizLabelEditingAction', (exports, use) => {
    const labels = () => use('WAWebLabelCollection').LabelCollection;
    exports.labelAddAction = async (name, colorIndex) => (
      labels().add({ id: String(await use('WAWebBizLabelNextId').getNextLabelId()), name, colorIndex, count: 0 })
    );
    exports.labelDeleteAction = async (id) => labels().remove(String(id));
    exports.labelEditAction = async (id, name, predefinedId, colorIndex) => labels().get(String(id))?.set({ name, colorIndex });
  });
  define('WAWebBizLabelNextId', (exports, use) => {
    exports.getNextLabelId = async () => use('WAWebLabelCollection').LabelCollection.length + 1;
  });
  define('WAWebBizLabelUtils', (exports) => {
    const COLORS = ['#FF9485', '#64C4FF', '#FFD429', '#DFAEF0', '#99B6C1', '#55CCB3', '#FF9DFF', '#D3A91D', '#6D7CCE', '#D7E752'];
    exports.getAllLabelColors = () => COLORS;
    exports.colorIndexToHex = (index) => COLORS[index % COLORS.length];
  });

  define('WAWebBusinessProfileCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class BusinessProfileModel extends BaseModel {}
    defineModel(BusinessProfileModel, 'businessProfile', ['id', 'description', 'website', 'email', 'address', 'profileOptions']);

    class BusinessProfileCollectionImpl extends BaseCollection {
      static model = BusinessProfileModel;

      async fetchBizProfile(wid) { return this.gadd(wid); }
    }
    exports.BusinessProfileCollection = new BusinessProfileCollectionImpl();
  });

  define('WAWebNewsletterCollection', (exports, use) => {
    const { BaseCollection } = use('WAWebBaseCollection');

    class NewsletterCollection extends BaseCollection {
      static model = use('WAWebChatModel').default;

      async find(id) {
        const known = this.get(id);
        if (!known) throw new Error(`no channel ${id}`);
        return known;
      }
    }
    exports.default = new NewsletterCollection();
  });

  define('WAWebTemplateButtonCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class TemplateButtonModel extends BaseModel {}
    defineModel(TemplateButtonModel, 'templateButton', ['id', 'displayText', 'url', 'phoneNumber', 'selectionId', 'subtype']);
    exports.TemplateButtonModel = TemplateButtonModel;
    exports.default = TemplateButtonModel;
    exports.TemplateButtonCollection = class TemplateButtonCollection extends BaseCollection {
      static model = TemplateButtonModel;
    };
  });

  define('WAWebFindCommonGroupsContactAction', (exports, use) => {
    exports.findCommonGroups = async (contact) => {
      const { BaseCollection } = use('WAWebBaseCollection');
      class CommonGroups extends BaseCollection { static model = use('WAWebChatModel').default; }
      const found = new CommonGroups();
      for (const chat of use('WAWebChatCollection').ChatCollection.getModelsArray()) {
        if (chat.groupMetadata?.participants.get(contact.id)) found.add(chat, { silent: true });
      }
      contact.set({ commonGroups: found }, { silent: true });
      return found;
    };
  });

  // The address book of the phone, as far as a companion may write to it.
  define('WAWebSaveContactAction', (exports, use) => {
    // Called with one object, or by callers of builds before 2.3000.1030209354 with seven values.
    exports.saveContactAction = async (first, ...rest) => {
      const [, , , givenName, familyName] = rest;
      const { phoneNumber, lid, firstName, lastName } = first !== null && typeof first === 'object'
        ? first : { phoneNumber: first, firstName: givenName, lastName: familyName };
      const { createUserWid } = use('WAWebWidFactory');
      const wid = use('WAWebApiContact').toAddressInUse(phoneNumber ? createUserWid(phoneNumber) : createUserWid(lid, 'lid'));
      const contact = use('WAWebContactCollection').ContactCollection.gadd(wid);
      const name = [firstName, lastName].filter(Boolean).join(' ');
      contact.set({ name, shortName: firstName, isAddressBookContact: 1 });
      await saveRow(contact, true);
    };

    async function saveRow(contact, saved) {
      const pn = use('WAWebApiContact').getPhoneNumber(contact.id);
      const lid = use('WAWebApiContact').getCurrentLid(contact.id);
      await use('WAWebStorage').put('contact', {
        id: String(contact.id), pn: pn ? String(pn) : undefined, lid: lid ? String(lid) : undefined,
        name: contact.name ?? null, push_name: contact.pushname, business: contact.isBusiness, saved,
      });
    }
    exports.saveRow = saveRow;
  });
  define('WAWebDeleteContactAction', (exports, use) => {
    exports.deleteContactAction = async ({ phoneNumber, lid }) => {
      const contact = use('WAWebContactCollection').ContactCollection.get(String(phoneNumber ?? lid));
      if (!contact) return;
      contact.set({ name: undefined, shortName: undefined, isAddressBookContact: 0 });
      await use('WAWebSaveContactAction').saveRow(contact, false);
    };
  });

  define('WAWebStatusPrivacySettingCollection', (exports) => {
    exports.default = {
      getStatusPrivacySetting: () => 'contact',
      getStatusPrivacySettingConfig: () => ({ setting: 'contact', list: [] }),
      getStatusList: () => [],
      getStatusAllowList: () => [],
      getStatusDenyList: () => [],
      getStatusContacts: () => [],
      setStatusPrivacyConfig: async () => ({ status: 200 }),
    };
  });

  define('WAWebReportSpamJob', (exports, use) => {
    exports.reportSpam = async () => ({ reportIdMixin: { reportId: use('WARandomHex').randomHex(8) } });
  });
})();
