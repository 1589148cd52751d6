//! Canonical bytes and ledger types in protobuf fields.
//!
//! What is hashed or signed travels as canonical bytes in one `bytes` field and is decoded strictly
//! here. The functions for single fields are for handlers, which answer with `INVALID_ARGUMENT`
//! (a [`FieldError`] turns into that status), and for clients, which do not trust servers either.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::{Certificate, ValidatorSet};
use quittance_ledger::ids::{AccountId, ChainId, Height, Timestamp, Uetr};
use quittance_ledger::state::{Account, Key, PendingCredit, Round};
use quittance_ledger::{merkle, tree};
use thiserror::Error;
use tonic::Status;

use crate::decimal;
use crate::proto::node::v1 as node;

/// A field of a message does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field's name in the protobuf.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl FieldError {
    /// `reason` is wrong with `field`.
    pub fn new(field: &'static str, reason: impl Display) -> Self {
        Self { field, reason: reason.to_string() }
    }
}

impl From<FieldError> for Status {
    fn from(error: FieldError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// The value whose canonical bytes are in `field`.
pub fn decode<T: Decode>(field: &'static str, bytes: &[u8]) -> Result<T, FieldError> {
    T::from_bytes(bytes).map_err(|error| FieldError::new(field, error))
}

/// As [`decode`]; `None` for an empty field. No value has an empty encoding.
pub fn decode_option<T: Decode>(
    field: &'static str,
    bytes: &[u8],
) -> Result<Option<T>, FieldError> {
    if bytes.is_empty() { Ok(None) } else { decode(field, bytes).map(Some) }
}

/// The value that the text in `field` means: an institution, an asset, a hexadecimal id.
pub fn text<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, FieldError> {
    text.parse().map_err(|error| FieldError::new(field, error))
}

/// A UETR: a UUID of version 4 (RFC 9562, section 5.4) in lower case.
pub fn uetr(field: &'static str, text: &str) -> Result<Uetr, FieldError> {
    let uetr: Uetr = self::text(field, text)?;
    let [.., version, _, variant, _, _, _, _, _, _, _] = uetr.0;
    if version >> 4 != 4 || variant >> 6 != 0b10 {
        return Err(FieldError::new(field, format!("{text:?} is not a UUID of version 4")));
    }
    Ok(uetr)
}

/// The minor units of a decimal amount, zero included; see [`decimal::parse`].
pub fn amount(field: &'static str, text: &str, decimals: u8) -> Result<u64, FieldError> {
    decimal::parse(text, decimals).map_err(|error| FieldError::new(field, error))
}

/// The minor units of a decimal amount above zero.
pub fn positive_amount(field: &'static str, text: &str, decimals: u8) -> Result<u64, FieldError> {
    decimal::parse_positive(text, decimals).map_err(|error| FieldError::new(field, error))
}

/// A time to wait of at most `most` milliseconds.
pub fn wait(field: &'static str, milliseconds: u32, most: u32) -> Result<Duration, FieldError> {
    if milliseconds > most {
        let reason = format!("{milliseconds} ms is more than the longest wait of {most} ms");
        return Err(FieldError::new(field, reason));
    }
    Ok(Duration::from_millis(milliseconds.into()))
}

/// A count in which zero stands for `default`, of at most `most`.
pub fn count(
    field: &'static str,
    wanted: u32,
    default: usize,
    most: usize,
) -> Result<usize, FieldError> {
    match wanted as usize {
        0 => Ok(default),
        wanted if wanted > most => {
            Err(FieldError::new(field, format!("{wanted} is more than {most}")))
        }
        wanted => Ok(wanted),
    }
}

/// Where a transaction stands, as a node says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionStatus {
    /// The node does not know it.
    Unknown,
    /// Admitted, waiting for a block.
    Pending {
        /// The last height at which it can be included.
        expiry: Height,
    },
    /// In a final block.
    Final {
        /// Height of the block.
        height: Height,
        /// Its position in the block, from 0.
        index: u32,
    },
    /// It will not be executed.
    Rejected {
        /// A stable name of the rule that it breaks, such as `STALE_SEQUENCE`.
        code: String,
        /// What is wrong, for people.
        reason: String,
    },
}

impl From<TransactionStatus> for node::Status {
    fn from(status: TransactionStatus) -> Self {
        use node::status::State;
        let state = match status {
            TransactionStatus::Unknown => State::Unknown(node::Unknown {}),
            TransactionStatus::Pending { expiry } => {
                State::Pending(node::Pending { expiry: expiry.0 })
            }
            TransactionStatus::Final { height, index } => {
                State::Final(node::Final { height: height.0, index })
            }
            TransactionStatus::Rejected { code, reason } => {
                State::Rejected(node::Rejected { code, reason })
            }
        };
        Self { state: Some(state) }
    }
}

impl TryFrom<Option<node::Status>> for TransactionStatus {
    type Error = FieldError;

    fn try_from(status: Option<node::Status>) -> Result<Self, FieldError> {
        use node::status::State;
        match status.and_then(|status| status.state) {
            None => Err(FieldError::new("status", "is missing")),
            Some(State::Unknown(_)) => Ok(Self::Unknown),
            Some(State::Pending(pending)) => Ok(Self::Pending { expiry: Height(pending.expiry) }),
            Some(State::Final(r#final)) => {
                Ok(Self::Final { height: Height(r#final.height), index: r#final.index })
            }
            Some(State::Rejected(rejected)) => {
                Ok(Self::Rejected { code: rejected.code, reason: rejected.reason })
            }
        }
    }
}

/// A final block with what makes it final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalBlock {
    /// The block.
    pub block: Block,
    /// Its certificate.
    pub certificate: Certificate,
    /// Who decides from the next block on, if they are others than those who decided this one.
    pub next_validators: Option<ValidatorSet>,
}

impl From<&FinalBlock> for node::BlocksResponse {
    fn from(of: &FinalBlock) -> Self {
        Self {
            block: of.block.to_bytes(),
            certificate: of.certificate.to_bytes(),
            next_validators: of.next_validators.as_ref().map(Encode::to_bytes).unwrap_or_default(),
        }
    }
}

impl TryFrom<&node::BlocksResponse> for FinalBlock {
    type Error = FieldError;

    /// Decodes; nothing of it is verified.
    fn try_from(response: &node::BlocksResponse) -> Result<Self, FieldError> {
        Ok(Self {
            block: decode("block", &response.block)?,
            certificate: decode("certificate", &response.certificate)?,
            next_validators: decode_option("next_validators", &response.next_validators)?,
        })
    }
}

/// An account at the tip with what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Header of the block after which this is the account.
    pub header: Header,
    /// The block's certificate.
    pub certificate: Certificate,
    /// The leaf; `None` if the account has never been touched.
    pub account: Option<Account>,
    /// That the leaf, or nothing, is under the header's state root.
    pub proof: tree::Proof,
    /// The pending credits in the order of their arrival.
    pub pending: Vec<PendingCredit>,
}

impl From<&AccountView> for node::AccountResponse {
    fn from(view: &AccountView) -> Self {
        Self {
            header: view.header.to_bytes(),
            certificate: view.certificate.to_bytes(),
            account: view.account.as_ref().map(Encode::to_bytes).unwrap_or_default(),
            proof: view.proof.to_bytes(),
            pending_credits: view.pending.iter().map(Encode::to_bytes).collect(),
        }
    }
}

impl TryFrom<&node::AccountResponse> for AccountView {
    type Error = FieldError;

    /// Decodes; see [`AccountView::check`] for the proof.
    fn try_from(response: &node::AccountResponse) -> Result<Self, FieldError> {
        let pending = response.pending_credits.iter();
        Ok(Self {
            header: decode("header", &response.header)?,
            certificate: decode("certificate", &response.certificate)?,
            account: decode_option("account", &response.account)?,
            proof: decode("proof", &response.proof)?,
            pending: pending
                .map(|credit| decode("pending_credits", credit))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl AccountView {
    /// Checks that this is the account `id` after the block of the certificate, and all of its
    /// pending credits. The certificate's signatures are for the caller to verify.
    pub fn check(&self, id: &AccountId) -> Result<(), FieldError> {
        if self.certificate.block != self.header.id() {
            return Err(FieldError::new("certificate", "is of another block"));
        }
        let leaf = self.account.as_ref().map(Encode::to_bytes);
        let proven =
            Key::Account(*id).verify(&self.header.state_root, leaf.as_deref(), &self.proof);
        proven.map_err(|error| FieldError::new("proof", error))?;
        let root = self.account.as_ref().map(|account| account.pending_root);
        let complete = match root {
            Some(root) => merkle::root_of(&self.pending) == root,
            None => self.pending.is_empty(),
        };
        if complete {
            Ok(())
        } else {
            Err(FieldError::new("pending_credits", "are not those under the account's leaf"))
        }
    }
}

/// A round as a node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundView {
    /// The record; `None` if the node knows no such round.
    pub round: Option<Round>,
    /// Height of the state that it was read from.
    pub height: Height,
}

impl From<&RoundView> for node::RoundResponse {
    fn from(view: &RoundView) -> Self {
        let round = view.round.as_ref().map(Encode::to_bytes).unwrap_or_default();
        Self { round, height: view.height.0 }
    }
}

impl TryFrom<&node::RoundResponse> for RoundView {
    type Error = FieldError;

    fn try_from(response: &node::RoundResponse) -> Result<Self, FieldError> {
        let round = decode_option("round", &response.round)?;
        Ok(Self { round, height: Height(response.height) })
    }
}

/// The chain that a node serves, and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainView {
    /// The chain.
    pub chain: ChainId,
    /// The last final block's height.
    pub height: Height,
    /// The state root after it.
    pub state_root: Digest,
    /// Its time.
    pub time: Timestamp,
    /// Transactions admitted and waiting.
    pub mempool: u64,
}

impl From<&ChainView> for node::ChainStatusResponse {
    fn from(view: &ChainView) -> Self {
        Self {
            chain_id: view.chain.to_bytes(),
            height: view.height.0,
            state_root: view.state_root.to_bytes(),
            time_ms: view.time.0,
            mempool: view.mempool,
        }
    }
}

impl TryFrom<&node::ChainStatusResponse> for ChainView {
    type Error = FieldError;

    fn try_from(response: &node::ChainStatusResponse) -> Result<Self, FieldError> {
        Ok(Self {
            chain: decode("chain_id", &response.chain_id)?,
            height: Height(response.height),
            state_root: decode("state_root", &response.state_root)?,
            time: Timestamp(response.time_ms),
            mempool: response.mempool,
        })
    }
}
