//! `steadfast explain`, without a data folder and without a gateway.

use crate::binary::{run, run_with, steadfast};
use std::path::Path;

#[test]
fn one_text_is_explained() {
    let nowhere = Path::new("/nonexistent/data");
    let text = "Protocol error (Runtime.callFunctionOn): Session closed. Most likely the page has been closed.";
    let ended = run(steadfast(nowhere).args(["explain", text, "--operation", "send", "--json"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let meaning = &ended.values()[0];
    assert_eq!(meaning["kind"], "page_gone");
    assert_eq!(meaning["safe_to_resend"], "yes");
    for key in ["rung", "happened", "we_do", "you_can", "doc"] {
        assert!(!meaning[key].as_str().unwrap().is_empty(), "{key}");
    }
    let people = run_with(steadfast(nowhere).arg("explain"), text);
    assert!(people.stdout.contains("page_gone"), "{}", people.stdout);
    run_with(steadfast(nowhere).arg("explain"), " \n").refused(2, &["no text"]);
}

#[test]
fn many_are_answered_in_order_and_a_broken_line_alone() {
    let nowhere = Path::new("/nonexistent/data");
    let input = concat!(
        "{\"id\":1,\"text\":\"Target closed\",\"operation\":\"send\"}\n",
        "nonsense\n",
        "\n",
        "{\"id\":2,\"text\":\"net::ERR_INTERNET_DISCONNECTED\",\"operation\":null}\n",
        "{\"id\":3}\n",
    );
    let ended = run_with(steadfast(nowhere).args(["explain", "--jsonl"]), input);
    let values = ended.values();
    assert_eq!(values.len(), 4);
    assert_eq!(
        (&values[0]["id"], &values[0]["operation"]),
        (&1.into(), &"send".into())
    );
    assert_eq!(values[0]["safe_to_resend"], "check_first");
    assert!(values[1]["error"].as_str().unwrap().starts_with("not JSON"));
    assert_eq!(values[2]["kind"], "network_down");
    assert!(values[3]["error"].is_string());
    assert_eq!(ended.code, Some(1));
}
