// Linking a device: codes on the screen one after another, an eight-letter code for a phone
// number, and the passkey that some accounts ask for.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebLinking', (exports, use) => {
    let refs = [];
    let ttlMs = 0;
    let timer = null;

    const conn = () => use('WAWebConnModel').Conn;

    exports.show = (frame) => {
      refs = [...frame.refs];
      ttlMs = frame.ttl_ms;
      conn().set({ connected: false });
      next();
      use('WAWebSocketModel').Socket.set({ state: 'UNPAIRED' });
      use('WAWebStreamModel').Stream.set({ mode: 'QR', info: 'PAIRING' });
    };

    function next() {
      clearTimeout(timer);
      const ref = refs.shift();
      if (ref === undefined) {
        conn().set({ ref: null, refTTL: 0 });
        use('WAWebSocketModel').Socket.set({ state: 'UNPAIRED_IDLE' });
        return;
      }
      conn().set({ ref, refTTL: ttlMs });
      timer = setTimeout(next, ttlMs);
    }

    exports.stop = () => {
      clearTimeout(timer);
      refs = [];
      // The code has done its work or lost its connection: nobody is shown an empty one.
      conn().set({ ref: null }, { silent: true });
    };

    exports.refresh = () => use('WAWebWire').send({ op: 'refresh_qr' });

    // The text of the code on the screen.
    exports.codeText = () => {
      const { ref } = conn();
      if (!ref) return null;
      const { encodeB64 } = use('WABase64');
      const keys = use('WAWebUserPrefsStore').getKeys();
      const platform = use('WAWebCompanionRegClientUtils').DEVICE_PLATFORM;
      return [ref, encodeB64(keys.noise.pubKey), encodeB64(keys.identity.pubKey), keys.adv, platform].join(',');
    };

    exports.onPairFailed = () => exports.refresh();

    exports.answerPasskey = async (frame) => {
      const { decodeB64UrlSafe, encodeB64UrlSafe } = use('WABase64');
      // The code has been scanned: the next one would only confuse.
      use('WAWebLinking').stop();
      try {
        const credential = await navigator.credentials.get({
          publicKey: {
            challenge: decodeB64UrlSafe(frame.challenge),
            rpId: frame.rp_id,
            allowCredentials: (frame.allow_credentials ?? []).map((id) => ({
              type: 'public-key', id: decodeB64UrlSafe(id),
            })),
            timeout: frame.timeout_ms,
            userVerification: 'preferred',
          },
        });
        use('WAWebWire').send({
          op: 'passkey_assertion',
          id: credential.id,
          client_data_json: encodeB64UrlSafe(credential.response.clientDataJSON),
          authenticator_data: encodeB64UrlSafe(credential.response.authenticatorData),
          signature: encodeB64UrlSafe(credential.response.signature),
        });
      } catch (error) {
        use('WAWebWire').send({ op: 'passkey_cancel', error: error.name });
      }
    };
  });

  define('WAWebAltDeviceLinkingApi', (exports, use) => {
    let pairingType = 'QR_CODE';
    exports.setPairingType = (type) => { pairingType = type; };
    exports.getPairingType = () => pairingType;
    exports.initializeAltDeviceLinking = async () => {};
    exports.initializeQRLinking = async () => {};

    exports.startAltLinkingFlow = async (phone, notify = true) => {
      const { code } = await use('WAWebWire').query(
        'pair code', { phone: String(phone).replace(/\D/g, ''), notify: Boolean(notify) },
        { op: 'pair_code_request', early: true },
      );
      return code;
    };
    exports.genLinkDeviceCodeForPhoneNumber = (phone, notify) => (
      use('WAWebAltDeviceLinkingApi').startAltLinkingFlow(phone, notify)
    );
  });

  define('WAWebLinkDeviceEvents', (exports, use) => {
    const EventEmitter = use('WAWebEventEmitter').default;

    class LinkDeviceEvents extends EventEmitter {
      triggerRefreshAltLinkingCode() { this.trigger('link_device_events:refresh_alt_linking_code'); }

      triggerForceManualRefresh() { this.trigger('link_device_events:force_manual_refresh'); }
    }
    exports.WAWebLinkDeviceEvents = new LinkDeviceEvents();
  });
})();
