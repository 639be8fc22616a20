//! Messages of many megabytes, both ways.

use crate::support::{LONG, scene};
use serde_json::json;
use steadfast_cdp::Error;

#[tokio::test]
async fn large_messages_pass_whole_and_absurd_ones_are_refused() {
    const MIB: usize = 1 << 20;
    let scene = scene().await;
    let page = &scene.page;
    for size in [1, 65_535, 65_536, 65_537, 17 * MIB] {
        let text: String = page
            .evaluate_as(&format!("'ab'.repeat({size})"), LONG)
            .await
            .unwrap();
        assert_eq!(text.len(), 2 * size);
        assert!(text.ends_with("abab") || size == 1);
    }
    // Escapes triple on the pipe.
    let text: String = page
        .evaluate_as(&format!("'\u{fc}\\n\\0'.repeat({MIB})"), LONG)
        .await
        .unwrap();
    assert_eq!(text, "\u{fc}\n\0".repeat(MIB));

    let large = "x".repeat(20 * MIB);
    let length: usize = page
        .call_function("(text) => text.length", &[json!(large)], LONG)
        .await
        .unwrap();
    assert_eq!(length, large.len());

    let absurd = "x".repeat(65 * MIB);
    let refused = page.evaluate(&absurd, LONG).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { bytes, limit, .. }) if bytes > limit),
        "{refused:?}"
    );
    assert_eq!(page.evaluate("6 * 7", LONG).await, Ok(json!(42)));
    scene.close().await;
}
