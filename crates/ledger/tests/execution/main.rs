//! Execution attacked rule by rule, and held against a plaintext model of double entry.
//!
//! All transactions are real: proven, signed by the rightful keys and verified. What a test
//! changes it changes before proving and signing, so that nothing but the rule under test is
//! broken; see [`world::Net::submit_with`].

#![allow(clippy::unwrap_used)] // A test stops where its assumption fails.

mod agreement;
mod blocks;
mod books;
mod changes;
mod decisions;
mod drafts;
mod entries;
mod frames;
mod keys;
mod limits;
mod model;
mod operations;
mod returns;
mod rotation;
mod rounds;
mod validators;
mod world;
