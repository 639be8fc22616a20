//! Integration tests of what stands around the crates.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests, too, end a test that way"
)]

mod deb;
mod machine;
mod setup;
mod unit;
