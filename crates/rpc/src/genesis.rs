//! The genesis of a chain over the wire: in parts, since that of many institutions is larger than
//! any answer, and asked for by those alone who do not have it.

use quittance_crypto::encoding::{Decode, DecodeError};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::ChainId;
use thiserror::Error;
use tonic::Status;
use tonic::transport::Channel;

use crate::proto::node::v1::node_client::NodeClient;
use crate::proto::node::v1::{GenesisRequest, GenesisResponse};

/// Bytes of a genesis in one answer.
pub const PART: usize = 1 << 20;

/// Bytes of a genesis that is taken from a node: one with 4,096 institutions, each with a key of the
/// larger suite for every use, has less.
pub const MAX_BYTES: usize = 1 << 26;

/// Why a genesis did not come.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// The node refuses or breaks off.
    #[error("the node answers: {0}")]
    Node(Box<Status>),
    /// More than [`MAX_BYTES`].
    #[error("the node's genesis is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// A part with nothing in it: there could be any number of them.
    #[error("the node sends an empty part of its genesis")]
    Empty,
    /// It does not decode.
    #[error("the node sends a malformed genesis: {0}")]
    Malformed(#[from] DecodeError),
    /// It is not the one that was asked for.
    #[error("the node sends the genesis of chain {found}, not of {expected}")]
    Another {
        /// The chain that it should begin.
        expected: ChainId,
        /// The chain that it begins.
        found: ChainId,
    },
}

impl From<Status> for GenesisError {
    fn from(status: Status) -> Self {
        Self::Node(Box::new(status))
    }
}

/// The answers with the canonical bytes of a genesis, each made when it is needed.
pub fn parts<B: AsRef<[u8]>>(bytes: B) -> impl Iterator<Item = GenesisResponse> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let rest = bytes.as_ref().get(offset..).filter(|rest| !rest.is_empty())?;
        let part = rest.get(..PART).unwrap_or(rest).to_vec();
        offset += part.len();
        Some(GenesisResponse { part })
    })
}

/// The genesis of `chain` from a node that serves it. Its digest has been compared with the chain's
/// id: no trust in the node is needed.
pub async fn fetch(
    client: &mut NodeClient<Channel>,
    chain: ChainId,
) -> Result<Genesis, GenesisError> {
    let mut answers = client.genesis(GenesisRequest {}).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(GenesisResponse { part }) = answers.message().await? {
        if part.is_empty() {
            return Err(GenesisError::Empty);
        }
        if bytes.len() + part.len() > MAX_BYTES {
            return Err(GenesisError::TooLarge);
        }
        bytes.extend_from_slice(&part);
    }
    let genesis = Genesis::from_bytes(&bytes)?;
    let found = genesis.chain_id();
    match found == chain {
        true => Ok(genesis),
        false => Err(GenesisError::Another { expected: chain, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_bounded_and_make_the_whole() {
        for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART] {
            let bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let parts: Vec<_> = parts(&bytes).map(|answer| answer.part).collect();
            assert_eq!(parts.len(), length.div_ceil(PART));
            assert!(parts.iter().all(|part| (1..=PART).contains(&part.len())));
            assert_eq!(parts.concat(), bytes);
        }
    }
}
