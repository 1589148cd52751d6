//! Deciding which block comes next.
//!
//! An engine drives an [`Application`]: it asks for proposals, has those of others checked, and
//! hands over each block with the certificate that makes it final. [`Solo`] is the engine of a
//! chain with one deciding validator, [`Engine`] that of several; the certificates that both make
//! are the same.
//!
//! Engines block their thread and keep time. What they decide about does neither: an application
//! learns the time from its arguments, so that it can be driven by a simulation as well.
//!
//! Validators talk in canonical frames ([`wire`], with a table of messages and bounds) over a
//! [`transport`] that somebody else provides and that proves who a peer is. Proposed blocks are kept
//! in a [`store`] until they are decided.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod application;
mod bell;
mod clock;
mod engine;
mod solo;
pub mod store;
pub mod transport;
pub mod wire;

pub use application::{Application, Moment, Occasion};
pub use bell::Bell;
pub use clock::Clock;
pub use engine::{Engine, EngineConfig, Patience, Role, RunError, StartError, metrics};
pub use solo::{Pace, Solo, SoloError};
