// From a file to a message: finding its type, its hash and a small picture of it, then sending.
'use strict';

(() => {
  const { define } = WAPage;
  const PREVIEW_EDGE = 72;

  define('WAWebPrepRawMedia', (exports, use) => {
    class MediaPrep {
      constructor(opaqueData, options) {
        this.options = options;
        this._mediaData = new (use('WAWebMediaDataModel').default)({ mediaStage: 'PREPARING' });
        this._prepared = prepare(opaqueData, options, this._mediaData);
        // Whoever waits is told; a failure that nobody waits for is no news to the page.
        this._prepared.catch(() => {});
      }

      async waitForPrep() {
        await this._prepared;
        return this._mediaData;
      }

      // Adds the message to the chat and uploads; resolves with the result of the sending.
      async sendToChat({ chat, options = {} }) {
        await this._prepared;
        return use('WAWebSendMediaMsgAction').sendMedia(chat, this._mediaData, options);
      }
    }

    async function prepare(opaqueData, options, mediaData) {
      const blob = opaqueData.forceToBlob();
      const filehash = await use('WAMediaCalculateFilehash').calculateFilehashFromBlob(blob);
      const type = typeOf(opaqueData.type(), options);
      const processed = await use('WAWebProcessRawMedia').processRawMedia(opaqueData, type);
      mediaData.set({
        type,
        mimetype: opaqueData.type(),
        size: blob.size,
        filehash,
        filename: blob.name,
        mediaBlob: opaqueData,
        isGif: Boolean(options.asGif),
        ...processed,
        ...options.precomputedFields,
        mediaStage: 'RESOLVED',
      });
      const mediaObject = use('WAWebMediaStorage').getOrCreateMediaObject(filehash);
      mediaObject.mediaBlob = opaqueData;
      mediaObject.consolidate(mediaData.serialize());
      await use('WAWebLruMediaStore').LruMediaStore.put(filehash, await blob.arrayBuffer());
    }

    function typeOf(mimetype, options) {
      if (options.asSticker) return 'sticker';
      if (options.asDocument) return 'document';
      if (options.isPtt) return 'ptt';
      const kind = mimetype.split('/')[0];
      return ['image', 'video', 'audio'].includes(kind) ? kind : 'document';
    }

    exports.MediaPrep = MediaPrep;
    exports.prepRawMedia = (opaqueData, options = {}) => new MediaPrep(opaqueData, options);
    exports.uploadProductImage = async (mediaData) => use('WAWebMediaMmsV4Upload').uploadMedia({
      mimetype: mediaData.mimetype, mediaType: 'product-image',
      mediaObject: use('WAWebMediaStorage').getOrCreateMediaObject(mediaData.filehash),
    });
  });

  define('WAWebProcessRawMedia', (exports, use) => {
    exports.processRawMedia = async (opaqueData, type) => {
      switch (type) {
        case 'image': return processRawImage(opaqueData);
        case 'sticker': return use('WAWebProcessRawSticker').processRawSticker(opaqueData);
        case 'video': return use('WAWebProcessRawAudioVideo').processRawAudioVideo(opaqueData);
        default: return {};
      }
    };

    // A picture that cannot be decoded is refused here, as by the real client.
    async function processRawImage(opaqueData) {
      const bitmap = await createImageBitmap(opaqueData.forceToBlob());
      const scale = Math.min(1, PREVIEW_EDGE / Math.max(bitmap.width, bitmap.height));
      const canvas = new OffscreenCanvas(
        Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)),
      );
      canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      const jpeg = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.5 });
      const size = { fullWidth: bitmap.width, fullHeight: bitmap.height, aspectRatio: bitmap.width / bitmap.height };
      bitmap.close();
      return { ...size, preview: use('WABase64').encodeB64(await jpeg.arrayBuffer()) };
    }
  });

  define('WAWebProcessRawSticker', (exports) => {
    exports.processRawSticker = async (opaqueData) => ({ mediaBlob: opaqueData, isAnimated: false });
  });

  define('WAWebProcessRawAudioVideo', (exports, use) => {
    exports.processRawAudioVideo = async (opaqueData) => {
      const { duration, thumbs } = await use('WAWebGenerateVideoThumbs').generateVideoThumbsAndDuration({
        file: opaqueData.forceToBlob(), maxDimensions: [PREVIEW_EDGE],
      });
      const [thumb] = thumbs;
      return {
        duration,
        ...(thumb && {
          fullWidth: thumb.fullWidth, fullHeight: thumb.fullHeight, preview: thumb.url.split(',')[1],
        }),
      };
    };
  });

  define('WAWebGenerateVideoThumbs', (exports) => {
    // Rejects with MEDIA_ERR_SRC_NOT_SUPPORTED where the browser cannot play the file.
    exports.generateVideoThumbsAndDuration = ({ file, maxDimensions }) => new Promise((resolve, reject) => {
      const video = document.createElement('video');
      const url = URL.createObjectURL(file);
      const finish = (settle, value) => {
        URL.revokeObjectURL(url);
        settle(value);
      };
      video.muted = true;
      video.preload = 'auto';
      video.onerror = () => finish(reject, new Error('MEDIA_ERR_SRC_NOT_SUPPORTED'));
      video.onloadeddata = () => finish(resolve, {
        duration: Math.floor(video.duration),
        thumbs: maxDimensions.map((edge) => drawThumb(video, edge)),
      });
      video.src = url;
    });

    function drawThumb(video, edge) {
      const { videoWidth: fullWidth, videoHeight: fullHeight } = video;
      const scale = Math.min(1, edge / Math.max(fullWidth, fullHeight, 1));
      const canvas = document.createElement('canvas');
      canvas.width = Math.max(1, Math.round(fullWidth * scale));
      canvas.height = Math.max(1, Math.round(fullHeight * scale));
      canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
      return { url: canvas.toDataURL('image/jpeg'), width: canvas.width, height: canvas.height, fullWidth, fullHeight };
    }
  });

  define('WAWebSendMediaMsgAction', (exports, use) => {
    // The message is added at once, with the key object that the caller made; its bytes go up, then
    // it goes out.
    exports.sendMedia = async (chat, mediaData, options) => {
      const given = options.productMsgOptions
        ?? await use('WAWebSendTextMsgChatAction').createTextMsgData(chat, '');
      const { type, mimetype, size, filehash, fullWidth, fullHeight, duration, pageCount, isGif, waveform } = mediaData;
      const attributes = {
        ...given,
        type, mimetype, size, filehash, duration, pageCount, isGif, waveform,
        width: fullWidth, height: fullHeight,
        filename: given.filename ?? mediaData.filename,
        caption: options.caption,
        body: mediaData.preview,
        isViewOnce: options.isViewOnce,
        isUnsentMedia: true,
        isMedia: true,
        mediaData,
        mediaObject: use('WAWebMediaStorage').getOrCreateMediaObject(filehash),
      };
      const [, result] = use('WAWebSendMsgChatAction').addAndSendMsgToChat(chat, attributes);
      return result;
    };
  });
})();
