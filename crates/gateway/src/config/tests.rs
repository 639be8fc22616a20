use super::*;

fn with_env(pairs: &[(&str, &str)]) -> Layers {
    Layers {
        env: pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Layers::default()
    }
}

fn from_file(text: &str) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steadfast.toml");
    std::fs::write(&path, text).unwrap();
    load(&Layers {
        file: Some(path),
        ..Layers::default()
    })
}

#[test]
fn the_key_table_and_the_structs_agree() {
    let config = Config::defaults().unwrap();
    let table = toml::Table::try_from(&config).unwrap();
    let mut in_structs: Vec<String> = table
        .iter()
        .flat_map(|(section, content)| {
            content
                .as_table()
                .unwrap()
                .keys()
                .map(move |leaf| format!("{section}.{leaf}"))
        })
        .collect();
    let mut in_table: Vec<String> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    in_structs.sort();
    in_table.sort();
    assert_eq!(in_structs, in_table);
}

#[test]
fn every_default_passes_its_own_check() {
    for key in KEYS {
        assert!(key.checked(key.default_value()).is_ok(), "{}", key.name);
        assert!(key.doc.ends_with('.'), "{} lacks a sentence", key.name);
    }
}

#[test]
fn later_layers_win_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    std::fs::write(&path, "[server]\nlisten = '127.0.0.1:1'\nmax_bulk = 5\n").unwrap();
    let mut layers = with_env(&[("STEADFAST_SERVER__LISTEN", "127.0.0.1:2")]);
    layers.file = Some(path.clone());
    let loaded = load(&layers).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 2);
    assert_eq!(loaded.config.server.max_bulk, 5);
    layers
        .flags
        .push(("--listen", "server.listen", "127.0.0.1:3".to_owned()));
    let loaded = load(&layers).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 3);
    let source_of = |key: &str| {
        let entry = loaded.entries.iter().find(|e| e.key == key);
        entry.unwrap().source.clone()
    };
    assert_eq!(source_of("server.listen"), Source::Flag("--listen"));
    assert_eq!(source_of("server.max_bulk"), Source::File(path));
    assert_eq!(source_of("log.level"), Source::Default);
}

#[test]
fn unknown_keys_name_the_nearest() {
    let error = from_file("[server]\nlitsen = 'x'\n").unwrap_err();
    assert!(error.to_string().contains("did you mean server.listen?"));
    let error = from_file("[session]\nlisten = '127.0.0.1:1'\n").unwrap_err();
    assert!(error.to_string().contains("did you mean server.listen?"));
    let error = from_file("listen = '127.0.0.1:1'\n").unwrap_err();
    assert!(error.to_string().contains("did you mean server.listen?"));
    let error = from_file("[serve]\nlisten = '127.0.0.1:1'\n").unwrap_err();
    assert!(error.to_string().contains("is no section"));
    let error = load(&with_env(&[("STEADFAST_BROWSER__PTH", "x")])).unwrap_err();
    assert!(error.to_string().contains("STEADFAST_BROWSER__PATH"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let error = from_file(
        "[server]\nlisten = 'x'\nmax_bulk = 0\nfoo = 1\n[log]\nformat = 'xml'\nlevel = 'loud=maybe'\n[browser]\nextra_args = ['x']\nweb_spki = 'abc'\nweb_resolve = '8443'\n[session]\nconflict = true\n",
    )
    .unwrap_err();
    assert_eq!(error.problems.len(), 9, "{error}");
}

#[test]
fn variables_that_container_systems_make_up_do_no_harm() {
    let loaded = load(&with_env(&[
        ("STEADFAST_PORT", "tcp://10.0.0.1:80"),
        ("STEADFAST_SERVER_LISTEN", "127.0.0.1:1"),
        ("STEADFAST_DATA_DIR", "/x"),
    ]))
    .unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].contains("STEADFAST_SERVER__LISTEN"));
}

#[test]
fn texts_from_the_environment_are_read_by_type() {
    let loaded = load(&with_env(&[
        ("STEADFAST_SERVER__ALLOW_REMOTE", "yes"),
        ("STEADFAST_SERVER__LISTEN", "0.0.0.0:0"),
        ("STEADFAST_SESSION__HEARTBEAT_INTERVAL_MS", "2_000"),
        ("STEADFAST_BROWSER__EXTRA_ARGS", "--a=1, --b"),
    ]))
    .unwrap();
    assert!(loaded.config.server.allow_remote);
    assert_eq!(loaded.config.session.heartbeat_interval_ms, 2_000);
    assert_eq!(loaded.config.browser.extra_args, ["--a=1", "--b"]);
    let array = [("STEADFAST_BROWSER__EXTRA_ARGS", "[\"--a=1,2\"]")];
    let loaded = load(&with_env(&array)).unwrap();
    assert_eq!(loaded.config.browser.extra_args, ["--a=1,2"]);
}

#[test]
fn listening_to_the_world_needs_a_word() {
    let error = from_file("[server]\nlisten = '0.0.0.0:8080'\n").unwrap_err();
    assert!(error.to_string().contains("server.allow_remote"));
    assert!(from_file("[server]\nlisten = '0.0.0.0:8080'\nallow_remote = true\n").is_ok());
    assert!(from_file("[server]\nlisten = '[::1]:8080'\n").is_ok());
}

#[test]
fn dangerous_browser_arguments_are_refused() {
    for argument in ["--disable-web-security", "--remote-debugging-port=9222"] {
        let text = format!("[browser]\nextra_args = ['{argument}']\n");
        let error = from_file(&text).unwrap_err().to_string();
        assert!(error.contains("is refused: "), "{error}");
    }
    assert!(from_file("[browser]\nextra_args = ['--lang=de']\n").is_ok());
}

#[test]
fn a_named_file_must_exist_and_a_fallback_need_not() {
    let missing = PathBuf::from("/nonexistent/steadfast.toml");
    let error = load(&Layers {
        file: Some(missing.clone()),
        ..Layers::default()
    })
    .unwrap_err();
    assert!(error.to_string().contains("cannot be read"));
    assert!(
        load(&Layers {
            fallback_file: Some(missing),
            ..Layers::default()
        })
        .is_ok()
    );
}

#[test]
fn the_page_in_docs_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == doc::markdown(),
        "docs/CONFIGURATION.md is stale: run `steadfast config --markdown > docs/CONFIGURATION.md`"
    );
}

#[test]
fn only_origins_of_web_pages_are_let_in() {
    let with = |origin: &str| from_file(&format!("[server]\ncors_origins = ['{origin}']\n"));
    for origin in [
        "https://app.example",
        "http://localhost:3000",
        "https://[::1]:8443",
    ] {
        assert!(with(origin).is_ok(), "{origin}");
    }
    for origin in [
        "*",
        "null",
        "app.example",
        "https://app.example/",
        "https://a b",
        "file://x",
        "https://",
    ] {
        let refused = with(origin).unwrap_err().to_string();
        assert!(refused.contains("server.cors_origins"), "{refused}");
    }
}
