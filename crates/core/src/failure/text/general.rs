//! Words that speak of a concept in general. Read last, where no text that we
//! know has matched: better a likely kind than none.
//!
//! A likely kind is no certainty, so nothing here says that a message was not
//! handed over.

use super::super::verdict::Handed;
use super::super::{Kind, Operation as Op, Rung};
use super::rule::{Rule, rule};

const STARTING: &[Op] = &[Op::Launch];
const ASKING: &[Op] = &[Op::Send, Op::SendMedia, Op::Evaluate, Op::Lookup];
const TALKING_TO_THE_PAGE: &[Op] = &[
    Op::Auth,
    Op::RequestPairingCode,
    Op::Evaluate,
    Op::Send,
    Op::SendMedia,
    Op::Lookup,
    Op::Probe,
    Op::Shutdown,
];

/// Why a browser did not start. What launchers wrap around it (`failed to
/// launch`, `stopped before startup completed`) says only that it did not, so
/// these are read before that.
pub(super) const NO_START: &[Rule] = &[
    rule(
        "no more browsers may run here",
        Kind::ResourcesExhausted,
        &["too many|maximum|max|limit + browsers|browser sessions|browser instances|chrome instances|concurrent sessions"],
    )
    .only(STARTING),
    rule(
        "something ran out",
        Kind::ResourcesExhausted,
        &["=memory|=disk|=storage|=space + =full|exhausted|insufficient|not enough|ran out|run out|less than"],
    )
    .rung(Rung::RestartBrowser)
    .only(STARTING),
    rule(
        "what drives the browser is missing, not the browser",
        Kind::Unknown,
        &["chromedriver|webdriver|driver for|driver executable + unable|not found|missing|could not|cannot"],
    )
    .rung(Rung::Operator)
    .handed(Handed::Before)
    .only(STARTING),
    rule(
        "the browser lacks something to start",
        Kind::LaunchFailedMissingLibs,
        &[".so|.dll|.dylib|library|libraries|dependencies|dependency + not found|missing|cannot open|could not load|failed to load|unable to load|cannot be loaded"],
    )
    .only(STARTING),
    rule(
        "isolation was refused",
        Kind::LaunchFailedSandbox,
        &["namespace|sandbox|unshare|=clone + not permitted|denied|cannot|could not|refused|no permission"],
    )
    // Chromium says of its helpers, where all is well, that they have threads.
    .unless(&["initializesandbox"])
    .only(STARTING),
    rule(
        "the browser is not there",
        Kind::LaunchFailedMissingBrowser,
        &[
            "executable|binary|browser|chrome|chromium + not found|missing|not installed|not exist|not executable|in path",
            "browser|chrome|chromium + unable|could not|couldn't|cannot|can't|failed|did not|didn't + =find|=locate|=detect",
        ],
    )
    .only(STARTING),
    rule(
        "somebody else holds the profile",
        Kind::ProfileLocked,
        &[
            "another instance|another process|already running|already in use|already open",
            "profile|user data|userdata|session folder + =lock|locked|in use|used by",
        ],
    )
    // A port is held by whatever listens on it.
    .unless(&["address already in use|address in use|=eaddrinuse"])
    .only(STARTING),
];

pub(super) const RULES: &[Rule] = &[
    rule(
        "something ran out",
        Kind::ResourcesExhausted,
        &[
            "killed process|oom_|heap limit|allocation failed|memory pressure|low memory",
            "memory|disk|storage|space + full|exhausted|exceeded|insufficient|not enough|ran out",
            "too many + processes|threads|handles|descriptors",
        ],
    )
    .rung(Rung::RestartBrowser),
    rule(
        "somebody else holds the profile",
        Kind::ProfileLocked,
        &[
            "another instance|another process|already running|already in use|already open",
            "profile|user data|userdata|session folder + lock|locked|in use|used by|using",
        ],
    )
    .only(&[Op::Shutdown]),
    rule(
        "stored data cannot be read",
        Kind::ProfileCorrupt,
        &[
            "profile|session|database|indexeddb|idbdatabase|credentials|creds|storage + corrupt|damaged|malformed|unreadable|cannot be read|could not be read",
        ],
    )
    .rung(Rung::Relink),
    rule(
        "WhatsApp acts against the account",
        Kind::BannedOrRestricted,
        &[
            "account|number + banned|restricted|suspended|disabled|=locked|blocked by whatsapp",
            "no longer + use whatsapp",
            "violat + terms|policy",
        ],
    ),
    rule(
        "the link is in use elsewhere",
        Kind::Conflict,
        &["another|other|elsewhere + logged in|opened|connected|session is active|took over|replaced"],
    )
    .unless(&["logged out"]),
    rule(
        "nobody scanned",
        Kind::AuthRequired,
        &["=qr|qrcode|qr-code + timed out|timeout|expired|not scanned|limit|attempts|retries|stopped"],
    )
    .rung(Rung::Operator),
    rule(
        "the link is gone",
        Kind::AuthRequired,
        &[
            "scan|re-scan|log in|login|link|pair + again",
            "=qr + needed|needs|required|requires|again",
            "session|token|login + no longer valid|not valid any|invalidated|revoked",
            "not linked|no linked|never linked",
            "unlinked|unpaired|was removed from|session expired|session has expired|session revoked|login expired|login required|requires login|not logged in|signed out|logged off",
        ],
    ),
    rule(
        "linking was refused",
        Kind::AuthFailed,
        &[
            "restor + session + fail|unable|could not|couldn't|cannot",
            "pairing|linking|authenticat|handshake|login|log in + fail|refused|rejected|denied|invalid|error|unable|abort|cancel",
        ],
    )
    .only(&[Op::Auth, Op::RequestPairingCode]),
    rule(
        "too often",
        Kind::RateLimited,
        &["too many|too fast|too often|too quickly|limit exceeded|limit reached|quota|cooldown|cool down"],
    ),
    rule(
        "the recipient is at fault",
        Kind::RecipientInvalid,
        &[
            "participant|number|contact|recipient|jid|=wid|=lid|phone|=user|chat|group + invalid|not found|not exist|n't exist|not registered|unknown|not valid|could not find|couldn't find|cannot find|unable to find|no whatsapp|without whatsapp",
        ],
    )
    .only(&[Op::Send, Op::SendMedia])
    .handed(Handed::ThisCall),
    rule(
        "the media is at fault",
        Kind::MediaInvalid,
        &[
            "buffer|file|media + undefined|=null|not defined",
            "file|media|image|video|audio|sticker|document|attachment|mime|base64|ffmpeg|codec|thumbnail|webp + invalid|unsupported|too big|too large|rejected|generating|converting|decoding|encoding|dimension|resolution|duration|could not|cannot|can't|unable|fail|corrupt|empty|not found|missing|not allowed|limit|exceed",
        ],
    )
    .only(&[Op::SendMedia])
    .handed(Handed::ThisCall),
    rule(
        "the request is at fault",
        Kind::PermanentRequestError,
        &[
            "invalid|malformed|not permitted|not valid",
            "not found|not exist|n't exist|could not find|couldn't find|cannot find|unable to find|no such",
            "don't have|do not have|does not have|doesn't have|no + permission|access|right|picture|description",
            "hidden + from you",
            "whatsapp|server + denied|declined + creation|request|change|action",
            "is empty|are empty|unknown field|unknown option",
            "at least|at most|no more than|more than|more then|up to + option|button|section|row|item|character|participant|recipient",
            "=not + array|object|string|number|allowed|alowed|belong|part of",
            "can not|cannot|can't + yourself|demote|promote|remove|edit|delete|revoke|pin|react|vote|submit|forward|reply|join|leave",
            "group|community|channel|poll + =full|closed|ended",
            "not available for|not available in|not available with|feature-not-implemented|not supported",
            "=wpperror",
            "required|missing|unsupported|must be|must not|=expected|too long|permission + parameter|argument|field|property|value|body|option|format|message|text|payload|group|participant|admin|invite|=id|=ids|name|path|url",
        ],
    )
    .only(ASKING)
    .unless(&["target|session|context|socket|connection|browser|frame|element|selector|module|version"])
    .handed(Handed::ThisCall),
    rule(
        "WhatsApp Web could not be loaded",
        Kind::NetworkDown,
        &[
            "access the page|accessing the page|access to the page|open the page|opening the page|load the page|loading the page|failed to load|could not load|couldn't load|unable to load|load failed|could not open|unable to open|cannot open|can't open",
        ],
    )
    .only(&[Op::Navigate]),
    rule(
        "the browser fell over",
        Kind::BrowserGone,
        &["browser|chrome|chromium + disconnected"],
    )
    // The name under which a library links itself is that of a browser.
    .unless(&["network|internet|offline|whatsapp|socket|browser:"]),
    rule(
        "the network is away",
        Kind::NetworkDown,
        &[
            "offline|unreachable|no connection|not connected|disconnected|connection error|connection failed|connection refused|network|socket|dns|tls|ssl|proxy",
            "stream error|stream:error",
        ],
    )
    .unless(&["unknown stream error"])
    .only(&[
        Op::Navigate,
        Op::Auth,
        Op::RequestPairingCode,
        Op::Evaluate,
        Op::Send,
        Op::SendMedia,
        Op::Listen,
        Op::Probe,
    ]),
    rule(
        "a stream error that the library has no name for",
        Kind::Unknown,
        &["unknown|unexpected|unhandled + stream error|stream:error"],
    )
    .only(&[Op::Auth, Op::RequestPairingCode, Op::Listen])
    .handed(Handed::Earlier),
    rule(
        "no answer in time",
        Kind::PageHung,
        &["timed out|timeout|time out|deadline exceeded|deadline has elapsed|no response|no answer|not respond|unresponsive|stuck|frozen|hung"],
    )
    .only(TALKING_TO_THE_PAGE),
    rule(
        "the browser fell over",
        Kind::BrowserGone,
        &["browser|chrome|chromium + crash|closed|killed|died|dead|terminated|exited|gone|disconnect|lost"],
    ),
    rule(
        "the page fell over",
        Kind::PageGone,
        &["page|=tab|target|renderer|frame + crash|closed|detached|destroyed|gone|lost|disposed"],
    )
    .handed(Handed::Everything),
    rule(
        "WhatsApp Web is not as it was",
        Kind::WaIncompatible,
        &[
            "whatsapp web version|webversion|web version|wa version|waversion + not found|could not|couldn't|unable|cannot|failed|unknown|invalid",
            "whatsapp|waweb|wa-js|wpp|web version + changed|incompatible|outdated|not supported|unsupported|deprecated|upgrade|update required|missing module|module not found",
            "is not a function|is undefined|of undefined|of null",
            "typeerror|referenceerror + undefined|=null|not a|not defined|not iterable|cannot|can't",
        ],
    ),
    rule(
        "the gateway's own code broke, and says nothing of why",
        Kind::Unknown,
        &["panic: |panicked at|panic recovered|recovered from panic"],
    )
    .only(ASKING)
    .handed(Handed::ThisCall),
];
