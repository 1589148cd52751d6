//! Rounds as three parties see them, over TLS.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

#[path = "../common/mod.rs"]
mod common;
mod attempts;
mod endings;
mod inputs;
mod results;
