// What the client owes the server: every message that has no answer yet, in the order in which it
// was submitted, kept in IndexedDB.
//
// An entry goes out only once it is in the database, and strictly after those before it. Whatever
// is unanswered when a connection ends goes out again on the next login, oldest first, under the
// same ids; so it does after a reload. Media goes up first: its entry waits in its place until it
// has, and lets those behind it pass.
'use strict';

(() => {
  const { define } = WAPage;

  define('WAWebOutbox', (exports, use) => {
    // id -> { id, sequence, frame, durable, needsUpload, uploading, sentIn, settle, result }
    const entries = new Map();
    let lastSequence = 0;
    let connection = 0;
    let pumping = false;
    let pumpAgain = false;
    const handedOver = new Map();

    // Reads what an earlier run of the page left unanswered.
    exports.restore = async () => {
      const rows = await use('WAWebStorage').walk('outbox', 'sequence', null, 'next', Infinity);
      for (const row of rows) {
        lastSequence = Math.max(lastSequence, row.sequence);
        entries.set(row.id, makeEntry(row.id, row.sequence, row.frame, true));
        entries.get(row.id).needsUpload = Boolean(row.needsUpload);
      }
    };

    exports.size = () => entries.size;

    function makeEntry(id, sequence, frame, durable) {
      const entry = { id, sequence, frame, durable, sentIn: 0 };
      entry.result = new Promise((resolve) => {
        entry.settle = (result) => {
          clearTimeout(entry.timer);
          resolve(result);
        };
      });
      return entry;
    }

    // Puts a message of a chat into the outbox. `stored` resolves when it is in the database.
    exports.submit = (message, chat) => {
      const frame = use('WAWebMessageCodec').toFrame(message);
      const row = use('WAWebMessageTable').toRow(message);
      const needsUpload = use('WAWebMessageCodec').isMediaType(message.type) && !message.directPath;
      const { stored, result } = exports.submitFrame(frame, (table) => table('message').put(row), needsUpload);
      use('WAWebChatCollection').ChatCollection.save(chat).catch(() => {});
      return { stored, result };
    };

    // Puts a frame without a message of its own (a reaction, an edit) into the outbox.
    exports.submitFrame = (frame, alsoWrite = () => {}, needsUpload = false) => {
      const known = entries.get(frame.id);
      lastSequence += 1;
      const entry = makeEntry(frame.id, known?.sequence ?? lastSequence, frame, false);
      known?.settle({ messageSendResult: 'ERROR_CANCELLED' });
      entry.needsUpload = needsUpload;
      entries.set(frame.id, entry);
      const stored = use('WAWebStorage').write(['message', 'outbox'], (table) => {
        alsoWrite(table);
        table('outbox').put({ id: frame.id, sequence: entry.sequence, frame, needsUpload });
      }).then(() => {
        entry.durable = true;
        pump();
      });
      return { stored, result: entry.result };
    };

    exports.onConnected = () => {
      connection += 1;
      pump();
    };

    exports.onDisconnected = () => {
      for (const { reject } of handedOver.values()) reject(new Error('connection lost'));
      handedOver.clear();
    };

    // Sends what this connection has not been given yet, in order. One pump runs at a time.
    async function pump() {
      if (pumping) {
        pumpAgain = true;
        return;
      }
      pumping = true;
      do {
        pumpAgain = false;
        // A Map keeps the order of first entry, which is that of the sequence.
        for (const entry of [...entries.values()]) {
          if (!entry.durable || !use('WAWebWire').isLoggedIn()) break;
          if (entry.needsUpload) upload(entry);
          else if (entry.sentIn !== connection) await handOver(entry);
        }
      } while (pumpAgain);
      pumping = false;
    }

    // Uploads the bytes of a message, which makes its entry ready to go out.
    async function upload(entry) {
      if (entry.uploading) return;
      entry.uploading = true;
      const message = await findOwn(entry.id);
      try {
        message.mediaData?.set({ mediaStage: 'UPLOADING' });
        const { mediaEntry } = await use('WAWebMediaMmsV4Upload').uploadMedia({
          mimetype: message.mimetype,
          mediaObject: use('WAWebMediaStorage').getOrCreateMediaObject(message.filehash),
          mediaType: use('WAWebMmsMediaTypes').msgToMediaType({ type: message.type, isGif: message.isGif }),
        });
        const { directPath, mediaKey, mediaKeyTimestamp, encFilehash } = mediaEntry;
        const found = { directPath, mediaKey, mediaKeyTimestamp, encFilehash, clientUrl: mediaEntry.mmsUrl };
        message.mediaData?.set({ ...found, mediaStage: 'RESOLVED' });
        message.set(found);
        entry.frame = use('WAWebMessageCodec').toFrame(message);
        await use('WAWebStorage').write(['message', 'outbox'], (table) => {
          table('message').put(use('WAWebMessageTable').toRow(message));
          table('outbox').put({ id: entry.id, sequence: entry.sequence, frame: entry.frame, needsUpload: false });
        });
        entry.needsUpload = false;
        pump();
      } catch (error) {
        // A question that the end of a connection cut off is asked again on the next one.
        if (error.code === -1) return;
        message?.mediaData?.set({ mediaStage: 'ERROR_UPLOAD' });
        await refuseUpload(entry, error);
      } finally {
        entry.uploading = false;
      }
    }

    async function refuseUpload(entry, error) {
      const { ACK } = use('WAWebAck');
      const levels = { 413: ACK.CONTENT_TOO_BIG, 410: ACK.CONTENT_GONE };
      await exports.onNack({
        id: entry.id, code: error.status ?? 0, level: levels[error.status] ?? ACK.CONTENT_UNUPLOADABLE,
        result: use('WAWebSendMsgResultAction').SendMsgResult.ERROR_UPLOAD, text: error.message,
      });
    }

    // Resolves when the frame is with the socket; the answer comes later.
    function handOver(entry) {
      entry.sentIn = connection;
      return new Promise((resolve) => {
        const message = use('WAWebMsgCollection').MsgCollection.getOwnByStanza(entry.id);
        const data = { ...(message?.attributes ?? { type: entry.frame.kind }), frame: entry.frame };
        startTimer(entry);
        Promise.resolve(use('WAWebEncryptAndSendMsg').encryptAndSendMsg(
          { type: 'message', data }, { onHandedOver: resolve },
        )).catch((error) => {
          // Where it is not the connection's end, a wrapper has failed on this message: it stays.
          if (use('WAWebWire').isLoggedIn()) console.error('cannot send', entry.id, error);
        }).finally(resolve);
      });
    }

    function startTimer(entry) {
      const { send_timeout_ms: timeout } = use('WAWebWire').getConfig();
      if (timeout > 0 && !entry.timer) {
        entry.timer = setTimeout(() => entry.settle({ messageSendResult: 'ERROR_NETWORK' }), timeout);
      }
    }

    // Puts the frame on the wire. Resolves with the server's answer.
    exports.transmit = (frame, reporter) => {
      const answer = new Promise((resolve, reject) => {
        handedOver.set(frame.id, { resolve, reject });
      });
      if (!use('WAWebWire').send(frame)) {
        handedOver.get(frame.id)?.reject(new Error('not connected'));
        handedOver.delete(frame.id);
      }
      reporter?.onHandedOver?.();
      return answer;
    };

    exports.onAck = async (frame) => {
      await conclude(frame, { messageSendResult: 'OK', t: frame.t, count: null }, (message) => {
        use('WAWebMsgAck').raise(message, 1, frame.t);
      });
    };

    exports.onNack = async (frame) => {
      const result = { messageSendResult: frame.result, t: null, count: null, errorCode: frame.code };
      await conclude(frame, result, (message) => {
        if (message.ack < 1) message.set({ ack: frame.level, isFailed: true, sendErrorText: frame.text });
      });
    };

    async function conclude(frame, result, change) {
      const entry = entries.get(frame.id);
      entries.delete(frame.id);
      handedOver.get(frame.id)?.resolve(result);
      handedOver.delete(frame.id);
      const message = await findOwn(frame.id);
      if (message) change(message);
      await use('WAWebStorage').write(['message', 'outbox'], (table) => {
        if (message) table('message').put(use('WAWebMessageTable').toRow(message));
        table('outbox').delete(frame.id);
      });
      entry?.settle(result);
    }

    async function findOwn(id) {
      const known = use('WAWebMsgCollection').MsgCollection.getOwnByStanza(id);
      if (known) return known;
      const rows = await use('WAWebMessageTable').findByStanza(id);
      return use('WAWebMessageTable').hydrate(rows).find((message) => message.id.fromMe);
    }
    exports.findOwn = findOwn;
  });
})();
