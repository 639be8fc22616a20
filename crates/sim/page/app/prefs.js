// What the client keeps about itself: the account, this device and its keys.
//
// The login lies in two stores, as on the real page: a part in IndexedDB (`wawc`), a part in
// localStorage. It counts only where both are there. Chromium writes localStorage to disk some
// seconds later, which is why a browser killed right after pairing comes back logged out.
'use strict';

(() => {
  const { define } = WAPage;

  const LOCAL_LOGIN = ['last-wid-md', 'me-lid', 'me-display-name', 'WADeviceId'];
  const LOCAL_KEYS = ['WANoiseInfo', 'WAAdvSecretKey'];

  define('WAWebUserPrefsStore', (exports, use) => {
    let login = null;
    let keys = null;

    // Reads both stores. Resolves to whether the page is logged in.
    exports.load = async () => {
      keys = await loadKeys();
      const stored = await use('WAWebStorage').getUserPref('login');
      const local = localStorage.getItem('last-wid-md');
      login = stored && local && localStorage.getItem('WADeviceId') === JSON.stringify(stored.device.id)
        ? stored : null;
      if (!login && (stored || local)) {
        await exports.clearLogin();
        keys = await makeKeys();
      }
      return login !== null;
    };

    async function loadKeys() {
      const signal = await use('WAWebStorage').getSignalRecord('registration');
      const noise = localStorage.getItem('WANoiseInfo');
      const adv = localStorage.getItem('WAAdvSecretKey');
      if (signal && noise && adv) {
        const { decodeB64 } = use('WABase64');
        return { identity: signal, noise: mapValues(JSON.parse(noise), decodeB64), adv: JSON.parse(adv) };
      }
      return makeKeys();
    }

    // Nothing is encrypted here: the keys only have to be there, to last, and to be this page's own.
    async function makeKeys() {
      const { encodeB64 } = use('WABase64');
      const made = {
        identity: await makePair(),
        noise: await makePair(),
        adv: encodeB64(crypto.getRandomValues(new Uint8Array(32))),
      };
      await use('WAWebStorage').putSignalRecord('registration', made.identity);
      localStorage.setItem('WANoiseInfo', JSON.stringify(mapValues(made.noise, encodeB64)));
      localStorage.setItem('WAAdvSecretKey', JSON.stringify(made.adv));
      return made;
    }

    async function makePair() {
      const privKey = crypto.getRandomValues(new Uint8Array(32)).buffer;
      return { privKey, pubKey: await crypto.subtle.digest('SHA-256', privKey) };
    }

    function mapValues(object, change) {
      return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
    }

    exports.getKeys = () => keys;
    exports.getLogin = () => login;

    exports.setLogin = async (device, me) => {
      login = { device, me };
      await use('WAWebStorage').putUserPref('login', login);
      localStorage.setItem('last-wid-md', JSON.stringify(deviceText(me)));
      localStorage.setItem('me-lid', JSON.stringify(me.lid));
      localStorage.setItem('me-display-name', JSON.stringify(me.push_name));
      localStorage.setItem('WADeviceId', JSON.stringify(device.id));
    };

    exports.setMe = async (me) => {
      if (login) await exports.setLogin(login.device, me);
    };

    function deviceText(me) {
      const [user, server] = me.pn.split('@');
      return `${user}:${me.device_number ?? 0}@${server}`;
    }

    exports.clearLogin = async () => {
      login = null;
      keys = null;
      for (const name of [...LOCAL_LOGIN, ...LOCAL_KEYS]) localStorage.removeItem(name);
      await use('WAWebStorage').wipe();
    };
  });

  define('WAWebUserPrefsMeUser', (exports, use) => {
    const me = () => use('WAWebUserPrefsStore').getLogin()?.me ?? null;
    const wid = (text) => (text ? use('WAWebWidFactory').createWid(text) : null);

    exports.getMaybeMePnUser = () => wid(me()?.pn) ?? undefined;
    exports.getMaybeMeLidUser = () => wid(me()?.lid) ?? undefined;
    exports.getMaybeMeDevicePn = () => {
      const account = me();
      if (!account) return undefined;
      const [user, server] = account.pn.split('@');
      return wid(`${user}:${account.device_number ?? 0}@${server}`);
    };
    exports.getMe = exports.getMaybeMePnUser;
    exports.getMePnUserOrThrow = () => {
      const found = exports.getMaybeMePnUser();
      if (!found) throw new Error('getMePnUserOrThrow: not logged in');
      return found;
    };
    exports.getMeLidUserOrThrow = () => {
      const found = exports.getMaybeMeLidUser();
      if (!found) throw new Error('getMeLidUserOrThrow: not logged in');
      return found;
    };
    exports.isMeAccount = (value) => {
      const text = String(value ?? '').replace(/:\d+@/, '@');
      return text !== '' && (text === me()?.pn || text === me()?.lid);
    };
    exports.isMePnUser = (value) => String(value) === me()?.pn;
    exports.isMeLidUser = (value) => String(value) === me()?.lid;
  });

  define('WAWebUserPrefsGeneral', (exports, use) => {
    exports.getPushname = () => use('WAWebUserPrefsStore').getLogin()?.me.push_name;
    exports.setBrowserId = () => {};
    exports.getUserPrivacySettings = () => ({ lastSeen: 'all', profilePicture: 'all', about: 'all', groupAdd: 'all' });
    for (const kind of ['Photos', 'Audio', 'Videos', 'Documents']) {
      const key = `auto-download-${kind.toLowerCase()}`;
      exports[`getAutoDownload${kind}`] = () => localStorage.getItem(key) !== 'false';
      exports[`setAutoDownload${kind}`] = (on) => localStorage.setItem(key, String(Boolean(on)));
    }
    exports.getTheme = () => localStorage.getItem('theme') ?? 'light';
    exports.setTheme = (theme) => localStorage.setItem('theme', theme);
  });

  define('WAWebUserPrefsInfoStore', (exports, use) => {
    exports.waNoiseInfo = {
      get: async () => ({ staticKeyPair: use('WAWebUserPrefsStore').getKeys().noise }),
    };
  });

  define('WAWebSignalStoreApi', (exports, use) => {
    exports.waSignalStore = {
      getRegistrationInfo: async () => ({
        identityKeyPair: use('WAWebUserPrefsStore').getKeys().identity,
        registrationId: 1,
      }),
    };
  });

  define('WAWebUserPrefsMultiDevice', (exports, use) => {
    exports.getADVSecretKey = () => use('WAWebUserPrefsStore').getKeys().adv;
    exports.setADVSignedIdentity = () => {};
    exports.getADVSignedIdentity = () => null;
    exports.clearADVSecretKey = () => {};
  });

  define('WAWebAdvSignatureApi', (exports) => {
    exports.generateDeviceSignature = async () => new ArrayBuffer(64);
  });

  // The client's number for its kind of device: the last part of the QR code.
  define('WAWebCompanionRegClientUtils', (exports) => {
    exports.DEVICE_PLATFORM = '1';
    exports.getCompanionWebClientFromBrowser = () => 1;
  });

  define('WAWebLoginState', (exports, use) => {
    exports.isRegistered = () => use('WAWebUserPrefsStore').getLogin() !== null;
  });

  define('WAWebIsLoggedIn', (exports, use) => {
    exports.isLoggedIn = () => use('WAWebLoginState').isRegistered();
  });
})();
