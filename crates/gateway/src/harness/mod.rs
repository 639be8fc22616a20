//! What `demo`, `chaos` and `recovery-test` are made of: the real gateway as a
//! child process, the simulator, faults, and a judge who believes only the
//! simulator's own journal.

pub mod relay;
