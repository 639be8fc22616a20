//! A running gateway, its configuration and its service manager: SIGHUP,
//! sd_notify, and a stop that lets what runs end.

use crate::binary::{Serving, signal, steadfast};
use crate::client::{DEADLINE, Reply, call};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

fn get(serving: &Serving, origin: &str) -> Reply {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let headers = [("origin", origin)];
    runtime.block_on(call(serving.address(), Method::GET, "/ping", &headers, ""))
}

/// The socket of a service manager that waits, and is told.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket }
    }

    /// The next word that holds this.
    #[track_caller]
    fn hears(&self, wanted: &str) -> String {
        let mut heard = Vec::new();
        loop {
            let mut bytes = [0; 4_096];
            let Ok(length) = self.socket.recv(&mut bytes) else {
                panic!("no {wanted:?} among {heard:?}");
            };
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
            heard.push(text);
        }
    }
}

/// A certificate and its key as files, and the settings that name them.
fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der();
    let files = [
        ("cert", "CERTIFICATE", made.cert.der().as_ref()),
        ("key", "PRIVATE KEY", key.as_slice()),
    ];
    let settings = files.map(|(name, label, der)| {
        let text = STANDARD.encode(der);
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        let path = folder.join(format!("{name}.pem"));
        std::fs::write(&path, pem).unwrap();
        format!("tls_{name} = \"{}\"\n", path.display())
    });
    settings.concat()
}

#[test]
fn a_reload_takes_what_it_can_and_says_what_waits() {
    const OLD: &str = "https://old.example";
    const NEW: &str = "https://new.example";
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    std::fs::create_dir(&data_dir).unwrap();
    let file = data_dir.join("steadfast.toml");
    let manager = Manager::at(&dir.path().join("notify"));
    let tls = certificate(dir.path());
    std::fs::write(
        &file,
        format!("[server]\ncors_origins = [\"{OLD}\"]\n{tls}"),
    )
    .unwrap();
    let mut command = steadfast(&data_dir);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--json"])
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("WATCHDOG_USEC", "1000000");
    let serving = Serving::start_as(&mut command);
    assert!(manager.hears("READY=1").contains("STATUS=at http://127"));
    // Its sign of life comes again and again.
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    let allowed =
        |origin: &str| get(&serving, origin).header("access-control-allow-origin") == origin;
    assert!(allowed(OLD) && !allowed(NEW));

    let changed = format!(
        "[server]\ncors_origins = [\"{NEW}\"]\nmax_connections = 7\n{tls}\
         [pacing]\nper_minute = 5\n[webhooks]\ntimeout_ms = 4000\n[log]\nlevel = \"debug\"\n"
    );
    std::fs::write(&file, changed).unwrap();
    signal(serving.pid(), "HUP");
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    assert!(allowed(NEW) && !allowed(OLD));

    // One that is wrong changes nothing.
    std::fs::write(&file, "[server]\ncors_origin = []\n").unwrap();
    signal(serving.pid(), "HUP");
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    assert!(allowed(NEW));

    let (code, log) = serving.end("TERM");
    assert_eq!(code, Some(0));
    manager.hears("STOPPING=1");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let find = |event: &str| {
        let found = lines.iter().find(|line| line["event"] == event);
        found.unwrap_or_else(|| panic!("no {event} in {log}"))
    };
    assert_eq!(
        find("config_reloaded")["taken"],
        "server.cors_origins pacing.per_minute webhooks.timeout_ms log.level"
    );
    // Nobody had touched its files.
    let read_again = lines.iter().filter(|line| line["event"] == "tls_reloaded");
    assert_eq!(read_again.count(), 1, "{log}");
    assert_eq!(find("config_waits")["waiting"], "server.max_connections");
    let refused = find("config_refused")["error"].as_str().unwrap();
    assert!(refused.contains("server.cors_origins"), "{refused}");
    // The log's own level was one of those keys.
    assert_eq!(find("http_request")["level"], "DEBUG");
}
