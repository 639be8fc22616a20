//! The stable names of log events, in the field `event`. An operator may
//! build alerts on them: a name never changes its meaning.

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        $($(#[doc = $doc])* pub const $name: &str = $text;)*
        /// Every event with its meaning, for docs/OPERATIONS.md.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),*))),*];
    };
}

events! {
    // The gateway.
    /// The gateway listens and takes requests.
    GATEWAY_STARTED = "gateway_started";
    /// The gateway was asked to stop.
    GATEWAY_STOPPING = "gateway_stopping";
    /// The gateway has ended in order.
    GATEWAY_STOPPED = "gateway_stopped";
    /// A browser did not close in time when the gateway stopped; it was killed.
    SHUTDOWN_INCOMPLETE = "shutdown_incomplete";
    /// Something in the configuration is probably not meant.
    CONFIG_WARNING = "config_warning";
    /// The configuration was read again: what of it is in force from now on.
    CONFIG_RELOADED = "config_reloaded";
    /// Of what has changed in the configuration, this waits for a restart.
    CONFIG_WAITS = "config_waits";
    /// The configuration was read again and is wrong; what is in force stays.
    CONFIG_REFUSED = "config_refused";
    /// The service manager could not be told how the gateway is.
    MANAGER_NOT_TOLD = "manager_not_told";
    /// The OpenTelemetry collector did not take a batch of spans, and it was dropped: how many.
    SPANS_DROPPED = "spans_dropped";
    /// An administrative act: which token did what, and on what. It is in the audit log too.
    ADMIN_ACT = "admin_act";
    /// An act was done and could not be written into the audit log.
    AUDIT_NOT_STORED = "audit_not_stored";
    /// When tokens were last used could not be stored; again with their next use (debug).
    TOKEN_USE_NOT_STORED = "token_use_not_stored";
    /// The dashboard's logins could not be written: they end with the gateway.
    LOGINS_NOT_STORED = "logins_not_stored";
    /// A request was refused for its token (debug).
    AUTH_REFUSED = "auth_refused";
    /// An HTTP request was answered (debug).
    HTTP_REQUEST = "http_request";
    /// Connections cannot be taken: the system is out of file handles or memory.
    HTTP_ACCEPT_FAILED = "http_accept_failed";
    /// Certificate and key were read again, and are in force.
    TLS_RELOADED = "tls_reloaded";
    /// Certificate and key that were read again cannot be used; those in force stay.
    TLS_REFUSED = "tls_refused";
    /// The store refused a request's write, or failed.
    STORE_FAILED = "store_failed";
    /// A panic was caught. It is a bug; please report it.
    PANIC = "panic";
    // A session.
    /// A person's wish reached a session: start, stop, restart, log out, delete.
    SESSION_COMMAND = "session_command";
    /// A change of a session's state could not be written into the log of events.
    STATE_NOT_TOLD = "state_not_told";
    /// A session changed its state.
    SESSION_STATE = "session_state";
    /// A session's connection failed: page, browser, network or login.
    SESSION_CLOSED = "session_closed";
    /// A recovery step begins: its rung, and what it is.
    RESTART_ATTEMPT = "restart_attempt";
    /// A session is ready again: what healed it, and how long it took.
    RESTARTED = "restarted";
    /// A recovery step, or a start, did not work.
    RESTART_FAILED = "restart_failed";
    /// An incident ended otherwise than by ready: stopped, parked.
    INCIDENT_CLOSED = "incident_closed";
    /// An incident could not be written down; recovery goes on.
    INCIDENT_NOT_STORED = "incident_not_stored";
    /// A browser that works is about to be replaced as planned: memory or age.
    SESSION_RECYCLING = "session_recycling";
    /// A browser was replaced as planned, and its session is ready again.
    SESSION_RECYCLED = "session_recycled";
    /// A message to oneself that proves the send path did not get through.
    CANARY_FAILED = "canary_failed";
    /// A QR code waits for a phone.
    QR_READY = "qr_ready";
    /// WhatsApp asks for the passkey of the account before it links.
    PASSKEY_WANTED = "passkey_wanted";
    /// The passkey that was asked for can be given no more: it was answered, or not in time.
    PASSKEY_OVER = "passkey_over";
    /// A phone has linked a session.
    LINKED = "linked";
    /// A session that should run could not be started with the gateway.
    SESSION_NOT_STARTED = "session_not_started";
    /// A change of a session could not be stored.
    SESSION_NOT_STORED = "session_not_stored";
    /// A session was removed though it did not answer: its link may still stand on the phone.
    SESSION_REMOVED_UNHEARD = "session_removed_unheard";
    /// A task of a session ended in a defect of the gateway; please report it. The session begins anew.
    SESSION_TASK_PANICKED = "session_task_panicked";
    /// What was left of a session whose task had panicked did not end in time.
    SESSION_TASK_STUCK = "session_task_stuck";
    /// A session whose task had panicked has begun anew.
    SESSION_BEGUN_ANEW = "session_begun_anew";
    /// A session whose task had panicked could not begin anew yet; again soon.
    SESSION_NOT_RESTARTED = "session_not_restarted";
    /// WhatsApp could not be told of a logout.
    LOGOUT_FAILED = "logout_failed";
    /// A logout without a page: remove the link on the phone.
    LOGOUT_WITHOUT_PAGE = "logout_without_page";
    /// A profile could not be removed.
    PROFILE_NOT_REMOVED = "profile_not_removed";
    /// A heartbeat was void, since our own timer was late (debug).
    HEARTBEAT_VOID = "heartbeat_void";
    /// Something arrived from a connection that is over (debug).
    LATE_EVENT_DROPPED = "late_event_dropped";
    /// An engine said more than the queue holds.
    ENGINE_EVENT_DROPPED = "engine_event_dropped";
    /// A state machine refused an event. It is a bug; please report it.
    ILLEGAL_EVENT = "illegal_event";
    // Events that are kept and pushed.
    /// Old events could not be dropped from the log; again in a minute.
    EVENTS_NOT_DROPPED = "events_not_dropped";
    /// An endpoint counts as down: one event at a time asks whether it is back.
    WEBHOOK_DOWN = "webhook_down";
    /// An endpoint that was down has taken an event.
    WEBHOOK_BACK = "webhook_back";
    /// An endpoint answered 410 and was switched off.
    WEBHOOK_DISABLED = "webhook_disabled";
    /// An event was given up for an endpoint after its last attempt; it can be replayed.
    WEBHOOK_DEAD_LETTER = "webhook_dead_letter";
    /// The oldest dead letters of an endpoint had to go for newer ones.
    WEBHOOK_DEAD_LETTERS_DROPPED = "webhook_dead_letters_dropped";
    /// Events were dropped before an endpoint was given them: how many.
    WEBHOOK_GAP = "webhook_gap";
    /// The store could not be asked or told about an endpoint; again soon.
    WEBHOOK_NOT_STORED = "webhook_not_stored";
    // Files.
    /// Old files of messages were removed (debug).
    MEDIA_SWEPT = "media_swept";
    /// Old messages were forgotten (debug).
    MESSAGES_FORGOTTEN = "messages_forgotten";
    /// A file of a message that nobody needs could not be removed; again later.
    MEDIA_NOT_REMOVED = "media_not_removed";
    // A message.
    /// A message is on disk and owed (debug).
    MESSAGE_ACCEPTED = "message_accepted";
    /// A person took a message back, or released or discarded a parked one: which token, and which message.
    MESSAGE_DECIDED = "message_decided";
    /// An attempt ended: how (debug).
    ATTEMPT_ENDED = "attempt_ended";
    /// An attempt ended in a bug; its message is looked up. Please report it.
    ATTEMPT_PANICKED = "attempt_panicked";
    /// Due messages could not be read from the store; again soon.
    OUTBOX_CLAIM_FAILED = "outbox_claim_failed";
    /// WhatsApp asks a session to slow down, and its pace is halved.
    PACE_LOWERED = "pace_lowered";
    /// The wall clock was set back: messages that waited by the old time were brought forward.
    CLOCK_SET_BACK = "clock_set_back";
    /// What came of an attempt could not be recorded; again soon.
    OUTCOME_NOT_RECORDED_YET = "outcome_not_recorded_yet";
    /// What came of an attempt was not recorded; its message is looked up.
    OUTCOME_NOT_RECORDED = "outcome_not_recorded";
    /// WhatsApp failed a message after it was handed over.
    ACK_ERROR = "ack_error";
    /// An ack could not be stored; again soon.
    ACK_NOT_STORED_YET = "ack_not_stored_yet";
    /// An ack was not stored; the message is looked up where it matters.
    ACK_GIVEN_UP = "ack_given_up";
    /// More acks came than the queue holds; messages are looked up where it matters.
    ACK_DROPPED = "ack_dropped";
    /// A message came in and is on disk.
    MESSAGE_RECEIVED = "message_received";
    /// A message was edited, revoked or reacted to, or a group has changed: it is on disk.
    HAPPENING_KEPT = "happening_kept";
    /// A message came in and could not be stored; the engine offers it again.
    INBOUND_NOT_STORED = "inbound_not_stored";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn names_are_unique_and_documented() {
        let names: BTreeSet<_> = super::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), super::ALL.len());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
        let page = std::fs::read_to_string(path).unwrap();
        for (name, meaning) in super::ALL {
            let row = format!("| `{name}` | {} |", meaning.trim());
            assert!(page.contains(&row), "docs/OPERATIONS.md lacks: {row}");
        }
    }

    /// What the product itself logs is listed, and what is listed is logged.
    #[test]
    fn the_list_and_the_code_agree() {
        let mut used = BTreeSet::new();
        collect(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
            &mut used,
        );
        let listed: BTreeSet<_> = super::ALL
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let unlisted: Vec<_> = used.difference(&listed).collect();
        let unused: Vec<_> = listed.difference(&used).collect();
        assert!(
            unlisted.is_empty(),
            "logged and not listed in events.rs: {unlisted:?}"
        );
        assert!(
            unused.is_empty(),
            "listed in events.rs and never logged: {unused:?}"
        );
    }

    fn collect(folder: &Path, used: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                // The harness is a tool of ours, not the product.
                if name != "harness" {
                    collect(&path, used);
                }
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for part in source.split("event = ").skip(1) {
                let word = |text: &str| -> String {
                    let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
                    text.split(ends)
                        .next()
                        .unwrap_or_default()
                        .to_ascii_lowercase()
                };
                if let Some(literal) = part.strip_prefix('"') {
                    used.insert(word(literal));
                } else if let Some((_, constant)) = part.split_once("events::")
                    && part.find("events::").is_some_and(|at| at < 12)
                {
                    used.insert(word(constant));
                }
            }
        }
        used.remove("");
    }
}
