//! The engine's words, in ours.
//!
//! The engine is generic over a [`Context`]: what heights, votes and blocks are. These types wrap
//! the ledger's, so that what is signed and decided are the ledger's own votes and certificates.

mod ballots;

use std::fmt;

use bytes::Bytes;
use malachite_app_channel::app::types::core::{self as engine, NilOrVal, Round};
use malachite_app_channel::app::types::core::{Context, LinearTimeouts};
use quittance_crypto::encoding::{Decode, DecodeError, Encode};
use quittance_crypto::signature::{Signature, VerifyingKey};
use quittance_ledger::certificate::{MAX_TOTAL_POWER, Validator, ValidatorSet, Vote, VoteKind};
use quittance_ledger::ids::{BlockId, ChainId, Height, InstitutionId};
use quittance_ledger::proposal::Proposal;

pub use ballots::{Ballot, Offer};

/// Consensus about the blocks of one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quittance {
    /// The chain, which is part of all that is signed.
    pub chain: ChainId,
}

/// A height.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At(pub u64);

/// A validator, by its institution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(pub InstitutionId);

/// What is decided about: a block, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub BlockId);

/// A validator of one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    who: Who,
    key: VerifyingKey,
    power: u64,
}

/// The validators of one height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<Member>);

/// A whole proposed block. Its pieces are cut, signed, checked and joined by the network, which
/// hands them in at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// Who proposes it.
    pub who: InstitutionId,
    /// At which height.
    pub height: Height,
    /// In which round.
    pub round: u32,
    /// What the proposer says it is.
    pub block: BlockId,
    /// Its complete bytes.
    pub bytes: Bytes,
}

/// ML-DSA, as the chain's suite says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme;

/// A signature, with the order that the engine wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal(pub Signature);

impl PartialOrd for Seal {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Seal {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |seal: &Self| (seal.0.suite(), seal.0.as_bytes().to_vec());
        key(self).cmp(&key(other))
    }
}

impl At {
    /// The ledger's height.
    pub fn height(self) -> Height {
        Height(self.0)
    }
}

impl From<Height> for At {
    fn from(height: Height) -> Self {
        Self(height.0)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Height for At {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }

    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }

    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Address for Who {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl engine::Value for Value {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

impl From<&Validator> for Member {
    fn from(validator: &Validator) -> Self {
        let Validator { institution, key, power } = validator;
        Self { who: Who(*institution), key: key.clone(), power: *power }
    }
}

impl engine::Validator<Quittance> for Member {
    fn address(&self) -> &Who {
        &self.who
    }

    fn public_key(&self) -> &VerifyingKey {
        &self.key
    }

    fn voting_power(&self) -> u64 {
        self.power
    }
}

// The engine multiplies their power by 3 in 64 bits, and panics if it does not fit.
const _: () = assert!(MAX_TOTAL_POWER <= u64::MAX / 3);

impl From<&ValidatorSet> for Members {
    fn from(set: &ValidatorSet) -> Self {
        Self(set.validators().iter().map(Member::from).collect())
    }
}

impl engine::ValidatorSet<Quittance> for Members {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn total_voting_power(&self) -> u64 {
        // At most MAX_TOTAL_POWER.
        self.0.iter().map(|member| member.power).sum()
    }

    fn get_by_address(&self, address: &Who) -> Option<&Member> {
        let place = self.0.binary_search_by_key(address, |member| member.who);
        place.ok().and_then(|place| self.0.get(place))
    }

    fn get_by_index(&self, index: usize) -> Option<&Member> {
        self.0.get(index)
    }
}

impl engine::ProposalPart<Quittance> for Whole {
    fn is_first(&self) -> bool {
        true
    }

    fn is_last(&self) -> bool {
        true
    }
}

impl engine::SigningScheme for Scheme {
    type DecodingError = DecodeError;
    type Signature = Seal;
    type PublicKey = VerifyingKey;
    /// The key stays with the signer, see [`super::signing`].
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<Seal, DecodeError> {
        Signature::from_bytes(bytes).map(Seal)
    }

    fn encode_signature(signature: &Seal) -> Vec<u8> {
        signature.0.to_bytes()
    }

    fn decode_public_key(bytes: &[u8]) -> Result<VerifyingKey, DecodeError> {
        VerifyingKey::from_bytes(bytes)
    }

    fn encode_public_key(key: &VerifyingKey) -> Vec<u8> {
        key.to_bytes()
    }
}

/// The number of a round that votes and proposals are made in.
fn number(round: Round) -> u32 {
    round.as_u32().expect("the engine votes and proposes in rounds from 0")
}

/// Where in the set the proposer of a round stands: the turn goes around, by one place with each
/// height and each round.
pub fn turn(height: Height, round: u32, validators: usize) -> usize {
    let count = validators.max(1) as u64;
    let turn = (height.0 % count + u64::from(round) % count) % count;
    // Below the number of validators.
    turn as usize
}

impl Quittance {
    fn ballot(
        &self,
        kind: VoteKind,
        height: At,
        round: Round,
        value: NilOrVal<Value>,
        who: Who,
    ) -> Ballot {
        let (chain, height, round) = (self.chain, height.height(), number(round));
        let block = match value {
            NilOrVal::Nil => None,
            NilOrVal::Val(Value(block)) => Some(block),
        };
        Ballot::new(who.0, Vote { chain, height, round, kind, block })
    }
}

impl Context for Quittance {
    type Address = Who;
    type Height = At;
    type ProposalPart = Whole;
    type Proposal = Offer;
    type Validator = Member;
    type ValidatorSet = Members;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Ballot;
    type Extension = ();
    type SigningScheme = Scheme;

    fn select_proposer<'a>(&self, set: &'a Members, height: At, round: Round) -> &'a Member {
        let place = turn(height.height(), number(round), set.0.len());
        set.0.get(place).expect("a height has validators")
    }

    fn new_proposal(
        &self,
        height: At,
        round: Round,
        value: Value,
        pol_round: Round,
        who: Who,
    ) -> Offer {
        let (chain, height, round) = (self.chain, height.height(), number(round));
        let (block, valid_round) = (value.0, pol_round.as_u32());
        Offer::new(who.0, Proposal { chain, height, round, block, valid_round })
    }

    fn new_prevote(&self, height: At, round: Round, value: NilOrVal<Value>, who: Who) -> Ballot {
        self.ballot(VoteKind::Prevote, height, round, value, who)
    }

    fn new_precommit(&self, height: At, round: Round, value: NilOrVal<Value>, who: Who) -> Ballot {
        self.ballot(VoteKind::Precommit, height, round, value, who)
    }
}
