//! Fiat-Shamir transcripts: a typed wrapper over Merlin.
//!
//! Everything is absorbed before the challenge that depends on it: parameters, statement, context
//! and each message of the prover, in order. Merlin frames each message with its label and
//! length, so no two sequences of messages collide.

use crate::encoding::Encode;
use crate::field::Scalar;

/// The state of one proof's transcript.
#[derive(Clone)]
pub struct Transcript {
    merlin: merlin::Transcript,
    /// Messages with this label are not absorbed: the deliberately weakened build that the tests
    /// mount their forgeries on.
    #[cfg(test)]
    pub(crate) omitted: Option<&'static [u8]>,
}

impl Transcript {
    /// An empty transcript of the protocol `label`, such as `quittance/v1/range-proof`.
    pub fn new(label: &'static [u8]) -> Self {
        Self {
            merlin: merlin::Transcript::new(label),
            #[cfg(test)]
            omitted: None,
        }
    }

    /// Absorbs the canonical bytes of a value.
    pub fn append(&mut self, label: &'static [u8], value: &impl Encode) {
        self.append_bytes(label, &value.to_bytes());
    }

    /// Absorbs bytes.
    pub fn append_bytes(&mut self, label: &'static [u8], bytes: &[u8]) {
        #[cfg(test)]
        if self.omitted == Some(label) {
            return;
        }
        self.merlin.append_message(label, bytes);
    }

    /// Absorbs an integer as 8 little-endian bytes (Merlin's own form).
    pub(crate) fn append_u64(&mut self, label: &'static [u8], value: u64) {
        self.append_bytes(label, &value.to_le_bytes());
    }

    /// Draws a challenge that depends on all that was absorbed: 64 bytes modulo l. The challenge
    /// itself is absorbed.
    pub fn challenge(&mut self, label: &'static [u8]) -> Scalar {
        let mut wide = [0; 64];
        self.merlin.challenge_bytes(label, &mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }

    /// The Merlin transcript, for a protocol that is implemented elsewhere.
    pub(crate) fn merlin(&mut self) -> &mut merlin::Transcript {
        &mut self.merlin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(run: impl FnOnce(&mut Transcript)) -> Scalar {
        let mut transcript = Transcript::new(b"quittance/v1/example");
        run(&mut transcript);
        transcript.challenge(b"c")
    }

    #[test]
    fn label_value_order_and_framing_each_change_the_challenge() {
        let all = [
            challenge(|_| ()),
            challenge(|t| t.append(b"a", &7u64)),
            challenge(|t| t.append(b"a", &8u64)),
            challenge(|t| t.append(b"b", &7u64)),
            challenge(|t| {
                t.append(b"a", &7u64);
                t.append(b"a", &8u64);
            }),
            challenge(|t| {
                t.append(b"a", &8u64);
                t.append(b"a", &7u64);
            }),
            challenge(|t| t.append_bytes(b"a", &[1, 2])),
            challenge(|t| {
                t.append_bytes(b"a", &[1]);
                t.append_bytes(b"a", &[2]);
            }),
            challenge(|t| {
                t.challenge(b"c");
            }),
            Transcript::new(b"quittance/v1/other").challenge(b"c"),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{i}");
        }
    }

    #[test]
    fn integers_are_absorbed_as_merlin_does() {
        let mut theirs = merlin::Transcript::new(b"quittance/v1/example");
        theirs.append_u64(b"n", 64);
        let mut wide = [0; 64];
        theirs.challenge_bytes(b"c", &mut wide);
        let ours = challenge(|t| t.append_u64(b"n", 64));
        assert_eq!(ours, Scalar::from_bytes_mod_order_wide(&wide));
    }
}
