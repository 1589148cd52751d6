//! Postings: the arithmetic of one's own account.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use rand_core::CryptoRngCore;

use super::BuildError;
use crate::ids::{AccountId, ChainId, CreditId};
use crate::payload::{Act, NotePlace, SelfNote};
use crate::transaction::{Posting, Side};

/// An account as its owner knows it, with what it takes to post on it.
pub struct Poster<'a> {
    /// On which chain.
    pub chain: ChainId,
    /// Which account.
    pub account: AccountId,
    /// On which side of the asset it stands.
    pub side: Side,
    /// Fingerprint of the transaction key that will sign.
    pub key_fingerprint: Digest,
    /// The account's sequence number so far; the posting takes the next one.
    pub sequence: u64,
    /// What the account holds, or owes: opens [`Side::proven`] of its balance.
    pub balance: &'a Opening,
    /// The key of the institution's notes to itself.
    pub note_key: &'a NoteKey,
}

/// A pending credit that is absorbed.
pub struct Absorbed {
    /// Which one.
    pub id: CreditId,
    /// Opens its commitment.
    pub opening: Opening,
}

/// A posting whose new balance is known to its owner.
pub struct PostingDraft {
    /// The posting.
    pub posting: Posting,
    /// Opens [`Side::proven`] of its new balance: what the range proof needs.
    pub opening: Opening,
}

/// A sum of openings.
pub(super) struct Sum {
    amount: u128,
    blinding: Blinding,
}

impl Sum {
    /// At most 2^64 openings of at most 2^64 fit 128 bits; there are a few hundred.
    pub(super) fn of<'a>(openings: impl IntoIterator<Item = &'a Opening>) -> Self {
        let zero = Self { amount: 0, blinding: Blinding::zero() };
        openings.into_iter().fold(zero, |sum, opening| Self {
            amount: sum.amount + u128::from(opening.value),
            blinding: &sum.blinding + &opening.blinding,
        })
    }
}

impl Poster<'_> {
    /// A posting of a settlement: the account's share of a round's result.
    ///
    /// The net is what the account `receives` less what it `pays`, committed to with `blinding`;
    /// over all accounts of the round nets and blindings sum to zero. `settled` is how many
    /// payments, from the front of the account's queue, have settled.
    pub fn settle(
        &self,
        receives: u128,
        pays: u128,
        blinding: &Blinding,
        settled: u32,
        rng: &mut impl CryptoRngCore,
    ) -> Result<PostingDraft, BuildError> {
        if self.side == Side::Issuer {
            return Err(BuildError::IssuerSettles { account: self.account });
        }
        let received = Sum { amount: receives, blinding: blinding.clone() };
        let paid = Sum { amount: pays, blinding: Blinding::zero() };
        let opening = self.balance_after(received, paid)?;
        self.post(Vec::new(), opening, Act::Settlement { settled }, rng)
    }

    /// The balance after the account has gained and given: an issuer's liability shrinks by what
    /// comes back to it and grows by what it gives.
    pub(super) fn balance_after(&self, gained: Sum, given: Sum) -> Result<Opening, BuildError> {
        let (more, less) = match self.side {
            Side::Holder => (gained, given),
            Side::Issuer => (given, gained),
        };
        let account = self.account;
        let available = more.amount.saturating_add(u128::from(self.balance.value));
        let Some(balance) = available.checked_sub(less.amount) else {
            return Err(BuildError::InsufficientFunds { account, needed: less.amount, available });
        };
        let Ok(value) = u64::try_from(balance) else {
            return Err(BuildError::BalanceTooLarge { account, balance });
        };
        let blinding = &(&self.balance.blinding + &more.blinding) - &less.blinding;
        Ok(Opening::new(value, blinding))
    }

    /// The posting that leads to the balance with this opening.
    pub(super) fn post(
        &self,
        mut absorbed: Vec<CreditId>,
        opening: Opening,
        act: Act,
        rng: &mut impl CryptoRngCore,
    ) -> Result<PostingDraft, BuildError> {
        let AccountId { institution, asset } = self.account;
        let sequence = self
            .sequence
            .checked_add(1)
            .ok_or(BuildError::SequenceUsedUp { account: self.account })?;
        let new_balance = self.side.proven(opening.commit());
        let place = NotePlace { chain: self.chain, asset, institution, sequence, new_balance };
        let note = SelfNote { opening, act };
        let self_note = note.seal(&place, self.note_key, rng);
        absorbed.sort_unstable();
        let posting = Posting {
            institution,
            key_fingerprint: self.key_fingerprint,
            sequence,
            absorbed,
            new_balance,
            self_note,
        };
        Ok(PostingDraft { posting, opening: note.opening })
    }
}
