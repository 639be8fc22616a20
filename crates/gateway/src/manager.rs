//! What the service manager is told: that the gateway is ready, reads its
//! configuration again, stops, and lives (sd_notify(3)).
//!
//! A datagram of `NAME=VALUE` lines on the socket that `NOTIFY_SOCKET` names;
//! where there is none nobody wants to know. A service with `WatchdogSec=` is
//! ended and started again where it does not say that it lives. It says so
//! while its timers run and its store answers; an answer that the disk is full
//! is an answer.

use crate::events;
use crate::serve::Running;
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::port::Store;
use tokio::task::JoinSet;

/// The service manager, where there is one.
#[derive(Debug)]
pub struct Manager {
    told: Option<Arc<UnixDatagram>>,
    /// How long it waits for a sign of life.
    patience: Option<Duration>,
    /// Tells that we live.
    pulse: JoinSet<()>,
}

impl Manager {
    /// As the environment names it.
    pub fn of_this_process() -> Self {
        let var = |name: &str| std::env::var_os(name);
        let socket = var("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        let told = socket.and_then(|name| match connect(name.as_bytes()) {
            Ok(socket) => Some(Arc::new(socket)),
            Err(error) => {
                tracing::warn!(event = events::MANAGER_NOT_TOLD, %error, "NOTIFY_SOCKET leads nowhere");
                None
            }
        });
        let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
        let patience = patience(
            text("WATCHDOG_USEC").as_deref(),
            text("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Self {
            told,
            patience,
            pulse: JoinSet::new(),
        }
    }

    /// The gateway takes requests, by the configuration in force.
    pub fn ready(&mut self, running: &Running) {
        self.tell(&format!("READY=1\nSTATUS=at {}\n", running.url()));
        let (Some(told), Some(patience)) = (&self.told, self.patience) else {
            return;
        };
        if self.pulse.is_empty() {
            let store = Arc::clone(&running.app().store);
            self.pulse.spawn(beat(Arc::clone(told), store, patience));
        }
    }

    /// It reads its configuration again, and says when it has.
    pub fn reloading(&self) {
        // The manager compares it with the time of its own request (sd_notify(3)).
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}\n"));
    }

    /// It ends. From here on the manager's own limit of a stop counts, not the
    /// watchdog's: the store is about to close.
    pub async fn stopping(&mut self) {
        self.pulse.shutdown().await;
        self.tell("STOPPING=1\nWATCHDOG_USEC=0\n");
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.told {
            send(socket, text);
        }
    }
}

fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // A name that begins with @ is one of Linux's abstract names.
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    socket.connect_addr(&address)?;
    // A manager that does not read must not hold the gateway up.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn send(socket: &UnixDatagram, text: &str) {
    if let Err(error) = socket.send(text.as_bytes()) {
        tracing::warn!(event = events::MANAGER_NOT_TOLD, %error, "the service manager is not told");
    }
}

/// How long the manager waits, where it does and means this process.
fn patience(usec: Option<&str>, pid: Option<&str>, ours: u32) -> Option<Duration> {
    let meant = pid.is_none_or(|pid| pid.parse() == Ok(ours));
    let usec: u64 = usec?.parse().ok()?;
    (meant && usec > 0).then(|| Duration::from_micros(usec))
}

/// Tells twice in each interval that we live, as long as the store answers.
async fn beat(socket: Arc<UnixDatagram>, store: Arc<dyn Store>, patience: Duration) {
    loop {
        // Without a deadline: no answer, no sign of life.
        let _answer = store.check().await;
        send(&socket, "WATCHDOG=1\n");
        tokio::time::sleep(patience / 2).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{connect, patience, send};
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(patience(Some("1000000"), Some("7"), 7), second);
        assert_eq!(patience(Some("1000000"), None, 7), second);
        assert_eq!(patience(Some("1000000"), Some("8"), 7), None);
        assert_eq!(patience(Some("0"), None, 7), None);
        assert_eq!(patience(Some("soon"), None, 7), None);
        assert_eq!(patience(None, None, 7), None);
    }

    #[test]
    fn the_manager_hears_it_by_a_path_and_by_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::SocketAddr;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("steadfast-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        let named = format!("@{name}");
        for (manager, name) in [(by_path, path.to_str().unwrap()), (by_name, named.as_str())] {
            manager
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            send(&connect(name.as_bytes()).unwrap(), "READY=1\n");
            let mut heard = [0; 64];
            let length = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"READY=1\n");
        }
        assert!(connect(b"/nonexistent/notify").is_err());
    }
}
