//! Examples in the help of each command. Every line of them is read by the
//! command line's own parser in a test, so that none can go stale.

use clap::Command;

/// One thing that is done, and the line that does it.
type Example = (&'static str, &'static str);

/// The examples of each command, by its words.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("See it work, without an account", "steadfast demo"),
            ("Run the gateway, and link a number", "steadfast serve"),
            (
                "Send",
                "steadfast send +4915123456789 'Your order is on its way.'",
            ),
            ("What is wrong here?", "steadfast check"),
        ],
    ),
    (
        "serve",
        &[
            (
                "On this machine alone, at 127.0.0.1:8080",
                "steadfast serve",
            ),
            (
                "Another port and another data folder",
                "steadfast serve --listen 127.0.0.1:9000 --data-dir /srv/whatsapp",
            ),
            (
                "Without an account, on the simulator",
                "steadfast serve --simulator",
            ),
        ],
    ),
    (
        "init",
        &[
            ("By a QR code", "steadfast init"),
            (
                "By a code that is typed on the phone",
                "steadfast init --phone +4915123456789",
            ),
            ("In a window on this desktop", "steadfast init --headed"),
            ("A second number", "steadfast init --session support"),
        ],
    ),
    (
        "send",
        &[
            ("A text", "steadfast send +4915123456789 'Hello'"),
            (
                "The text from a pipe, once however often this is run",
                "steadfast send +4915123456789 - --idempotency-key order-4711",
            ),
            (
                "A picture with a caption; wait until WhatsApp has it",
                "steadfast send +4915123456789 'Here it is' --image parcel.jpg --wait 60",
            ),
        ],
    ),
    (
        "status",
        &[
            ("Once", "steadfast status"),
            (
                "Every two seconds, until Ctrl-C",
                "steadfast status --watch",
            ),
            ("For a script", "steadfast status --json --session default"),
        ],
    ),
    (
        "outbox list",
        &[
            ("What waits for a person", "steadfast outbox list"),
            (
                "What waits to be sent",
                "steadfast outbox list --status accepted --limit 20",
            ),
        ],
    ),
    (
        "outbox release",
        &[
            (
                "One message",
                "steadfast outbox release msg_01kc3h5v0q6c8q3m1v6m2t4x7z",
            ),
            ("All of a session", "steadfast outbox release --all"),
        ],
    ),
    (
        "outbox discard",
        &[(
            "All parked messages of one session",
            "steadfast outbox discard --all --session support",
        )],
    ),
    (
        "tail",
        &[
            ("Everything from now on", "steadfast tail"),
            (
                "What comes in, for a program",
                "steadfast tail --events message.received --json",
            ),
            (
                "The first ten that are still kept",
                "steadfast tail --after 0 --count 10",
            ),
        ],
    ),
    (
        "webhooks list",
        &[("Each endpoint, and how it does", "steadfast webhooks list")],
    ),
    (
        "webhooks add",
        &[(
            "Messages that come in, to a shop",
            "steadfast webhooks add https://shop.example/hook --events message.received",
        )],
    ),
    (
        "webhooks test",
        &[("Does it answer?", "steadfast webhooks test wh_01kc3h5v0q")],
    ),
    (
        "webhooks replay",
        &[(
            "All that was given up",
            "steadfast webhooks replay wh_01kc3h5v0q",
        )],
    ),
    (
        "webhooks remove",
        &[(
            "With all that it was owed",
            "steadfast webhooks remove wh_01kc3h5v0q",
        )],
    ),
    (
        "check",
        &[
            ("Everything", "steadfast check"),
            (
                "Without a browser and without asking WhatsApp's server",
                "steadfast check --no-browser --no-reach",
            ),
            ("For a script", "steadfast check --json"),
        ],
    ),
    (
        "clean",
        &[
            ("Only look", "steadfast clean --dry-run"),
            ("Remove, and do not ask", "steadfast clean --yes"),
        ],
    ),
    (
        "backup",
        &[
            (
                "Beside the gateway that runs",
                "steadfast backup /var/backups/steadfast-monday",
            ),
            (
                "Without the files of messages",
                "steadfast backup /var/backups/small --no-media",
            ),
        ],
    ),
    (
        "restore",
        &[
            (
                "Into a new data folder",
                "steadfast restore /var/backups/steadfast-monday --data-dir /srv/whatsapp",
            ),
            (
                "Is the backup whole? Changes nothing",
                "steadfast restore /var/backups/steadfast-monday --check",
            ),
        ],
    ),
    (
        "export",
        &[(
            "The passphrase is asked for",
            "steadfast export number.sealed",
        )],
    ),
    (
        "import",
        &[(
            "The passphrase from a file",
            "steadfast import number.sealed --passphrase-file secret.txt",
        )],
    ),
    (
        "explain",
        &[
            ("One text", "steadfast explain 'Target closed'"),
            (
                "With what was being done",
                "steadfast explain 'Timeout 30000ms exceeded' --operation send",
            ),
        ],
    ),
    (
        "demo",
        &[
            ("Some ten seconds", "steadfast demo"),
            (
                "More messages, and the figures alone",
                "steadfast demo --messages 200 --json",
            ),
        ],
    ),
    (
        "chaos",
        &[
            ("300 messages, 30 faults", "steadfast chaos"),
            (
                "One kind of fault, replayed by its seed",
                "steadfast chaos --kinds browser_kill --faults 10 --seed 7",
            ),
        ],
    ),
    (
        "recovery-test",
        &[
            (
                "On the simulator: health, a fault, a restart",
                "steadfast recovery-test",
            ),
            (
                "Restart a session of a running gateway",
                "steadfast recovery-test --restart --url http://127.0.0.1:8080 --token sf_a_x",
            ),
        ],
    ),
    (
        "simulator",
        &[(
            "At places that one knows",
            "steadfast simulator --listen 127.0.0.1:9443 --control 127.0.0.1:9444",
        )],
    ),
    (
        "token new",
        &[
            (
                "For a shop that sends",
                "steadfast token new --name shop --scope send",
            ),
            (
                "For a monitor: one session, 90 days",
                "steadfast token new --name monitor --scope read --session default --expires 90d",
            ),
        ],
    ),
    (
        "token list",
        &[("Names, scopes and last use", "steadfast token list")],
    ),
    (
        "token rotate",
        &[
            ("The old one holds for a day", "steadfast token rotate shop"),
            (
                "It leaked: end it now",
                "steadfast token rotate shop --grace 0s",
            ),
        ],
    ),
    (
        "token revoke",
        &[("Refused from now on", "steadfast token revoke shop")],
    ),
    (
        "config",
        &[
            ("What somebody set", "steadfast config --changed"),
            ("Everything, for a program", "steadfast config --json"),
        ],
    ),
    (
        "completions",
        &[(
            "For bash, in this shell",
            "steadfast completions bash > ~/.local/share/bash-completion/completions/steadfast",
        )],
    ),
    (
        "man",
        &[
            ("Read it", "steadfast man | man -l -"),
            (
                "Install all pages for this user",
                "steadfast man --dir ~/.local/share/man/man1",
            ),
        ],
    ),
];

/// Puts each command's examples under its help.
pub(super) fn add(command: Command) -> Command {
    EXAMPLES.iter().fold(command, |command, (path, examples)| {
        let words: Vec<&'static str> = path.split_whitespace().collect();
        under(command, &words, &text(examples))
    })
}

fn under(command: Command, words: &[&'static str], text: &str) -> Command {
    match words {
        [] => command.after_help(text.to_owned()),
        [word, rest @ ..] => command.mut_subcommand(word, |inner| under(inner, rest, text)),
    }
}

fn text(examples: &[Example]) -> String {
    let lines = examples
        .iter()
        .map(|(what, line)| format!("  # {what}\n  {line}"));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::EXAMPLES;
    use clap::Command;

    /// The words of a line as a shell would give them, up to a pipe.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars().chain([' ']) {
            match c {
                '\'' => quoted = !quoted,
                '|' | '>' if !quoted => return words,
                ' ' if !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                c => word.push(c),
            }
        }
        assert!(!quoted, "{line}");
        words
    }

    #[test]
    fn every_example_is_a_command_of_its_place() {
        for (path, examples) in EXAMPLES {
            for (_, line) in *examples {
                let words = words(line);
                let parsed = super::super::command().try_get_matches_from(&words);
                if let Err(error) = parsed {
                    panic!("{line}: {error}");
                }
                assert!(words[1..].join(" ").starts_with(path), "{path}: {line}");
                assert!(line.len() <= 96, "too wide for a terminal: {line}");
            }
        }
    }

    /// The lines of a page's shell blocks, those that end in a backslash joined.
    fn shell_lines(page: &str) -> Vec<String> {
        let (mut lines, mut begun) = (Vec::new(), String::new());
        // Within a fence: whether it is one of shell.
        let mut fence = None;
        for line in page.lines() {
            if line.starts_with("```") {
                fence = match fence {
                    None => Some(matches!(line, "```" | "```sh")),
                    Some(_) => None,
                };
                continue;
            }
            if fence != Some(true) {
                continue;
            }
            begun.push_str(line.trim_end_matches('\\').trim_start());
            if !line.ends_with('\\') {
                lines.push(std::mem::take(&mut begun));
            }
        }
        lines
    }

    #[test]
    fn every_command_in_the_docs_is_one() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut pages = vec![root.join("README.md"), root.join("packaging/README.md")];
        for folder in ["docs", "docs/errors"] {
            let found = std::fs::read_dir(root.join(folder)).unwrap();
            pages.extend(found.map(|entry| entry.unwrap().path()));
        }
        pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
        let mut seen = 0;
        for path in pages {
            for line in shell_lines(&std::fs::read_to_string(&path).unwrap()) {
                let line = line.split('#').next().unwrap_or_default();
                let line = line.replacen("sudo -u steadfast ", "", 1);
                let line = line.replacen("./run ", "steadfast ", 1);
                let one_of_run = line.starts_with("steadfast build");
                // A placeholder in capitals, or several commands, is for people.
                if !line.starts_with("steadfast ") || one_of_run || line.contains('$') {
                    continue;
                }
                let words = words(&line.replace('"', "'"));
                if words.len() == 1 {
                    continue;
                }
                let parsed = super::super::command().try_get_matches_from(&words);
                if let Err(error) = parsed {
                    panic!("{}: {line}: {error}", path.display());
                }
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen}");
    }

    #[test]
    fn every_command_has_examples() {
        fn look(command: &Command, path: &str) {
            for inner in command.get_subcommands() {
                if inner.is_hide_set() || inner.get_name() == "help" {
                    continue;
                }
                let path = format!("{path} {}", inner.get_name());
                if inner.has_subcommands() {
                    look(inner, &path);
                } else {
                    let help = inner.get_after_help().map(ToString::to_string);
                    let help = help.unwrap_or_default();
                    assert!(help.contains("steadfast"), "{path} has no example");
                }
            }
        }
        look(&super::super::command(), "");
    }
}
