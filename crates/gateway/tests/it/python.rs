//! Python programs that `./test` installs: clients that must work unmodified,
//! and second opinions (tests/tools/README.md).

use std::path::Path;
use std::process::Command;

/// A command that runs the Python which has the programs of one list of
/// tests/tools, with nothing of this machine's own Python set-up in it.
pub(crate) fn python(list: &str) -> Command {
    let python = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../target/setup/python/{list}/bin/python"));
    assert!(
        python.is_file(),
        "this test asks Python programs ({list}) that are not installed: start `./test` once, \
         which installs them (`./test --only fmt` is enough)"
    );
    let mut command = Command::new(python);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYTHON") {
            command.env_remove(name);
        }
    }
    // No caches beside the tests, and what it prints comes at once.
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUNBUFFERED", "1");
    command
}

#[test]
fn the_programs_are_there() {
    for (list, modules) in [
        ("checks", "schemathesis, standardwebhooks"),
        ("waha", "waha"),
        ("waha-py", "waha"),
    ] {
        let found = python(list)
            .args(["-c", &format!("import {modules}")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&found.stderr);
        assert!(found.status.success(), "{list}: {said}");
    }
}
