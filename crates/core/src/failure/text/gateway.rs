//! What other gateways say of themselves and of requests to them: little, and
//! seldom the reason.

use super::super::verdict::Handed;
use super::super::{Kind, Operation as Op, Rung};
use super::fold::Folded;
use super::rule::{Rule, rule};

const ASKING: &[Op] = &[Op::Send, Op::SendMedia, Op::Evaluate, Op::Lookup];

/// Sessions of other gateways that refuse work. They say no reason.
pub(super) const SESSIONS: &[Rule] = &[
    rule(
        "a session server reports that a session has failed",
        Kind::Unknown,
        &["session.status + failed", "session.status + stopped"],
    )
    .rung(Rung::RestartBrowser)
    .handed(Handed::Earlier),
    rule(
        "a session server refuses because its session is not up",
        Kind::Unknown,
        &[
            "session status is not as expected",
            "session under failed status",
            "session under stopped status",
            "session under starting status",
            "session is not ready",
            "session not ready",
            "session not started",
            "session is not started",
            "session has not been started",
            "client is not ready",
            "client not ready",
            "current status is + =starting|=stopped|=failed|=initializing",
            "session status is + =starting|=stopped|=failed|=initializing",
        ],
    )
    .rung(Rung::RestartBrowser)
    .handed(Handed::Refused),
];

/// What a gateway tells others of went wrong; WhatsApp has no part in it.
pub(super) const TELLING: &[Rule] = &[rule(
    "somebody else did not take what a webhook brought",
    Kind::Unknown,
    &[
        "webhooksender|webhookcontroller|webhookservice|receivewebhook|webhook sender|webhook delivery|webhook request|webhook event + fail|error|retry|falhou|tentativa|timed out|timeout|refused|could not|unable",
    ],
)
.only(&[Op::Listen])
.handed(Handed::Earlier)];

/// What a gateway itself stands on. It asks these before a send and after it.
pub(super) const BESIDE: &[Rule] = &[
    rule(
        "a service beside the gateway is away",
        Kind::Unknown,
        &[
            "=redis|ioredis|postgres|postgresql|mysql|mariadb|mongodb|rabbitmq|=amqp|kafka|memcached|minio + disconnected|refused|unreachable|closed|=lost|timed out|timeout|not available|unavailable|=down|not ready|reset",
        ],
    )
    .unless(&["whatsapp|baileys|stream errored|browser|chrom"])
    .handed(Handed::Everything),
    rule(
        "the gateway waited in vain for a lock or a pool of its own",
        Kind::Unknown,
        &[
            "=lock|async-lock|mutex|semaphore|acquire|acquiring|connection pool|the pool|resourcerequest + timed out|timeout|exhausted",
        ],
    )
    .only(ASKING)
    .unless(&["static.whatsapp|leveldb|profile|navigat"])
    .handed(Handed::Everything),
    rule(
        "the gateway's own HTTP server stumbled over an answer of its own",
        Kind::Unknown,
        &[
            "err_http_headers_sent|headers after they are sent|err_stream_write_after_end|write after end|err_http_invalid_status_code",
        ],
    )
    .rung(Rung::Operator)
    .handed(Handed::Everything),
];

/// A session that is on its way up has no connection yet.
pub(super) const COMING_UP: &[Rule] = &[rule(
    "a session server refuses because its session is still connecting",
    Kind::NetworkDown,
    &[
        "session|instance|client|=device|socket|whatsapp + still connecting|currently connecting|connecting, please|not yet connected|not connected yet|not fully connected|still reconnecting|currently reconnecting",
    ],
)
.handed(Handed::Refused)];

/// What says only that something was wrong with a request. Read after all that
/// knows a cause.
pub(super) const ENVELOPES: &[Rule] = &[
    rule(
        "a message that was asked for is not there: perhaps the one just sent",
        Kind::PermanentRequestError,
        &["message_not_found", "msg_not_found", "message not found"],
    )
    .only(ASKING)
    .handed(Handed::ThisCall),
    rule(
        "the envelope says that the request was wrong, but it wraps whatever was thrown",
        Kind::PermanentRequestError,
        &[
            "bad request",
            "status|statuscode|status_code|code + =400|=401|=403|=404|=405|=422",
            "session|instance|=device|client + not found|does not exist|doesn't exist|not exist",
            "unauthorized",
            "api key|api_key|api-key|apikey|access token|bearer token|the token|auth token header + incorrect|invalid|expired|missing|wrong|not valid",
            "unprocessable entity",
            "validation failed",
            "validation error",
            "validationerror",
            "invalid request",
            "invalid json",
            "not supported",
        ],
    )
    .unless(&[
        "session status",
        "timed out|timeout|closed|disconnected|econn|socket|fetch failed",
        "unexpected token|response body|invalid response",
        "target|browser|frame",
        "internal server error",
        "unknown error|unexpected error|something went wrong",
    ])
    .only(ASKING)
    .handed(Handed::ThisCall),
];

/// Whether all that a refused request says is the name of a class that a build has
/// shortened: `"message":["C"]`. Then not even that the request was wrong is sure.
pub(super) fn only_a_shortened_name(text: &Folded) -> bool {
    const LONGEST_SHORTENED: usize = 2;
    let shortened = |value: &str| {
        let (value, end) = match value.strip_prefix('[') {
            Some(of_a_list) => (of_a_list, "\"]"),
            None => (value, "\""),
        };
        let name = value.trim_start_matches('"');
        let length = name.bytes().take_while(u8::is_ascii_alphabetic).count();
        (1..=LONGEST_SHORTENED).contains(&length) && name[length..].starts_with(end)
    };
    let mut said = (text.as_str().split("\"message\":").skip(1))
        .map(str::trim_start)
        .filter(|value| !value.starts_with("\"bad request"))
        .peekable();
    text.says("bad request") && said.peek().is_some() && said.all(shortened)
}
