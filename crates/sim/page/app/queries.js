// Questions about people.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebQueryExistsJob', (exports, use) => {
    // Null where the number has no account.
    exports.queryWidExists = async (wid) => {
      const { createWid } = use('WAWebWidFactory');
      const { results } = await use('WAWebWire').query('exists', { ids: [String(wid)] });
      const [found] = results;
      if (!found?.exists) return null;
      use('WAWebApiContact').learnPair(found.pn, found.lid);
      return {
        wid: createWid(found.id),
        lid: found.lid ? createWid(found.lid) : undefined,
        biz: Boolean(found.business),
        bizInfo: undefined,
      };
    };
    exports.queryPhoneExists = (phone) => (
      exports.queryWidExists(use('WAWebWidFactory').createUserWid(String(phone).replace(/\D/g, '')))
    );
  });

  define('WAWebProfilePicThumbCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class ProfilePicThumbModel extends BaseModel {
      canSet() { return false; }

      canDelete() { return false; }
    }
    defineModel(ProfilePicThumbModel, 'profilePicThumb', ['id', 'img', 'imgFull', 'eurl', 'tag']);

    class ProfilePicThumbCollectionImpl extends BaseCollection {
      static model = ProfilePicThumbModel;

      async find(id) {
        const model = this.gadd(id);
        const answer = await use('WAWebWire').query('profile_picture', { id: String(id) }).catch(() => null);
        model.set({ img: answer?.url, imgFull: answer?.url, eurl: answer?.url });
        return model;
      }
    }
    exports.ProfilePicThumbCollection = new ProfilePicThumbCollectionImpl();
  });

  define('WAWebTextStatusCollection', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const { BaseCollection } = use('WAWebBaseCollection');

    class TextStatusModel extends BaseModel {}
    defineModel(TextStatusModel, 'textStatus', ['id', 'status']);

    class TextStatusCollectionImpl extends BaseCollection {
      static model = TextStatusModel;

      async find(id) {
        const model = this.gadd(id);
        const answer = await use('WAWebWire').query('about', { id: String(id) }).catch(() => null);
        model.set({ status: answer?.text });
        return model;
      }
    }
    exports.TextStatusModel = TextStatusModel;
    exports.TextStatusCollection = new TextStatusCollectionImpl();
  });

  define('WAWebContactStatusBridge', (exports, use) => {
    exports.getStatus = async (wid) => use('WAWebWire').query('about', { id: String(wid) });
    exports.setMyStatus = async (text) => {
      await use('WAWebWire').query('set_about', { text });
      return { status: 200 };
    };
    exports.queryStatusAll = async () => [];
  });

  define('WAWebSetPushnameConnAction', (exports, use) => {
    exports.setPushname = async (text) => {
      await use('WAWebWire').query('set_push_name', { text });
      // The update that says so to every companion may still wait to be applied.
      const store = use('WAWebUserPrefsStore');
      await store.setMe({ ...store.getLogin().me, push_name: text });
      use('WAWebConnModel').Conn.set({ pushname: text });
    };
  });
})();
