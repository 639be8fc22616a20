// Media as the client holds it: the bytes, what is known of them, and the caches.
'use strict';

(() => {
  const { define } = WAPage;

  // Bytes behind a handle that can be released.
  define('WAWebMediaOpaqueData', (exports, use) => {
    class OpaqueData {
      constructor(blob, mimetype) {
        Object.defineProperty(this, '_blob', { value: blob, writable: true, enumerable: false });
        Object.defineProperty(this, '_url', { value: null, writable: true, enumerable: false });
        this._mimetype = mimetype || blob.type || 'application/octet-stream';
      }

      static async createFromData(data, mimetype) {
        if (data instanceof OpaqueData) return data;
        const blob = data instanceof Blob ? data : new Blob([data], { type: mimetype });
        return new OpaqueData(blob, mimetype);
      }

      static async createFromBase64Jpeg(text) {
        return OpaqueData.createFromData(use('WABase64').decodeB64(text), 'image/jpeg');
      }

      throwIfReleased() {
        if (!this._blob) throw new Error('OpaqueData: used after release');
      }

      type() { return this._mimetype; }

      size() {
        this.throwIfReleased();
        return this._blob.size;
      }

      url() {
        this.throwIfReleased();
        this._url ??= URL.createObjectURL(this._blob);
        return this._url;
      }

      forceToBlob() {
        this.throwIfReleased();
        return this._blob;
      }

      formData() {
        this.throwIfReleased();
        return this._blob;
      }

      async arrayBuffer() {
        this.throwIfReleased();
        return this._blob.arrayBuffer();
      }

      retain() {}

      // The real one drops its bytes when nobody shows them; here the page is short of nothing.
      autorelease() {}

      release() {
        if (this._url) URL.revokeObjectURL(this._url);
        this._url = null;
        this._blob = null;
      }
    }
    exports.default = OpaqueData;
  });

  define('WAWebMediaDataModel', (exports, use) => {
    const { BaseModel, defineModel } = use('WAWebBaseModel');
    const NAMES = [
      'type', 'mimetype', 'size', 'filehash', 'encFilehash', 'directPath', 'mediaKey',
      'mediaKeyTimestamp', 'mediaStage', 'mediaBlob', 'renderableUrl', 'fullHeight', 'fullWidth',
      'aspectRatio', 'preview', 'duration', 'isGif', 'filename', 'pageCount', 'isViewOnce',
      'waveform', 'caption', 'clientUrl', 'deprecatedMms3Url', 'uploadhash', 'streamingSidecar',
      'firstFrameSidecar', 'mediaHandle', 'isAnimated',
    ];
    const NOT_SERIALIZED = ['mediaBlob', 'renderableUrl', 'mediaStage'];

    class MediaDataModel extends BaseModel {
      static defaults() { return { mediaStage: 'INIT', isGif: false, isViewOnce: false, isAnimated: false }; }

      serialize() {
        const plain = super.serialize();
        for (const name of NOT_SERIALIZED) delete plain[name];
        return plain;
      }

      isDownloadable() { return Boolean(this.directPath); }
    }
    defineModel(MediaDataModel, 'mediaData', NAMES);
    exports.default = MediaDataModel;

    // Gives a message of a media type its media models.
    exports.attach = (message) => {
      if (!use('WAWebMessageCodec').isMediaType(message.type) || message.mediaData instanceof MediaDataModel) return;
      const { type, mimetype, size, filehash, encFilehash, directPath, mediaKey, filename } = message;
      message.set({
        isMedia: true,
        mediaData: new MediaDataModel({
          type, mimetype, size, filehash, encFilehash, directPath, mediaKey, filename,
          mediaStage: directPath ? 'NEED_POKE' : 'INIT',
        }),
        mediaObject: filehash ? use('WAWebMediaStorage').getOrCreateMediaObject(filehash) : undefined,
      }, { silent: true });
    };
  });

  define('WAWebMediaObject', (exports) => {
    exports.webMediaTypeToWamMediaType = (type) => String(type).toUpperCase();
    exports.MediaObject = class MediaObject {
      constructor(filehash) {
        this.filehash = filehash;
        this.type = undefined;
        this.size = 0;
        this.contentInfo = {};
        Object.defineProperty(this, 'mediaBlob', { value: null, writable: true, enumerable: false });
      }

      consolidate(plain) {
        const { type, size, mimetype, waveform, duration, fullWidth, fullHeight } = plain;
        if (type) this.type = exports.webMediaTypeToWamMediaType(type);
        if (size) this.size = size;
        Object.assign(this.contentInfo, { mimetype, waveform, duration, fullWidth, fullHeight });
      }

      serialize() {
        const { filehash, type, size } = this;
        return { filehash, type, size };
      }

      toJSON() { return this.serialize(); }
    };
  });

  define('WAWebMediaStorage', (exports, use) => {
    const objects = new Map();
    exports.getOrCreateMediaObject = (filehash) => {
      if (!objects.has(filehash)) objects.set(filehash, new (use('WAWebMediaObject').MediaObject)(filehash));
      return objects.get(filehash);
    };
  });

  define('WAWebMediaInMemoryBlobCache', (exports) => {
    class InMemoryMediaBlobCacheImpl {
      constructor() { Object.defineProperty(this, 'blobs', { value: new Map(), enumerable: false }); }

      put(filehash, blob) { this.blobs.set(filehash, blob); }

      has(filehash) { return this.blobs.has(filehash); }

      get(filehash) { return this.blobs.get(filehash); }

      delete(filehash) { this.blobs.delete(filehash); }
    }
    exports.InMemoryMediaBlobCacheImpl = InMemoryMediaBlobCacheImpl;
    exports.InMemoryMediaBlobCache = new InMemoryMediaBlobCacheImpl();
  });

  // The bytes of media on disk, by the hash of the file.
  define('WAWebLruMediaStore', (exports, use) => {
    const table = 'media-blob';
    exports.LruMediaStore = {
      get: async (filehash) => (await use('WAWebStorage').get(table, filehash))?.data ?? null,
      put: (filehash, data) => use('WAWebStorage').put(table, { id: filehash, data }),
      del: (filehash) => use('WAWebStorage').remove(table, filehash),
      clear: () => use('WAWebStorage').write([table], (store) => store(table).clear()),
      count: async () => (await use('WAWebStorage').getAll(table)).length,
      has: async (filehash) => Boolean(await use('WAWebStorage').get(table, filehash)),
    };
  });

  define('WAWebMmsMediaTypes', (exports) => {
    exports.msgToMediaType = ({ type, isGif }) => (type === 'video' && isGif ? 'gif' : type);
    exports.castToV4 = (type) => String(type ?? '').toLowerCase();
    exports.MEDIA_TYPES = Object.freeze({ IMAGE: 'image', VIDEO: 'video', AUDIO: 'audio', PTT: 'ptt', DOCUMENT: 'document', STICKER: 'sticker' });
  });

  define('WAWebMediaDataUtils', (exports) => {
    exports.shouldUseMediaCache = (type) => ['image', 'sticker', 'video', 'audio', 'ptt', 'document'].includes(type);
    exports.getImageWidthHeight = async (blob) => {
      const bitmap = await createImageBitmap(blob);
      const size = { width: bitmap.width, height: bitmap.height };
      bitmap.close();
      return size;
    };
  });

  define('WAMediaCalculateFilehash', (exports, use) => {
    exports.calculateFilehashFromBlob = async (blob) => (
      use('WABase64').encodeB64(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))
    );
    exports.getRandomFilehash = async () => use('WABase64').encodeB64(crypto.getRandomValues(new Uint8Array(32)));
  });

  define('WAWebMediaGatingUtils', (exports) => {
    const MIB = 1024 * 1024;
    // WhatsApp's own limits: 16 MiB of a picture, 2 GiB of a document, 64 MiB of the rest.
    exports.getUploadLimit = (type) => ({ image: 16 * MIB, sticker: MIB, document: 2048 * MIB }[type] ?? 64 * MIB);
  });
})();
