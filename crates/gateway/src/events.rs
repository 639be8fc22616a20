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
    /// The gateway listens and takes requests.
    GATEWAY_STARTED = "gateway_started";
    /// The gateway was asked to stop.
    GATEWAY_STOPPING = "gateway_stopping";
    /// The gateway has ended in order.
    GATEWAY_STOPPED = "gateway_stopped";
    /// Something in the configuration is probably not meant.
    CONFIG_WARNING = "config_warning";
    /// A session changed its state.
    SESSION_STATE = "session_state";
    /// A session's page, browser or login was lost.
    SESSION_CLOSED = "session_closed";
    /// A recovery step begins: its rung and which attempt it is.
    RESTART_ATTEMPT = "restart_attempt";
    /// A session is ready again after a failure.
    RESTARTED = "restarted";
    /// A recovery step did not help.
    RESTART_FAILED = "restart_failed";
    /// A session needs a person.
    SESSION_PARKED = "session_parked";
    /// A QR code waits for a phone.
    QR_READY = "qr_ready";
    /// A phone has linked a session.
    LINKED = "linked";
    /// A failure was noticed.
    INCIDENT_OPENED = "incident_opened";
    /// A failure is over, or has been given up.
    INCIDENT_CLOSED = "incident_closed";
    /// A message is on disk and owed.
    MESSAGE_ACCEPTED = "message_accepted";
    /// WhatsApp's server has a message.
    MESSAGE_SENT = "message_sent";
    /// An attempt ended without success; the message waits for the next.
    MESSAGE_RETRY = "message_retry";
    /// A message can never be sent as it is.
    MESSAGE_REJECTED = "message_rejected";
    /// A message needs a person.
    MESSAGE_PARKED = "message_parked";
    /// A message came in and is on disk.
    MESSAGE_RECEIVED = "message_received";
    /// An HTTP request was answered (at level debug).
    HTTP_REQUEST = "http_request";
    /// A connection could not be taken.
    HTTP_ACCEPT_FAILED = "http_accept_failed";
    /// A request was refused for its token.
    AUTH_REFUSED = "auth_refused";
    /// An administrative act: who did what.
    ADMIN_ACT = "admin_act";
    /// The store refused or failed.
    STORE_FAILED = "store_failed";
    /// A panic was caught. It is a bug; please report it.
    PANIC = "panic";
    /// A state machine refused an event. It is a bug; please report it.
    ILLEGAL_EVENT = "illegal_event";
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = super::ALL.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), super::ALL.len());
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATIONS.md");
        let page = std::fs::read_to_string(path).unwrap();
        for (name, meaning) in super::ALL {
            let row = format!("| `{name}` | {} |", meaning.trim());
            assert!(page.contains(&row), "docs/OPERATIONS.md lacks: {row}");
        }
    }
}
