// Three shapes of one message: the attributes of the model, the row in IndexedDB and the frame.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebMessageTable', (exports, use) => {
    const WIDS = ['from', 'to', 'author', 'quotedParticipant', 'quotedRemoteJid', 'revokeSender'];
    const KEYS = ['id', 'latestEditMsgKey', 'protocolMessageKey'];
    const WID_LISTS = ['mentionedJidList', 'recipients'];
    // Live objects and what only this run of the page knows.
    const NOT_STORED = new Set(['mediaData', 'mediaObject', 'isNewMsg', 'local', 'pendingAckUpdate', 'buttons']);
    let lastRowId = 0;

    exports.prepare = async () => {
      lastRowId = await use('WAWebStorage').lastKeyOf('message', 'rowId');
    };

    exports.toRow = (message) => {
      const row = {};
      for (const [name, value] of Object.entries(message.attributes)) {
        if (value === undefined || NOT_STORED.has(name)) continue;
        row[name] = storable(value);
      }
      if (message.rowId === undefined) {
        lastRowId += 1;
        message.set({ rowId: lastRowId }, { silent: true });
      }
      row.rowId = message.rowId;
      row.chatId = String(message.id.remote);
      row.stanzaId = message.id.id;
      return row;
    };

    function storable(value) {
      if (value === null || typeof value !== 'object') return typeof value === 'function' ? undefined : value;
      if (value instanceof Uint8Array || value instanceof ArrayBuffer) return value;
      if (isWidOrKey(value)) return String(value);
      if (Array.isArray(value)) return value.map(storable);
      if (typeof value.serialize === 'function') return storable(value.serialize());
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, storable(inner)]));
    }

    function isWidOrKey(value) {
      return value instanceof use('WAWebWid').default || value instanceof use('WAWebMsgKey').default;
    }

    exports.fromRow = (row) => {
      const { chatId, stanzaId, ...attributes } = row;
      const { createWid } = use('WAWebWidFactory');
      const MsgKey = use('WAWebMsgKey').default;
      for (const name of WIDS) if (attributes[name]) attributes[name] = createWid(attributes[name]);
      for (const name of KEYS) if (attributes[name]) attributes[name] = MsgKey.fromString(attributes[name]);
      for (const name of WID_LISTS) if (attributes[name]) attributes[name] = attributes[name].map(createWid);
      return attributes;
    };

    exports.save = (message) => use('WAWebStorage').put('message', exports.toRow(message));

    // Rows into memory, silently: they are not news.
    exports.hydrate = (rows) => {
      const { MsgCollection } = use('WAWebMsgCollection');
      const { ChatCollection } = use('WAWebChatCollection');
      return rows.map((row) => {
        const known = MsgCollection.get(row.id);
        if (known) return known;
        const message = MsgCollection.add(exports.fromRow(row), { silent: true });
        use('WAWebMediaDataModel').attach(message);
        ChatCollection.get(message.id.remote)?.msgs.add(message, { silent: true });
        return message;
      });
    };

    exports.load = async (keys) => {
      const rows = await Promise.all(keys.map((key) => use('WAWebStorage').get('message', key)));
      return exports.hydrate(rows.filter(Boolean));
    };

    exports.loadBefore = async (chatId, rowId, count) => {
      const chat = String(chatId);
      const range = IDBKeyRange.bound([chat, 0], [chat, rowId ?? Number.MAX_SAFE_INTEGER], false, rowId !== undefined);
      const rows = await use('WAWebStorage').walk('message', 'chat', range, 'prev', count);
      return exports.hydrate(rows.reverse());
    };

    // Every row of an own message with this bare id (one, but for a chat that was renamed).
    exports.findByStanza = (id) => use('WAWebStorage').getAllByIndex('message', 'stanzaId', id);
  });

  define('WAWebMessageCodec', (exports, use) => {
    const MEDIA = new Set(['image', 'video', 'audio', 'ptt', 'ptv', 'document', 'sticker']);
    const PLAIN = [
      'lat', 'lng', 'loc', 'clientUrl', 'isLive', 'vcardList', 'vcardFormattedName', 'isForwarded',
      'title', 'description', 'matchedText', 'canonicalUrl', 'subtype', 'isViewOnce', 'isGif',
      'width', 'height', 'duration', 'pageCount', 'inviteCode', 'inviteCodeExp', 'inviteGrp',
      'inviteGrpName', 'eventName', 'eventDescription', 'eventStartTime', 'eventEndTime',
      'eventLocation', 'isEventCanceled', 'list', 'footer', 'nonJidMentions',
    'interactiveMessage', 'hydratedButtons',
    ];

    exports.isMediaType = (type) => MEDIA.has(type);

    // What the server is told of a message of ours.
    exports.toFrame = (message) => {
      const media = MEDIA.has(message.type);
      return {
        op: 'send',
        id: message.id.id,
        chat: String(message.id.remote),
        kind: message.type,
        body: String((media ? message.caption : message.body) ?? ''),
        t: message.t,
        content: contentOf(message, media),
      };
    };

    function contentOf(message, media) {
      const content = { ...message.extraContent };
      for (const name of PLAIN) {
        if (message[name] !== undefined && message[name] !== null) content[name] = message[name];
      }
      if (media) {
        content.media = {
          direct_path: message.directPath, mimetype: message.mimetype, size: message.size,
          sha256: message.filehash, filename: message.filename,
          media_key: message.mediaKey, enc_sha256: message.encFilehash,
        };
      }
      if (message.quotedStanzaID) {
        content.quoted = {
          id: message.quotedStanzaID,
          author: String(message.quotedParticipant ?? ''),
          body: String(message.quotedMsg?.body ?? message.quotedMsg?.caption ?? ''),
        };
      }
      if (message.mentionedJidList?.length > 0) content.mentions = message.mentionedJidList.map(String);
      if (message.type === 'poll_creation') {
        content.poll = {
          name: message.pollName,
          options: (message.pollOptions ?? []).map((option) => option.name ?? String(option)),
          selectable: message.pollSelectableOptionsCount ?? 0,
        };
      }
      if (message.ephemeralDuration) content.ephemeral_s = message.ephemeralDuration;
      return content;
    }

    // The attributes of a message that came from the server.
    exports.fromFrame = (frame) => {
      const { createWid } = use('WAWebWidFactory');
      const MsgKey = use('WAWebMsgKey').default;
      const me = use('WAWebUserPrefsMeUser');
      const chat = createWid(frame.chat);
      const author = createWid(frame.author);
      const mine = chat.isLid() || author.isLid() ? me.getMeLidUserOrThrow() : me.getMePnUserOrThrow();
      const inGroup = chat.isGroup() || chat.isStatus();
      const content = frame.content ?? {};
      const { media, quoted, mentions, poll, target, reaction, ephemeral_s: ephemeral, ...plain } = content;
      const isMedia = MEDIA.has(frame.kind);
      return {
        ...plain,
        id: new MsgKey({ fromMe: frame.from_me, remote: chat, id: frame.id, participant: inGroup ? author : undefined }),
        type: frame.kind,
        [isMedia ? 'caption' : 'body']: frame.body,
        t: frame.t,
        ack: frame.ack ?? (frame.from_me ? 1 : 0),
        from: frame.from_me ? mine : chat,
        to: frame.from_me ? chat : mine,
        ...(inGroup && { author }),
        notifyName: frame.push_name ?? '',
        self: frame.from_me ? 'out' : 'in',
        ...(media && {
          directPath: media.direct_path, mimetype: media.mimetype, size: media.size,
          filehash: media.sha256, filename: media.filename, mediaKey: media.media_key,
          encFilehash: media.enc_sha256, clientUrl: media.direct_path && `https://${location.host}${media.direct_path}`,
          isMedia: true,
        }),
        ...(quoted && {
          quotedStanzaID: quoted.id,
          quotedParticipant: quoted.author ? createWid(quoted.author) : undefined,
          quotedMsg: { type: 'chat', body: quoted.body },
        }),
        mentionedJidList: (mentions ?? []).map(createWid),
        ...(poll && {
          pollName: poll.name,
          pollOptions: poll.options.map((name, localId) => ({ name, localId })),
          pollSelectableOptionsCount: poll.selectable,
        }),
        ...(ephemeral && { ephemeralDuration: ephemeral }),
        ...(target && { target }),
        ...(reaction !== undefined && { reaction }),
        ...(chat.isStatus() && { isStatusV3: true }),
      };
    };
  });
})();
