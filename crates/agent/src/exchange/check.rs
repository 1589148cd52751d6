//! What each side checks of what the other has sent.

use quittance_crypto::range_proof::{self, RangeProof};
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::build::Receiver;
use quittance_ledger::ids::{Height, InstitutionId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_ledger::state::{PublicKey, State};
use quittance_ledger::transaction::{Action, Body, Entry};
use quittance_ledger::verify::Directory;
use rand_core::CryptoRngCore;

use super::{ExchangeError, Money};
use crate::wallet::{Draft, Wallet};

/// One leg as its receiver expects it: this institution.
pub(super) struct Leg {
    pub(super) giver: InstitutionId,
    pub(super) money: Money,
    pub(super) uetr: Uetr,
}

/// The transaction key of an institution that counts in the next block.
pub(super) fn transaction_key(
    register: &State,
    institution: InstitutionId,
    last: Height,
) -> Result<&VerifyingKey, ExchangeError> {
    let registered = register.institution(&institution);
    let key = registered.and_then(|one| one.signing_key(Purpose::Transaction, last.next()));
    match key.map(|key| key.key()) {
        Some(PublicKey::Signing(Purpose::Transaction, key)) => Ok(key),
        _ => Err(ExchangeError::NoKey(institution)),
    }
}

/// The entry posts on the giver's account alone, under its present key, and credits exactly the
/// agreed amount to this institution and to nobody else.
pub(super) fn check_entry(
    entry: &Entry,
    leg: &Leg,
    wallet: &Wallet,
    register: &State,
) -> Result<(), ExchangeError> {
    let Leg { giver, money, uetr } = *leg;
    if entry.asset != money.asset {
        let (expected, found) = (money.asset, entry.asset);
        return Err(ExchangeError::OtherAsset { expected, found });
    }
    let [posting] = &entry.postings[..] else {
        return Err(ExchangeError::Postings(entry.postings.len()));
    };
    if posting.institution != giver {
        let (expected, found) = (giver, posting.institution);
        return Err(ExchangeError::OtherPoster { expected, found });
    }
    if posting.key_fingerprint != transaction_key(register, giver, wallet.height())?.fingerprint() {
        return Err(ExchangeError::OtherKey(giver));
    }
    let [credit] = &entry.credits[..] else {
        return Err(ExchangeError::Credits(entry.credits.len()));
    };
    if credit.institution != wallet.institution() {
        return Err(ExchangeError::OtherReceiver(credit.institution));
    }
    if credit.sender != giver {
        return Err(ExchangeError::OtherSender(credit.sender));
    }
    let payload = wallet.open_credit(entry.asset, credit)?;
    if payload.opening.value != money.amount {
        return Err(ExchangeError::OtherAmount);
    }
    match payload.particulars.uetr() {
        found if found == uetr => Ok(()),
        found => Err(ExchangeError::OtherReference { expected: uetr, found }),
    }
}

/// The next block may still include it, and the ledger allows it.
pub(super) fn check_expiry(
    expiry: Height,
    wallet: &Wallet,
    register: &State,
) -> Result<(), ExchangeError> {
    let earliest = wallet.height().next();
    let latest = earliest.plus(register.limits().max_expiry);
    match (earliest..=latest).contains(&expiry) {
        true => Ok(()),
        false => Err(ExchangeError::Expiry { found: expiry, earliest, latest }),
    }
}

/// The body consists of two entries: `own`, unchanged, and another, which is given with its
/// position.
pub(super) fn other_entry<'a>(
    body: &'a Body,
    own: &Entry,
) -> Result<(u32, &'a Entry), ExchangeError> {
    let Action::Entries(entries) = &body.action else {
        return Err(ExchangeError::NotTheTwoEntries);
    };
    match &entries[..] {
        [first, second] if second == own => Ok((0, first)),
        [first, second] if first == own => Ok((1, second)),
        [_, _] => Err(ExchangeError::OwnEntryChanged),
        _ => Err(ExchangeError::NotTheTwoEntries),
    }
}

/// The range proof of the entry at `position` holds in this body.
pub(super) fn check_proof(
    body: &Body,
    (position, entry): (u32, &Entry),
    proof: &RangeProof,
    register: &State,
) -> Result<(), ExchangeError> {
    let asset = entry.asset;
    let issuer = register.issuer(asset).ok_or(ExchangeError::UnknownAsset(asset))?;
    let context = body.proof_context(&body.digest(), position);
    range_proof::verify(&context, &entry.statement(issuer), proof)
        .map_err(|source| ExchangeError::RangeProof { asset, source })
}

/// Both proofs in the order of the entries; `first` says that `own` belongs to the first.
pub(super) fn in_order(own: RangeProof, other: RangeProof, first: bool) -> Vec<RangeProof> {
    match first {
        true => vec![own, other],
        false => vec![other, own],
    }
}

/// Drafts this side's leg and puts it under way.
pub(super) fn draft(
    wallet: &mut Wallet,
    register: &State,
    money: Money,
    (receiver, uetr): (InstitutionId, Uetr),
    expiry: Height,
    rng: &mut impl CryptoRngCore,
) -> Result<Draft, ExchangeError> {
    let height = wallet.height().next();
    let registered = register.institution(&receiver);
    let key = registered.and_then(|one| one.sealing_key(height));
    let sealing_key = key.ok_or(ExchangeError::NoKey(receiver))?;
    let particulars = Particulars::new(uetr, "", "")?;
    let to = [Receiver { institution: receiver, sealing_key, amount: money.amount, particulars }];
    Ok(wallet.draft_transfer(money.asset, &to, uetr, expiry, rng)?)
}
