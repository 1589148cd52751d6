//! Candidates: drafted on top of one another, submitted, lost.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::planted;
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::build::{
    BuildError, EntryDraft, Poster, PostingDraft, Receiver, Terms, Unsigned,
};
use quittance_ledger::ids::{AssetId, Height, RoundId, TransactionId, Uetr};
use quittance_ledger::payload::SelfNote;
use quittance_ledger::transaction::{Action, Body, Entry, RoundJoin, Side, Transaction};
use rand_core::CryptoRngCore;

use super::account::{Account, Candidate, CandidateAct};
use super::event::{Loss, Lost, WalletEvent};
use super::{CandidateId, InstructionStatus, Wallet, WalletError};

/// Candidates under way on one account: as many as a node keeps waiting.
pub const MAX_IN_FLIGHT: usize = 1024;

/// An entry of a candidate that is under way, with the secrets for its range proof.
pub struct Draft {
    id: CandidateId,
    terms: Terms,
    entry: EntryDraft,
}

impl Draft {
    /// Which candidate.
    pub fn id(&self) -> CandidateId {
        self.id
    }

    /// The terms that its body must have.
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// The entry: what others may see.
    pub fn entry(&self) -> &Entry {
        self.entry.entry()
    }

    /// Proves the entry as part of `body`, which may have entries of others.
    pub fn prove(
        self,
        body: &Body,
        rng: &mut impl CryptoRngCore,
    ) -> Result<RangeProof, BuildError> {
        self.entry.prove(body, rng).map(|proven| proven.proof)
    }

    /// The transaction of this entry alone, to be signed.
    pub fn complete(self, rng: &mut impl CryptoRngCore) -> Result<Unsigned, BuildError> {
        let body = self.terms.entries(vec![self.entry().clone()])?;
        let proof = self.prove(&body, rng)?;
        Unsigned::new(body, vec![proof])
    }
}

impl Wallet {
    /// Drafts a payment, or an issuance from an issuer's account, and puts it under way. Waiting
    /// credits are absorbed with it. Refuses an instruction that is final or under way.
    pub fn draft_transfer(
        &mut self,
        asset: AssetId,
        receivers: &[Receiver<'_>],
        instruction: Uetr,
        expiry: Height,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Draft, WalletError> {
        self.check_instruction(asset, instruction)?;
        let account = self.check_postable(asset, expiry)?;
        let absorbed = account.absorbable();
        let poster = self.poster(asset, account)?;
        let entry = poster.transfer(&absorbed, receivers, instruction, rng)?;
        self.put_under_way(asset, entry, Some(instruction), expiry)
    }

    /// Drafts the absorption of the credits that wait longest and puts it under way. Without any it
    /// changes nothing but uses a sequence number, so that no other candidate can.
    ///
    /// No absorption stands on another one: see the module's documentation.
    pub fn draft_absorption(
        &mut self,
        asset: AssetId,
        expiry: Height,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Draft, WalletError> {
        let account = self.check_postable(asset, expiry)?;
        let last = account.in_flight.back().map(|candidate| &candidate.act);
        if matches!(last, Some(CandidateAct::Post { transfer: false, .. })) {
            return Err(WalletError::AbsorptionInFlight { asset });
        }
        let absorbed = account.absorbable();
        let entry = self.poster(asset, account)?.absorb(&absorbed, rng)?;
        self.put_under_way(asset, entry, None, expiry)
    }

    /// Takes the next sequence number for joining `round`. Nothing can be drafted on top of it.
    pub fn reserve_join(
        &mut self,
        asset: AssetId,
        round: RoundId,
        expiry: Height,
    ) -> Result<CandidateId, WalletError> {
        let account = self.check_postable(asset, expiry)?;
        let terms = self.rounds.get(&round).ok_or(WalletError::NoSuchRound { round })?;
        let over = terms.join_until <= self.height;
        if terms.asset != asset || over || account.side == Side::Issuer {
            return Err(WalletError::NoSuchRound { round });
        }
        let opening = account.top().ok_or(WalletError::BalanceUnknown { asset })?.clone();
        let sequence = next_sequence(asset, account)?;
        self.push(asset, sequence, expiry, None, CandidateAct::Join(round), opening)
    }

    /// This account's posting of the settlement of `round`, which has locked it; arguments as for
    /// [`Poster::settle`]. It is not put under way: while the account is locked nothing can be
    /// drafted on top, and every attempt of the round takes the same sequence number.
    pub fn draft_settlement(
        &self,
        asset: AssetId,
        round: RoundId,
        (receives, pays): (u128, u128),
        blinding: &Blinding,
        settled: u32,
        rng: &mut impl CryptoRngCore,
    ) -> Result<PostingDraft, WalletError> {
        let account = self.account(asset)?;
        let lock = account.locked_at(self.height.next());
        if lock.is_none_or(|lock| lock.round != round) {
            return Err(WalletError::NotLocked { asset, round });
        }
        Ok(self.poster(asset, account)?.settle(receives, pays, blinding, settled, rng)?)
    }

    /// Notes the transaction that a candidate has become, so that [`Wallet::rejected`] finds it.
    pub fn submitted<S>(
        &mut self,
        candidate: CandidateId,
        transaction: &Transaction<S>,
    ) -> Result<(), WalletError> {
        let institution = self.institution;
        let account = self.accounts.get_mut(&candidate.asset);
        let mut in_flight = account.into_iter().flat_map(|account| &mut account.in_flight);
        let found = in_flight.find(|other| other.id == candidate);
        let found = found.ok_or(WalletError::NotInFlight { candidate })?;
        let body = transaction.body();
        let contained = match (&found.act, &body.action) {
            (CandidateAct::Post { posting, .. }, Action::Entries(entries)) => {
                entries.iter().any(|entry| {
                    entry.asset == candidate.asset && entry.postings.contains(posting.as_ref())
                })
            }
            (CandidateAct::Join(round), Action::RoundJoin(join)) => {
                let RoundJoin { round: joined, institution: who, sequence, .. } = join;
                (joined, *who, *sequence) == (round, institution, candidate.sequence)
            }
            _ => false,
        };
        if !contained || body.expiry != found.expiry {
            return Err(WalletError::OtherTransaction { candidate });
        }
        found.transaction = Some(transaction.id());
        Ok(())
    }

    /// A node has rejected the transaction: its candidate is lost, with all that stand on it. A
    /// transaction that is not under way is none of the wallet's business.
    pub fn rejected(&mut self, transaction: &TransactionId) -> Vec<WalletEvent> {
        self.lose_everywhere(|candidate| {
            (candidate.transaction == Some(*transaction)).then_some(Loss::Rejected)
        })
    }

    /// The owner gives a candidate up, with all that stand on it. If it has been submitted, or
    /// shown to anybody, it may still be included.
    pub fn withdraw(&mut self, candidate: CandidateId) -> Vec<WalletEvent> {
        self.lose_everywhere(|other| (other.id == candidate).then_some(Loss::Withdrawn))
    }

    pub(super) fn lose_everywhere(
        &mut self,
        is_lost: impl Fn(&Candidate) -> Option<Loss>,
    ) -> Vec<WalletEvent> {
        let lost: Vec<Lost> =
            self.accounts.values_mut().flat_map(|account| account.lose(&is_lost)).collect();
        self.mourn(&lost);
        lost.into_iter().map(WalletEvent::Lost).collect()
    }

    fn check_instruction(&self, asset: AssetId, uetr: Uetr) -> Result<(), WalletError> {
        match planted!(
            "instruction-drafted-twice",
            InstructionStatus::Open,
            self.instruction(&uetr)
        ) {
            InstructionStatus::Final(outcome) => {
                return Err(WalletError::CarriedOut { uetr, transaction: outcome.transaction });
            }
            InstructionStatus::InFlight(_) => return Err(WalletError::UnderWay { uetr }),
            InstructionStatus::Open => {}
        }
        match self.ghosts.get(&uetr) {
            Some(ghost) if ghost.asset != asset => {
                Err(WalletError::OtherAccount { uetr, asset: ghost.asset })
            }
            _ => Ok(()),
        }
    }

    /// The account can take one more candidate that expires after `expiry`.
    fn check_postable(&self, asset: AssetId, expiry: Height) -> Result<&Account, WalletError> {
        let account = self.account(asset)?;
        if expiry <= self.height {
            return Err(WalletError::ExpiryPassed { expiry, height: self.height });
        }
        if let Some(lock) = account.locked_at(self.height.next()) {
            return Err(WalletError::Locked { asset, round: lock.round, until: lock.until });
        }
        let last = account.in_flight.back().map(|candidate| &candidate.act);
        if matches!(last, Some(CandidateAct::Join(_))) {
            return Err(WalletError::Joining { asset });
        }
        match account.in_flight.len() < MAX_IN_FLIGHT {
            true => Ok(account),
            false => Err(WalletError::TooManyInFlight { asset, limit: MAX_IN_FLIGHT }),
        }
    }

    pub(super) fn poster<'a>(
        &'a self,
        asset: AssetId,
        account: &'a Account,
    ) -> Result<Poster<'a>, WalletError> {
        let balance = account.top().ok_or(WalletError::BalanceUnknown { asset })?;
        Ok(Poster {
            chain: self.facts.chain,
            account: self.account_id(asset),
            side: account.side,
            key_fingerprint: self.keys.transaction_key,
            sequence: account.top_sequence(),
            balance,
            note_key: &self.keys.note,
        })
    }

    /// The draft's new balance is read from its own self note, as a restored wallet would.
    pub(super) fn put_under_way(
        &mut self,
        asset: AssetId,
        entry: EntryDraft,
        instruction: Option<Uetr>,
        expiry: Height,
    ) -> Result<Draft, WalletError> {
        let side = self.account(asset)?.side;
        let unknown = WalletError::BalanceUnknown { asset };
        let posting = entry.entry().postings.first().ok_or(unknown.clone())?.clone();
        let note = SelfNote::open(self.facts.chain, asset, &posting, side, &self.keys.note);
        let opening = note.map_err(|_| unknown)?.opening;
        let (sequence, transfer) = (posting.sequence, instruction.is_some());
        let act = CandidateAct::Post { posting: Box::new(posting), transfer };
        let id = self.push(asset, sequence, expiry, instruction, act, opening)?;
        Ok(Draft { id, terms: self.terms(expiry), entry })
    }

    fn push(
        &mut self,
        asset: AssetId,
        sequence: u64,
        expiry: Height,
        instruction: Option<Uetr>,
        act: CandidateAct,
        opening: Opening,
    ) -> Result<CandidateId, WalletError> {
        let id = CandidateId::new(asset, sequence, self.next_serial);
        let account = self.accounts.get_mut(&asset).ok_or(WalletError::UnknownAsset { asset })?;
        self.next_serial += 1;
        let transaction = None;
        account.in_flight.push_back(Candidate {
            id,
            expiry,
            instruction,
            act,
            opening,
            transaction,
        });
        Ok(id)
    }
}

fn next_sequence(asset: AssetId, account: &Account) -> Result<u64, WalletError> {
    account.top_sequence().checked_add(1).ok_or(WalletError::SequenceUsedUp { asset })
}
