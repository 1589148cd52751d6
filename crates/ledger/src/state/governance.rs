//! What governance leaves in the state: decisions that wait for their height, and the rule about
//! settlements.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use serde::{Deserialize, Serialize};

use crate::transaction::{Change, MAX_CHANGES};

/// Decisions that may wait for their heights at a time.
pub const MAX_SCHEDULED: usize = 32;

/// Programs that a rule about settlements may name.
pub const MAX_PROGRAMS: usize = 64;

/// A decision that waits for its height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What it changes, one after the other.
    pub changes: Vec<Change>,
}

/// What a settlement must carry. Without any decision on it, nothing particular.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementRule {
    /// The programs that rounds may name, in strict order; if there are none, any.
    #[serde(with = "crate::json::digests")]
    pub programs: Vec<Digest>,
    /// Whether a settlement must have an attachment.
    pub attachment: bool,
}

impl SettlementRule {
    /// Whether a round may compute this program.
    pub fn allows(&self, program: &Digest) -> bool {
        self.programs.is_empty() || self.programs.contains(program)
    }
}

impl Encode for Decision {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.changes);
    }
}

impl Decode for Decision {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { changes: input.list(MAX_CHANGES, "changes")? })
    }
}

impl Encode for SettlementRule {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.programs);
        out.u8(self.attachment.into());
    }
}

impl Decode for SettlementRule {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let programs: Vec<Digest> = input.list(MAX_PROGRAMS, "programs")?;
        if !programs.is_sorted_by(|one, two| one < two) {
            return Err(input.invalid("programs", "not in strict order"));
        }
        Ok(Self { programs, attachment: input.tag(2, "whether an attachment is needed")? == 1 })
    }
}
