//! Integration tests of what stands around the crates.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests, too, end a test that way"
)]

mod machine;
mod setup;
