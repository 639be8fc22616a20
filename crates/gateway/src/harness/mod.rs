//! What `demo`, `chaos` and `recovery-test` are made of: the real gateway as a
//! child process, the simulator, faults, and a judge who believes only the
//! simulator's own journal.
//!
//! - [`campaign`]: messages, faults, and the verdict
//! - [`stage`]: simulator, gateway and phone, put together and taken apart
//! - [`gateway`]: the gateway as a child process, and what it logs
//! - [`client`]: speaks HTTP to it
//! - [`traffic`]: accepts messages and remembers them
//! - [`relay`]: stands between gateway and browser, and injects faults there
//! - [`fault`]: the kinds of fault, and how each is let loose
//! - [`disks`]: small file systems that can be filled
//! - [`judge`]: holds the messages against the journal, and the gateway's word against both
//! - [`parked`]: which messages may wait for a person
//! - [`report`]: what a run comes to
//! - [`markdown`]: the same as a part of a document

pub mod campaign;
pub mod client;
pub mod disks;
pub mod fault;
pub mod gateway;
pub mod judge;
pub mod markdown;
pub mod parked;
pub mod relay;
pub mod report;
pub mod stage;
pub mod traffic;

/// Why a run could not be carried out. Not a verdict on the gateway: that is
/// [`steadfast_sim::checker::Verdict`].
#[derive(Debug, thiserror::Error)]
pub enum HarnessError {
    /// A file, a process or a socket.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The gateway ended when it should run.
    #[error("the gateway ended by itself: {0}")]
    GatewayEnded(String),
    /// The gateway answered what it should not.
    #[error("{method} {path} was answered with {status}: {body}")]
    Answer {
        /// The request's method.
        method: &'static str,
        /// The request's path.
        path: String,
        /// The answer's status.
        status: u16,
        /// The answer's body, shortened.
        body: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// What must hold of a fault did not.
    #[error("{0}")]
    Unmet(String),
    /// The simulator.
    #[error("the simulator failed: {0}")]
    Simulator(#[from] steadfast_sim::Error),
    /// No browser to run it with.
    #[error("{0}")]
    Browser(String),
}

impl HarnessError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
