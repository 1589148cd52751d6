//! Secret sharing and multi-party computation over the field of the commitments.
//!
//! n parties, of which any t < n / 2 together learn nothing, compute circuits on Shamir shares.
//! [`vss`] brings inputs in, tied to commitments on the ledger; [`Shared`] evaluates circuits on
//! shares; [`output`] hands results to their owners, tied to published commitments.
//!
//! Protocols are `async` functions whose only await point is the exchange of one message with each
//! other party. A [`session::Machine`] runs them without a runtime: frames in, frames out. The
//! crate has no clock, socket, disk or ambient entropy.
//!
//! # Security
//!
//! **Passive security of the computation**: parties that follow the protocol learn nothing but
//! results and what the circuit reveals. A party that deviates can change products by errors of
//! its choice, and through selected errors learn secrets; nothing here detects that. Inputs, seeds,
//! openings and outputs *are* protected: a dealer cannot deal another value than the committed one,
//! openings are checked by all shares, and frames are bound to their session and place.
//! `docs/protocols/mpc.md` states what is defended and what is not.

mod engine;
pub mod memory;
pub mod output;
mod parties;
mod prss;
pub mod session;
mod shamir;
mod share;
mod shared;
pub mod vss;
mod wire;

pub use engine::{Engine, LessThan, MIN_STATISTICAL_BITS, Products, STATISTICAL_BITS};
pub use parties::{MAX_PARTIES, Parties, PartiesError, PartyId};
pub use shamir::split;
pub use share::Share;
pub use shared::{Inputs, Output, Shared};
