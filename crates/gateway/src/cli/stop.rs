//! SIGINT and SIGTERM: the wish that a command ends in order.

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
