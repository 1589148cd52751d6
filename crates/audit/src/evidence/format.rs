//! The bytes of a dossier, and the JSON file around them.

use quittance_crypto::encoding::{Decode, DecodeError, Encode, Reader, Writer};
use quittance_ledger::block::Header;
use quittance_ledger::certificate::Certificate;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::ChainId;
use quittance_ledger::receipt::MAX_SET_CHANGES;
use serde::{Deserialize, Serialize};

use super::{Case, Dossier};

/// The version of a dossier's format; its first byte.
pub const DOSSIER_VERSION: u8 = 1;

/// Contradictions of which one file holds evidence.
pub const MAX_CASES: usize = 1024;

/// A dossier with what it says in words. Only the bytes count: whoever verifies compares the words
/// with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// On which chain.
    pub chain: ChainId,
    /// Who contradicts itself, and where.
    pub cases: Vec<Case>,
    /// The canonical bytes of the dossier, in hexadecimal.
    #[serde(with = "canonical_hex")]
    pub evidence: Dossier,
}

impl EvidenceFile {
    /// The file of a dossier.
    pub fn new(evidence: Dossier) -> Self {
        Self { chain: evidence.chain, cases: evidence.cases(), evidence }
    }
}

struct FinalBlock(Header, Certificate);

impl Encode for FinalBlock {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl Decode for FinalBlock {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(Header::decode(input)?, Certificate::decode(input)?))
    }
}

impl Encode for Dossier {
    fn encode(&self, out: &mut Writer) {
        out.u8(DOSSIER_VERSION);
        self.chain.encode(out);
        out.list(&self.changes);
        let blocks = self.blocks.iter().cloned();
        out.list(&blocks.map(|(header, by)| FinalBlock(header, by)).collect::<Vec<_>>());
        out.list(&self.evidence);
    }
}

impl Decode for Dossier {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.u8("version of a dossier")? != DOSSIER_VERSION {
            return Err(input.invalid("version of a dossier", "unknown"));
        }
        let chain = ChainId::decode(input)?;
        let changes = input.list(MAX_SET_CHANGES, "changes of validators")?;
        let blocks: Vec<FinalBlock> = input.list(MAX_CASES, "blocks")?;
        let blocks = blocks.into_iter().map(|FinalBlock(header, by)| (header, by)).collect();
        let evidence: Vec<Evidence> = input.list(MAX_CASES, "evidence")?;
        Ok(Self { chain, changes, blocks, evidence })
    }
}

/// A value by its canonical bytes in hexadecimal.
mod canonical_hex {
    use quittance_crypto::encoding::{Decode, Encode};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<T: Encode, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(value.to_bytes()))
    }

    pub(super) fn deserialize<'de, T: Decode, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let bytes = hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        T::from_bytes(&bytes).map_err(D::Error::custom)
    }
}
