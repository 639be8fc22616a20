//! What the engine has to be told, and which of it is refused.

use crate::Error;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use steadfast_cdp::{Flavor, UserAgent};
use steadfast_core::proxy::{Proxy, ProxySetting};

/// How to drive one session.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The session's profile folder; made (0700) where missing. One connector at a time holds it.
    pub profile_dir: PathBuf,
    /// The browser; `None` takes the first of chromium, google-chrome and their kind that is found.
    pub browser_path: Option<PathBuf>,
    /// How the browser is run.
    pub flavor: Flavor,
    /// More arguments for the browser. Those that would open the account to others are refused.
    pub extra_args: Vec<String>,
    /// How the browser names itself. By default as the same browser with a window does.
    pub user_agent: UserAgent,
    /// Whether to run without Chromium's sandbox; `None`: only as root, who cannot have one.
    pub no_sandbox: Option<bool>,
    /// Where WhatsApp Web is.
    pub web_url: String,
    /// Another address (`127.0.0.1:8443`) that stands in for WhatsApp Web's. Nothing else can be reached then.
    pub web_resolve: Option<String>,
    /// Through which proxy the browser reaches WhatsApp Web; read at each start of a browser.
    pub proxy: ProxySetting,
    /// The only key, beside the usual authorities', that this stand-in may have: base64 SHA-256 of its public key info.
    pub web_spki: Option<String>,
    /// Whether a passkey that the page asks for while linking is asked for by us instead
    /// ([`steadfast_core::port::EngineEvent::PasskeyWanted`]). Off where a person sits before
    /// the browser's window: its own dialog reaches their keys.
    pub hold_passkeys: bool,
    /// A wa-js bundle to use in place of the built-in one.
    pub library: Option<PathBuf>,
    /// Where the files of messages are, each under its id; without it no file can be sent.
    pub media_dir: Option<PathBuf>,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// What the time is, as people count it.
    pub wall_clock: fn() -> SystemTime,
}

/// How long the engine waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// From the start of the browser to its first answer.
    pub start: Duration,
    /// From asking for a page to its first bytes.
    pub navigate: Duration,
    /// For a question that the page answers from memory.
    pub call: Duration,
    /// For wa-js to be read and run by the page.
    pub library: Duration,
    /// For the server's ack on a message, checks and chat look-up included.
    pub ack: Duration,
    /// For the server's word on whether a number has WhatsApp.
    pub number: Duration,
    /// For a search in WhatsApp Web's own database.
    pub search: Duration,
    /// For a pairing code, and for the log-out.
    pub server: Duration,
    /// For a browser that is to be replaced to write its profile, after which it is killed.
    pub replace: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            navigate: Duration::from_secs(30),
            call: Duration::from_secs(5),
            library: Duration::from_secs(30),
            ack: Duration::from_secs(10),
            number: Duration::from_secs(5),
            search: Duration::from_secs(8),
            server: Duration::from_secs(30),
            replace: Duration::from_secs(2),
        }
    }
}

impl EngineOptions {
    /// The usual, on this profile folder.
    pub fn new(profile_dir: impl Into<PathBuf>) -> Self {
        Self {
            profile_dir: profile_dir.into(),
            browser_path: None,
            flavor: Flavor::NewHeadless,
            extra_args: Vec::new(),
            user_agent: UserAgent::default(),
            no_sandbox: None,
            web_url: "https://web.whatsapp.com/".to_owned(),
            web_resolve: None,
            proxy: ProxySetting::default(),
            web_spki: None,
            hold_passkeys: true,
            library: None,
            media_dir: None,
            deadlines: Deadlines::default(),
            wall_clock: SystemTime::now,
        }
    }

    /// All arguments beyond the usual ones, but the proxy's.
    pub(crate) fn browser_args(&self, site: &Site) -> Result<Vec<String>, Error> {
        let mut args = Vec::with_capacity(self.extra_args.len() + 2);
        if let Some(address) = &self.web_resolve {
            let host = check_address(address)?;
            // An address that is mapped to is not looked up again; everything else does not exist.
            args.push(format!(
                "--host-resolver-rules=MAP {}:{} {address},MAP * ~NOTFOUND,EXCLUDE {host}",
                site.host, site.port
            ));
        }
        if let Some(key) = &self.web_spki {
            check_key(key)?;
            args.push(format!("--ignore-certificate-errors-spki-list={key}"));
        }
        for arg in &self.extra_args {
            check_arg(arg)?;
            args.push(arg.clone());
        }
        Ok(args)
    }
}

/// The arguments that send everything through a proxy. It also resolves names:
/// where a stand-in is set, the proxy must know it.
pub(crate) fn proxy_args(proxy: &Proxy, args: &mut Vec<String>) {
    for arg in args.iter_mut() {
        // The proxy itself must be found where nothing else exists.
        if arg.starts_with("--host-resolver-rules=") {
            arg.push_str(",EXCLUDE ");
            arg.push_str(proxy.host());
        }
    }
    args.push(format!("--proxy-server={proxy}"));
}

/// WhatsApp Web's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) origin: String,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Site {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let bad = |detail: &str| Error::Option {
            option: "web_url",
            detail: format!("{url:?} {detail}; usual is https://web.whatsapp.com/"),
        };
        let Some(rest) = url.strip_prefix("https://") else {
            return Err(bad("does not begin with https://"));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad("has no usable port"))?),
            None => (authority, 443),
        };
        let named = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        if !named {
            return Err(bad("names no host"));
        }
        let host = host.to_ascii_lowercase();
        let origin = match port {
            443 => format!("https://{host}"),
            port => format!("https://{host}:{port}"),
        };
        Ok(Self {
            url: url.to_owned(),
            origin,
            host,
            port,
        })
    }

    /// Whether an address is a document of WhatsApp Web.
    pub(crate) fn owns(&self, url: &str) -> bool {
        url.strip_prefix(self.origin.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }
}

/// Checks `HOST:PORT`, and gives the host.
fn check_address(address: &str) -> Result<&str, Error> {
    let bad = || Error::Option {
        option: "web_resolve",
        detail: format!("{address:?} is no HOST:PORT, for example 127.0.0.1:8443"),
    };
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let host_ok = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    match port.parse::<u16>() {
        Ok(1..) if host_ok => Ok(host),
        _ => Err(bad()),
    }
}

/// Base64 of 32 bytes is 43 letters and one `=`.
fn check_key(key: &str) -> Result<(), Error> {
    let ok = key.len() == 44
        && key.ends_with('=')
        && key
            .bytes()
            .take(43)
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    if ok {
        return Ok(());
    }
    Err(Error::Option {
        option: "web_spki",
        detail: "this is no base64 SHA-256 of a public key info (44 characters that end in '=')"
            .to_owned(),
    })
}

/// Refused here beyond what the DevTools client refuses itself: each either
/// has an option of its own, or takes from the page's safety.
const REFUSED: [(&str, &str); 12] = [
    (
        "--disable-web-security",
        "any page could read the account's; nothing here needs it",
    ),
    (
        "--allow-running-insecure-content",
        "the account's page must stay encrypted",
    ),
    (
        "--ignore-certificate-errors",
        "anybody on the way could read the account; web_spki trusts one key and no other",
    ),
    ("--ignore-certificate-errors-spki-list", "use web_spki"),
    ("--host-resolver-rules", "use web_resolve"),
    ("--host-rules", "use web_resolve"),
    (
        "--no-sandbox",
        "use no_sandbox; as root it is added by itself",
    ),
    ("--user-agent", "use user_agent"),
    ("--headless", "use the flavor"),
    (
        "--remote-debugging-port",
        "any local process could take over the account; the pipe is used",
    ),
    (
        "--user-data-dir",
        "use the profile folder: its lock depends on it",
    ),
    (
        "--disable-site-isolation-trials",
        "a hole in one page would be a hole in all",
    ),
];

fn check_arg(arg: &str) -> Result<(), Error> {
    let name = arg.split_once('=').map_or(arg, |(name, _)| name);
    let refuse = |why: &str| {
        Err(Error::Option {
            option: "extra_args",
            detail: format!("{name} is refused: {why}"),
        })
    };
    if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return refuse(why);
    }
    let features = arg.strip_prefix("--disable-features=").unwrap_or_default();
    if features
        .split(',')
        .any(|f| matches!(f.trim(), "IsolateOrigins" | "site-per-process"))
    {
        return refuse("without site isolation a hole in one page would be a hole in all");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site::parse("https://web.whatsapp.com/").unwrap()
    }

    #[test]
    fn the_site_is_taken_apart() {
        assert_eq!(site().origin, "https://web.whatsapp.com");
        assert_eq!(site().port, 443);
        let other = Site::parse("https://Localhost:8443/x?y").unwrap();
        assert_eq!(
            (other.origin.as_str(), other.port),
            ("https://localhost:8443", 8443)
        );
        for wrong in [
            "http://web.whatsapp.com/",
            "https://",
            "https://:1",
            "web.whatsapp.com",
            "https://a:b/",
        ] {
            assert!(Site::parse(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn only_its_own_documents_belong_to_it() {
        for own in [
            "https://web.whatsapp.com",
            "https://web.whatsapp.com/?post_logout=1",
            "https://web.whatsapp.com/x#y",
        ] {
            assert!(site().owns(own), "{own}");
        }
        for other in [
            "https://web.whatsapp.com.evil.org/",
            "about:blank",
            "chrome-error://chromewebdata/",
            "http://web.whatsapp.com/",
        ] {
            assert!(!site().owns(other), "{other}");
        }
    }

    #[test]
    fn a_stand_in_is_reached_by_its_key_alone() {
        let options = EngineOptions {
            web_resolve: Some("127.0.0.1:8443".to_owned()),
            web_spki: Some(format!("{}=", "A".repeat(43))),
            ..EngineOptions::new("/p")
        };
        let args = options.browser_args(&site()).unwrap();
        assert_eq!(
            args[0],
            "--host-resolver-rules=MAP web.whatsapp.com:443 127.0.0.1:8443,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1"
        );
        assert!(args[1].starts_with("--ignore-certificate-errors-spki-list=AAAA"));
    }

    #[test]
    fn a_proxy_is_named_and_can_be_found() {
        let options = EngineOptions {
            web_resolve: Some("127.0.0.1:8443".to_owned()),
            ..EngineOptions::new("/p")
        };
        let mut args = options.browser_args(&site()).unwrap();
        proxy_args(
            &Proxy::parse("http://proxy.example:3128").unwrap(),
            &mut args,
        );
        assert!(args[0].ends_with(",EXCLUDE 127.0.0.1,EXCLUDE proxy.example"));
        assert_eq!(args[1], "--proxy-server=http://proxy.example:3128");
    }

    #[test]
    fn wrong_values_name_their_option() {
        for (option, options) in [
            (
                "web_resolve",
                EngineOptions {
                    web_resolve: Some("8443".to_owned()),
                    ..EngineOptions::new("/p")
                },
            ),
            (
                "web_resolve",
                EngineOptions {
                    web_resolve: Some("127.0.0.1:0".to_owned()),
                    ..EngineOptions::new("/p")
                },
            ),
            (
                "web_resolve",
                EngineOptions {
                    web_resolve: Some("a b:1".to_owned()),
                    ..EngineOptions::new("/p")
                },
            ),
            (
                "web_spki",
                EngineOptions {
                    web_spki: Some("sha256/AAA".to_owned()),
                    ..EngineOptions::new("/p")
                },
            ),
        ] {
            let error = options.browser_args(&site()).unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }

    #[test]
    fn harmful_arguments_are_refused_with_their_reason() {
        for arg in [
            "--disable-web-security",
            "--no-sandbox",
            "--ignore-certificate-errors",
            "--remote-debugging-port=9222",
            "--disable-features=Translate,IsolateOrigins",
        ] {
            let options = EngineOptions {
                extra_args: vec![arg.to_owned()],
                ..EngineOptions::new("/p")
            };
            let error = options.browser_args(&site()).unwrap_err().to_string();
            assert!(error.contains("refused"), "{error}");
        }
        let options = EngineOptions {
            extra_args: vec![
                "--lang=de".to_owned(),
                "--disable-features=Translate".to_owned(),
            ],
            ..EngineOptions::new("/p")
        };
        assert_eq!(options.browser_args(&site()).unwrap().len(), 2);
    }
}
