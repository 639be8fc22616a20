// The models that say how the client is doing (Socket, Stream, Conn, Cmd) and the controller that
// moves them as frames arrive.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebSocketModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class SocketImpl extends BaseModel {
      static defaults() {
        return { state: 'UNLAUNCHED', stream: 'DISCONNECTED', hasSynced: false, launched: false, canSend: false };
      }

      initConn() { return use('WAWebSessionController').start(); }

      // Asks for fresh codes, or for the connection, whichever is missing.
      poke() {
        if (this.state === 'UNPAIRED_IDLE') use('WAWebCmd').Cmd.refreshQR();
        else if (!use('WAWebWire').isOpen()) use('WAWebWire').reconnectNow();
      }

      takeover() { use('WAWebSessionController').takeover(); }

      logout() { return use('WAWebSessionController').logOutHere(); }
    }
    defineModel(SocketImpl, 'socket', ['state', 'stream', 'hasSynced', 'launched', 'canSend']);

    exports.Socket = new SocketImpl();
    exports.SocketImpl = SocketImpl;
  });

  define('WAWebStreamModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class StreamImpl extends BaseModel {
      static defaults() {
        return { mode: undefined, info: 'OPENING', displayInfo: 'OPENING', available: false, needsUpdate: false };
      }

      markAvailable() {
        this.set({ available: true });
        use('WAWebWire').send({ op: 'presence', available: true });
      }

      markUnavailable() {
        this.set({ available: false });
        use('WAWebWire').send({ op: 'presence', available: false });
      }
    }
    defineModel(StreamImpl, 'stream', ['mode', 'info', 'displayInfo', 'available', 'needsUpdate']);

    exports.Stream = new StreamImpl();
    exports.StreamMode = Object.freeze({
      QR: 'QR', MAIN: 'MAIN', SYNCING: 'SYNCING', OFFLINE: 'OFFLINE', CONFLICT: 'CONFLICT',
      PROXYBLOCK: 'PROXYBLOCK', TOS_BLOCK: 'TOS_BLOCK', SMB_TOS_BLOCK: 'SMB_TOS_BLOCK',
      DEPRECATED_VERSION: 'DEPRECATED_VERSION',
    });
    exports.StreamInfo = Object.freeze({
      OFFLINE: 'OFFLINE', OPENING: 'OPENING', PAIRING: 'PAIRING', SYNCING: 'SYNCING',
      RESUMING: 'RESUMING', CONNECTING: 'CONNECTING', NORMAL: 'NORMAL',
    });
  });

  define('WAWebConnModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const NAMES = ['ref', 'refTTL', 'wid', 'lid', 'connected', 'platform', 'pushname', 'battery', 'plugged', 'isSMB', 'protoVersion', 'clientToken'];

    class ConnImpl extends BaseModel {
      static defaults() { return { ref: null, connected: false, isSMB: false }; }
    }
    defineModel(ConnImpl, 'conn', NAMES);

    exports.Conn = new ConnImpl();
    exports.ConnImpl = ConnImpl;
  });

  define('WAWebCmd', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;

    class CmdImpl extends EventEmitter {
      constructor() {
        super();
        this.isMainLoaded = false;
      }

      refreshQR() { use('WAWebLinking').refresh(); }

      logout() { return use('WAWebSessionController').logOutHere(); }

      mainLoaded() {
        if (this.isMainLoaded) return;
        this.isMainLoaded = true;
        this.trigger('main_loaded');
      }

      archiveChat(chat, archive) { return use('WAWebSetArchiveChatAction').setArchive(chat, archive); }

      sendStarMsgs(chat, messages) { return use('WAWebStarMsgAction').star(chat, messages, true); }

      sendUnstarMsgs(chat, messages) { return use('WAWebStarMsgAction').star(chat, messages, false); }

      sendRevokeMsgs(chat, { list }) { return use('WAWebRevokeMsgAction').sendRevoke(chat, list); }

      sendDeleteMsgs(chat, { list }) { return use('WAWebDeleteMsgAction').sendDeleteMsgs(chat, list); }

      openChatBottom(target) { return use('WAWebUi').open(target.chat ?? target); }

      openChatFromUnread(target) { return use('WAWebUi').open(target.chat ?? target); }

      openChatAt(target) { return use('WAWebUi').open(target.chat ?? target); }

      closeChat(chat) { return use('WAWebUi').close(chat); }

      setActiveFilter(kind, label) { use('WAWebUi').setFilter(kind, label); }

      upgradeToMDProd() {}

      downgradeWebclient() {}
    }

    exports.Cmd = new CmdImpl();
    exports.CmdImpl = CmdImpl;
  });

  define('WAWebNetworkStatus', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');

    class NetworkStatus extends BaseModel {
      static defaults() { return { online: navigator.onLine }; }

      initialize() {
        globalThis.addEventListener('online', () => this.checkOnline());
        globalThis.addEventListener('offline', () => this.checkOnline());
      }

      checkOnline() {
        this.set({ online: navigator.onLine });
        return this.online;
      }
    }
    defineModel(NetworkStatus, 'networkstatus', ['online']);
    exports.default = new NetworkStatus();
  });

  define('WAWebOfflineHandler', (exports, use) => {
    let expected = 0;
    let handled = 0;

    function percent() {
      return expected === 0 ? 100 : Math.min(100, Math.floor((handled / expected) * 100));
    }

    exports.OfflineMessageHandler = {
      getOfflineDeliveryProgress: percent,
      isResumeFromRestartComplete: () => percent() === 100,
      expect(count) {
        expected = count;
        handled = 0;
        use('WAWebCmd').Cmd.trigger('offline_progress_update_from_bridge', percent());
      },
      tick() {
        handled += 1;
        use('WAWebCmd').Cmd.trigger('offline_progress_update_from_bridge', percent());
      },
    };
  });

  define('WAWebSessionController', (exports, use) => {
    const tab = crypto.getRandomValues(new Uint32Array(2)).join('-');
    let takingOver = false;
    let haveHistory = false;
    let leaving = false;

    const socket = () => use('WAWebSocketModel').Socket;
    const stream = () => use('WAWebStreamModel').Stream;
    const conn = () => use('WAWebConnModel').Conn;

    exports.start = async () => {
      socket().set({ launched: true, state: 'OPENING' });
      const loggedIn = await use('WAWebUserPrefsStore').load();
      if (loggedIn) {
        showMe(use('WAWebUserPrefsStore').getLogin().me);
        haveHistory = Boolean(await use('WAWebStorage').get('meta', 'history'));
        await use('WAWebHistory').restore();
      }
      const { events, start } = use('WAWebWire');
      events.on('frame', onFrame);
      events.on('lost', onLost);
      start(hello);
    };

    function hello() {
      const { encodeB64 } = use('WABase64');
      const { getKeys, getLogin } = use('WAWebUserPrefsStore');
      const keys = getKeys();
      const frame = {
        device: getLogin()?.device ?? null,
        keys: {
          static: encodeB64(keys.noise.pubKey), identity: encodeB64(keys.identity.pubKey), adv: keys.adv,
        },
        have_history: haveHistory,
        version: WAPage.boot.web_version,
        ua: navigator.userAgent,
        platform: use('WAWebCompanionRegClientUtils').DEVICE_PLATFORM,
        tab,
        takeover: takingOver,
      };
      takingOver = false;
      return frame;
    }

    function onFrame(frame) {
      switch (frame.op) {
        case 'failure': onFailure(frame); break;
        case 'stream_error': onStreamError(frame); break;
        case 'qr': use('WAWebLinking').show(frame); break;
        case 'passkey_request': use('WAWebLinking').answerPasskey(frame); break;
        case 'pair_failed': use('WAWebLinking').onPairFailed(frame); break;
        case 'paired': onPaired(frame); break;
        case 'success': onSuccess(frame); break;
        case 'fault': use('WAWebFaults').obey(frame); break;
        case 'ack': use('WAWebOutbox').onAck(frame); break;
        case 'nack': use('WAWebOutbox').onNack(frame); break;
        case 'presence': use('WAWebPresence').onPresence(frame); break;
        case 'chatstate': use('WAWebPresence').onChatstate(frame); break;
        case 'phone': break;
        // What must keep its order, on its way through IndexedDB.
        default: use('WAWebReceive').enqueue(frame);
      }
    }

    function onLost({ silent, attempts }) {
      if (leaving) return;
      use('WAWebOutbox').onDisconnected();
      use('WAWebLinking').stop();
      socket().set({ state: silent || attempts > 1 ? 'TIMEOUT' : 'OPENING', stream: 'DISCONNECTED', canSend: false });
      stream().set({ info: navigator.onLine ? 'CONNECTING' : 'OFFLINE' });
    }

    async function onPaired(frame) {
      use('WAWebLinking').stop();
      await use('WAWebUserPrefsStore').setLogin(frame.device, frame.me);
      haveHistory = false;
      showMe(frame.me);
      socket().set({ state: 'PAIRING' });
      stream().set({ info: 'PAIRING' });
      use('WAWebWire').send({ op: 'paired_ok' });
    }

    function showMe(me) {
      const { createWid } = use('WAWebWidFactory');
      conn().set({
        wid: createWid(me.pn), lid: createWid(me.lid), pushname: me.push_name,
        platform: me.platform ?? 'android', connected: true, battery: 100, plugged: true,
      });
      use('WAWebApiContact').learnPair(me.pn, me.lid);
    }

    exports.onMe = async (me) => {
      await use('WAWebUserPrefsStore').setMe(me);
      showMe(me);
    };

    function onSuccess(frame) {
      use('WATimeUtils').setServerTime(frame.t);
      use('WAWebLid1X1MigrationGating').setAddressing(frame.addressing);
      use('WAWebWire').setLoggedIn(true);
      exports.onMe(frame.me);
      socket().set({ state: 'CONNECTED', stream: 'SYNCING', canSend: true });
      // A reconnection of a client that is up resumes in place; only the first login shows the
      // loading screen.
      if (stream().mode === 'MAIN') stream().set({ info: 'RESUMING' });
      else stream().set({ mode: 'SYNCING', info: 'SYNCING' });
      use('WAWebOutbox').onConnected();
    }

    exports.onHistoryStored = async () => {
      haveHistory = true;
      await use('WAWebStorage').put('meta', { id: 'history', t: use('WATimeUtils').unixTime() });
    };

    exports.onOfflineDone = () => {
      use('WAWebCmd').Cmd.mainLoaded();
      socket().set({ stream: 'CONNECTED' });
      socket().set({ hasSynced: true });
      stream().set({ mode: 'MAIN', info: 'NORMAL' });
    };

    function onFailure({ reason, logout_reason: logoutReason }) {
      switch (reason) {
        case 401:
        case 406:
          leave(logoutReason ?? 0);
          break;
        case 403:
          leave(3);
          break;
        case 402:
          block('TOS_BLOCK');
          break;
        case 405:
          stream().set({ needsUpdate: true });
          block('DEPRECATED_VERSION');
          break;
        default:
          // 503: the connection closes and comes back by its own backoff.
      }
    }

    function onStreamError({ code, conflict, logout_reason: logoutReason }) {
      if (code === 515) use('WAWebWire').reconnectNow();
      else if (code === 401) leave(logoutReason ?? 0);
      else if (code === 409 || conflict === 'replaced') block('CONFLICT');
    }

    // A state that only a person, or takeover(), ends.
    function block(state) {
      use('WAWebWire').stop();
      use('WAWebOutbox').onDisconnected();
      socket().set({ state, stream: 'DISCONNECTED', canSend: false });
      stream().set({ mode: state });
    }

    exports.takeover = async () => {
      if (socket().state !== 'CONFLICT') return;
      // Another page has written to the database since.
      await use('WAWebHistory').refresh();
      takingOver = true;
      stream().set({ mode: socket().hasSynced ? 'MAIN' : 'SYNCING', info: 'CONNECTING' });
      socket().set({ state: 'OPENING' });
      use('WAWebWire').reconnectNow();
    };

    exports.logOutHere = async () => {
      const { LogoutReason } = use('WAWebLogoutReasonConstants');
      leaving = true;
      // Without a connection the device stays on the account's list; the page forgets it anyway.
      if (use('WAWebWire').isLoggedIn()) await use('WAWebWire').query('logout').catch(() => null);
      await forget(LogoutReason.UserInitiated, 'logout');
    };

    async function leave(code) {
      if (leaving) return;
      leaving = true;
      const reason = use('WAWebLogoutReason').getLogoutReasonFromErrorCode(code);
      use('WAWebCmd').Cmd.trigger('logout_from_bridge');
      await forget(reason, 'logout', code);
    }

    async function forget(reason, event, code) {
      use('WAWebWire').stop();
      const shown = code ?? use('WAWebLogoutReason').getErrorCodeFromLogoutReason(reason);
      if (code !== undefined) use('WAWebLogoutReason').getErrorCodeFromLogoutReason(reason);
      await use('WAWebUserPrefsStore').clearLogin();
      use('WAWebBackendEventBus').BackendEventBus.trigger('logout', reason);
      use('WAWebCmd').Cmd.trigger(event);
      // After this turn, so that whoever asked for the logout gets an answer first.
      setTimeout(() => location.assign(`/?post_logout=1&logout_reason=${shown}`), 100);
    }
  });
})();
