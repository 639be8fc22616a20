//! The arguments that the browser is started with, each with its reason.
//!
//! Figures in the reasons were measured with Chromium 156 on Debian.

use crate::LaunchError;
use crate::binary::Flavor;
use crate::options::LaunchOptions;
use std::path::Path;

/// One argument and why it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// The argument as it is given.
    pub arg: &'static str,
    /// What it is good for.
    pub why: &'static str,
}

/// What every browser gets.
pub const DEFAULT: &[Flag] = &[
    Flag {
        arg: "--remote-debugging-pipe",
        why: "The protocol on file descriptors 3 and 4. A TCP port would let any local process \
              take over a logged-in account; and with the pipe the browser ends when its owner does.",
    },
    Flag {
        arg: "--no-first-run",
        why: "No welcome page, no questions about being the default browser.",
    },
    Flag {
        arg: "--no-default-browser-check",
        why: "As above, on machines with a desktop.",
    },
    Flag {
        arg: "--password-store=basic",
        why: "Cookies are not encrypted with the desktop's keyring, so a profile can move to another machine.",
    },
    Flag {
        arg: "--disable-background-networking",
        why: "No calls home that the page did not ask for.",
    },
    Flag {
        arg: "--disable-component-update",
        why: "No downloads of components in the background.",
    },
    Flag {
        arg: "--disable-sync",
        why: "The profile belongs to the gateway, not to a browser account.",
    },
    Flag {
        arg: "--disable-breakpad",
        why: "No crash dumps on disk, and none sent.",
    },
    Flag {
        arg: "--mute-audio",
        why: "No audio service for a page that nobody hears.",
    },
    Flag {
        arg: "--disable-component-extensions-with-background-pages",
        why: "Each background page is a process of its own.",
    },
    Flag {
        arg: "--disable-background-timer-throttling",
        why: "A hidden tab's timers fell from 240 ticks to 12 without these three.",
    },
    Flag {
        arg: "--disable-renderer-backgrounding",
        why: "A hidden tab's process keeps its priority.",
    },
    Flag {
        arg: "--disable-backgrounding-occluded-windows",
        why: "A covered window counts as visible.",
    },
    Flag {
        arg: "--disable-blink-features=AutomationControlled",
        why: "With a debugging pipe, pages read `navigator.webdriver` as true, as under a test \
              driver; it is false for a person's browser, which this one stands in for. A site may \
              treat what a test driver does as not meant.",
    },
    Flag {
        arg: "--disable-features=WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup,\
              SpareRendererForSitePerProcess",
        why: "Three renderers for an address bar that nobody sees and one spare: 299-323 MB for \
              the tree instead of 376-390.",
    },
];

/// What a browser without a window gets besides.
pub const WITHOUT_WINDOW: &[Flag] = &[Flag {
    arg: "--disable-gpu",
    why: "No GPU process work for pictures that nobody sees.",
}];

/// Only for root, who cannot have Chromium's sandbox.
pub const NO_SANDBOX: Flag = Flag {
    arg: "--no-sandbox",
    why: "Chromium refuses to run as root with its sandbox. A fallback, never a default: a hole \
          in the renderer is then a hole in the machine.",
};

/// Switches that are refused among the extra arguments, by name.
pub const REFUSED: &[Flag] = &[
    Flag {
        arg: "--remote-debugging-port",
        why: "any local process could take over the account; the pipe is used",
    },
    Flag {
        arg: "--remote-debugging-address",
        why: "any process that reaches the port could take over the account; the pipe is used",
    },
    Flag {
        arg: "--remote-debugging-pipe",
        why: "the client sets it itself",
    },
    Flag {
        arg: "--user-data-dir",
        why: "the profile folder has its own setting, and its lock depends on it",
    },
    Flag {
        arg: "--profile-directory",
        why: "each account has a profile folder of its own",
    },
    Flag {
        arg: "--disable-web-security",
        why: "any page could read the account's; nothing here needs it",
    },
    Flag {
        arg: "--single-process",
        why: "a crash of the page would be a crash of the browser",
    },
];

/// Builds the whole command line. Where a switch is given twice, the later
/// one (the caller's) is kept; lists of features are joined, since Chromium
/// would take only the last list. Exactly one address ends it.
pub(crate) fn command_line(
    options: &LaunchOptions,
    user_data_dir: &Path,
    user_agent: Option<&str>,
) -> Result<Vec<String>, LaunchError> {
    let mut line = Line::default();
    match options.flavor {
        Flavor::NewHeadless => line.put("--headless=new"),
        // It is always headless; `=new` would not be understood.
        Flavor::HeadlessShell | Flavor::Headed => {}
    }
    for flag in DEFAULT {
        line.put(flag.arg);
    }
    if options.flavor != Flavor::Headed {
        for flag in WITHOUT_WINDOW {
            line.put(flag.arg);
        }
    }
    if options.no_sandbox {
        line.put(NO_SANDBOX.arg);
    }
    if let Some(user_agent) = user_agent {
        line.put(&format!("--user-agent={user_agent}"));
    }
    for arg in &options.extra_args {
        check(arg)?;
        line.put(arg);
    }
    let Some(user_data_dir) = user_data_dir.to_str() else {
        return Err(LaunchError::Argument {
            arg: user_data_dir.display().to_string(),
            reason: "the profile folder's path is not UTF-8",
        });
    };
    line.put(&format!("{}{user_data_dir}", crate::procfs::PROFILE_SWITCH));
    line.args.push("about:blank".to_owned());
    Ok(line.args)
}

fn check(arg: &str) -> Result<(), LaunchError> {
    let refuse = |reason| {
        Err(LaunchError::Argument {
            arg: arg.to_owned(),
            reason,
        })
    };
    if !arg.starts_with("--") || arg.len() < 3 {
        return refuse("only switches (--name or --name=value) can be added, no address");
    }
    if arg.contains('\0') {
        return refuse("it holds a NUL");
    }
    match REFUSED.iter().find(|flag| flag.arg == name(arg)) {
        Some(flag) => refuse(flag.why),
        None => Ok(()),
    }
}

fn name(arg: &str) -> &str {
    arg.split_once('=').map_or(arg, |(name, _)| name)
}

/// Switches that hold a list of which Chromium takes only the last.
const LISTS: [&str; 3] = [
    "--disable-features",
    "--enable-features",
    "--disable-blink-features",
];

#[derive(Default)]
struct Line {
    args: Vec<String>,
}

impl Line {
    fn put(&mut self, arg: &str) {
        let old = self.args.iter_mut().find(|old| name(old) == name(arg));
        match (old, arg.split_once('=')) {
            (None, _) => self.args.push(arg.to_owned()),
            (Some(old), Some((name, value))) if LISTS.contains(&name) => {
                old.push(',');
                old.push_str(value);
            }
            (Some(old), _) => arg.clone_into(old),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::Binary;
    use std::path::PathBuf;

    fn options(extra: &[&str]) -> LaunchOptions {
        let mut options = LaunchOptions::new(Binary::unchecked("/x"), "/p");
        options.extra_args = extra.iter().map(ToString::to_string).collect();
        options
    }

    fn built(options: &LaunchOptions) -> Vec<String> {
        command_line(options, &PathBuf::from("/p"), Some("UA/1")).unwrap()
    }

    #[test]
    fn the_line_has_one_address_one_profile_and_no_port() {
        let line = built(&options(&["--lang=de"]));
        let addresses: Vec<_> = line.iter().filter(|arg| !arg.starts_with("--")).collect();
        assert_eq!(addresses, ["about:blank"]);
        assert_eq!(line.last().map(String::as_str), Some("about:blank"));
        for wanted in [
            "--headless=new",
            "--remote-debugging-pipe",
            "--user-data-dir=/p",
            "--user-agent=UA/1",
            "--lang=de",
        ] {
            assert_eq!(line.iter().filter(|a| *a == wanted).count(), 1, "{wanted}");
        }
        assert!(!line.iter().any(|a| a.starts_with("--no-sandbox")));
        assert!(!line.iter().any(|a| a.contains("debugging-port")));
    }

    #[test]
    fn lists_are_joined_and_other_switches_replaced() {
        let line = built(&options(&[
            "--disable-features=Mine",
            "--user-agent=Other",
            "--mute-audio",
        ]));
        let features: Vec<_> = line
            .iter()
            .filter(|a| a.starts_with("--disable-features="))
            .collect();
        assert_eq!(features.len(), 1);
        assert!(features[0].ends_with(",SpareRendererForSitePerProcess,Mine"));
        assert!(line.contains(&"--user-agent=Other".to_owned()));
        assert!(!line.contains(&"--user-agent=UA/1".to_owned()));
        assert_eq!(line.iter().filter(|a| *a == "--mute-audio").count(), 1);
    }

    #[test]
    fn the_flavor_and_the_sandbox_are_the_callers_choice() {
        let mut shell = options(&[]);
        shell.flavor = Flavor::HeadlessShell;
        shell.no_sandbox = true;
        let line = built(&shell);
        assert!(!line.iter().any(|a| a.starts_with("--headless")));
        assert!(line.contains(&"--no-sandbox".to_owned()));
        let mut headed = options(&[]);
        headed.flavor = Flavor::Headed;
        assert!(!built(&headed).contains(&"--disable-gpu".to_owned()));
    }

    #[test]
    fn what_would_break_the_pipe_or_the_page_is_refused() {
        for arg in [
            "--remote-debugging-port=9222",
            "--remote-debugging-pipe",
            "--user-data-dir=/tmp",
            "--disable-web-security",
            "https://example.org",
            "--",
            "-x",
        ] {
            assert!(
                command_line(&options(&[arg]), &PathBuf::from("/p"), None).is_err(),
                "{arg} was taken"
            );
        }
    }
}
