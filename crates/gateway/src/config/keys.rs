//! Every key that there is.

use super::check;
use super::key::{Key, Kind, Preset};

const MIB: i64 = 1024 * 1024;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

const fn number(name: &'static str, default: i64, min: i64, max: i64, doc: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Number { min, max },
        default: Preset::Number(default),
        doc,
    }
}

const fn switch(name: &'static str, default: bool, doc: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Switch,
        default: Preset::Switch(default),
        doc,
    }
}

const fn choice(
    name: &'static str,
    default: &'static str,
    words: &'static [&'static str],
    doc: &'static str,
) -> Key {
    Key {
        name,
        kind: Kind::Choice(words),
        default: Preset::Text(default),
        doc,
    }
}

const fn text(
    name: &'static str,
    default: &'static str,
    check: check::TextCheck,
    doc: &'static str,
) -> Key {
    Key {
        name,
        kind: Kind::Text(check),
        default: Preset::Text(default),
        doc,
    }
}

const fn list(name: &'static str, check: check::TextCheck, doc: &'static str) -> Key {
    Key {
        name,
        kind: Kind::List(check),
        default: Preset::Empty,
        doc,
    }
}

/// Every key, by section, in the order in which people read them.
pub const KEYS: &[Key] = &[
    // ------------------------------------------------------------ server
    text(
        "server.listen",
        "127.0.0.1:8080",
        check::socket_address,
        "Address and port of the HTTP interface. Port 0 picks a free one.",
    ),
    switch(
        "server.allow_remote",
        false,
        "Whether server.listen may be reachable from other machines without server.tls_cert: the interface is plain HTTP then. Put a TLS proxy in front.",
    ),
    text(
        "server.tls_cert",
        "",
        check::any,
        "PEM file with the certificate chain; with server.tls_key it turns TLS on. Both are read again when they change, and on SIGHUP. Programs on this machine may go on with plain HTTP over loopback.",
    ),
    text(
        "server.tls_key",
        "",
        check::any,
        "PEM file with the private key of server.tls_cert.",
    ),
    list(
        "server.trusted_proxies",
        check::network,
        "Proxies (10.0.0.7, or 10.0.0.0/8) whose X-Forwarded-For is believed. Everybody else is known by the address of the connection.",
    ),
    list(
        "server.cors_origins",
        check::origin,
        "Web pages (https://app.example) whose script may read answers of this interface in a browser (CORS). Empty: none may.",
    ),
    number(
        "server.token_requests_per_minute",
        0,
        0,
        1_000_000,
        "Requests a minute that one token may make; more are answered 429. 0 is no limit.",
    ),
    number(
        "server.token_burst",
        60,
        1,
        1_000_000,
        "Requests that one token may make at once, where server.token_requests_per_minute is set.",
    ),
    number(
        "server.auth_failures_per_minute",
        600,
        0,
        1_000_000,
        "Failed logins a minute that one address may make; more are answered 429. A valid token passes all the same. 0 is no limit.",
    ),
    number(
        "server.max_connections",
        1_024,
        1,
        100_000,
        "Open connections at once. More wait in the system's queue.",
    ),
    number(
        "server.max_body_bytes",
        1_048_576,
        1_024,
        268_435_456,
        "Largest request body.",
    ),
    number(
        "server.max_header_bytes",
        32_768,
        8_192,
        1_048_576,
        "Largest request head: the request line and all headers.",
    ),
    number(
        "server.max_url_bytes",
        8_192,
        256,
        65_000,
        "Longest request URL.",
    ),
    number(
        "server.max_json_depth",
        32,
        4,
        120,
        "Deepest nesting of JSON in a request body.",
    ),
    number(
        "server.max_bulk",
        1_000,
        1,
        10_000,
        "Most recipients in one bulk request.",
    ),
    number(
        "server.header_timeout_ms",
        15_000,
        100,
        300_000,
        "How long a client may take to send a request head; also how long an idle connection is kept.",
    ),
    number(
        "server.body_timeout_ms",
        30_000,
        100,
        600_000,
        "How long a client may take to send a request body, and to go on reading an answer.",
    ),
    number(
        "server.request_timeout_ms",
        60_000,
        1_000,
        600_000,
        "How long the answer to a request may take. What it changes is changed whole all the same.",
    ),
    number(
        "server.shutdown_timeout_ms",
        20_000,
        1_000,
        300_000,
        "How long running requests and browsers have to end when the gateway is asked to stop.",
    ),
    number(
        "server.idempotency_keep_ms",
        DAY_MS,
        DAY_MS,
        30 * DAY_MS,
        "How long the answer to an Idempotency-Key is kept.",
    ),
    // ----------------------------------------------------------- browser
    text(
        "browser.path",
        "",
        check::any,
        "The browser's program. Empty: the first of chromium, google-chrome and their kind that is found.",
    ),
    choice(
        "browser.flavor",
        "auto",
        &["auto", "chromium", "headless_shell", "headed"],
        "Which kind of browser to look for. auto and chromium: a full one, headless; headless_shell: chromium-headless-shell, a third less memory, less tried with WhatsApp; headed: a full one with a window, for linking at a desktop (`steadfast init --headed`).",
    ),
    choice(
        "browser.sandbox",
        "auto",
        &["auto", "on", "off"],
        "Chromium's sandbox. auto: on, but off with a warning as root, where it cannot run.",
    ),
    Key {
        name: "browser.extra_args",
        kind: Kind::List(check::browser_argument),
        default: Preset::Empty,
        doc: "More arguments for the browser. Arguments that would open the account to others, or break what the gateway relies on, are refused.",
    },
    text(
        "browser.web_resolve",
        "",
        check::resolve_target,
        "Where web.whatsapp.com is looked for instead of the real place: host:port of a stand-in. The network probe asks it too.",
    ),
    text(
        "browser.web_spki",
        "",
        check::spki_hash,
        "Base64 SHA-256 of the public key of the stand-in named by browser.web_resolve: the one key trusted beside the public ones.",
    ),
    text(
        "browser.wa_js",
        "",
        check::any,
        "A file with another build of the in-page library. Empty: the one built in.",
    ),
    number(
        "browser.start_timeout_ms",
        30_000,
        1_000,
        300_000,
        "How long a browser may take from its start to its first answer.",
    ),
    number(
        "browser.navigate_timeout_ms",
        30_000,
        1_000,
        300_000,
        "How long a page may take to its first bytes.",
    ),
    number(
        "browser.call_timeout_ms",
        5_000,
        500,
        300_000,
        "How long the page may take over a question that it answers from memory.",
    ),
    number(
        "browser.close_timeout_ms",
        10_000,
        100,
        60_000,
        "How long a browser has to write its profile before it is killed.",
    ),
    number(
        "browser.memory_limit_mib",
        2_048,
        0,
        1_048_576,
        "Memory that one session's browser may use, all its processes together, in MiB. Beyond it the browser is drained and replaced by a fresh one, at most twice an hour; no message is lost. 0: no limit.",
    ),
    // ----------------------------------------------------------- session
    number(
        "session.max_sessions",
        32,
        1,
        1_000,
        "Most sessions on this gateway.",
    ),
    number(
        "session.start_stagger_ms",
        500,
        0,
        60_000,
        "Pause between the starts of two browsers when the gateway starts.",
    ),
    number(
        "session.starting_timeout_ms",
        60_000,
        1_000,
        900_000,
        "How long browser and page may take to come up before that counts as a failure.",
    ),
    number(
        "session.linking_timeout_ms",
        60_000,
        5_000,
        3_600_000,
        "How long the first QR code, and each one after the last, may take to appear before that counts as a failure.",
    ),
    number(
        "session.resync_timeout_ms",
        60_000,
        1_000,
        3_600_000,
        "How long the synchronisation of a login that was ready before may take in a recovery. Twice as long with each further try, up to `syncing_timeout_ms`.",
    ),
    number(
        "session.syncing_timeout_ms",
        300_000,
        1_000,
        3_600_000,
        "How long the synchronisation after a start may take before that counts as a failure. The first one moves months of messages.",
    ),
    number(
        "session.reconnect_timeout_ms",
        10_000,
        500,
        600_000,
        "How long the page may take to reconnect by itself once the network is back.",
    ),
    number(
        "session.heartbeat_interval_ms",
        1_000,
        100,
        60_000,
        "How often a ready page is asked whether it lives.",
    ),
    number(
        "session.heartbeat_misses",
        2,
        1,
        100,
        "Unanswered heartbeats in a row after which the page counts as hung.",
    ),
    number(
        "session.network_probe_min_ms",
        250,
        50,
        600_000,
        "Upper bound of the first pause between two tries of an absent network; it doubles from there, with full jitter.",
    ),
    number(
        "session.network_probe_max_ms",
        2_000,
        100,
        3_600_000,
        "Upper bound of any pause between two tries of an absent network.",
    ),
    number(
        "session.backoff_min_ms",
        500,
        10,
        600_000,
        "Upper bound of the first pause between two tries of a recovery step; it doubles from there, with full jitter.",
    ),
    number(
        "session.backoff_max_ms",
        30_000,
        100,
        3_600_000,
        "Upper bound of any pause between two tries of a recovery step.",
    ),
    number(
        "session.stable_after_ms",
        300_000,
        1_000,
        86_400_000,
        "How long a session must have been ready before past failures are forgotten.",
    ),
    number(
        "session.drain_timeout_ms",
        15_000,
        100,
        300_000,
        "How long what is in flight may take to end before a browser is replaced as planned. What has not ended is looked up afterwards.",
    ),
    number(
        "session.recycle_after_hours",
        24,
        0,
        8_760,
        "After so many hours, and up to a quarter more, a browser is replaced by a fresh one while nothing is going on; a copy of its profile is kept then. 0: never.",
    ),
    number(
        "session.recycle_quiet_ms",
        300_000,
        1_000,
        86_400_000,
        "How long no message must have come or gone, and none be due, before an old browser is replaced.",
    ),
    number(
        "session.canary_interval_ms",
        0,
        0,
        86_400_000,
        "How often, give or take a tenth, a message to the account's own chat proves that sending works: 60000 or more. It is marked as such in that chat, and no list of this gateway shows it. 0: never.",
    ),
    choice(
        "session.conflict",
        "yield",
        &["yield", "takeover"],
        "What to do when the same link is opened elsewhere. yield: step back and wait for a person; takeover: take it back.",
    ),
    number(
        "session.takeover_limit",
        5,
        1,
        10_000,
        "How often within ten minutes a link is taken back from whoever opens it elsewhere; then the session steps back as with yield.",
    ),
    number(
        "session.relink_limit",
        5,
        1,
        10_000,
        "How often within an hour a session begins with an empty profile and shows a new code after WhatsApp has removed the link; then it waits for a person. Forgotten after session.stable_after_ms.",
    ),
    number(
        "session.number_cache_ms",
        3_600_000,
        0,
        604_800_000,
        "How long it is remembered that a number is on WhatsApp; that it is not, a minute at most. 0: every check asks WhatsApp.",
    ),
    // ---------------------------------------------------------- delivery
    number(
        "delivery.max_in_flight",
        8,
        1,
        256,
        "Messages handed to the page at once, each of another chat.",
    ),
    number(
        "delivery.ack_timeout_ms",
        10_000,
        500,
        600_000,
        "How long the server's ack may take after a message was handed over, before it is looked up.",
    ),
    number(
        "delivery.reply_wait_ms",
        10_000,
        0,
        50_000,
        "How long POST /api/whatsapp/send-message waits for the server's ack before it answers queued.",
    ),
    number(
        "delivery.recheck_ms",
        2_000,
        100,
        600_000,
        "How long a message may stay in the page's own outbox before it is looked up again.",
    ),
    number(
        "delivery.max_attempts",
        100,
        1,
        100_000,
        "Attempts of one message that may fail for reasons of its own before it is parked.",
    ),
    number(
        "delivery.retry_min_ms",
        1_000,
        10,
        600_000,
        "Upper bound of the first pause between two attempts; it doubles from there, with full jitter.",
    ),
    number(
        "delivery.retry_max_ms",
        60_000,
        100,
        3_600_000,
        "Upper bound of any pause between two attempts.",
    ),
    // ------------------------------------------------------------ pacing
    number(
        "pacing.per_minute",
        0,
        0,
        60_000,
        "Messages of one session that may begin in a minute; more wait their turn. 0: any number.",
    ),
    number(
        "pacing.burst",
        5,
        1,
        10_000,
        "Messages that may begin at once after a rest, where pacing.per_minute is set.",
    ),
    number(
        "pacing.jitter_ms",
        0,
        0,
        600_000,
        "Longest random pause after each message, so that they do not come at an even beat. 0: none.",
    ),
    text(
        "pacing.quiet_hours",
        "",
        check::quiet_hours,
        "Hours of the day in which no message begins, as in 22:00-07:00, by the clock of pacing.utc_offset.",
    ),
    text(
        "pacing.utc_offset",
        "+00:00",
        check::utc_offset,
        "How far the clock of quiet hours and days is ahead of UTC, as in +05:30 or -03:00. It knows no daylight saving time.",
    ),
    number(
        "pacing.per_day",
        0,
        0,
        10_000_000,
        "Messages of one session that may begin in a day; more wait for the next one. 0: any number.",
    ),
    number(
        "pacing.warm_up_days",
        0,
        0,
        365,
        "For so many days from a session's first message a day holds fewer: pacing.warm_up_per_day on the first, twice as many on the second, and so on. 0: no warm-up.",
    ),
    number(
        "pacing.warm_up_per_day",
        20,
        1,
        1_000_000,
        "Messages that may begin on the first day of a warm-up.",
    ),
    switch(
        "pacing.high_skips_rate",
        false,
        "Whether messages of the high lane begin whatever pacing.per_minute says.",
    ),
    switch(
        "pacing.high_skips_jitter",
        true,
        "Whether messages of the high lane begin without a random pause.",
    ),
    switch(
        "pacing.high_skips_quiet_hours",
        true,
        "Whether messages of the high lane begin in quiet hours too.",
    ),
    switch(
        "pacing.high_skips_per_day",
        false,
        "Whether messages of the high lane begin whatever pacing.per_day and the warm-up say.",
    ),
    switch(
        "pacing.slow_down",
        true,
        "Whether a session that WhatsApp asks to slow down does: a pause that doubles from 30 s to 15 minutes, and half the pace with each refusal, down to a 64th; also where no other key of this section is set.",
    ),
    number(
        "pacing.recover_ms",
        600_000,
        1_000,
        DAY_MS,
        "After so long without a refusal the pace is doubled again, until it is what it was.",
    ),
    // ---------------------------------------------------------- outgoing
    list(
        "outgoing.allow",
        crate::outgoing::guard::check,
        "Host names, addresses and networks beyond the public internet that webhooks and media URLs may lead to: hooks.internal, 10.0.0.7, 10.0.0.0/8. Everything private is refused otherwise.",
    ),
    switch(
        "outgoing.https_only",
        false,
        "Whether webhooks and media URLs must be https.",
    ),
    text(
        "outgoing.ca_file",
        "",
        check::any,
        "PEM file with certificate authorities that are trusted beside the public ones.",
    ),
    number(
        "outgoing.max_redirects",
        3,
        0,
        20,
        "How often a media URL may be redirected. Webhooks never are.",
    ),
    number(
        "outgoing.connect_timeout_ms",
        10_000,
        100,
        120_000,
        "How long one address may take to answer.",
    ),
    number(
        "outgoing.fetch_timeout_ms",
        120_000,
        1_000,
        3_600_000,
        "How long a file may take to be fetched from a URL; server.request_timeout_ms bounds it too.",
    ),
    // ------------------------------------------------------------ events
    number(
        "events.keep_ms",
        30 * DAY_MS,
        HOUR_MS,
        3_650 * DAY_MS,
        "How long events are kept in the log.",
    ),
    number(
        "events.keep",
        1_000_000,
        1,
        1_000_000_000,
        "Most events that are kept in the log; the oldest go first.",
    ),
    number(
        "events.keep_owed",
        5_000_000,
        1,
        1_000_000_000,
        "Most events that are kept, whatever their age, where a webhook endpoint has not been given them yet. Beyond it the oldest go all the same, and a webhook.gap event tells it.",
    ),
    // ---------------------------------------------------------- messages
    number(
        "messages.keep_ms",
        90 * DAY_MS,
        DAY_MS,
        3_650 * DAY_MS,
        "How long messages are kept that are over (sent, rejected, expired, cancelled), and messages received. What is still owed, or parked, stays whatever its age; so does what the log of events still tells of.",
    ),
    // ------------------------------------------------------------- media
    number(
        "media.max_image_bytes",
        16 * MIB,
        1_024,
        64 * MIB,
        "Largest picture that is sent as one. WhatsApp takes 16 MiB.",
    ),
    number(
        "media.max_video_bytes",
        64 * MIB,
        1_024,
        256 * MIB,
        "Largest film that is sent as one. WhatsApp Web takes 64 MiB.",
    ),
    number(
        "media.max_audio_bytes",
        64 * MIB,
        1_024,
        256 * MIB,
        "Largest sound file or voice note.",
    ),
    number(
        "media.max_document_bytes",
        100 * MIB,
        1_024,
        256 * MIB,
        "Largest document. The browser holds a file whole while it sends it.",
    ),
    number(
        "media.max_sticker_bytes",
        MIB,
        1_024,
        16 * MIB,
        "Largest sticker.",
    ),
    number(
        "media.max_inline_bytes",
        16 * MIB,
        0,
        64 * MIB,
        "Largest file that may stand in a request as base64; a few such requests are read at a time. Larger ones are uploaded, or fetched by URL.",
    ),
    number(
        "media.max_inbound_bytes",
        100 * MIB,
        1_024,
        256 * MIB,
        "Largest file of a message of others that is fetched. It is fetched when somebody asks for it: a stranger must not be able to fill the disk.",
    ),
    number(
        "media.max_pixels",
        100_000_000,
        1_000,
        1_000_000_000,
        "Most pixels of a picture or sticker: a small file can unfold into one that fills the browser's memory. Only its header is read for this.",
    ),
    number(
        "media.keep_ms",
        7 * DAY_MS,
        60_000,
        365 * DAY_MS,
        "How long a file is kept after it was last brought or used. One that an owed or parked message needs is kept in any case.",
    ),
    number(
        "media.max_total_bytes",
        10 * 1024 * MIB,
        MIB,
        i64::MAX / 2,
        "How much all files may take together. Beyond it those go first that were unused longest, however old; never one that an owed or parked message needs.",
    ),
    // ---------------------------------------------------------- webhooks
    number(
        "webhooks.max_endpoints",
        50,
        1,
        1_000,
        "Most webhook endpoints.",
    ),
    number(
        "webhooks.timeout_ms",
        20_000,
        100,
        120_000,
        "How long an endpoint may take to answer an event.",
    ),
    list(
        "webhooks.retry_delays",
        check::duration,
        "Pauses before the attempts of a delivery, as in 0s, 5s, 5m, 30m, 2h: as many attempts as there are pauses. Empty: the schedule of Standard Webhooks, 0s, 5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h.",
    ),
    number(
        "webhooks.jitter_percent",
        10,
        0,
        100,
        "By how much a pause may be longer, so that what failed together does not come back together.",
    ),
    number(
        "webhooks.retry_after_max_ms",
        HOUR_MS,
        0,
        DAY_MS,
        "Longest Retry-After of an endpoint that is honoured; a longer one counts as this long.",
    ),
    number(
        "webhooks.max_in_flight",
        64,
        1,
        1_024,
        "Requests to all endpoints together that may be under way.",
    ),
    number(
        "webhooks.max_in_flight_per_endpoint",
        8,
        1,
        256,
        "Requests to one endpoint that may be under way. One, where it wants its events in order.",
    ),
    number(
        "webhooks.circuit_failures",
        5,
        1,
        1_000,
        "Failed attempts in a row after which an endpoint counts as down: from then on one event at a time asks whether it is back.",
    ),
    number(
        "webhooks.probe_min_ms",
        1_000,
        10,
        3_600_000,
        "First pause between two questions whether an endpoint is back; it doubles from there.",
    ),
    number(
        "webhooks.probe_max_ms",
        300_000,
        10,
        DAY_MS,
        "Longest pause between two questions whether an endpoint is back.",
    ),
    number(
        "webhooks.secret_overlap_ms",
        DAY_MS,
        0,
        30 * DAY_MS,
        "How long the old secret signs beside the new one after a rotation.",
    ),
    number(
        "webhooks.keep_ms",
        7 * DAY_MS,
        0,
        365 * DAY_MS,
        "How long deliveries that are over are kept with their attempts, dead letters too.",
    ),
    // ------------------------------------------------------------ stream
    number(
        "stream.heartbeat_ms",
        15_000,
        100,
        300_000,
        "How often a stream of events that has nothing to say says that it lives.",
    ),
    number(
        "stream.max_streams",
        256,
        1,
        10_000,
        "Most streams of events at once.",
    ),
    // --------------------------------------------------------------- log
    choice(
        "log.format",
        "auto",
        &["auto", "json", "pretty"],
        "How logs are written on standard error. auto: pretty on a terminal, JSON elsewhere.",
    ),
    text(
        "log.level",
        "info",
        check::log_filter,
        "What is logged: off, error, warn, info, debug or trace, with exceptions per module after commas. Message texts and numbers never appear above debug.",
    ),
    // --------------------------------------------------------- telemetry
    text(
        "telemetry.otlp_endpoint",
        "",
        check::http_url,
        "An OpenTelemetry collector (http://127.0.0.1:4318), which is told by OTLP over HTTP, in JSON, of messages, attempts, incidents and requests as traces. Empty: nobody is.",
    ),
    list(
        "telemetry.otlp_headers",
        check::header_line,
        "Headers (name=value) of each request to telemetry.otlp_endpoint, for collectors that want a key.",
    ),
    text(
        "telemetry.service_name",
        "steadfast",
        check::any,
        "The service.name that the collector is told: one for each gateway.",
    ),
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known key nearest to a wrong one, where one is near enough to be meant.
pub fn nearest(wrong: &str) -> Option<&'static str> {
    let wrong = wrong.to_ascii_lowercase().replace('-', "_");
    let wrong_leaf = wrong.rsplit('.').next().unwrap_or(&wrong);
    KEYS.iter()
        .map(|key| {
            let whole = strsim::normalized_damerau_levenshtein(&wrong, key.name);
            // A right key in a wrong section, or without one, is near too.
            let leaf = strsim::normalized_damerau_levenshtein(wrong_leaf, key.leaf()) * 0.95;
            (whole.max(leaf), key.name)
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
