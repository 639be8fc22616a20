//! What can go wrong with the simulator itself, as opposed to what it plays.

/// An error of the simulator or of a request to its control side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port could not be bound or a socket failed.
    #[error("the simulator's {what} failed: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// The key or certificate could not be made.
    #[error("the simulator's certificate could not be made: {0}")]
    Tls(String),
    /// A knob is unknown or its value does not fit.
    #[error("knobs: {0}")]
    Knobs(String),
    /// No such account, person, group or device.
    #[error("there is no {what} {name}")]
    Missing {
        /// Account, person, group, device.
        what: &'static str,
        /// Its name as given.
        name: String,
    },
    /// It exists already.
    #[error("{0} exists already")]
    Exists(String),
    /// The phone refuses, as a real one would.
    #[error("the phone refuses: {0}")]
    PhoneRefuses(PhoneRefusal),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A bound of the simulator was reached.
    #[error("the simulator is full: {0}")]
    Full(&'static str),
    /// It did not happen within the time given.
    #[error("timed out waiting for {0}")]
    Timeout(&'static str),
}

/// Why a phone does not do what its owner asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneRefusal {
    /// The phone is off or has no network.
    #[error("it is offline")]
    Offline,
    /// The code is none of WhatsApp's.
    #[error("this is no WhatsApp code")]
    NotACode,
    /// The code was good once, or never.
    #[error("the code has expired or is unknown")]
    Expired,
    /// The code's keys are not those of the page that was given the ref.
    #[error("the code's keys are not the page's own")]
    WrongKeys,
    /// The code was asked for another number.
    #[error("the code was made for another number")]
    OtherNumber,
    /// As many companions are linked as a phone takes.
    #[error("as many devices are linked as are allowed")]
    TooManyDevices,
    /// The account is banned.
    #[error("the account is banned")]
    Banned,
}

impl Error {
    /// A stable name, as the control API answers it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Tls(_) => "tls",
            Self::Knobs(_) => "knobs",
            Self::Missing { .. } => "missing",
            Self::Exists(_) => "exists",
            Self::PhoneRefuses(_) => "phone_refuses",
            Self::Invalid(_) => "invalid",
            Self::Full(_) => "full",
            Self::Timeout(_) => "timeout",
        }
    }
}
