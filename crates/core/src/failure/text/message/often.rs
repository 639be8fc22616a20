//! How often: what WhatsApp throttles, and whom it lets this account reach.

use super::super::super::{Kind, Operation as Op, Rung};
use super::super::rule::{Rule, rule};

const TOO_OFTEN: &[&str] = &[
    "rate-overlimit",
    "rate overlimit",
    "rateoverlimit",
    "rate_overlimit",
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate_limit",
    "too many requests",
    "too many attempts",
    "toomanyattempts",
    "toomanyrequests",
    "=429 + status|code|error|http|returned|data:|response|nack",
    "slow down",
    "too quickly",
    "throttl",
    "retry_after",
    "retry-after",
    "retryafter",
    "exceeded + the limit of|limit of + request|requests|messages + every|per second|per minute|per hour|per day",
    "flood",
    "resource-limit",
    // Numbers of WhatsApp's Cloud API, which gateways pass on.
    "=130429",
    "=131048",
    "=131056",
    "=80007",
];

pub(super) const RULES: &[Rule] = &[
    rule(
        "WhatsApp lets this account write to nobody from any linked device",
        Kind::BannedOrRestricted,
        &["timelock|time_lock|enforcement + restrict_all|restrictall|block_all|suspend_all"],
    ),
    rule(
        "WhatsApp lets this account reach no stranger at all for a while",
        Kind::RateLimited,
        &[
            "timelock + isactive: true|isactive\":true|is_active: true|is_active\":true|active: true|enforcement",
        ],
    )
    .rung(Rung::Operator),
    rule(
        "WhatsApp lets this account reach strangers only slowly",
        Kind::RateLimited,
        &[
            "=463",
            "reachout",
            "reach-out",
            "reach out timelock",
            "timelock",
            "tctoken",
        ],
    )
    .rung(Rung::RejectMessage),
    rule(
        "too often, while linking: each new try prolongs it",
        Kind::RateLimited,
        &["code|codes|attempts|requests + limit reached|limit exceeded|try again in|try again later"],
    )
    .only(&[Op::RequestPairingCode])
    .rung(Rung::Operator),
    rule(
        "too often, while linking: each new try prolongs it",
        Kind::RateLimited,
        TOO_OFTEN,
    )
    .only(&[Op::Auth, Op::RequestPairingCode])
    .rung(Rung::Operator),
    rule("too often", Kind::RateLimited, TOO_OFTEN).unless(&[
        "session status",
        "newsletter",
        "couldn't link",
    ]),
];
