use super::*;

#[test]
fn a_failed_look_up_decides_nothing() {
    for text in [
        "Cannot find context with specified id",
        "net::ERR_NAME_NOT_RESOLVED",
        "x",
    ] {
        assert_eq!(
            failure(Operation::Lookup, Evidence::text(text)).2,
            Resend::CheckFirst
        );
    }
}

#[test]
fn the_operation_decides_what_a_bare_time_out_is() {
    let kind = |operation| failure(operation, Evidence::text("Request timed out.")).0;
    assert_eq!(kind(Operation::Navigate), Kind::NavigationTimeout);
    assert_eq!(kind(Operation::Send), Kind::PageHung);
    assert_eq!(kind(Operation::Launch), Kind::BrowserGone);
}

#[test]
fn lines_that_mean_nothing_are_not_heard() {
    let stderr = "[ERROR:bus.cc(407)] Failed to connect to the bus: No such file or directory\n\
                  [FATAL:zygote_host_impl_linux.cc(124)] No usable sandbox!";
    assert_eq!(
        failure(Operation::Launch, Evidence::text(stderr)).0,
        Kind::LaunchFailedSandbox
    );
}

#[test]
fn evidence_holds_no_personal_data() {
    let observed = Observed {
        operation: Operation::Send,
        evidence: Evidence::text("could not send to 4915112345678@c.us {\"body\":\"see you\"}"),
    };
    let evidence = classify(&observed).evidence;
    assert!(
        !evidence.contains("4915112345678") && !evidence.contains("see you"),
        "{evidence}"
    );
}

#[test]
fn every_kind_and_rung_has_words() {
    for kind in Kind::ALL {
        for words in [kind.happened(), kind.you_can()] {
            assert!(words.ends_with('.') && words.len() > 5, "{kind}: {words}");
        }
    }
    for rung in Rung::ALL {
        assert!(rung.we_do().ends_with('.'), "{rung}");
    }
}

/// Without an operation, nothing is called safe that is not safe in a send.
#[test]
fn silence_about_the_operation_is_no_licence() {
    for text in [
        "Target closed",
        "Session closed. Most likely the page has been closed.",
        "timed out",
    ] {
        assert_ne!(explain(text, None).safe_to_resend, Resend::Yes, "{text}");
        assert_ne!(
            explain(text, Some("frobnicate")).safe_to_resend,
            Resend::Yes,
            "{text}"
        );
    }
}

#[test]
fn what_is_no_failure_text_gets_a_sensible_answer() {
    let garbage: String = (0..=0xff_u8).map(char::from).collect();
    for text in [
        "",
        " \n\t",
        "\0\0\0",
        "\u{fffd}\u{fffd}",
        &garbage,
        "{}",
        "[]",
        "null",
    ] {
        for operation in [None, Some("send"), Some(""), Some("frobnicate")] {
            let meaning = explain(text, operation);
            assert_eq!(meaning.kind, Kind::Unknown, "{text:?} {operation:?}");
            assert_eq!(meaning.safe_to_resend, Resend::CheckFirst, "{text:?}");
        }
    }
}

#[test]
fn of_a_huge_log_the_headline_and_the_end_are_heard() {
    let noise = "[1:1:INFO:CONSOLE(1)] \"nothing\"\n".repeat(40_000);
    assert!(noise.len() > 1024 * 1024);
    let cause = "FATAL: No usable sandbox!";
    for text in [format!("{cause}\n{noise}"), format!("{noise}{cause}")] {
        let meaning = explain(&text, Some("launch"));
        assert_eq!(meaning.kind, Kind::LaunchFailedSandbox);
    }
}

#[test]
fn other_languages_are_read_and_promise_nothing() {
    for (text, kind) in [
        ("Número inválido", Kind::RecipientInvalid),
        ("El número no está registrado", Kind::RecipientInvalid),
        ("Nomor tidak terdaftar di WhatsApp", Kind::RecipientInvalid),
        ("号码不存在", Kind::RecipientInvalid),
        ("SESSÃO EXPIRADA, escaneie o QR", Kind::AuthRequired),
        ("Zeitüberschreitung", Kind::PageHung),
        ("Sem conexão com a internet", Kind::NetworkDown),
        ("O campo texto é obrigatório", Kind::PermanentRequestError),
        ("Произошла ошибка", Kind::Unknown),
        ("エラーが発生しました", Kind::Unknown),
    ] {
        let meaning = explain(text, Some("send"));
        assert_eq!(meaning.kind, kind, "{text}");
        assert_eq!(meaning.safe_to_resend, Resend::CheckFirst, "{text}");
    }
}

/// A guess names a kind and promises nothing; the ladder gets none.
#[test]
fn a_guess_is_told_from_what_is_known() {
    let text =
        "evaluating the expression brought nothing, the protocol waited for chromium's renderer";
    let meaning = explain(text, Some("evaluate"));
    assert!(meaning.guess, "{meaning:?}");
    assert_eq!(meaning.safe_to_resend, Resend::CheckFirst);
    let (kind, _, _) = failure(Op::Evaluate, Evidence::text(text));
    assert_eq!(kind, Kind::Unknown);
    assert!(!explain("Target closed", Some("send")).guess);
    assert!(!explain("", Some("launch")).guess);
    // Where nothing has started yet, nothing that a message or a link does can fail.
    let early = explain("the participant of the group was not added", Some("launch"));
    assert!(early.guess && early.kind == Kind::BrowserGone, "{early:?}");
}

/// Texts of a send that read as if nothing had gone out, and may lie.
#[test]
fn nothing_ambiguous_is_called_safe_to_send_again() {
    for text in [
        // An envelope says 400 of whatever was thrown inside.
        r#"{"status":400,"error":"Bad Request","response":{"message":["C"]}}"#,
        r#"{"status":400,"error":"Bad Request","response":{"message":["PrismaClientKnownRequestError"]}}"#,
        r#"{"statusCode":422,"error":"Unprocessable Entity"}"#,
        // The answer could not be read: there was one.
        "FetchError: invalid json response body at /sendText reason: Unexpected token <",
        "Protocol error (Runtime.callFunctionOn): Cannot find context with specified id\n    at JSHandle.jsonValue",
        "Protocol error (Runtime.callFunctionOn): Object reference chain is too long",
        "Object couldn't be returned by value",
        "TypeError: Converting circular structure to JSON",
        // What a gateway does after the send.
        "Request failed with status code 404 (webhook)",
        "Message not found",
        "msg_not_found",
        "connect ECONNREFUSED 127.0.0.1:6379",
        "getaddrinfo ENOTFOUND redis",
        "failed to upload media to minio: connection refused",
        "Message validation failed: key: Path `key` is required. (mongoose)",
        "Unique constraint failed on the fields: (`id`)",
        // One device of many, one property of many.
        "Failed to encrypt 3EB0 for <digits>:12: no signal session established",
        "TypeError: Cannot read properties of undefined (reading 'user')",
        "TypeError: Cannot read properties of undefined (reading 'chat')",
        "TypeError: window.Store.Msg.get is not a function",
        "TypeError: Cannot read properties of undefined (reading 'id')\n    at parseResponse (/app/dist/send.js:1:2)",
        // Words that say nothing of when.
        "Something went wrong. Please try again later",
        "Unknown server error",
        "Internal server error",
        "Connection reset by peer",
        "context canceled",
        "Aborted",
        "undefined",
        "send failed",
        "timeout",
    ] {
        for operation in ["send", "sendImage"] {
            let meaning = explain(text, Some(operation));
            assert_ne!(meaning.safe_to_resend, Resend::Yes, "{operation}: {text}");
        }
        assert_ne!(explain(text, None).safe_to_resend, Resend::Yes, "{text}");
    }
}

#[test]
fn a_result_that_says_ok_means_that_it_is_out() {
    let text = "{ erro: true, status: { messageSendResult: 'OK', count: null } }";
    assert_eq!(explain(text, Some("sendFile")).safe_to_resend, Resend::No);
    let mixed = "messageSendResult: 'OK'\nmessageSendResult: 'ERROR_NETWORK'";
    assert_eq!(
        explain(mixed, Some("send")).safe_to_resend,
        Resend::CheckFirst
    );
}

fn any_operation() -> impl Strategy<Value = Operation> {
    proptest::sample::select(Operation::ALL)
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,400}", operation in any_operation()) {
        classify(&Observed { operation, evidence: Evidence::text(text.clone()) });
        classify(&Observed { operation, evidence: exit(None, None, &text) });
        explain(&text, Some(&text));
        explain(&text, None);
    }

    /// Bits of real texts in any order find more ways through the rules.
    #[test]
    fn any_medley_is_answered(
        parts in proptest::collection::vec(proptest::sample::select(&[
            "(reading '", "error: ", "disconnected ", "code", "=", "401", "é", "'", "\\\"", "\n", "@c.us",
            "messagesendresult", "is not a function", " at a.js:1:2", "exitcode", "+49", "body:", "/home/", "\"",
        ][..]), 0..40),
        operation in any_operation(),
    ) {
        let text = parts.concat();
        classify(&Observed { operation, evidence: Evidence::text(text.clone()) });
        redact(&text);
    }

    #[test]
    fn redacting_twice_changes_nothing_more(text in "[a-z0-9@.+:\"' {}/-]{0,200}") {
        let once = redact(&text);
        let twice = redact(&once);
        prop_assert_eq!(once, twice);
    }
}

#[test]
fn a_huge_text_is_cut_not_choked_on() {
    let text = "(reading '".repeat(1_000_000);
    let failure = classify(&Observed {
        operation: Operation::Send,
        evidence: Evidence::text(text),
    });
    assert!(failure.evidence.len() <= EVIDENCE_BYTES);
}

/// What an event tells of is refused elsewhere: of a message in hand it says nothing.
#[test]
fn an_event_of_a_limit_calls_no_message_safe() {
    let text = "reachout timelock, is_active: true";
    assert_eq!(
        failure(Operation::Send, Evidence::text(text)).2,
        Resend::Yes
    );
    assert_eq!(
        failure(Operation::Listen, Evidence::text(text)).2,
        Resend::CheckFirst
    );
}

#[test]
fn an_article_is_no_name_that_a_build_has_shortened() {
    let kind = |text| failure(Operation::Send, Evidence::text(text)).0;
    assert_eq!(
        kind("Error: b\n    at #evaluate (a.js:1:1)"),
        Kind::WaIncompatible
    );
    assert_eq!(
        kind("{\"message\":\"r\",\"name\":\"r\"}"),
        Kind::WaIncompatible
    );
    assert_ne!(
        kind("Error: a contact that is not there"),
        Kind::WaIncompatible
    );
    assert_eq!(
        kind("{\"message\":\"O número <digits> não existe.\"}"),
        Kind::RecipientInvalid
    );
}

#[test]
fn an_envelope_around_a_shortened_name_says_nothing() {
    let kind = |what: &str| {
        let text = format!(r#"400 - "{{\"error\":\"Bad Request\",\"message\":[\"{what}\"]}}""#);
        failure(Operation::Send, Evidence::text(text)).0
    };
    assert_eq!(kind("C"), Kind::Unknown);
    assert_eq!(kind("phone is required"), Kind::PermanentRequestError);
    // Beside a reason, a short word is the request's own.
    assert_eq!(
        kind(r#"a\",\"phone is required"#),
        Kind::PermanentRequestError
    );
}

#[test]
fn a_part_of_a_word_or_a_number_is_not_the_thing_itself() {
    let kind = |text| failure(Operation::Launch, Evidence::text(text)).0;
    // `block` is no lock, and an exception's own code no exit code.
    assert_eq!(
        kind("Failed to open LevelDB database: Corruption: bad block contents"),
        Kind::ProfileCorrupt
    );
    assert_eq!(
        kind("Did not find Chrome at /usr/bin/chromium (code: 0)"),
        Kind::LaunchFailedMissingBrowser
    );
    assert_eq!(kind("Chrome exited with code 0"), Kind::ProfileLocked);
}

#[test]
fn a_panic_is_what_it_was_about_and_safe_for_nothing() {
    let text = "panic: websocket not connected";
    let (kind, _, resend) = failure(Operation::Send, Evidence::text(text));
    assert_eq!((kind, resend), (Kind::NetworkDown, Resend::CheckFirst));
    let (kind, _, resend) = failure(Operation::Send, Evidence::text("panic: oh no"));
    assert_eq!((kind, resend), (Kind::Unknown, Resend::CheckFirst));
}

#[test]
fn python_reads_from_nothing_too() {
    let text = "AttributeError: 'NoneType' object has no attribute 'wait_for_selector'";
    assert_eq!(
        failure(Operation::Evaluate, Evidence::text(text)).0,
        Kind::BrowserGone
    );
}

/// What a start, a library or a sender cannot mean, whatever the words.
#[test]
fn the_operation_and_the_speaker_rule_kinds_out() {
    for (op, text, kind) in [
        // A start speaks to the browser alone.
        (
            Op::Launch,
            "Unexpected server response: 502",
            Kind::BrowserGone,
        ),
        (Op::Launch, "connect ETIMEDOUT", Kind::BrowserGone),
        (
            Op::Navigate,
            "Unexpected server response: 502",
            Kind::NetworkDown,
        ),
        // A library without a browser has no page that hangs.
        (
            Op::Auth,
            "Error: Timed Out at baileys/lib/Utils/generics.js",
            Kind::NetworkDown,
        ),
        (Op::Auth, "Error: Timed Out", Kind::PageHung),
        // A session that sends has booted.
        (
            Op::Auth,
            "Cannot read properties of null (reading 'version')",
            Kind::WaIncompatible,
        ),
        (
            Op::Send,
            "SignalProtocolAddress: TypeError: Cannot read properties of null (reading 'version')",
            Kind::Unknown,
        ),
        // The line beside a headline tells why.
        (
            Op::RequestPairingCode,
            "pairing code request failed: Connection Closed",
            Kind::NetworkDown,
        ),
        (Op::RequestPairingCode, "pairing failed", Kind::AuthFailed),
        // The name of an event behind it is not what was asked.
        (
            Op::Listen,
            "Protocol error(Page.enable): Target closed. (Target.detachedFromTarget)",
            Kind::PageGone,
        ),
        (
            Op::Evaluate,
            "Protocol error (Target.createTarget): Target closed.",
            Kind::BrowserGone,
        ),
        // Why an account was banned for a while, by number.
        (Op::Auth, "102: users", Kind::BannedOrRestricted),
        (Op::Evaluate, "102: users", Kind::Unknown),
    ] {
        let (got, _, _) = failure(op, Evidence::text(text));
        assert_eq!(got, kind, "{op}: {text}");
    }
    // A result's own name is read under any key.
    let (_, _, resend) = failure(
        Op::SendMedia,
        Evidence::text("{ status: 'ERROR_UNKNOWN', mimeType: 'image/png' }"),
    );
    assert_eq!(resend, Resend::CheckFirst);
}
