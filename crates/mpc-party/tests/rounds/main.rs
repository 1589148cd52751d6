//! Rounds as three parties see them, over TLS.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod attempts;
#[path = "../common/mod.rs"]
mod common;
mod complaints;
mod endings;
mod inputs;
mod results;
