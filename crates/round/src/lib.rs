//! One settlement round: what banks, MPC parties and the coordinator tell each other, and what each
//! of them checks.
//!
//! ```text
//! payer's agent --announcement--> payee's agent     (both: the queue's root is on the ledger)
//!     |  ^
//!     |  +--------------------- result, receipts ---------------------+
//!     +---------dealing----------> MPC party --acknowledgement--> agent
//!
//! agents, parties  --reports-->  coordinator  --instructions-->  agents, parties
//! ```
//!
//! | module | for whom | what |
//! | --- | --- | --- |
//! | [`book`] | all | what the ledger says about rounds |
//! | [`queue`], [`announcement`], [`payees`], [`dealing`] | agent, party | a bank's payments, and how they are shared out |
//! | [`committee`] | party | what is computed, and with what |
//! | [`result`], [`receipt`] | agent | what has come out, and its proof afterwards |
//! | [`message`], [`start`], [`envelope`] | all | reports and instructions |
//! | [`coordinator`] | coordinator | a round from its opening to its end |
//! | [`participant`] | agent | from the start to the signed settlement |
//!
//! The crate is pure: no clock, socket, disk or ambient entropy beyond that of signing. The
//! protocol is written down in `docs/protocols/round.md`.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod announcement;
pub mod book;
pub mod committee;
pub mod coordinator;
pub mod dealing;
pub mod envelope;
mod joined;
pub mod message;
pub mod participant;
pub mod payees;
pub mod program;
pub mod queue;
pub mod receipt;
pub mod result;
pub mod settlement;
pub mod start;
#[cfg(test)]
mod testing;

pub use joined::Joined;

use quittance_crypto::encoding::{DecodeError, Problem, Reader};

/// The version of every message of this crate.
const VERSION: u8 = 1;

fn expect_version(input: &mut Reader<'_>, what: &'static str) -> Result<(), DecodeError> {
    let offset = input.offset();
    match input.u8(what)? {
        VERSION => Ok(()),
        found => Err(input.error_at(offset, what, Problem::UnknownTag(found))),
    }
}
