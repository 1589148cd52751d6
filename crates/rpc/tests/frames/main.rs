//! Joint computations of three parties over TLS: with each other, and with one that misbehaves.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod committee;
#[path = "../common/mod.rs"]
mod common;
mod misbehaviour;
mod sessions;
mod stalling;
mod strangers;
