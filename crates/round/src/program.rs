//! What a round computes, by name.

use quittance_crypto::digest::Digest;

/// The netting of payments whose payees the committee does not know.
pub const NETTING: &str = "netting/2";

/// `H("quittance/v1/round-program", name)`: what the opening of a round names its program by.
///
/// The name stands for the builder of circuits, since the circuit itself depends on who joins;
/// the session binds the circuit's own fingerprint.
pub fn digest(name: &str) -> Digest {
    Digest::of("quittance/v1/round-program", &[name.as_bytes()])
}
