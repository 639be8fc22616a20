//! Tests of the stores, from outside.

mod contract;
mod support;
