//! Entries of one institution: transfers, issuance, absorption, and postings that change nothing.

use quittance_crypto::commitment::Opening;
use quittance_crypto::range_proof::{self, RangeProof};
use quittance_crypto::seal::SealingPublicKey;
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::post::{Absorbed, Poster, PostingDraft, Sum};
use super::{BuildError, assemble::position_of};
use crate::ids::{AccountId, InstitutionId, Uetr};
use crate::payload::{Act, CreditPayload, CreditPlace, Particulars, Seed};
use crate::transaction::{Body, Condition, Credit, Entry};

/// Whom a transfer credits. An amount of zero is a decoy: nobody else can tell.
pub struct Receiver<'a> {
    /// Who.
    pub institution: InstitutionId,
    /// Its current sealing key.
    pub sealing_key: &'a SealingPublicKey,
    /// How much, in minor units.
    pub amount: u64,
    /// What the payment is about.
    pub particulars: Particulars,
}

/// An entry with the secrets that its range proof needs. It serves one candidate transaction.
pub struct EntryDraft {
    entry: Entry,
    /// In the order of the statement.
    openings: Vec<Opening>,
}

/// An entry that has been proven for one body.
pub struct Proven {
    /// The entry's range proof.
    pub proof: RangeProof,
    /// What the account holds once the transaction is final; see [`Poster::balance`].
    pub new_balance: Opening,
}

impl Poster<'_> {
    /// Pays, or issues if the account is the asset's issuer's; absorbs on the way.
    pub fn transfer(
        &self,
        absorbed: &[Absorbed],
        receivers: &[Receiver<'_>],
        instruction: Uetr,
        rng: &mut impl CryptoRngCore,
    ) -> Result<EntryDraft, BuildError> {
        if receivers.is_empty() {
            return Err(BuildError::NoReceivers { account: self.account });
        }
        self.draft(absorbed, receivers, Some(instruction), rng)
    }

    /// Adds pending credits to the balance. Without any it changes nothing but takes a sequence
    /// number, so that no other candidate for that number can be included.
    ///
    /// The new balance then is the sum of commitments that everybody knows: it is not blinded anew.
    pub fn absorb(
        &self,
        absorbed: &[Absorbed],
        rng: &mut impl CryptoRngCore,
    ) -> Result<EntryDraft, BuildError> {
        self.draft(absorbed, &[], None, rng)
    }

    fn draft(
        &self,
        absorbed: &[Absorbed],
        receivers: &[Receiver<'_>],
        instruction: Option<Uetr>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<EntryDraft, BuildError> {
        let seed = Seed::random(rng);
        let given: Vec<Opening> = (0u32..)
            .zip(receivers)
            .map(|(index, receiver)| Opening::new(receiver.amount, seed.blinding(index)))
            .collect();
        let gained = Sum::of(absorbed.iter().map(|credit| &credit.opening));
        let balance = self.balance_after(gained, Sum::of(&given))?;
        let credits = (0u32..)
            .zip(receivers)
            .zip(&given)
            .map(|((index, receiver), opening)| {
                self.credit(receiver, opening.clone(), seed.salt(index))
            })
            .collect::<Result<_, _>>()?;
        let amounts = Zeroizing::new(receivers.iter().map(|receiver| receiver.amount).collect());
        let ids = absorbed.iter().map(|credit| credit.id).collect();
        let act = Act::Entry { instruction, seed, amounts };
        let PostingDraft { posting, opening } = self.post(ids, balance, act, rng)?;
        let entry = Entry { asset: self.account.asset, postings: vec![posting], credits };
        Ok(EntryDraft { entry, openings: std::iter::once(opening).chain(given).collect() })
    }

    fn credit(
        &self,
        receiver: &Receiver<'_>,
        opening: Opening,
        salt: [u8; 16],
    ) -> Result<Credit, BuildError> {
        let AccountId { institution: sender, asset } = self.account;
        let commitment = opening.commit();
        let institution = receiver.institution;
        let place =
            CreditPlace { chain: self.chain, asset, sender, receiver: institution, commitment };
        let particulars = receiver.particulars.clone();
        let payload = CreditPayload { opening, salt, particulars };
        let sealed = payload
            .seal(&place, receiver.sealing_key)
            .map_err(|source| BuildError::Seal { receiver: institution, source })?;
        let (details, condition) = (payload.details(), Condition::None);
        Ok(Credit { sender, institution, commitment, sealed, details, condition })
    }
}

impl EntryDraft {
    /// The entry: what others may see.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Proves the entry as part of `body`, which must contain it. The draft is used up: another
    /// body is another candidate, and takes another draft.
    pub fn prove(self, body: &Body, rng: &mut impl CryptoRngCore) -> Result<Proven, BuildError> {
        let position = position_of(&self.entry, body)?;
        let context = body.proof_context(&body.digest(), position);
        let proof = range_proof::prove(&context, &self.openings, rng)?;
        let balance = self.openings.into_iter().next();
        let new_balance = balance.ok_or(BuildError::EntryNotInBody { asset: self.entry.asset })?;
        Ok(Proven { proof, new_balance })
    }
}
