//! Secret sharing and multi-party computation over the field of the commitments.
//!
//! Inputs are shared among the n parties of a committee, of which any t < n / 2 together learn
//! nothing, and 2t + 1 of them compute circuits on these Shamir shares: a session's active parties.
//! [`vss`] brings inputs in, tied to commitments on the ledger; [`Shared`] evaluates circuits on
//! shares; [`output`] hands results to their owners, tied to published commitments.
//!
//! Protocols are `async` functions whose only await point is the exchange of one message with each
//! other party. A [`session::Machine`] runs them without a runtime: frames in, frames out. The
//! crate has no clock, socket, disk or ambient entropy.
//!
//! # Security
//!
//! Whatever t parties do, they learn nothing but results and what the
//! circuit reveals, and what honest parties accept is right; liars can end a session. A dealer
//! cannot deal another value than the committed one, products are checked before anything that
//! may depend on them is opened, openings are checked by all shares, and frames are bound to their
//! session and place.
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
pub mod stock;
pub mod vss;
mod wire;

pub use engine::{Engine, LessThan, MIN_STATISTICAL_BITS, OneHot, Products, STATISTICAL_BITS};
pub use parties::{ActiveSet, ByParty, MAX_PARTIES, Parties, PartiesError, PartyId};
pub use shamir::split;
pub use share::Share;
pub use shared::{Inputs, Output, Shared, VectorInput};
