//! What: the file, its type, its way to WhatsApp's hosts.

use super::super::super::verdict::Handed;
use super::super::super::{Kind, Operation as Op, Rung};
use super::super::rule::{Rule, rule};

pub(super) const RULES: &[Rule] = &[
    rule(
        "it came back with an error although it may have gone out",
        Kind::MediaInvalid,
        &["mediafileempty", "media file empty"],
    )
    .rung(Rung::Retry)
    .handed(Handed::ThisCall),
    rule(
        "WhatsApp's own check of the file failed; such errors have followed a send",
        Kind::MediaInvalid,
        &[
            "invalidmedia",
            "mediacheck",
            "mediafile + error|invalid",
            "mediaprepare",
            "mediatoolarge",
            "mediatoobig",
            "mediacorrupt",
            "unsupportedmedia",
            "mediaunsupported",
        ],
    )
    .handed(Handed::ThisCall),
    rule(
        "there is nothing in the file, or it could not be fetched: both come before the upload",
        Kind::MediaInvalid,
        &[
            "empty_file|emptyfile|empty file|file is empty|file was empty|empty or invalid file|arquivo vazio|archivo vacío",
            "error|failed|fail|could not|couldn't|cannot|can't|unable|falha|erro + download the file|downloading the file|download file|downloading file|fetch the file|baixar o arquivo|descargar el archivo",
            "output format + not available",
            // More than one string, or one call to the page, can hold.
            "invalid string length|err_string_too_long|create a string longer|protocol error + message too large",
        ],
    )
    .only(&[Op::SendMedia]),
    rule(
        "no host would take the file: its type or content, not the network",
        Kind::MediaInvalid,
        &["media upload failed on all hosts"],
    ),
    rule(
        "the upload failed before the send",
        Kind::Unknown,
        &[
            "upload failed",
            "failed to upload",
            "media entry was not created",
            "failed to get media conn",
            "media-fault",
        ],
    )
    .unless(&[
        "=etimedout|=econnreset|=econnrefused|=enotfound|=eai_again|fetch failed|timed out|socket hang up",
        "service unavailable|bad gateway|gateway timeout",
        "i/o timeout|dial tcp|no such host|unexpected eof|broken pipe|connection|os error",
        "=413|=415|too large|too big",
    ])
    .rung(Rung::Retry)
    .handed(Handed::Before),
    rule(
        "it could not be made into what WhatsApp takes, which comes before the upload",
        Kind::MediaInvalid,
        &[
            "fail to convert|failed to convert|failed to transcode|could not convert|couldn't convert|cannot convert|can't convert|unable to convert|error converting|conversion failed|failed to re-encode|transcoding failed + audio|video|image|media|sticker|voice|=opus|=ogg|webp|=mp4|=mp3|=file",
        ],
    )
    .unless(&["undefined|=null|to object|bigint|symbol"])
    .only(&[Op::SendMedia]),
    rule(
        "it could not even be read, which comes before all else",
        Kind::MediaInvalid,
        &[
            "cannot|could not|couldn't|can't|unable to|failed to + identify image|decode image|read image|parse image|load image|open image|decode video|read video|decode audio|read audio|decode the image|read the image",
            "image|video|audio|sticker|voice + could not be|cannot be|can't be|couldn't be + decoded|read|opened|parsed|identified|converted",
        ],
    )
    .only(&[Op::SendMedia]),
    rule(
        "the media cannot be sent",
        Kind::MediaInvalid,
        &[
            "content_too_big",
            "content_gone",
            "content_unuploadable",
            "file_too_large",
            "file too large",
            "file|video|image|document|media|attachment + is too large|is too big",
            "file too big",
            "media too large",
            "media too big",
            "exceeds + size",
            "size + exceeds",
            "max file size",
            "maximum file size",
            "payload too large",
            "request entity too large",
            "=413 + status|code|error|http|response|payload|entity",
            "invalid media",
            "media + invalid",
            "unsupported media",
            "unsupported file",
            "unsupported format",
            "unsupported image",
            "unsupported codec",
            "media type|file type|file format|media format + not supported|unsupported|not allowed",
            "unsupported mime",
            "codec|video|audio|image|sticker + not supported",
            "content-type|content type|mime type|mimetype|mime-type + not allowed|not accepted",
            "mimetype + unsupported",
            "mimetype + invalid",
            "invalid mimetype",
            "invalid base64",
            "failed to execute 'atob'",
            "string to be decoded is not correctly encoded",
            "illegal base64",
            "base64 + not valid|is not|not a valid",
            "maxcontentlength|maxbodylength|max content length",
            "mime + not find|not detect|not determine|unknown",
            "unknown media type",
            "base64 + padding|decod",
            "base64 + invalid",
            "empty or invalid file",
            "file or buffer is undefined",
            "buffer is undefined",
            "file is undefined",
            "owned media must be",
            "invalid data url",
            "not an image",
            "not an video",
            "not a video",
            "not an audio",
            "is not a image",
            "is not an image",
            "not a valid image|not a valid video|not a valid audio|not a valid sticker|not a valid media|not a valid file",
            "hash of media",
            "hash of the media",
            "media no longer available",
            "media is no longer available",
            "download failed + =403|=404|=410",
            "processing failed + media",
            "error processing media",
            "failed to process media",
            "error_processing",
            "mediaerror",
            "media + corrupt",
            "corrupt + image",
            "corrupt + video",
            "input buffer contains unsupported image",
            "input file contains unsupported image",
            "input buffer is empty",
            "input buffer|input file|input image + corrupt|unsupported|invalid|missing|empty|bad",
            "vipsjpeg",
            "ffmpeg + invalid data",
            "ffmpeg exited with code",
            "invalid data found when processing input",
            "sticker + invalid",
            "sticker + too large",
            "webp + invalid",
            "failed to download media",
            "failed to fetch media",
            "failed to fetch stream from",
            "error downloading media",
            "media url",
            "http error 404 + media",
            "message_not_contains_media",
            "missing critical data",
            "invalid media hmac",
            "file length does not match",
            "file too short",
            // Numbers of WhatsApp's Cloud API, which gateways pass on.
            "=131051|=131052|=131053",
        ],
    )
    .unless(&["message + too large to encode"]),
    rule(
        "the file to send is not there",
        Kind::MediaInvalid,
        &[
            "=enoent",
            "no such file",
            "file not found",
            "=404",
            "=410",
            "=403",
            "unauthorized",
        ],
    )
    .only(&[Op::SendMedia]),
];
