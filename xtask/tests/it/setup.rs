//! `scripts/setup.sh` on machines that lack this or that.

use crate::machine::Machine;
use std::fs;

const INSTALL_ALL: &str = "apt-get -y install --no-install-recommends gcc libc6-dev ca-certificates npm chromium chromium-sandbox";
/// Of what the tests need besides, and of the clients in peers/.
const NPM_CI: &str = "npm ci --ignore-scripts --no-audit --no-fund";
/// Of what the binary carries alone.
const NPM_CI_BARE: &str = "npm ci --omit=dev --ignore-scripts --no-audit --no-fund";

#[test]
fn a_bare_debian_gets_all_in_one_go() {
    let run = Machine::bare().set_up();
    assert!(run.ok, "{}", run.said);
    assert_eq!(
        run.calls,
        [
            "apt-get update",
            "apt-cache policy chromium",
            INSTALL_ALL,
            NPM_CI_BARE,
        ]
    );
    assert!(
        run.said.contains("installing gcc libc6-dev"),
        "{}",
        run.said
    );
}

#[test]
fn a_ready_machine_is_left_alone_in_silence() {
    let run = Machine::ready().set_up();
    assert!(run.ok);
    assert_eq!(run.said, "");
    assert_eq!(run.calls, Vec::<String>::new());
}

#[test]
fn a_half_configured_dpkg_is_mended_once() {
    let machine = Machine::bare();
    machine.touch("half-configured");
    let run = machine.set_up();
    assert!(run.ok, "{}", run.said);
    assert_eq!(
        run.calls[2..6],
        [
            INSTALL_ALL,
            "dpkg --configure -a",
            "apt-get -y --fix-broken install",
            INSTALL_ALL,
        ]
    );
}

#[test]
fn an_apt_that_cannot_is_quoted() {
    let mut machine = Machine::bare();
    machine.set("BROKEN", "forever");
    let run = machine.set_up();
    assert!(!run.ok);
    assert!(run.said.contains("E: dpkg was interrupted"), "{}", run.said);
    assert!(run.said.contains("Install by hand"), "{}", run.said);
    assert!(!run.calls.iter().any(|call| call.starts_with("npm")));
}

#[test]
fn an_archive_without_chromium_is_said_before_anything_is_installed() {
    for answer in [
        "",
        "echo '  Candidate: (none)'",
        "echo '  Candidate: 2:1snap1-0ubuntu2'",
    ] {
        let machine = Machine::bare();
        machine.install("apt-cache", answer);
        let run = machine.set_up();
        assert!(!run.ok, "{answer}");
        assert!(run.said.contains("only as a snap"), "{}", run.said);
        assert!(run.said.contains("STEADFAST_BROWSER__PATH"), "{}", run.said);
        assert_eq!(run.calls, ["apt-get update", "apt-cache policy chromium"]);
    }
}

#[test]
fn a_stub_that_only_asks_for_the_snap_is_no_browser() {
    let machine = Machine::ready();
    machine.remove("chromium");
    machine.install("chromium-browser", "exec /snap/bin/chromium \"$@\"");
    let run = machine.set_up();
    assert!(
        run.calls.contains(
            &"apt-get -y install --no-install-recommends chromium chromium-sandbox".to_owned()
        ),
        "{:?}",
        run.calls
    );
}

#[test]
fn a_browser_that_is_there_or_named_is_enough() {
    let machine = Machine::ready();
    machine.remove("chromium");
    machine.install("google-chrome", "");
    assert_eq!(machine.set_up().calls, Vec::<String>::new());

    let mut machine = Machine::ready();
    machine.remove("chromium");
    machine.set("STEADFAST_BROWSER__PATH", "/opt/own/chrome");
    assert_eq!(machine.set_up().calls, Vec::<String>::new());
}

#[test]
fn a_user_with_sudo_installs_through_it() {
    let machine = Machine::bare();
    machine.install("id", "echo 1000");
    machine.install("sudo", "[ \"$1\" = -v ] || \"$@\"");
    let run = machine.set_up();
    assert!(run.ok, "{}", run.said);
    assert!(
        run.calls
            .iter()
            .any(|call| call.starts_with("sudo apt-get"))
    );
    assert!(
        run.calls.contains(&INSTALL_ALL.to_owned()),
        "{:?}",
        run.calls
    );
    assert!(
        !run.calls.iter().any(|call| call.starts_with("sudo npm")),
        "npm runs as the owner of the checkout"
    );
}

#[test]
fn a_user_without_root_or_sudo_is_told_what_is_missing() {
    let machine = Machine::bare();
    machine.install("id", "echo 1000");
    let run = machine.set_up();
    assert!(!run.ok);
    assert!(
        run.said.contains("neither root nor has sudo"),
        "{}",
        run.said
    );
    assert!(
        run.said.contains(
            "apt-get install --no-install-recommends gcc libc6-dev ca-certificates npm chromium chromium-sandbox"
        ),
        "{}",
        run.said
    );
    assert_eq!(run.calls, Vec::<String>::new());
}

#[test]
fn a_user_without_root_needs_none_on_a_ready_machine() {
    let machine = Machine::ready();
    machine.install("id", "echo 1000");
    let run = machine.set_up();
    assert!(run.ok, "{}", run.said);
    assert_eq!(run.said, "");
}

#[test]
fn an_old_rust_is_said_first() {
    let machine = Machine::bare();
    machine.install("rustc", "echo 'rustc 1.94.1 (abc 2026-01-01)'");
    let run = machine.set_up();
    assert!(!run.ok);
    assert!(run.said.contains("Rust 1.95 or newer"), "{}", run.said);
    assert!(run.said.contains("found 1.94.1"), "{}", run.said);
    assert_eq!(run.calls, Vec::<String>::new());

    machine.install("rustup", "");
    let run = machine.set_up();
    assert!(run.said.contains("rustup update stable"), "{}", run.said);
    assert_eq!(run.calls, Vec::<String>::new(), "rustup fetches nothing");
}

#[test]
fn a_newer_rust_will_do() {
    let machine = Machine::ready();
    machine.install("rustc", "echo 'rustc 1.100.0 (abc 2026-12-01)'");
    assert!(machine.set_up().ok);
}

#[test]
fn no_rust_at_all_is_said() {
    let machine = Machine::bare();
    machine.remove("rustc");
    machine.remove("cargo");
    let run = machine.set_up();
    assert!(!run.ok);
    assert!(run.said.contains("found none"), "{}", run.said);
    assert!(run.said.contains("rustup default stable"), "{}", run.said);
}

#[test]
fn the_page_library_follows_its_lock() {
    let machine = Machine::ready();
    let lock = machine.path("checkout/package-lock.json");
    let text = fs::read_to_string(&lock).expect("the lock");
    fs::write(&lock, text + "\n").expect("the lock");
    machine.touch("no-network");
    let run = machine.set_up();
    assert!(!run.ok);
    assert!(run.said.contains("npm error network"), "{}", run.said);

    fs::remove_file(machine.path("no-network")).expect("it was there");
    let run = machine.set_up();
    assert!(run.ok, "{}", run.said);
    assert_eq!(run.calls, [NPM_CI_BARE]);
    assert_eq!(machine.set_up().calls, Vec::<String>::new());
}

#[test]
fn the_clients_follow_their_lock_and_only_tests_ask_for_them() {
    let machine = Machine::bare();
    assert!(machine.set_up_for_tests().ok);
    let lock = machine.path("checkout/peers/package-lock.json");
    let text = fs::read_to_string(&lock).expect("the lock");
    fs::write(&lock, text + "\n").expect("the lock");
    assert_eq!(machine.set_up().calls, Vec::<String>::new());
    machine.touch("no-network");
    let run = machine.set_up_for_tests();
    assert!(!run.ok);
    assert!(run.said.contains("npm ci failed in peers/"), "{}", run.said);

    fs::remove_file(machine.path("no-network")).expect("it was there");
    assert_eq!(machine.set_up_for_tests().calls, [NPM_CI]);
    machine.remove("node");
    assert_eq!(
        machine.set_up_for_tests().calls,
        [
            "apt-get update",
            "apt-get -y install --no-install-recommends nodejs"
        ]
    );
}

#[test]
fn the_gateway_looks_for_a_browser_where_set_up_does() {
    let ours = include_str!("../../../scripts/setup.sh");
    let gateways = include_str!("../../../crates/cdp/src/binary.rs");
    for (array, constant) in [
        ("browser_names=(", "const FULL:"),
        ("browser_folders=(", "const USUAL_FOLDERS:"),
    ] {
        let (_, script) = ours.split_once(array).expect(array);
        let (script, _) = script.split_once(')').expect(array);
        let in_script: Vec<&str> = script.split_whitespace().collect();
        let (_, gateway) = gateways.split_once(constant).expect(constant);
        let (_, gateway) = gateway.split_once("= [").expect(constant);
        let (gateway, _) = gateway.split_once(']').expect(constant);
        let in_gateway: Vec<&str> = gateway.split('"').skip(1).step_by(2).collect();
        assert_eq!(in_script, in_gateway, "{array} against {constant}");
    }
}

/// How a list of tests/tools becomes an environment.
fn make_environment(name: &str) -> [String; 2] {
    [
        format!("python3 -m venv target/setup/python/{name}"),
        format!(
            "venv-python -m pip install --disable-pip-version-check --no-input --no-deps \
             --only-binary :all: --require-hashes -r tests/tools/{name}.txt"
        ),
    ]
}

#[test]
fn what_the_tests_ask_is_installed_for_them_alone() {
    let machine = Machine::bare();
    let run = machine.set_up_for_tests();
    assert!(run.ok, "{}", run.said);
    assert_eq!(
        run.calls[..5],
        [
            "apt-get update",
            "apt-cache policy chromium",
            &format!("{INSTALL_ALL} python3-venv xvfb"),
            NPM_CI,
            // In peers/.
            NPM_CI,
        ]
    );
    let made = ["checks", "waha", "waha-py"].map(make_environment).concat();
    assert_eq!(run.calls[5..], made);
    assert!(run.said.contains("that the tests ask"), "{}", run.said);

    let again = machine.set_up_for_tests();
    assert_eq!((again.ok, again.said.as_str()), (true, ""));
    assert_eq!(again.calls, Vec::<String>::new());
}

#[test]
fn the_tests_programs_follow_their_list() {
    let machine = Machine::bare();
    assert!(machine.set_up_for_tests().ok);
    let list = machine.path("checkout/tests/tools/waha.txt");
    let text = fs::read_to_string(&list).expect("the list");
    fs::write(&list, text + "\n").expect("the list");
    machine.touch("no-network");
    let run = machine.set_up_for_tests();
    assert!(!run.ok);
    assert!(run.said.contains("ERROR: no index"), "{}", run.said);

    fs::remove_file(machine.path("no-network")).expect("it was there");
    let run = machine.set_up_for_tests();
    assert!(run.ok, "half of an installation is begun afresh");
    assert_eq!(run.calls, make_environment("waha"));
}

#[test]
fn a_python_that_makes_no_environments_is_said() {
    let machine = Machine::bare();
    machine.touch("no-venv");
    let run = machine.set_up_for_tests();
    assert!(!run.ok);
    assert!(run.said.contains("Python 3.11 or newer"), "{}", run.said);
    assert!(machine.set_up().ok, "without tests it is not needed");
}

#[test]
fn the_tests_look_for_python_where_set_up_puts_it() {
    let setup = include_str!("../../../scripts/setup.sh");
    let tests = include_str!("../../../crates/gateway/tests/it/python.rs");
    let folder = "target/setup/python";
    assert!(setup.contains(&format!("test_tools={folder}\n")));
    assert!(tests.contains(&format!("../../{folder}/")));
}
