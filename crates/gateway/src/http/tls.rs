//! TLS for the HTTP interface: certificate and key from two PEM files, read
//! again when they change or somebody asks for it (SIGHUP), so that a renewed
//! certificate needs no restart.

use crate::events;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use steadfast_core::time::MonoMs;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// How often the files are looked at, at most.
const LOOK_EVERY_MS: u64 = 10_000;

/// Why certificate and key cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: {what}", path = .path.display())]
pub struct TlsError {
    path: PathBuf,
    what: String,
}

/// Certificate and key in force.
pub(crate) struct Tls {
    cert: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    /// When each file was written last.
    stamps: [Option<SystemTime>; 2],
    looked_at: MonoMs,
}

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// Where one cannot be read, or they do not belong together.
    pub(super) fn load(cert: &Path, key: &Path, now: MonoMs) -> Result<Self, TlsError> {
        let stamps = stamps(cert, key);
        Ok(Self {
            current: Mutex::new(Current {
                acceptor: read(cert, key)?,
                stamps,
                looked_at: now,
            }),
            cert: cert.to_owned(),
            key: key.to_owned(),
        })
    }

    /// What the next connection is to be welcomed with. Where changed files
    /// cannot be used, the certificate in force stays.
    pub(super) fn acceptor(&self, now: MonoMs) -> TlsAcceptor {
        let mut current = self.current();
        if now.0.saturating_sub(current.looked_at.0) >= LOOK_EVERY_MS {
            current.looked_at = now;
            if stamps(&self.cert, &self.key) != current.stamps {
                self.read_again(&mut current);
            }
        }
        current.acceptor.clone()
    }

    /// Reads both files now, whether or not they look changed: somebody asked
    /// for it. Where they cannot be used, the certificate in force stays.
    pub(crate) fn reload(&self, now: MonoMs) {
        let mut current = self.current();
        current.looked_at = now;
        self.read_again(&mut current);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_again(&self, current: &mut Current) {
        // Before they are read: what is written meanwhile is seen at the next look.
        current.stamps = stamps(&self.cert, &self.key);
        match read(&self.cert, &self.key) {
            Ok(acceptor) => {
                current.acceptor = acceptor;
                tracing::info!(
                    event = events::TLS_RELOADED,
                    "certificate and key were read again"
                );
            }
            Err(error) => {
                tracing::error!(event = events::TLS_REFUSED, %error, "the certificate in force stays");
            }
        }
    }
}

fn stamps(cert: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [cert, key].map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
}

fn read(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path, what: String| TlsError {
        path: path.to_owned(),
        what,
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(cert, format!("no PEM certificates can be read: {e}")))?;
    if chain.is_empty() {
        return Err(wrong(cert, "there is no PEM certificate in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| wrong(key, format!("no PEM private key can be read: {e}")))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, secret)
        })
        .map_err(|e| wrong(cert, format!("certificate and key cannot be used: {e}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use std::time::Duration;

    /// Writes a fresh certificate and its key, as of so many seconds after 1970.
    fn write(folder: &Path, at_s: u64) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der();
        put(folder, "cert.pem", "CERTIFICATE", made.cert.der(), at_s);
        put(folder, "key.pem", "PRIVATE KEY", &key, at_s);
    }

    fn put(folder: &Path, name: &str, label: &str, der: &[u8], at_s: u64) {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        std::fs::write(folder.join(name), pem).unwrap();
        let file = std::fs::File::options().write(true).open(folder.join(name));
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
        file.unwrap().set_modified(written).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        write(folder.path(), 1_000);
        let tls = Tls::load(&cert, &key, MonoMs(0)).unwrap();
        let config = |at| Arc::clone(tls.acceptor(MonoMs(at)).config());
        let first = config(0);
        assert!(Arc::ptr_eq(&first, &config(20_000)), "nothing has changed");
        write(folder.path(), 2_000);
        let second = config(40_000);
        assert!(!Arc::ptr_eq(&first, &second), "the new one is not in force");
        put(folder.path(), "key.pem", "PRIVATE KEY", b"rubbish", 3_000);
        assert!(
            Arc::ptr_eq(&second, &config(60_000)),
            "a broken key is in force"
        );
        assert!(Tls::load(&cert, &key, MonoMs(0)).is_err());
        tls.reload(MonoMs(60_001));
        assert!(
            Arc::ptr_eq(&second, &config(60_002)),
            "a broken key is in force because somebody asked"
        );
    }

    #[test]
    fn who_asks_need_not_wait_for_the_files_to_look_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        write(folder.path(), 1_000);
        let tls = Tls::load(&cert, &key, MonoMs(0)).unwrap();
        let config = |at| Arc::clone(tls.acceptor(MonoMs(at)).config());
        let first = config(0);
        // Put there by a tool that keeps the times of files.
        write(folder.path(), 1_000);
        assert!(
            Arc::ptr_eq(&first, &config(20_000)),
            "nothing looks changed"
        );
        tls.reload(MonoMs(20_001));
        assert!(
            !Arc::ptr_eq(&first, &config(20_002)),
            "it was not read again"
        );
    }
}
