//! The settlement of a round among banks, in memory and onto the ledger, and attacks on it.

#![allow(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod attempts;
mod book;
mod complaints;
mod faults;
mod proposals;
mod reports;
mod stage;
mod table;
mod world;
