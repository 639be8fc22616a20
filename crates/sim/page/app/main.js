// The last script: makes the collections known under their usual short names and starts.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebCollections', (exports, use) => {
    const lazy = {
      Msg: () => use('WAWebMsgCollection').MsgCollection,
      Chat: () => use('WAWebChatCollection').ChatCollection,
      Contact: () => use('WAWebContactCollection').ContactCollection,
      GroupMetadata: () => use('WAWebGroupMetadataCollection').default,
      Blocklist: () => use('WAWebBlocklistCollection').BlocklistCollection,
      Presence: () => use('WAWebPresenceCollection').PresenceCollection,
      ProfilePicThumb: () => use('WAWebProfilePicThumbCollection').ProfilePicThumbCollection,
      MsgInfo: () => use('WAWebMsgInfoCollection').MsgInfoCollection,
      Status: () => use('WAWebStatusCollection').StatusCollection,
      Label: () => use('WAWebLabelCollection').LabelCollection,
      BusinessProfile: () => use('WAWebBusinessProfileCollection').BusinessProfileCollection,
      WAWebNewsletterCollection: () => use('WAWebNewsletterCollection').default,
    };
    for (const [name, get] of Object.entries(lazy)) {
      Object.defineProperty(exports, name, { enumerable: true, configurable: true, get });
    }
  });

  define('WAWebMain', (exports, use) => {
    exports.start = async () => {
      if (WAPage.boot.debug_present) {
        globalThis.Debug = { VERSION: WAPage.boot.web_version, BUILD_VERSION: WAPage.boot.web_version };
      }
      use('WAWebUi').start();
      await use('WAWebSocketModel').Socket.initConn();
    };
  });
})();
