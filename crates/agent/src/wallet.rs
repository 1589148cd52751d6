//! What an institution knows of its own accounts: balances with their openings, credits that wait
//! to be absorbed, candidates that are under way, and which instructions have been carried out.
//!
//! A [`Wallet`] is a pure state machine. It is made from keys and grows by [`Wallet::apply_block`]
//! alone: own postings are read by their self notes, credits by their sealed payloads, credits that
//! come back by the seed in the self note of the transaction that gave them. So keys and chain
//! restore everything but candidates that were never included.
//!
//! # Candidates
//!
//! A draft takes the account's next sequence number and stands on the balance that the candidate
//! before it will leave, so that many can be included in one block. A candidate is lost when it
//! expires, is rejected, or something else lands in its place; with it go all later ones of the
//! account, since they stand on it. The next draft takes the sequence number of the first that was
//! lost. Nobody can call a candidate back: a lost one may still be included.
//!
//! # An instruction is carried out once
//!
//! No two candidates `X` and `Y` for one instruction on one account are ever both included, whoever
//! keeps old ones waiting, and also if one was made by a wallet that has been restored since.
//! For equal sequence numbers the ledger sees to it. Otherwise let `X` have the smaller one, `s`.
//! `Y` was drafted before its wallet had seen sequence `s` used: else it would have found `X`, and
//! refused. So `Y` stands on candidates for `s` and all numbers up to its own, none of them `X`.
//!
//! An included candidate balances only on the balance that it was drafted on. A transfer takes fresh
//! blindings out of the balance and exists for one sequence number alone. So if `Y` is included, the
//! transfers that it stands on have been included, each at its own number, and by the same argument
//! the balance before each of them was the expected one. None of those balances has lost the
//! blindings of `X`. The candidate that `Y` stands on at `s` therefore is no transfer, since `X` is
//! in its place; and there is no transfer between it and `Y`, unless what `X` gave had come back and
//! been absorbed before it. So from `s` on there are at least two absorptions in a row, the only
//! postings that are not blinded anew: one at `s`, in the place of `X`, and one where `X` was taken
//! back. **No wallet drafts an absorption on top of an absorption that is still under way**, so this
//! does not happen.
//!
//! The argument is about one account. An instruction that is drafted again on another account is
//! refused while an earlier candidate can still be included, as far as this wallet knows: whoever
//! restores a wallet must carry instructions out from the account that they were first given for.

mod account;
mod apply;
mod draft;
mod error;
mod event;
mod posting;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use quittance_crypto::commitment::{Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::Suite;
use quittance_ledger::build::Terms;
use quittance_ledger::ids::{
    AccountId, AssetId, ChainId, CreditId, Height, InstitutionId, RoundId, TransactionId, Uetr,
};
use quittance_ledger::payload::{CreditPayload, PayloadError};
use quittance_ledger::state::Lock;
use quittance_ledger::transaction::{Credit, RoundOpen, Side};

use account::Account;

pub use draft::{Draft, MAX_IN_FLIGHT};
pub use error::WalletError;
pub use event::{
    Counterparty, LineKind, Loss, Lost, MalformedCredit, StatementLine, Unlocked, WalletEvent,
};

/// What a wallet has to know of the chain, from its genesis. Assets that are listed later are told
/// by [`Wallet::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFacts {
    /// The chain.
    pub chain: ChainId,
    /// Its suite.
    pub suite: Suite,
    /// All assets, with their issuers.
    pub issuers: BTreeMap<AssetId, InstitutionId>,
}

/// The keys with which an institution reads what concerns it.
pub struct WalletKeys {
    /// Fingerprint of the transaction key, which signs elsewhere; see [`Wallet::sign_with`].
    pub transaction_key: Digest,
    /// Open the credits that arrive: the newest is last, earlier ones open what came before it.
    pub sealing: Vec<SealingKey>,
    /// Seals and opens the notes to itself.
    pub note: NoteKey,
}

/// An institution's accounts. Holds secrets: neither printed nor copied, openings are erased on
/// drop.
pub struct Wallet {
    institution: InstitutionId,
    facts: ChainFacts,
    keys: WalletKeys,
    height: Height,
    accounts: BTreeMap<AssetId, Account>,
    /// Credits given from here, until their receivers absorb them.
    given: BTreeMap<CreditId, Given>,
    /// Rounds that may still be joined or settled.
    rounds: BTreeMap<RoundId, RoundOpen>,
    carried_out: BTreeMap<Uetr, CarriedOut>,
    /// Lost candidates of instructions that may still be included.
    ghosts: BTreeMap<Uetr, Ghost>,
    next_serial: u64,
}

/// Where an instruction was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedOut {
    /// From the account in which asset.
    pub asset: AssetId,
    /// With which sequence number of the account.
    pub sequence: u64,
    /// In which transaction.
    pub transaction: TransactionId,
    /// In which block.
    pub height: Height,
}

/// How far an instruction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionStatus {
    /// The chain has not seen it. A candidate that this wallet has lost, or one of an earlier life
    /// of the wallet, may still be included: see [`Wallet::may_still_land`].
    Open,
    /// A candidate is under way.
    InFlight(CandidateId),
    /// It is on the ledger.
    Final(CarriedOut),
}

/// One candidate of one wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CandidateId {
    /// On the account in which asset.
    pub asset: AssetId,
    /// For which sequence number.
    pub sequence: u64,
    /// Tells the candidates of one wallet apart; never used again.
    pub serial: u64,
}

/// A credit given from here that still waits.
struct Given {
    to: AccountId,
    /// If it is known.
    opening: Option<Opening>,
}

/// A lost candidate of an instruction, until it expires or its sequence number is used.
#[derive(Clone, Copy)]
struct Ghost {
    asset: AssetId,
    sequence: u64,
    expiry: Height,
}

impl Wallet {
    /// The wallet at height 0: every account begins empty. Apply all blocks to bring it up to date.
    pub fn new(institution: InstitutionId, facts: ChainFacts, keys: WalletKeys) -> Self {
        let side = |(asset, issuer): (&AssetId, &InstitutionId)| {
            (*asset, Account::new(Side::of(institution, *issuer)))
        };
        let accounts = facts.issuers.iter().map(side).collect();
        Self {
            institution,
            facts,
            keys,
            height: Height::GENESIS,
            accounts,
            given: BTreeMap::new(),
            rounds: BTreeMap::new(),
            carried_out: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            next_serial: 0,
        }
    }

    /// An asset is on the chain: the institution has an account in it. Nothing changes if it was
    /// known.
    pub fn list(&mut self, asset: AssetId, issuer: InstitutionId) {
        let side = Side::of(self.institution, issuer);
        self.accounts.entry(asset).or_insert_with(|| Account::new(side));
        self.facts.issuers.entry(asset).or_insert(issuer);
    }

    /// What is drafted from now on is signed with the transaction key of this fingerprint.
    pub fn sign_with(&mut self, transaction_key: Digest) {
        self.keys.transaction_key = transaction_key;
    }

    /// Whose wallet.
    pub fn institution(&self) -> InstitutionId {
        self.institution
    }

    /// The height of the last block applied.
    pub fn height(&self) -> Height {
        self.height
    }

    /// The terms of a body that may be included until `expiry`.
    pub fn terms(&self, expiry: Height) -> Terms {
        Terms { suite: self.facts.suite, chain: self.facts.chain, expiry }
    }

    /// What the account holds, in minor units, by the chain alone. An issuer's, in its own asset,
    /// is at most zero: its liability negated.
    pub fn balance(&self, asset: AssetId) -> Result<i128, WalletError> {
        self.account(asset)?.balance().ok_or(WalletError::BalanceUnknown { asset })
    }

    /// What the account will hold once all candidates under way are final.
    pub fn projected_balance(&self, asset: AssetId) -> Result<i128, WalletError> {
        let account = self.account(asset)?;
        account.projected_balance().ok_or(WalletError::BalanceUnknown { asset })
    }

    /// The most that the next draft could give: the projected balance with the credits that it
    /// would absorb, or for an issuer what is left of 64 bits.
    pub fn available(&self, asset: AssetId) -> Result<u128, WalletError> {
        let account = self.account(asset)?;
        account.available().ok_or(WalletError::BalanceUnknown { asset })
    }

    /// The commitment to the balance that the ledger has, by the chain alone.
    pub fn commitment(&self, asset: AssetId) -> Result<Commitment, WalletError> {
        let account = self.account(asset)?;
        let opening = account.opening.as_ref().ok_or(WalletError::BalanceUnknown { asset })?;
        Ok(account.side.proven(opening.commit()))
    }

    /// What opens [`Self::commitment`], or for an issuer its negation. As secret as the balance.
    pub fn opening(&self, asset: AssetId) -> Result<&Opening, WalletError> {
        let account = self.account(asset)?;
        account.opening.as_ref().ok_or(WalletError::BalanceUnknown { asset })
    }

    /// The sum of the credits that wait to be absorbed, malformed ones left out.
    pub fn pending(&self, asset: AssetId) -> Result<u128, WalletError> {
        Ok(self.account(asset)?.pending_sum())
    }

    /// How many credits the next posting would absorb: zero amounts count, credits that are
    /// malformed or that a candidate under way absorbs do not.
    pub fn absorbable(&self, asset: AssetId) -> Result<usize, WalletError> {
        Ok(self.account(asset)?.absorbable().len())
    }

    /// How many credits given from here wait on which accounts: the ledger allows so many for each,
    /// by [`quittance_ledger::state::Limits::pending_per_sender`].
    pub fn outstanding(&self) -> BTreeMap<AccountId, u32> {
        let mut counts = BTreeMap::new();
        for given in self.given.values() {
            *counts.entry(given.to).or_default() += 1;
        }
        counts
    }

    /// The credits that cannot be absorbed, with their senders: to be rejected.
    pub fn malformed(&self, asset: AssetId) -> Result<Vec<(CreditId, InstitutionId)>, WalletError> {
        Ok(self.account(asset)?.malformed().collect())
    }

    /// The sequence number that the chain has last seen used on the account.
    pub fn sequence(&self, asset: AssetId) -> Result<u64, WalletError> {
        Ok(self.account(asset)?.sequence)
    }

    /// The round that keeps the account from posting in the next block.
    pub fn lock(&self, asset: AssetId) -> Result<Option<Lock>, WalletError> {
        Ok(self.account(asset)?.locked_at(self.height.next()))
    }

    /// The candidates under way, in the order of their sequence numbers.
    pub fn in_flight(&self, asset: AssetId) -> Result<Vec<CandidateId>, WalletError> {
        let account = self.account(asset)?;
        Ok(account.in_flight.iter().map(|candidate| candidate.id).collect())
    }

    /// How far an instruction is.
    pub fn instruction(&self, uetr: &Uetr) -> InstructionStatus {
        if let Some(outcome) = self.carried_out.get(uetr) {
            return InstructionStatus::Final(*outcome);
        }
        let mut candidates = self.accounts.values().flat_map(|account| &account.in_flight);
        match candidates.find(|candidate| candidate.instruction == Some(*uetr)) {
            Some(candidate) => InstructionStatus::InFlight(candidate.id),
            None => InstructionStatus::Open,
        }
    }

    /// Whether a candidate that this wallet has made for the instruction and then lost could still
    /// be included in a later block: until then the instruction must not be reported as failed.
    pub fn may_still_land(&self, uetr: &Uetr) -> bool {
        self.ghosts.contains_key(uetr)
    }

    /// Opens the payload of a credit to this institution that is not on the ledger yet.
    pub fn open_credit(
        &self,
        asset: AssetId,
        credit: &Credit,
    ) -> Result<CreditPayload, PayloadError> {
        let mut refused = PayloadError::OtherDetails;
        // What is said about the newest key counts if none opens it.
        for key in &self.keys.sealing {
            match CreditPayload::open(self.facts.chain, asset, credit, key) {
                Ok(payload) => return Ok(payload),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// The terms of a round that has neither settled nor passed its deadline.
    pub fn round(&self, round: &RoundId) -> Option<&RoundOpen> {
        self.rounds.get(round)
    }

    fn account(&self, asset: AssetId) -> Result<&Account, WalletError> {
        self.accounts.get(&asset).ok_or(WalletError::UnknownAsset { asset })
    }

    fn account_id(&self, asset: AssetId) -> AccountId {
        AccountId { institution: self.institution, asset }
    }

    /// Keeps lost candidates of instructions on record that may still be included.
    fn mourn(&mut self, lost: &[Lost]) {
        for Lost { candidate, instruction, expiry, .. } in lost {
            let CandidateId { asset, sequence, .. } = *candidate;
            let used = self.accounts.get(&asset).map_or(0, |account| account.sequence);
            let Some(uetr) = instruction.filter(|_| sequence > used && *expiry > self.height)
            else {
                continue;
            };
            let ghost = Ghost { asset, sequence, expiry: *expiry };
            // Of several the one that stays possible for the longest time counts.
            let kept = self.ghosts.entry(uetr).or_insert(ghost);
            kept.sequence = kept.sequence.max(sequence);
            kept.expiry = kept.expiry.max(*expiry);
        }
    }
}
