//! What signatures are for.

use std::fmt;

use crate::digest::Digest;
use crate::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use crate::planted;

/// What a signature is for. Keys are separate per purpose, too: a registry entry says which key
/// serves which purpose.
///
/// | purpose | label | who signs | what the digest covers |
/// | --- | --- | --- | --- |
/// | `Transaction` | `quittance/v1/transaction` | every institution that posts or acts | body and range proofs of a ledger transaction |
/// | `Vote` | `quittance/v1/vote` | a validator | height, round and block of a consensus vote; a quorum of them is a certificate |
/// | `Round` | `quittance/v1/round` | members of a netting round | messages and transcript hashes of the round outside the ledger |
/// | `Receipt` | `quittance/v1/receipt` | an MPC party | one settled bit of one payment; with the settlement it is the discharge |
/// | `KeyBinding` | `quittance/v1/key-binding` | an institution | the X.509 key that a process of the institution uses for TLS |
///
/// Later purposes take the next tags; no tag or label is ever used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A ledger transaction, body and proofs.
    Transaction = 0,
    /// A vote of a validator.
    Vote = 1,
    /// A message of a round, outside the ledger.
    Round = 2,
    /// A settled bit, signed by an MPC party.
    Receipt = 3,
    /// The binding of a TLS key to its institution.
    KeyBinding = 4,
}

impl Purpose {
    /// Every purpose, by tag.
    pub const ALL: [Self; 5] =
        [Self::Transaction, Self::Vote, Self::Round, Self::Receipt, Self::KeyBinding];

    /// The label that separates this purpose from all others.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Transaction => "quittance/v1/transaction",
            Self::Vote => "quittance/v1/vote",
            Self::Round => "quittance/v1/round",
            Self::Receipt => "quittance/v1/receipt",
            Self::KeyBinding => "quittance/v1/key-binding",
        }
    }

    /// The 32 bytes that are signed for `digest`: `Digest::of(label, [digest])`.
    pub fn message(self, digest: &Digest) -> Digest {
        let label = planted!("label-shared", Self::Transaction.label(), self.label());
        Digest::of(label, &[digest.as_bytes()])
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Encode for Purpose {
    fn encode(&self, out: &mut Writer) {
        out.u8(*self as u8);
    }
}

impl Decode for Purpose {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = input.tag(Self::ALL.len() as u8, "purpose")?;
        Ok(Self::ALL[usize::from(tag)])
    }
}
