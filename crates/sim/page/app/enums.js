// The constants of the client, with their real values.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebAck', (exports) => {
    exports.ACK = Object.freeze({
      MD_DOWNGRADE: -7, INACTIVE: -6, CONTENT_UNUPLOADABLE: -5, CONTENT_TOO_BIG: -4,
      CONTENT_GONE: -3, EXPIRED: -2, FAILED: -1, CLOCK: 0, SENT: 1, RECEIVED: 2, READ: 3,
      PLAYED: 4, PEER: 5,
    });
    exports.ACK_STRING = Object.freeze({
      SENDER: 'sender', DELIVERY: 'delivery', READ: 'read', PLAYED: 'played',
      INACTIVE: 'inactive', READ_SELF: 'read-self', PLAYED_SELF: 'played-self',
    });
    exports.EDIT_ATTR = Object.freeze({ SENDER_REVOKE: 7, ADMIN_REVOKE: 8 });
  });

  define('WAWebSendMsgResultAction', (exports) => {
    exports.SendMsgResult = Object.freeze({
      OK: 'OK', ERROR_NETWORK: 'ERROR_NETWORK', ERROR_EXPIRED: 'ERROR_EXPIRED',
      ERROR_CANCELLED: 'ERROR_CANCELLED', ERROR_UPLOAD: 'ERROR_UPLOAD',
      ERROR_UNKNOWN: 'ERROR_UNKNOWN',
    });
  });

  define('WAWebSocketConstants', (exports) => {
    exports.SOCKET_STATE = Object.freeze({
      OPENING: 'OPENING', PAIRING: 'PAIRING', UNPAIRED: 'UNPAIRED',
      UNPAIRED_IDLE: 'UNPAIRED_IDLE', CONNECTED: 'CONNECTED', TIMEOUT: 'TIMEOUT',
      CONFLICT: 'CONFLICT', UNLAUNCHED: 'UNLAUNCHED', PROXYBLOCK: 'PROXYBLOCK',
      TOS_BLOCK: 'TOS_BLOCK', SMB_TOS_BLOCK: 'SMB_TOS_BLOCK',
      DEPRECATED_VERSION: 'DEPRECATED_VERSION',
    });
    exports.SOCKET_STREAM = Object.freeze({
      DISCONNECTED: 'DISCONNECTED', SYNCING: 'SYNCING', RESUMING: 'RESUMING',
      CONNECTED: 'CONNECTED',
    });
    exports.WATCHED_SOCKET_STATE = Object.freeze({ OPEN: 'OPEN', CLOSED: 'CLOSED' });
  });

  define('WAWebMsgType', (exports) => {
    exports.MSG_TYPE = Object.freeze({
      NOTIFICATION: 'notification', NOTIFICATION_TEMPLATE: 'notification_template',
      GROUP_NOTIFICATION: 'group_notification', GP2: 'gp2',
      BROADCAST_NOTIFICATION: 'broadcast_notification', E2E_NOTIFICATION: 'e2e_notification',
      CALL_LOG: 'call_log', PROTOCOL: 'protocol', CHAT: 'chat', LOCATION: 'location',
      PAYMENT: 'payment', VCARD: 'vcard', CIPHERTEXT: 'ciphertext', MULTI_VCARD: 'multi_vcard',
      REVOKED: 'revoked', OVERSIZED: 'oversized', GROUPS_V4_INVITE: 'groups_v4_invite',
      HSM: 'hsm', TEMPLATE_BUTTON_REPLY: 'template_button_reply', IMAGE: 'image',
      VIDEO: 'video', AUDIO: 'audio', PTT: 'ptt', STICKER: 'sticker', DOCUMENT: 'document',
      PRODUCT: 'product', ORDER: 'order', LIST: 'list', INTERACTIVE: 'interactive',
      LIST_RESPONSE: 'list_response', BUTTONS_RESPONSE: 'buttons_response',
      REACTION: 'reaction', NATIVE_FLOW: 'native_flow', POLL_CREATION: 'poll_creation',
      EVENT_CREATION: 'event_creation', PTV: 'ptv', UNKNOWN: 'unknown',
    });
    exports.SYSTEM_MESSAGE_TYPES = Object.freeze([
      'notification', 'notification_template', 'group_notification', 'gp2',
      'broadcast_notification', 'e2e_notification', 'call_log', 'protocol',
    ]);
  });

  define('WAWebLogoutReasonConstants', (exports) => {
    exports.LogoutReason = Object.freeze({
      UserInitiated: 'user_initiated', SyncdFailure: 'syncd_failure',
      InvalidAdvStatus: 'invalid_adv_status', CriticalSyncTimeout: 'critical_sync_timeout',
      SyncdTimeout: 'syncd_timeout', HistorySyncTimeout: 'history_sync_timeout',
      AccountSyncTimeout: 'account_sync_timeout', MDOptOut: 'md_opt_out',
      UnknownCompanion: 'unknown_companion', ClientVersionOutdated: 'client_version_outdated',
      AccountSyncError: 'account_sync_error', StorageQuotaExceeded: 'storage_quota_exceeded',
      PrimaryIdentityKeyChange: 'primary_identity_key_change', AccountLocked: 'account_locked',
    });
    exports.LOGOUT_REASON_CODE = Object.freeze({
      CLIENT_FATAL: '0', SYNC_FAIL: '1', INITIAL_HISTORY_SYNC_TIMEOUT: '2', ACCOUNT_LOCKED: '3',
    });
  });

  define('WAWebLogoutReason', (exports, use) => {
    let previousCode = null;
    let previousText = null;
    exports.getErrorCodeFromLogoutReason = (reason) => {
      const { LogoutReason, LOGOUT_REASON_CODE } = use('WAWebLogoutReasonConstants');
      switch (reason) {
        case LogoutReason.SyncdFailure:
        case LogoutReason.SyncdTimeout:
          return LOGOUT_REASON_CODE.SYNC_FAIL;
        case LogoutReason.HistorySyncTimeout:
          return LOGOUT_REASON_CODE.INITIAL_HISTORY_SYNC_TIMEOUT;
        case LogoutReason.AccountLocked:
          return LOGOUT_REASON_CODE.ACCOUNT_LOCKED;
        default:
          return LOGOUT_REASON_CODE.CLIENT_FATAL;
      }
    };
    // The other way round: which reason the client would have given for a code.
    exports.getLogoutReasonFromErrorCode = (code) => {
      const { LogoutReason } = use('WAWebLogoutReasonConstants');
      const reasons = [
        LogoutReason.UnknownCompanion, LogoutReason.SyncdFailure,
        LogoutReason.HistorySyncTimeout, LogoutReason.AccountLocked,
      ];
      return reasons[code] ?? LogoutReason.UnknownCompanion;
    };
    exports.setPrevLogoutReasonCode = (code) => { previousCode = code; };
    exports.getPrevLogoutReasonCode = () => previousCode;
    exports.setPrevCustomLogoutMessage = (text) => { previousText = text; };
    exports.getPrevCustomLogoutMessage = () => previousText;
  });

  define('WAWebOutwardTypes', (exports) => {
    exports.OUTWARD_TYPES = Object.freeze(['chat', 'image', 'video', 'audio', 'ptt', 'document', 'sticker']);
  });
  define('WAWebGroupConstants', (exports) => {
    exports.GROUP_SETTING_TYPE = Object.freeze({
      ANNOUNCEMENT: 'announcement', RESTRICT: 'restrict', EPHEMERAL: 'ephemeral',
      NO_FREQUENTLY_FORWARDED: 'no_frequently_forwarded',
    });
  });
  define('WAWebKeepInChatConstants', (exports) => {
    exports.KIC_ENTRY_POINT_TYPE = Object.freeze({ CHAT: 1, CHAT_INFO: 2 });
  });
  define('WAWebPinInChatConstants', (exports) => {
    exports.PIN_STATE = Object.freeze({ INVALID: 0, PIN: 1, UNPIN: 2 });
  });
  define('WAWebPinMsgConstants', (exports) => {
    exports.PinExpiryDurationOption = Object.freeze({
      TwentyFourHours: 'TwentyFourHours', SevenDays: 'SevenDays', ThirtyDays: 'ThirtyDays',
    });
    exports.getPinExpiryDuration = (option) => {
      const day = 24 * 60 * 60;
      return { TwentyFourHours: day, SevenDays: 7 * day, ThirtyDays: 30 * day }[option] ?? 7 * day;
    };
  });
  define('WAWebCallEnums', (exports) => {
    exports.CALL_STATES = Object.freeze({
      INCOMING_RING: 'INCOMING_RING', OUTGOING_RING: 'OUTGOING_RING', ACTIVE: 'ACTIVE',
      NOT_ANSWERED: 'NOT_ANSWERED', REJECTED: 'REJECTED', ENDED: 'ENDED',
    });
  });
  define('WAWebChannelEventSurface', (exports) => {
    exports.CHANNEL_EVENT_SURFACE = Object.freeze({ CHANNEL_UPDATES_HOME: 3, UNKNOWN: 1 });
  });
  define('WAWebNonJidMentionType', (exports) => {
    exports.default = Object.freeze({ MENTION_ALL: 1 });
  });
  define('WAJids', (exports) => {
    exports.STATUS_JID = 'status@broadcast';
  });
  define('WAWebJidTypes', (exports) => {
    exports.GROUP_JID = '@g.us';
    exports.CHAT_JID = '@c.us';
  });
  define('WAWebDropAttr', (exports) => {
    exports.DROP_ATTR = Symbol.for('DROP_ATTR');
  });

  define('WAWebBuildConstants', (exports) => {
    const version = WAPage.boot.web_version;
    const [primary, secondary, tertiary] = version.split('.');
    exports.VERSION_STR = version;
    exports.VERSION_BASE = version;
    exports.SANITIZED_VERSION_STR = version;
    exports.VERSION_PRIMARY = primary;
    exports.VERSION_SECONDARY = secondary;
    exports.VERSION_TERTIARY = tertiary;
  });

  define('WATimeUtils', (exports) => {
    let skewMs = 0;
    exports.setServerTime = (seconds) => {
      if (seconds > 0) skewMs = seconds * 1000 - Date.now();
    };
    exports.unixTimeMs = () => Date.now() + skewMs;
    exports.unixTime = () => Math.floor(exports.unixTimeMs() / 1000);
  });
})();
