// The key of a message: whose side it is from, the chat, the bare id and, in a group, the author.
//
// The name of the property that holds the key as one text is a knob: WhatsApp renamed it from
// `_serialized` in July 2026. Only this file knows it; the page itself asks for `toString()`.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebMsgKey', (exports, use) => {
    const wids = () => use('WAWebWidFactory');

    function partsOf(source) {
      if (source === null || source === undefined) {
        throw new Error('MsgKey error: obj is null/undefined');
      }
      const { createWid } = wids();
      const { id } = source;
      if (!id) throw new Error('MsgKey error: id is missing');
      let { fromMe, remote } = source;
      if (remote === undefined) {
        const { from, to } = source;
        if (!from || !to) throw new Error('MsgKey error: neither remote nor from and to');
        fromMe = source.selfDir === 'out'
          || (source.selfDir !== 'in' && use('WAWebUserPrefsMeUser').isMeAccount(from));
        remote = fromMe ? to : from;
      }
      const participant = source.participant ? createWid(String(source.participant)) : undefined;
      return { fromMe: Boolean(fromMe), remote: createWid(String(remote)), id, participant };
    }

    function textOf({ fromMe, remote, id, participant }) {
      return `${fromMe}_${remote}_${id}${participant ? `_${participant}` : ''}`;
    }

    class KeyBase {
      equals(other) { return Boolean(other) && this.toString() === other.toString(); }

      clone() { return new this.constructor(this); }

      static fromString(text) {
        const [fromMe, remote, id, participant] = String(text).split('_');
        if (!id || (fromMe !== 'true' && fromMe !== 'false')) {
          throw new Error(`MsgKey error: not a key: ${text}`);
        }
        return new this({ fromMe: fromMe === 'true', remote, id, participant });
      }

      static from(value) { return value instanceof this ? value : this.fromString(value); }

      // 3EB0 and 18 hexadecimal digits, as the client makes them.
      static async newId() { return `3EB0${use('WARandomHex').randomHex(9)}`; }

      static newTag() { return use('WARandomHex').randomHex(8); }
    }

    class MsgKey extends KeyBase {
      constructor(source) {
        super();
        if (!source) throw new Error('MsgKey error: obj is null/undefined');
        Object.assign(this, partsOf(source));
        this._serialized = textOf(this);
      }

      toString() { return this._serialized; }
    }

    class RenamedMsgKey extends KeyBase {
      constructor(source) {
        super();
        if (!source) throw new Error('MsgKey error: obj is null/undefined');
        Object.assign(this, partsOf(source));
        this.$1 = textOf(this);
      }

      toString() { return this.$1; }
    }

    exports.default = WAPage.boot.msgkey_field === '_serialized' ? MsgKey : RenamedMsgKey;
  });
})();
