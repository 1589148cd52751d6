//! What parties have signed for a dealing.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::planted;
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::ids::InstitutionId;

use super::AcknowledgementsError;
use crate::book::{Book, RoundFacts};
use crate::dealing::{Acknowledgement, Complaint};
use crate::envelope::Signed;

/// What a bank shows of its dealing.
pub(super) struct Words {
    pub(super) acknowledgements: Vec<Acknowledgement>,
    pub(super) complaints: Vec<Signed<Complaint>>,
}

/// A dealing that enough parties have settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) dealing: Digest,
    /// Who can compute with it: who has acknowledged it, and whose part was published.
    pub(super) holders: BTreeSet<InstitutionId>,
}

impl Words {
    /// Whether `2t + 1` parties or more have settled one dealing of `dealer`: acknowledged it, all
    /// with the same published parts, or complained of it, at most t of them, and had their part
    /// published.
    ///
    /// Then at least one honest party has acknowledged, and has checked what was published for each
    /// complainant, which gets it from that party if the dealer does not send it.
    pub(super) fn check(
        &self,
        book: &Book,
        facts: &RoundFacts,
        dealer: InstitutionId,
    ) -> Result<Holding, AcknowledgementsError> {
        let committee = &facts.committee;
        let threshold = usize::from(committee.threshold);
        let words = self.acknowledgements.iter().map(|word| word.party);
        let signers = words.chain(self.complaints.iter().map(Signed::signer));
        let mut holders = BTreeSet::new();
        let strange = |party: &InstitutionId| !committee.parties.contains(party);
        for party in signers {
            if strange(&party) || !holders.insert(party) {
                return Err(AcknowledgementsError::Parties);
            }
        }
        let first = self.acknowledgements.first().filter(|_| holders.len() > 2 * threshold);
        let first = first.ok_or(AcknowledgementsError::Parties)?;
        let most = self.complaints.len() <= threshold;
        if !planted!("any-number-of-complaints-counts", true, most) {
            return Err(AcknowledgementsError::TooManyComplaints);
        }
        let key = |party: &InstitutionId| {
            book.key(party, Purpose::Round).ok_or(AcknowledgementsError::NoKey(*party))
        };
        for word in &self.acknowledgements {
            acknowledged(word, key(&word.party)?, (facts, dealer), first)?;
        }
        let dealing = first.dealing;
        for complaint in &self.complaints {
            let party = complaint.signer();
            let whose = (first.round, dealer, &dealing);
            Complaint::verify(complaint, key(&party)?, whose)
                .map_err(|source| AcknowledgementsError::Complaint { party, source })?;
        }
        let complains = |number: &u8| {
            let party = committee.parties.get(usize::from(*number).wrapping_sub(1));
            party.is_some_and(|party| self.complaints.iter().any(|it| it.signer() == *party))
        };
        let numbers: BTreeSet<_> = first.published.iter().map(|part| part.party).collect();
        let all = numbers.len() == self.complaints.len()
            && first.published.len() == self.complaints.len()
            && numbers.iter().all(complains);
        if !planted!("complaints-without-publication-count", true, all) {
            return Err(AcknowledgementsError::NotPublished);
        }
        Ok(Holding { dealing, holders })
    }
}

/// The word says the same as the first, for this dealer and round.
fn acknowledged(
    word: &Acknowledgement,
    key: &VerifyingKey,
    (facts, dealer): (&RoundFacts, InstitutionId),
    first: &Acknowledgement,
) -> Result<(), AcknowledgementsError> {
    let (party, found, expected) = (word.party, word.dealing, first.dealing);
    let round = facts.members.get(&dealer).map(|member| member.joined.round);
    if Some(word.round) != round {
        return Err(AcknowledgementsError::OtherRound(party));
    }
    if word.dealer != dealer {
        return Err(AcknowledgementsError::OtherDealer { party, dealer: word.dealer });
    }
    if found != expected {
        return Err(AcknowledgementsError::OtherDealing { party, expected, found });
    }
    let same = word.published == first.published;
    if !planted!("published-parts-not-compared", true, same) {
        return Err(AcknowledgementsError::OtherParts(party));
    }
    word.verify(key).map_err(|source| AcknowledgementsError::Signature { party, source })
}
