//! Rounds as three parties see them, over TLS.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod endings;
mod inputs;
mod results;
