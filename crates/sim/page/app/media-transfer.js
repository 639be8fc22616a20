// Uploads and downloads.
'use strict';

(() => {
  const { define } = WAPage;
  const NETWORK_TRIES = 3;
  const NETWORK_PAUSE_MS = 1_000;
  const UPLOAD_KINDS = { gif: 'video', ptv: 'video' };

  define('WAWebMediaConn', (exports, use) => {
    let cached = null;
    exports.get = async () => {
      if (!cached || cached.until < Date.now()) {
        const answer = await use('WAWebWire').query('media_conn');
        cached = { ...answer, until: Date.now() + answer.ttl_ms };
      }
      return cached;
    };
    exports.forget = () => { cached = null; };
  });

  define('WAWebMediaMmsV4Upload', (exports, use) => {
    // Rejects with a `status` where the server refuses the bytes.
    exports.uploadMedia = async ({ mimetype, mediaObject, mediaType }) => {
      const blob = await bytesOf(mediaObject, mimetype);
      const kind = UPLOAD_KINDS[mediaType] ?? mediaType;
      const answer = await post(kind, blob);
      return {
        kind: 'success',
        mediaEntry: {
          mmsUrl: answer.url,
          deprecatedMms3Url: answer.url,
          directPath: answer.direct_path,
          handle: answer.handle,
          mediaKey: use('WABase64').encodeB64(crypto.getRandomValues(new Uint8Array(32))),
          mediaKeyTimestamp: use('WATimeUtils').unixTime(),
          encFilehash: answer.sha256,
          uploadHash: answer.sha256,
        },
      };
    };
    exports.uploadUnencryptedMedia = exports.uploadMedia;

    async function bytesOf(mediaObject, mimetype) {
      const { filehash, mediaBlob } = mediaObject;
      if (mediaBlob) return mediaBlob.forceToBlob();
      const inMemory = use('WAWebMediaInMemoryBlobCache').InMemoryMediaBlobCache.get(filehash);
      if (inMemory) return inMemory;
      const stored = await use('WAWebLruMediaStore').LruMediaStore.get(filehash);
      if (!stored) throw statusError(410, 'the bytes are gone');
      return new Blob([stored], { type: mimetype });
    }

    async function post(kind, blob) {
      for (let attempt = 1; ; attempt += 1) {
        const { auth } = await use('WAWebMediaConn').get();
        let response;
        try {
          response = await fetch(`/mms/${kind}?auth=${encodeURIComponent(auth)}`, { method: 'POST', body: blob });
        } catch (error) {
          if (attempt >= NETWORK_TRIES) throw error;
          await new Promise((resolve) => { setTimeout(resolve, NETWORK_PAUSE_MS); });
          continue;
        }
        if (response.ok) return response.json();
        use('WAWebMediaConn').forget();
        if (response.status !== 401 || attempt >= NETWORK_TRIES) throw statusError(response.status, 'upload refused');
      }
    }

    function statusError(status, text) {
      const error = new Error(`media upload: ${text} (${status})`);
      error.status = status;
      return error;
    }
  });

  define('WAWebUploadManager', (exports, use) => {
    exports.encryptAndUpload = async ({ blob, type }) => {
      const filehash = await use('WAMediaCalculateFilehash').calculateFilehashFromBlob(blob);
      const mediaObject = use('WAWebMediaStorage').getOrCreateMediaObject(filehash);
      mediaObject.mediaBlob = await use('WAWebMediaOpaqueData').default.createFromData(blob, blob.type);
      const { mediaEntry } = await use('WAWebMediaMmsV4Upload').uploadMedia({ mimetype: blob.type, mediaObject, mediaType: type });
      return {
        url: mediaEntry.mmsUrl, directPath: mediaEntry.directPath, mediaKey: mediaEntry.mediaKey,
        mediaKeyTimestamp: mediaEntry.mediaKeyTimestamp, encFilehash: mediaEntry.encFilehash, mimetype: blob.type,
      };
    };
  });
  define('WAWebStartMediaUploadQpl', (exports) => {
    exports.startMediaUploadQpl = () => ({ addAnnotations() { return this; }, addPoint() { return this; } });
  });

  define('WAWebMediaUploadMmsThumbnail', (exports, use) => {
    exports.default = async ({ thumbnail, mediaType }) => {
      const blob = thumbnail.forceToBlob();
      const filehash = await use('WAMediaCalculateFilehash').calculateFilehashFromBlob(blob);
      const mediaObject = use('WAWebMediaStorage').getOrCreateMediaObject(filehash);
      mediaObject.mediaBlob = thumbnail;
      const { mediaEntry } = await use('WAWebMediaMmsV4Upload').uploadMedia({
        mimetype: thumbnail.type(), mediaObject, mediaType: mediaType === 'thumbnail-link' ? 'image' : mediaType,
      });
      return { mediaEntry, filehash };
    };
  });

  define('WAWebDownloadManager', (exports) => {
    exports.downloadManager = {
      downloadAndMaybeDecrypt: async ({ directPath, signal }) => {
        const response = await fetch(directPath, { signal });
        if (!response.ok) {
          const error = new Error(`media download: ${response.status}`);
          error.status = response.status;
          throw error;
        }
        return response.arrayBuffer();
      },
    };
  });

  define('WAWebMediaDownload', (exports, use) => {
    exports.downloadMsgMedia = async (message) => {
      const { mediaData } = message;
      if (!mediaData || mediaData.mediaStage === 'RESOLVED') return;
      mediaData.set({ mediaStage: 'FETCHING' });
      try {
        const data = await use('WAWebDownloadManager').downloadManager.downloadAndMaybeDecrypt({ directPath: message.directPath });
        const blob = new Blob([data], { type: message.mimetype });
        use('WAWebMediaInMemoryBlobCache').InMemoryMediaBlobCache.put(message.filehash, blob);
        mediaData.set({
          mediaBlob: await use('WAWebMediaOpaqueData').default.createFromData(blob, message.mimetype), mediaStage: 'RESOLVED',
        });
      } catch (error) {
        mediaData.set({ mediaStage: error.status === 404 || error.status === 410 ? 'ERROR_MISSING' : 'ERROR_UNKNOWN' });
      }
    };
  });

  define('WAWebImageUtils', (exports) => {
    exports.rotateAndResize = async (blob) => blob;
    exports.toWebpSticker = async (file) => {
      const bitmap = await createImageBitmap(file);
      const canvas = new OffscreenCanvas(512, 512);
      const scale = 512 / Math.max(bitmap.width, bitmap.height);
      const [width, height] = [bitmap.width * scale, bitmap.height * scale];
      canvas.getContext('2d').drawImage(bitmap, (512 - width) / 2, (512 - height) / 2, width, height);
      bitmap.close();
      return canvas.convertToBlob({ type: 'image/webp' });
    };
  });
  define('WAWebAnimatedWebp', (exports) => {
    // An extended file whose animation bit is set.
    exports.isAnimatedWebp = (buffer) => {
      const bytes = new Uint8Array(buffer);
      const tag = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
      return tag(8) === 'WEBP' && tag(12) === 'VP8X' && (bytes[20] & 2) !== 0;
    };
  });
})();
