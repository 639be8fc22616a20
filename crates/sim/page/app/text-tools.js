// Links and contact cards in texts.
'use strict';

(() => {
  const { define } = WAPage;

  define('WALinkify', (exports) => {
    const LINK = /\b(?:https?:\/\/|www\.)[^\s<>"']+[^\s<>"'.,;:!?)\]]|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|de|dev|app|br|eu|uk|me)\b(?:\/[^\s<>"']*)?/gi;

    exports.findLinks = (text) => [...String(text ?? '').matchAll(LINK)].map(([url]) => {
      const href = /^https?:\/\//i.test(url) ? url : `http://${url}`;
      return { url, href, input: text, isHttp: true, suspiciousCharacters: new Set() };
    });
    exports.findLink = (text) => exports.findLinks(text)[0];
    exports.findFirstWebLink = (text) => exports.findLinks(text)[0]?.url;
  });

  // The server knows no other sites: there is never a preview, which the client takes as such.
  define('WAWebLinkPreviewChatAction', (exports, use) => {
    exports.getLinkPreview = async (link) => {
      const preview = await use('WAWebGenMinimalLinkPreview').genMinimalLinkPreview(link);
      return preview ?? null;
    };
  });
  define('WAWebGenMinimalLinkPreview', (exports) => {
    exports.genMinimalLinkPreview = async () => null;
  });

  define('WAWebFrontendVcardUtils', (exports, use) => {
    const escape = (text) => text.replaceAll('\\', '\\\\').replaceAll(';', '\\;').replaceAll(',', '\\,').replaceAll('\n', '\\n');

    exports.vcardFromContactModel = (contact) => {
      const name = contact.displayName ?? contact.formattedName ?? contact.name ?? contact.id.user;
      const { user } = use('WAWebApiContact').getPhoneNumber(contact.id) ?? contact.id;
      const vcard = [
        'BEGIN:VCARD', 'VERSION:3.0', `N:;${escape(name)};;;`, `FN:${escape(name)}`,
        `TEL;type=CELL;waid=${user}:+${user}`, 'END:VCARD',
      ].join('\n');
      return { displayName: name, vcard, isMultiVcard: false };
    };
  });

  define('WAWebVcardParsingUtils', (exports) => {
    exports.parseVcard = (text) => {
      const fields = {};
      for (const line of String(text).split(/\r?\n/)) {
        const colon = line.indexOf(':');
        if (colon < 0) continue;
        const name = line.slice(0, colon).split(';')[0].toLowerCase();
        (fields[name] ??= []).push({ value: line.slice(colon + 1) });
      }
      return fields;
    };
  });
  define('WAWebVcardGetNameFromParsed', (exports) => {
    exports.vcardGetNameFromParsed = (parsed) => parsed.fn?.[0]?.value ?? parsed.n?.[0]?.value ?? '';
  });

  define('WAWebPhoneUtils', (exports) => {
    exports.formattedPhoneNumber = (jid) => `+${String(jid).split('@')[0]}`;
  });
  // Calling codes by their first digits, longest first.
  define('WAPhoneFindCC', (exports) => {
    const CODES = /^(1|7|2[07]|3[0123469]|4[013456789]|5[12345678]|6[0123456]|8[1246]|9[0123458]|\d{3})/;
    exports.findCC = (number) => CODES.exec(String(number).replace(/\D/g, ''))?.[1] ?? null;
  });
  define('WAWebMd5', (exports, use) => {
    exports.md5 = (text) => use('WABase64').encodeB64(new TextEncoder().encode(text)).slice(0, 32);
  });
})();
