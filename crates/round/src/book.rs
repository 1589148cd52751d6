//! What the ledger says about rounds, read from its blocks.
//!
//! Coordinator, agents and parties each keep a [`Book`] of their own, made from certified blocks
//! and from nothing else, so that none of them has to believe another about who has joined, with
//! which balance, and how a round has ended.
//!
//! A book is much less than a state: balances as commitments, rounds, and the register. Whether a
//! transaction is valid has been decided by the validators whose certificate the caller has
//! checked; what no valid block can contain is an error all the same.

mod page;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::signature::{Purpose, SigningKey, VerifyingKey};
use quittance_ledger::block::Block;
use quittance_ledger::execute::{FollowError, follow};
use quittance_ledger::genesis::Genesis;
use quittance_ledger::ids::{
    AccountId, AssetId, ChainId, CommitteeId, Height, InstitutionId, RoundId,
};
use quittance_ledger::state::{Committee, PublicKey, Settled, State, StateError};
use quittance_ledger::transaction::RoundOpen;
use thiserror::Error;

use crate::Joined;
use crate::payees::Payees;
use page::Page;

/// The rounds and balances after some block.
#[derive(Debug, Clone)]
pub struct Book {
    /// The register, assets, committees and limits, as governance has them for the next block.
    registry: State,
    height: Height,
    balances: BTreeMap<AccountId, Commitment>,
    rounds: BTreeMap<RoundId, RoundFacts>,
}

/// A round as its book has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundFacts {
    /// What it was opened with.
    pub terms: RoundOpen,
    /// At which height it was opened.
    pub opened: Height,
    /// Who computes it: the committee as it was then, whatever has become of it.
    pub committee: Arc<Committee>,
    /// Who can be paid in it: the participants of the register as it was then.
    pub payees: Arc<Payees>,
    /// Who has joined.
    pub members: BTreeMap<InstitutionId, Member>,
    /// How it has settled, if it has.
    pub settled: Option<Settled>,
}

/// A member of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What it has joined with.
    pub joined: Joined,
    /// The balance of its account when it joined. Since the account is locked, it has that balance
    /// until the round is over.
    pub balance: Commitment,
}

/// Why a block does not fit a book. No certified chain leads there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BookError {
    /// Of another chain.
    #[error("the block is of chain {found}, not of {expected}")]
    Chain {
        /// The book's chain.
        expected: ChainId,
        /// The block's.
        found: ChainId,
    },
    /// Not the next block.
    #[error("the block has height {found}, the next one is {expected}")]
    Height {
        /// The next height.
        expected: Height,
        /// The block's.
        found: Height,
    },
    /// A decision, or a key, that the register does not admit.
    #[error("block {height}: {source}")]
    Register {
        /// The block.
        height: Height,
        /// Why not.
        source: FollowError,
    },
    /// A committee that is not on record.
    #[error("block {height}: round {round} is opened with the unknown committee {committee}")]
    UnknownCommittee {
        /// The block.
        height: Height,
        /// The round.
        round: RoundId,
        /// Its committee.
        committee: CommitteeId,
    },
    /// A round that was opened before.
    #[error("block {height} opens round {round} again")]
    OpenedTwice {
        /// The block.
        height: Height,
        /// The round.
        round: RoundId,
    },
    /// A round that is not on record.
    #[error("block {height} names the unknown round {round}")]
    UnknownRound {
        /// The block.
        height: Height,
        /// The round.
        round: RoundId,
    },
    /// A round that has settled.
    #[error("block {height} changes round {round}, which has settled")]
    Settled {
        /// The block.
        height: Height,
        /// The round.
        round: RoundId,
    },
    /// A member that joined before.
    #[error("block {height}: {institution} joins round {round} again")]
    JoinedTwice {
        /// The block.
        height: Height,
        /// The round.
        round: RoundId,
        /// Who.
        institution: InstitutionId,
    },
    /// Nobody with this id.
    #[error("block {height}: {institution} is not registered")]
    NotRegistered {
        /// The block.
        height: Height,
        /// Who.
        institution: InstitutionId,
    },
}

/// A key without which an institution can sign nothing that others accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingKey {
    /// Whose.
    pub institution: InstitutionId,
    /// What for.
    pub purpose: Purpose,
    /// The one that the chain has registered, if it has any.
    pub registered: Option<Digest>,
    /// At which height.
    pub height: Height,
}

impl fmt::Display for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { institution, purpose, registered, height } = self;
        match registered {
            None => write!(
                f,
                "the chain has registered no {purpose:?} key of {institution} at height {height}"
            ),
            Some(print) => write!(
                f,
                "the {purpose:?} key that the chain has registered for {institution} at height \
                 {height}, {print}, is not in its key file"
            ),
        }
    }
}

impl RoundFacts {
    /// Whether no block after `height` can settle the round any more.
    pub fn is_over(&self, height: Height) -> bool {
        self.settled.is_some() || height >= self.terms.deadline
    }

    /// Whether a block after `height` can still bring members.
    pub fn is_joinable(&self, height: Height) -> bool {
        self.settled.is_none() && height < self.terms.join_until
    }
}

impl Book {
    /// The book before the first block.
    pub fn new(genesis: &Genesis) -> Result<Self, StateError> {
        Ok(Self::from_registry(State::genesis(genesis)?))
    }

    /// The book before the first block of the chain with this state of height 0.
    pub fn from_registry(registry: State) -> Self {
        let (balances, rounds) = (BTreeMap::new(), BTreeMap::new());
        Self { registry, height: Height::GENESIS, balances, rounds }
    }

    /// The height of the last block.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.registry.chain().id
    }

    /// Register, assets, committees and limits, as they hold for the next block; its accounts and
    /// rounds are those of the genesis.
    pub fn registry(&self) -> &State {
        &self.registry
    }

    /// The key with which `institution` signs for `purpose` in the next block.
    pub fn key(&self, institution: &InstitutionId, purpose: Purpose) -> Option<&VerifyingKey> {
        let register = self.registry.institution(institution)?;
        match register.signing_key(purpose, self.height.next())?.key() {
            PublicKey::Signing(_, key) => Some(key),
            PublicKey::Sealing(_) => None,
        }
    }

    /// The key of `ring` with which `institution` signs for `purpose` in the next block; the newest
    /// if the registered one is not there: see [`Book::missing_key`].
    pub fn own_key<'a>(
        &self,
        ring: &'a KeyRing,
        institution: &InstitutionId,
        purpose: Purpose,
    ) -> &'a SigningKey {
        let registered = self.key(institution, purpose);
        let key = registered.and_then(|key| ring.signing_key(purpose, &key.fingerprint()));
        key.unwrap_or_else(|| ring.signing(purpose))
    }

    /// The first of these keys that `institution` needs in the next block and does not have: not
    /// registered, or not in `ring`.
    pub fn missing_key(
        &self,
        ring: &KeyRing,
        institution: &InstitutionId,
        purposes: &[Purpose],
    ) -> Option<MissingKey> {
        let missing = |purpose: &Purpose| {
            let registered = self.key(institution, *purpose).map(VerifyingKey::fingerprint);
            let held = registered.and_then(|print| ring.signing_key(*purpose, &print));
            let (institution, purpose, height) = (*institution, *purpose, self.height.next());
            held.is_none().then_some(MissingKey { institution, purpose, registered, height })
        };
        purposes.iter().find_map(missing)
    }

    /// The present balance of an account; the identity before its first posting.
    pub fn balance(&self, account: &AccountId) -> Commitment {
        self.balances.get(account).copied().unwrap_or(Commitment::identity())
    }

    /// The round, if it is open or was not long ago.
    pub fn round(&self, id: &RoundId) -> Option<&RoundFacts> {
        self.rounds.get(id)
    }

    /// All rounds on record.
    pub fn rounds(&self) -> impl Iterator<Item = (RoundId, &RoundFacts)> {
        self.rounds.iter().map(|(id, round)| (*id, round))
    }

    /// The round of an asset that can still settle; of several the one opened last.
    pub fn open_round(&self, asset: AssetId) -> Option<(RoundId, &RoundFacts)> {
        let open = self
            .rounds()
            .filter(|(_, round)| round.terms.asset == asset && !round.is_over(self.height));
        open.max_by_key(|(id, round)| (round.opened, *id))
    }

    /// Takes the next block. The caller has checked its certificate and its transactions root.
    ///
    /// # Errors
    /// If the block cannot follow. Then the book is as it was.
    pub fn apply<S>(&mut self, block: &Block<S>) -> Result<(), BookError> {
        let header = &block.header;
        let (expected, found) = (self.chain(), header.chain);
        if found != expected {
            return Err(BookError::Chain { expected, found });
        }
        let (expected, found) = (self.height.next(), header.height);
        if found != expected {
            return Err(BookError::Height { expected, found });
        }
        let mut page = Page::new(self);
        for transaction in &block.transactions {
            page.write(transaction)?;
        }
        let (balances, rounds) = page.finish();
        let register = follow(&self.registry, block);
        let height = found;
        self.registry = register.map_err(|source| BookError::Register { height, source })?;
        self.height = found;
        self.balances.extend(balances);
        self.rounds.extend(rounds);
        self.forget();
        Ok(())
    }

    /// Drops what the ledger no longer keeps either.
    fn forget(&mut self) {
        let (height, max_expiry) = (self.height, self.registry.limits().max_expiry);
        self.rounds.retain(|_, round| round.terms.deadline.plus(max_expiry) >= height);
    }
}
