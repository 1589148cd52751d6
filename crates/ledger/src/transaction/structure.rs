//! Rules that a body must keep whatever the state: order, uniqueness, bounds, who must sign.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::signature::Suite;
use thiserror::Error;

use super::body::{Action, Body, CreditReturn, ReturnReason};
use super::change::ChangeError;
use super::entry::{Credit, Entry, Posting};
use super::governance::{Governance, KeyRotation};
use super::limits::{
    MAX_ABSORBED, MAX_APPROVALS, MAX_ATTEMPTS, MAX_CHANGES, MAX_CREDITS, MAX_ENTRIES, MAX_POSTINGS,
    MAX_QUEUE_NOTE_BYTES, MAX_SEALED_BYTES, MAX_SELF_NOTE_BYTES, MAX_STATEMENT,
};
use super::round::{RoundJoin, RoundOpen, Settlement};
use crate::genesis::check_suite;
use crate::ids::{AssetId, CreditId, InstitutionId};
use crate::state::PublicKey;

/// How a body breaks the rules that hold whatever the state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The messages say what the fields are.
pub enum Malformed {
    /// An action on entries without any.
    #[error("the body has no entries")]
    NoEntries,
    /// Entries must be in strict order of asset.
    #[error("entry {entry}: asset {asset} does not come after the one before")]
    EntriesOutOfOrder { entry: u32, asset: AssetId },
    /// Every entry has a posting: somebody must answer for it.
    #[error("entry {entry} has no postings")]
    NoPostings { entry: u32 },
    /// Postings must be in strict order of institution: one per account.
    #[error("entry {entry}: the posting of {institution} does not come after the one before")]
    PostingsOutOfOrder { entry: u32, institution: InstitutionId },
    /// One range proof covers at most [`MAX_STATEMENT`] commitments.
    #[error("entry {entry} has {found} postings and credits, more than {MAX_STATEMENT}")]
    StatementTooLarge { entry: u32, found: usize },
    /// A list or byte string above its bound.
    #[error("{what}: length {found} is above the limit of {limit}")]
    TooLong { what: &'static str, found: usize, limit: usize },
    /// One posting absorbs one credit twice.
    #[error("entry {entry}: {institution} absorbs credit {credit} twice")]
    AbsorbedTwice { entry: u32, institution: InstitutionId, credit: CreditId },
    /// Absorbed credits must be in strict order of id.
    #[error("entry {entry}: {institution} absorbs credit {credit} out of order")]
    AbsorbedOutOfOrder { entry: u32, institution: InstitutionId, credit: CreditId },
    /// A credit from an institution that does not post in the entry.
    #[error("entry {entry}, credit {credit}: its sender {sender} does not post in this entry")]
    SenderDoesNotPost { entry: u32, credit: u32, sender: InstitutionId },
    /// A credit from an account to itself.
    #[error("entry {entry}, credit {credit}: {institution} credits itself")]
    CreditToSelf { entry: u32, credit: u32, institution: InstitutionId },
    /// An institution posts twice, under two keys.
    #[error("{institution} posts under two keys")]
    TwoKeys { institution: InstitutionId },
    /// Only its receiver rejects a credit.
    #[error("{by} rejects a credit that {holder} holds")]
    RejectedByAnother { by: InstitutionId, holder: InstitutionId },
    /// Only its sender is refunded; its receiver rejects.
    #[error("{by} holds the credit: it rejects, it is not refunded")]
    RefundedByHolder { by: InstitutionId },
    /// A settlement credits nobody.
    #[error("a settlement has no credits")]
    SettlementCredits,
    /// A settlement absorbs nothing.
    #[error("a settlement absorbs no credits, as {institution} does")]
    SettlementAbsorbs { institution: InstitutionId },
    /// A round's roster must be able to exist and to settle in one entry.
    #[error("a minimum roster of {found} is not between 2 and {MAX_POSTINGS}")]
    MinimumRoster { found: u16 },
    /// A round without attempts, or with more than banks are prepared for.
    #[error("a round has 1 to {MAX_ATTEMPTS} attempts, not {found}")]
    Attempts { found: u8 },
    /// A round that ends before it can begin.
    #[error("the deadline of a round comes after the last height for joining")]
    DeadlineTooEarly,
    /// A decision on nothing.
    #[error("the decision changes nothing")]
    NoChanges,
    /// A decision that nobody approves.
    #[error("nobody approves the decision")]
    NoApprovals,
    /// Approvals must be in strict order of institution: nobody approves twice.
    #[error("the approval of {institution} does not come after the one before")]
    ApprovalsOutOfOrder { institution: InstitutionId },
    /// A change that no state makes right.
    #[error("change {index}: {source}")]
    Change { index: u32, source: ChangeError },
    /// A new key of another suite than the body's.
    #[error("{institution}: the new key is of another suite")]
    KeySuite { institution: InstitutionId },
    /// A key for signatures must show that its owner has it; a sealing key cannot.
    #[error("{institution}: a new key signs for its possession if it can sign, and only then")]
    Possession { institution: InstitutionId },
}

impl Body {
    /// Checks the rules that hold whatever the state.
    pub fn check(&self) -> Result<(), Malformed> {
        match &self.action {
            Action::Entries(entries) => check_entries(entries)?,
            Action::Return(credit_return) => check_return(credit_return)?,
            Action::RoundOpen(open) => check_round_open(open)?,
            Action::RoundJoin(join) => check_round_join(join)?,
            Action::Settlement(settlement) => check_settlement(settlement)?,
            Action::Governance(governance) => check_governance(governance, self.suite)?,
            Action::KeyRotation(rotation) => check_rotation(rotation, self.suite)?,
        }
        self.signers().map(|_| ())
    }

    /// Who must sign, and with which key: every institution that posts, acts or approves, once.
    pub fn signers(&self) -> Result<BTreeMap<InstitutionId, Digest>, Malformed> {
        let acting = match &self.action {
            Action::Entries(_) | Action::Settlement(_) => None,
            Action::Return(by) => Some((by.by, by.key_fingerprint)),
            Action::RoundOpen(open) => Some((open.opener, open.key_fingerprint)),
            Action::RoundJoin(join) => Some((join.institution, join.key_fingerprint)),
            Action::Governance(governance) => {
                let approvals = governance.approvals.iter();
                return Ok(approvals.map(|by| (by.institution, by.key_fingerprint)).collect());
            }
            Action::KeyRotation(by) => Some((by.institution, by.key_fingerprint)),
        };
        let mut signers: BTreeMap<_, _> = acting.into_iter().collect();
        for posting in self.entries().iter().flat_map(|entry| &entry.postings) {
            let Posting { institution, key_fingerprint, .. } = posting;
            let earlier = signers.insert(*institution, *key_fingerprint);
            if earlier.is_some_and(|earlier| earlier != *key_fingerprint) {
                return Err(Malformed::TwoKeys { institution: *institution });
            }
        }
        Ok(signers)
    }
}

/// Positions fit 32 bits: the lists are bounded far below.
pub(crate) fn numbered<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0u32..).zip(items)
}

fn at_most(limit: usize, found: usize, what: &'static str) -> Result<(), Malformed> {
    match found <= limit {
        true => Ok(()),
        false => Err(Malformed::TooLong { what, found, limit }),
    }
}

fn check_entries(entries: &[Entry]) -> Result<(), Malformed> {
    at_most(MAX_ENTRIES, entries.len(), "entries")?;
    if entries.is_empty() {
        return Err(Malformed::NoEntries);
    }
    let mut before = None;
    for (position, entry) in numbered(entries) {
        let asset = entry.asset;
        if before.replace(asset).is_some_and(|before| before >= asset) {
            return Err(Malformed::EntriesOutOfOrder { entry: position, asset });
        }
        check_entry(position, entry)?;
    }
    Ok(())
}

fn check_entry(position: u32, entry: &Entry) -> Result<(), Malformed> {
    at_most(MAX_POSTINGS, entry.postings.len(), "postings")?;
    at_most(MAX_CREDITS, entry.credits.len(), "credits")?;
    if entry.postings.is_empty() {
        return Err(Malformed::NoPostings { entry: position });
    }
    let found = entry.postings.len() + entry.credits.len();
    if found > MAX_STATEMENT {
        return Err(Malformed::StatementTooLarge { entry: position, found });
    }
    let mut before = None;
    for posting in &entry.postings {
        let institution = posting.institution;
        if before.replace(institution).is_some_and(|before| before >= institution) {
            return Err(Malformed::PostingsOutOfOrder { entry: position, institution });
        }
        check_posting(position, posting)?;
    }
    for (index, credit) in numbered(&entry.credits) {
        check_credit(position, index, credit, &entry.postings)?;
    }
    Ok(())
}

fn check_posting(entry: u32, posting: &Posting) -> Result<(), Malformed> {
    let institution = posting.institution;
    at_most(MAX_SELF_NOTE_BYTES, posting.self_note.len(), "self note")?;
    at_most(MAX_ABSORBED, posting.absorbed.len(), "absorbed credits")?;
    for (before, credit) in posting.absorbed.iter().zip(posting.absorbed.iter().skip(1)) {
        let credit = *credit;
        match planted!("absorbed-twice-accepted", Ordering::Less, before.cmp(&credit)) {
            Ordering::Less => {}
            Ordering::Equal => {
                return Err(Malformed::AbsorbedTwice { entry, institution, credit });
            }
            Ordering::Greater => {
                return Err(Malformed::AbsorbedOutOfOrder { entry, institution, credit });
            }
        }
    }
    Ok(())
}

fn check_credit(
    entry: u32,
    index: u32,
    credit: &Credit,
    postings: &[Posting],
) -> Result<(), Malformed> {
    at_most(MAX_SEALED_BYTES, credit.sealed.len(), "sealed payload")?;
    let sender = credit.sender;
    // The postings have been found to be in order.
    let posts = postings.binary_search_by_key(&sender, |posting| posting.institution).is_ok();
    if planted!("credit-sender-not-checked", false, !posts) {
        return Err(Malformed::SenderDoesNotPost { entry, credit: index, sender });
    }
    if credit.institution == sender {
        return Err(Malformed::CreditToSelf { entry, credit: index, institution: sender });
    }
    Ok(())
}

fn check_return(credit_return: &CreditReturn) -> Result<(), Malformed> {
    let (by, holder) = (credit_return.by, credit_return.holder.institution);
    match credit_return.reason {
        ReturnReason::Rejected if by != holder => Err(Malformed::RejectedByAnother { by, holder }),
        ReturnReason::Refunded if by == holder => Err(Malformed::RefundedByHolder { by }),
        ReturnReason::Rejected | ReturnReason::Refunded => Ok(()),
    }
}

fn check_round_open(open: &RoundOpen) -> Result<(), Malformed> {
    if !(2..=MAX_POSTINGS).contains(&usize::from(open.minimum_roster)) {
        return Err(Malformed::MinimumRoster { found: open.minimum_roster });
    }
    if !(1..=MAX_ATTEMPTS).contains(&open.attempts) {
        return Err(Malformed::Attempts { found: open.attempts });
    }
    if open.deadline <= open.join_until {
        return Err(Malformed::DeadlineTooEarly);
    }
    Ok(())
}

fn check_round_join(join: &RoundJoin) -> Result<(), Malformed> {
    at_most(MAX_QUEUE_NOTE_BYTES, join.note.len(), "queue note")
}

fn check_settlement(settlement: &Settlement) -> Result<(), Malformed> {
    check_entry(0, &settlement.entry)?;
    if !settlement.entry.credits.is_empty() {
        return Err(Malformed::SettlementCredits);
    }
    match settlement.entry.postings.iter().find(|posting| !posting.absorbed.is_empty()) {
        Some(posting) => Err(Malformed::SettlementAbsorbs { institution: posting.institution }),
        None => Ok(()),
    }
}

fn check_governance(governance: &Governance, suite: Suite) -> Result<(), Malformed> {
    let Governance { changes, approvals, .. } = governance;
    at_most(MAX_CHANGES, changes.len(), "changes")?;
    at_most(MAX_APPROVALS, approvals.len(), "approvals")?;
    if changes.is_empty() {
        return Err(Malformed::NoChanges);
    }
    if approvals.is_empty() {
        return Err(Malformed::NoApprovals);
    }
    let mut before = None;
    for approval in approvals {
        let institution = approval.institution;
        if before.replace(institution).is_some_and(|before| before >= institution) {
            return Err(Malformed::ApprovalsOutOfOrder { institution });
        }
    }
    for (index, change) in numbered(changes) {
        change.check(suite).map_err(|source| Malformed::Change { index, source })?;
    }
    Ok(())
}

fn check_rotation(rotation: &KeyRotation, suite: Suite) -> Result<(), Malformed> {
    let institution = rotation.institution;
    if check_suite(institution, &rotation.key, suite).is_err() {
        return Err(Malformed::KeySuite { institution });
    }
    let signs = matches!(rotation.key, PublicKey::Signing(..));
    match signs == rotation.possession.is_some() {
        true => Ok(()),
        false => Err(Malformed::Possession { institution }),
    }
}
