//! SIGINT and SIGTERM: the wish that a command ends in order; and SIGHUP, that
//! it reads its configuration again.

use super::exit::Exit;
use super::out::CliError;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears both signals **from its making on**: one that comes while a command
/// still starts, or between two waits, is kept and not the process's end.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on. Made before the command says that it runs.
    pub(super) fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|e| {
                CliError::new(Exit::Failed, format!("cannot listen for signals: {e}"), "")
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Ends when the process is asked to. Each asking ends one wait.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Hears SIGHUP from its making on. On a terminal that is the end of the
/// terminal, and of what was started there; elsewhere, the wish to read the
/// configuration again.
pub(super) struct HangUp {
    signal: Signal,
    ends: bool,
}

/// What a SIGHUP means.
pub(super) enum HangUpMeans {
    /// Read the configuration again.
    Reload,
    /// End in order.
    End,
}

impl HangUp {
    /// Listens from now on.
    pub(super) fn listen(terminal: bool) -> Result<Self, CliError> {
        let signal = signal(SignalKind::hangup()).map_err(|e| {
            CliError::new(Exit::Failed, format!("cannot listen for signals: {e}"), "")
        })?;
        Ok(Self {
            signal,
            ends: terminal,
        })
    }

    /// Ends with the next one.
    pub(super) async fn next(&mut self) -> HangUpMeans {
        let _ = self.signal.recv().await;
        if self.ends {
            HangUpMeans::End
        } else {
            HangUpMeans::Reload
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StopSignals;
    use rustix::process::{Signal, getpid, kill_process};

    #[tokio::test]
    async fn a_signal_that_came_before_the_wait_is_not_lost() {
        let mut stop = StopSignals::listen().unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, stop.asked()).await.unwrap();
    }
}
