// Addresses: people as phone numbers (`@c.us`) or hidden ids (`@lid`), groups, broadcasts.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebWid', (exports) => {
    const SERVER_ALIASES = { 's.whatsapp.net': 'c.us' };

    class Wid {
      constructor(text) {
        const at = text.lastIndexOf('@');
        if (at < 0) throw new Error(`wid error: invalid wid ${text}`);
        const left = text.slice(0, at);
        const server = text.slice(at + 1);
        const [userWithAgent, device] = left.split(':');
        this.server = SERVER_ALIASES[server] ?? server;
        this.user = userWithAgent;
        if (device !== undefined && device !== '0') this.device = Number(device);
        this._serialized = this.device === undefined
          ? `${this.user}@${this.server}`
          : `${this.user}:${this.device}@${this.server}`;
      }

      isUser() { return this.server === 'c.us' || this.server === 'lid'; }

      isRegularUser() { return this.isUser() && !this.isPSA(); }

      isRegularUserPn() { return this.server === 'c.us' && !this.isPSA(); }

      isLid() { return this.server === 'lid'; }

      isUserPn() { return this.server === 'c.us'; }

      isGroup() { return this.server === 'g.us'; }

      isBroadcast() { return this.server === 'broadcast'; }

      isStatus() { return this._serialized === 'status@broadcast'; }

      isStatusV3() { return this.isStatus(); }

      isNewsletter() { return this.server === 'newsletter'; }

      isBot() { return this.server === 'bot'; }

      isCall() { return this.server === 'call'; }

      isPSA() { return this._serialized === '0@c.us'; }

      isIAS() { return false; }

      isServer() { return this._serialized === 'server@c.us'; }

      isSupportAccount() { return false; }

      isEligibleForUSync() { return this.isUser(); }

      isCompanion() { return this.device !== undefined; }

      isSameAccountAndAddressingMode(other) { return this.equals(other); }

      getDeviceId() { return this.device ?? 0; }

      equals(other) { return other instanceof Wid && other._serialized === this._serialized; }

      isLessThan(other) { return this._serialized < other._serialized; }

      toString() { return this._serialized; }

      toLogString() { return this._serialized; }

      toJid() {
        return this.server === 'c.us' ? this._serialized.replace('@c.us', '@s.whatsapp.net') : this._serialized;
      }

      toJSON() {
        const { server, user, _serialized } = this;
        return { server, user, _serialized };
      }

      static isWid(value) {
        return value instanceof Wid || (typeof value === 'string' && /^[^@\s]+@[a-z.]+$/.test(value));
      }

      static isXWid(server, value) { return Wid.isWid(value) && String(value).endsWith(`@${server}`); }

      static isUser(value) { return Wid.isXWid('c.us', value) || Wid.isXWid('lid', value); }

      static isLid(value) { return Wid.isXWid('lid', value); }

      static isGroup(value) { return Wid.isXWid('g.us', value); }

      static isBroadcast(value) { return Wid.isXWid('broadcast', value); }

      static isNewsletter(value) { return Wid.isXWid('newsletter', value); }

      static isStatus(value) { return String(value) === 'status@broadcast'; }

      static isStatusV3(value) { return Wid.isStatus(value); }
    }

    exports.default = Wid;
  });

  define('WAWebWidFactory', (exports, use) => {
    const wids = () => use('WAWebWid').default;

    exports.createWid = (value) => {
      const Wid = wids();
      if (value instanceof Wid) return value;
      if (exports.isWidlike(value)) return new Wid(`${value.user}@${value.server}`);
      if (typeof value !== 'string') throw new Error(`wid error: invalid wid ${String(value)}`);
      return new Wid(value);
    };
    exports.isWidlike = (value) => Boolean(value) && typeof value === 'object'
      && typeof value.user === 'string' && typeof value.server === 'string';
    exports.createWidFromWidLike = (value) => {
      if (value instanceof wids()) return value;
      if (exports.isWidlike(value)) return new (wids())(`${value.user}@${value.server}`);
      return exports.createWid(value);
    };
    exports.createUserWid = (user, server = 'c.us') => {
      const text = String(user);
      return new (wids())(text.includes('@') ? text : `${text}@${server}`);
    };
    exports.createUserWidOrThrow = (user, server = 'c.us') => exports.createUserWid(user, server);
    exports.createDeviceWid = (text) => new (wids())(text);
    // Without the device number.
    exports.asUserWidOrThrow = (wid) => {
      if (!wid || typeof wid.isUser !== 'function' || !wid.isUser()) {
        throw new Error('asUserWidOrThrow: not a user');
      }
      return wid.device === undefined ? wid : exports.createUserWid(wid.user, wid.server);
    };
    exports.toUserWid = exports.asUserWidOrThrow;
    exports.asChatWid = (wid) => wid;
  });

  define('WAWebWidToJid', (exports) => {
    exports.widToUserJid = (wid) => wid.toJid();
    exports.widToGroupJid = (wid) => wid.toString();
    exports.widToChatJid = (wid) => wid.toJid();
  });

  define('WAWebJidToWid', (exports, use) => {
    exports.userJidToUserWid = (jid) => use('WAWebWidFactory').createWid(String(jid));
    exports.chatJidToChatWid = exports.userJidToUserWid;
  });

  define('WABase64', (exports) => {
    exports.encodeB64 = (data) => {
      const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
      let text = '';
      for (const byte of bytes) text += String.fromCharCode(byte);
      return btoa(text);
    };
    exports.decodeB64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
    exports.encodeB64UrlSafe = (data) => exports.encodeB64(data)
      .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    exports.decodeB64UrlSafe = (text) => exports.decodeB64(
      text.replaceAll('-', '+').replaceAll('_', '/').padEnd(Math.ceil(text.length / 4) * 4, '='),
    );
  });

  define('WARandomHex', (exports) => {
    exports.randomHex = (bytes) => Array.from(
      crypto.getRandomValues(new Uint8Array(bytes)),
      (byte) => byte.toString(16).padStart(2, '0'),
    ).join('').toUpperCase();
  });
})();
