// Switches of the client and small helpers that stand alone.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebABProps', (exports) => {
    const VALUES = Object.freeze({ web_link_preview_sync_enabled: true, link_preview_wait_time: 3, group_size_limit: 1024 });
    exports.getABPropConfigValue = (name) => VALUES[name] ?? false;
    exports.getAllABPropConfigs = () => [];
    exports.getAllABPropsMap = () => new Map();
    exports.getABPropConfigNameFromCode = () => undefined;
  });
  define('WAWebSyncABPropsTask', (exports) => {
    exports.syncABPropsTask = async () => {};
  });
  define('WAWebPrimaryFeatures', (exports) => {
    exports.primaryFeatureEnabled = () => false;
  });
  define('WAWebSyncGatingUtils', (exports) => {
    exports.isPlaceholderMessageResendEnabled = () => false;
    exports.isSyncdEnabled = () => true;
  });
  define('WAWebNonMessageDataRequestPlaceholderMessageResendUtils', (exports) => {
    exports.handlePlaceholderMsgsSeen = async () => {};
  });
  define('WAWebIsOfficialClient', (exports) => {
    exports.isOfficialClient = true;
    exports.isLegitErrorStack = () => true;
  });
  define('WAWebEnvironment', (exports) => {
    exports.default = { isWeb: true, isWindows: false, isGuest: false };
  });
  define('WAWebMiscBrowserUtils', (exports) => {
    exports.default = {
      id: () => 'chrome',
      info: () => ({ os: 'Linux', name: 'Chrome', version: '140.0', ua: navigator.userAgent }),
      hardRefresh: () => location.reload(),
      startDownloading: () => {},
    };
  });
  define('WAWebServerProps', (exports) => {
    exports.ServerProps = { maxFileSize: 104_857_600, frequentlyForwardedMax: 5 };
    exports.getMaxFilesSizeServerProp = () => exports.ServerProps.maxFileSize;
  });
  define('WAWebServerPropConstants', (exports) => {
    exports.MAX_FILE_SIZE_BYTES = 104_857_600;
    exports.MULTICAST_LIMIT_GLOBAL = 5;
  });
  define('WAWebConstants', (exports) => {
    exports.default = { IMG_THUMB_MAX_EDGE: 100, WA_COMMERCE_POLICY_URL: 'https://www.whatsapp.com/policies/commerce-policy' };
  });
  define('WAWebComposeBoxActions', (exports) => {
    exports.ComposeBoxActions = { setTextContent: (chat, text) => chat.setComposeContents({ text }) };
  });
  define('WAWebChatSearchQuery', (exports) => {
    exports.SearchQuery = class SearchQuery {
      constructor(filter) { this.filter = filter ?? {}; }

      updateLabelQuery(label) {
        this.filter = { kind: label ? 'labels' : null, label: label ?? null };
        return this;
      }
    };
  });
  define('WAWebInboxFiltersUtils', (exports) => {
    exports.isFilterExcludedFromSearchTreatmentInInboxFlow = (filter) => filter === undefined;
  });
  define('WAWebLaunchSocketUtils', (exports, use) => {
    exports.refreshQR = () => use('WAWebCmd').Cmd.refreshQR();
  });
  define('WAWebGenerateEventCallLink', (exports, use) => {
    exports.createEventCallLink = async (startTime, kind) => (
      `https://call.whatsapp.com/${kind === 'video' ? 'video' : 'voice'}/${use('WARandomHex').randomHex(11)}`
    );
  });
  define('WAWebBotMessageSecret', (exports) => {
    exports.genBotMsgSecretFromMsgSecret = async (secret) => new Uint8Array(await crypto.subtle.digest('SHA-256', secret));
  });
  define('WAWebStatusGatingUtils', (exports) => {
    exports.canCheckStatusRankingPosterGating = () => false;
  });
  define('WAWebFrontendFireAndForget', (exports) => {
    exports.frontendFireAndForget = async () => {};
  });

  define('WAWebApiMessageInfoStore', (exports, use) => {
    exports.queryMsgInfo = async (key) => (await use('WAWebMsgInfoCollection').MsgInfoCollection.find(key)).serialize();
  });
  define('WAWebApiDeviceList', (exports, use) => {
    exports.getDeviceIds = async (wids) => {
      const { devices } = await use('WAWebWire').query('devices');
      const mine = use('WAWebUserPrefsMeUser');
      return wids.map((wid) => ({ id: wid, devices: mine.isMeAccount(wid) ? devices : [{ number: 0 }] }));
    };
    exports.getFanOutList = async ({ wids }) => wids;
  });
  define('WAWebUpdateMessageTable', (exports, use) => {
    exports.updateMessageTable = async (key, changes) => {
      const message = use('WAWebMsgCollection').MsgCollection.get(key);
      if (!message) return;
      message.set(changes);
      await use('WAWebMessageTable').save(message);
    };
  });

  // Stanzas of the real protocol, as libraries build them.
  define('WAWap', (exports, use) => {
    class WapNode {
      constructor(tag, attrs, content) {
        this.tag = tag;
        this.attrs = attrs ?? {};
        this.content = content ?? null;
      }
    }
    exports.WapNode = WapNode;
    exports.wap = (tag, attrs, content) => new WapNode(tag, attrs, content);
    exports.generateId = () => `${use('WARandomHex').randomHex(4)}-1`;
  });
  define('WASmaxJsx', (exports, use) => {
    exports.smax = (tag, attrs, content) => use('WAWap').wap(tag, attrs, content);
  });
  define('WAComms', (exports) => {
    exports.stopComms = async () => {};
    exports.startHandlingRequests = async () => {};
    exports.sendSmaxStanza = async () => ({});
  });

  define('Bootloader', (exports) => {
    exports.loadModules = (components, callback) => queueMicrotask(callback);
    exports.__debug = { componentMap: new Map() };
  });
})();
