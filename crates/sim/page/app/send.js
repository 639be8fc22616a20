// Sending. `addAndSendMsgToChat` shows the message at once, writes it and its place in the outbox
// to the database, and hands it to the connection; the second promise settles when the server has
// answered.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebSendMsgChatAction', (exports, use) => {
    // Gives `[Promise<message in the chat>, Promise<{ messageSendResult, t, count }>]`.
    exports.addAndSendMsgToChat = (chat, attributes) => {
      const faults = use('WAWebFaults');
      const thrown = faults.takeThrowOnSend('before');
      if (thrown) throw thrown;

      const { MsgCollection } = use('WAWebMsgCollection');
      const message = makeMessage(attributes);
      if (MsgCollection.get(message.id)) {
        throw new (use('WAWebDuplicateMessageError').DuplicateMessageError)(message.id);
      }
      use('WAWebMediaDataModel').attach(message);
      MsgCollection.add(message);
      chat.msgs.add(message);
      chat.msgs.trim();
      chat.set({ t: message.t, lastReceivedKey: message.id });
      use('WAWebChatCollection').ChatCollection.sort();

      const { stored, result } = use('WAWebOutbox').submit(message, chat);
      const thrownAfter = faults.takeThrowOnSend('after');
      if (thrownAfter) throw thrownAfter;
      return [stored.then(() => message), faults.hangIfAsked(result)];
    };

    function makeMessage(attributes) {
      const MsgModel = use('WAWebMsgModel').default;
      if (attributes instanceof MsgModel) return attributes;
      const message = new MsgModel({ ...attributes, ack: attributes.ack ?? 0 });
      if (!(message.id instanceof use('WAWebMsgKey').default)) {
        throw new TypeError('addAndSendMsgToChat: the message has no key');
      }
      return message;
    }
  });

  define('WAWebSendTextMsgChatAction', (exports, use) => {
    exports.sendTextMsgToChat = async (chat, body, options = {}) => {
      const message = await exports.createTextMsgData(chat, body, options);
      const [stored, result] = use('WAWebSendMsgChatAction').addAndSendMsgToChat(chat, message);
      await stored;
      return result;
    };

    exports.createTextMsgData = async (chat, body, options = {}) => {
      const MsgKey = use('WAWebMsgKey').default;
      const me = use('WAWebUserPrefsMeUser');
      const from = chat.id.isLid() || chat.id.isGroup() ? me.getMeLidUserOrThrow() : me.getMePnUserOrThrow();
      return {
        id: new MsgKey({
          from, to: chat.id, id: await MsgKey.newId(), participant: chat.id.isGroup() ? from : undefined, selfDir: 'out',
        }),
        type: 'chat', body, from, to: chat.id, self: 'out', ack: 0, isNewMsg: true, local: true,
        t: use('WATimeUtils').unixTime(),
        ...use('WAWebGetEphemeralFieldsMsgActionsUtils').getEphemeralFields(chat),
        ...(options.quotedMsg && options.quotedMsg.msgContextInfo(chat.id)),
      };
    };
  });

  define('WAWebResendMsgAction', (exports, use) => {
    exports.resendMsg = async (message) => {
      if (message.ack > 0) return { messageSendResult: 'OK', t: message.t };
      const chat = await use('WAWebCreateChat').createChat(message.id.remote);
      message.set({ ack: 0, isFailed: false });
      const { stored, result } = use('WAWebOutbox').submit(message, chat);
      await stored;
      return result;
    };
  });

  // The steps between the outbox and the connection. Libraries wrap them, so each step calls the
  // next one through its module.
  define('WAWebE2EProtoGenerator', (exports) => {
    const MEDIA_MEMBER = {
      image: 'imageMessage', video: 'videoMessage', ptv: 'ptvMessage', audio: 'audioMessage',
      ptt: 'audioMessage', document: 'documentMessage', sticker: 'stickerMessage',
    };
    exports.createMsgProtobuf = (record) => {
      const media = MEDIA_MEMBER[record.type];
      if (media) return { [media]: { mimetype: record.mimetype, caption: record.caption } };
      switch (record.type) {
        case 'location':
          return { locationMessage: { degreesLatitude: record.lat, degreesLongitude: record.lng, name: record.loc } };
        case 'vcard':
          return { contactMessage: { displayName: record.vcardFormattedName, vcard: record.body } };
        case 'poll_creation':
          return { pollCreationMessage: { name: record.pollName } };
        case 'chat':
          if (record.quotedStanzaID || record.matchedText) return { extendedTextMessage: { text: record.body } };
          return { conversation: record.body };
        default:
          return {};
      }
    };
  });

  define('WAWebBackendJobsCommon', (exports, use) => {
    exports.mediaTypeFromProtobuf = (proto) => {
      const names = {
        imageMessage: 'image', videoMessage: 'video', audioMessage: 'audio', documentMessage: 'document',
        stickerMessage: 'sticker', locationMessage: 'location', contactMessage: 'vcard',
      };
      const member = Object.keys(proto).find((name) => name in names);
      return member ? names[member] : null;
    };
    exports.encodeMaybeMediaType = (type) => type ?? use('WAWebDropAttr').DROP_ATTR;
  });

  define('WAWebE2EProtoUtils', (exports) => {
    exports.typeAttributeFromProtobuf = (proto) => {
      if (proto.pollCreationMessage) return 'poll';
      return proto.conversation !== undefined || proto.extendedTextMessage ? 'text' : 'media';
    };
  });

  define('WAWebSendMsgCreateFanoutStanza', (exports, use) => {
    exports.createFanoutMsgStanza = async ({ msgRecord, msgProtobuf }) => ({
      frame: msgRecord.frame,
      stanza: {
        tag: 'message',
        attrs: {
          type: use('WAWebE2EProtoUtils').typeAttributeFromProtobuf(msgProtobuf),
          mediatype: use('WAWebBackendJobsCommon').encodeMaybeMediaType(
            use('WAWebBackendJobsCommon').mediaTypeFromProtobuf(msgProtobuf),
          ),
        },
        content: [{ tag: 'participants', attrs: {}, content: [] }],
      },
    });
  });

  define('WAWebEncryptAndSendMsg', (exports, use) => {
    // `reporter.onHandedOver` is told when the frame has gone to the socket. Resolves with the
    // server's answer.
    exports.encryptAndSendMsg = async (message, reporter) => {
      const msgProtobuf = use('WAWebE2EProtoGenerator').createMsgProtobuf(message.data);
      const { frame } = await use('WAWebSendMsgCreateFanoutStanza').createFanoutMsgStanza({
        msgRecord: message.data, msgProtobuf, deviceList: [], option: {}, metricReporter: reporter, groupData: null,
      });
      return use('WAWebOutbox').transmit(frame, reporter);
    };
  });
  define('WAWebSendStatusJob', (exports, use) => {
    exports.encryptAndSendStatusMsg = async (message, protobuf, reporter) => (
      use('WAWebOutbox').transmit(message.data.frame, reporter)
    );
  });
  define('WAWebSendGroupMsgJob', (exports, use) => {
    exports.encryptAndSendGroupMsg = (message, reporter) => (
      use('WAWebEncryptAndSendMsg').encryptAndSendMsg(message, reporter)
    );
    exports.encryptAndSendSenderKeyMsg = exports.encryptAndSendGroupMsg;
  });
  define('WAWebEncryptMsgProtobuf', (exports) => {
    exports.encryptMsgProtobuf = async (wid, device, protobuf) => ({ type: 'msg', ciphertext: protobuf });
  });
})();
