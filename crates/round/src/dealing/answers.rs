//! A dealer, and what the parties answer it.
//!
//! ```text
//! dealing      --> acknowledgement, or complaint
//! complaint    --> publication, to all parties
//! publication  --> acknowledgement that names the published part
//! all settled  --> Dealt, to the coordinator
//! ```

use std::collections::{BTreeMap, BTreeSet};

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::planted;
use quittance_crypto::signature::{SignatureError, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_mpc::Parties;
use thiserror::Error;
use zeroize::Zeroizing;

use super::complaint::{Complaint, ComplaintError, PublishedPart};
use super::{Acknowledgement, Dealings};
use crate::VERSION;
use crate::envelope::Signed;
use crate::message::Report;

/// What a party answers to a dealing or a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is right.
    Acknowledged(Acknowledgement),
    /// It is not. Never the answer to a publication.
    Complained(Signed<Complaint>),
}

/// An answer that is none. It counts as if the party had not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// Nobody of the committee, or about somebody else.
    #[error("it is not a party's word of its own")]
    NotAParty,
    /// Of another dealing.
    #[error("it acknowledges something else")]
    OtherDealing,
    /// It names parts that were not published.
    #[error("it acknowledges parts that were not published")]
    OtherParts,
    /// Not signed by the party.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// Not a complaint of this dealing.
    #[error("{0}")]
    Complaint(#[from] ComplaintError),
    /// It has acknowledged before.
    #[error("a complaint of what it has acknowledged")]
    Withdrawn,
    /// With t complaints answered, no more are: t + 1 published parts open what was dealt.
    #[error("a complaint, after as many others as there can be corrupt parties")]
    TooMany,
}

/// Where a dealing stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Fewer than `2t + 1` parties have acknowledged, or complained and been answered.
    Waiting,
    /// As many have: enough when the time for the others is over.
    Enough(Report),
    /// No answer is missing that could still come.
    Complete(Report),
    /// It will never be enough.
    Hopeless,
}

/// All that a dealer has dealt, and what has been answered.
pub struct Answers {
    dealings: Dealings,
    parties: Parties,
    /// The committee, in order.
    members: Vec<InstitutionId>,
    acknowledged: BTreeMap<u8, Acknowledgement>,
    complaints: BTreeMap<u8, Signed<Complaint>>,
    /// Those that will not answer.
    failed: BTreeSet<u8>,
    /// More have complained than can be corrupt.
    disqualified: bool,
}

impl Answers {
    /// Before any answer. `members` are the committee, in order.
    pub fn new(dealings: Dealings, parties: Parties, members: Vec<InstitutionId>) -> Self {
        let (acknowledged, complaints) = (BTreeMap::new(), BTreeMap::new());
        let (failed, disqualified) = (BTreeSet::new(), false);
        Self { dealings, parties, members, acknowledged, complaints, failed, disqualified }
    }

    /// What was dealt.
    pub fn dealings(&self) -> &Dealings {
        &self.dealings
    }

    /// What was dealt; answers are of no use any more.
    pub fn into_dealings(self) -> Dealings {
        self.dealings
    }

    fn number(&self, party: &InstitutionId) -> Result<u8, AnswerError> {
        let numbered = (1u8..).zip(&self.members);
        let found = numbered.filter(|(_, member)| *member == party).map(|(number, _)| number);
        found.last().ok_or(AnswerError::NotAParty)
    }

    /// What was published, in order of party.
    pub(super) fn published(&self) -> Vec<PublishedPart> {
        let parts = self.dealings.private.iter();
        let parts = parts.filter(|private| self.complaints.contains_key(&private.party));
        parts.map(|part| PublishedPart { party: part.party, part: part.digest() }).collect()
    }

    /// Takes the answer of `party`, whose round key is `key`. Gives what is to be sent to all parties
    /// now, if it is a complaint that was not known yet.
    pub fn take(
        &mut self,
        party: InstitutionId,
        answer: Answer,
        key: &VerifyingKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, AnswerError> {
        let number = self.number(&party)?;
        match answer {
            Answer::Acknowledged(word) => {
                self.acknowledge(number, word, key)?;
                Ok(None)
            }
            Answer::Complained(complaint) => self.complain(number, complaint, key),
        }
    }

    /// `party` will not answer (any more).
    pub fn fail(&mut self, party: &InstitutionId) {
        if let Ok(number) = self.number(party) {
            self.failed.insert(number);
        }
    }

    fn acknowledge(
        &mut self,
        number: u8,
        word: Acknowledgement,
        key: &VerifyingKey,
    ) -> Result<(), AnswerError> {
        if self.number(&word.party)? != number {
            return Err(AnswerError::NotAParty);
        }
        let CommonWords { round, dealer, dealing } = self.words();
        if (word.round, word.dealer, word.dealing) != (round, dealer, dealing) {
            return Err(AnswerError::OtherDealing);
        }
        let published = self.published();
        let ordered = word.published.is_sorted_by(|one, two| one < two);
        if !ordered || !word.published.iter().all(|part| published.contains(part)) {
            return Err(AnswerError::OtherParts);
        }
        word.verify(key)?;
        let kept = self.acknowledged.get(&number);
        if kept.is_none_or(|kept| kept.published.len() <= word.published.len()) {
            self.acknowledged.insert(number, word);
        }
        Ok(())
    }

    fn complain(
        &mut self,
        number: u8,
        complaint: Signed<Complaint>,
        key: &VerifyingKey,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, AnswerError> {
        if self.number(&complaint.signer())? != number {
            return Err(AnswerError::NotAParty);
        }
        let CommonWords { round, dealer, dealing } = self.words();
        Complaint::verify(&complaint, key, (round, dealer, &dealing))?;
        if self.complaints.contains_key(&number) {
            return Ok(None);
        }
        if self.acknowledged.contains_key(&number) {
            return Err(AnswerError::Withdrawn);
        }
        let full = self.complaints.len() >= self.parties.threshold();
        if planted!("more-parts-published-than-corrupt-parties", false, full) {
            self.disqualified = true;
            return Err(AnswerError::TooMany);
        }
        let publication = self.publication(number, &complaint);
        self.complaints.insert(number, complaint);
        Ok(publication)
    }

    /// The canonical bytes of the [`Publication`](super::Publication).
    fn publication(&self, number: u8, complaint: &Signed<Complaint>) -> Option<Zeroizing<Vec<u8>>> {
        let dealt = self.dealings.message(number)?;
        let mut out = Writer::new();
        out.u8(VERSION);
        complaint.encode(&mut out);
        let mut bytes = Zeroizing::new(out.into_bytes());
        bytes.extend_from_slice(&dealt);
        Some(bytes)
    }

    /// Where the dealing stands.
    pub fn standing(&self) -> Standing {
        let published = self.published();
        let of_all = |word: &&Acknowledgement| word.published == published;
        // A complainant that is content with its published part has still complained.
        let others = self.acknowledged.iter();
        let others = others.filter(|(number, _)| !self.complaints.contains_key(number));
        let words: Vec<_> = others.map(|(_, word)| word).filter(of_all).cloned().collect();
        let complaints: Vec<_> = self.complaints.values().cloned().collect();
        let settled = words.len() + complaints.len();
        let (needed, all) = (2 * self.parties.threshold() + 1, self.parties.count());
        let lost = self.failed.iter().filter(|number| !self.has_settled(**number, &published));
        let lost = lost.count();
        let round = self.words().round;
        let report = Report::Dealt { round, acknowledgements: words, complaints };
        match settled {
            _ if self.disqualified || all - lost < needed => Standing::Hopeless,
            enough if enough < needed => Standing::Waiting,
            most if most + lost < all => Standing::Enough(report),
            _ => Standing::Complete(report),
        }
    }

    fn has_settled(&self, number: u8, published: &[PublishedPart]) -> bool {
        let word = self.acknowledged.get(&number);
        self.complaints.contains_key(&number)
            || word.is_some_and(|word| word.published == published)
    }

    fn words(&self) -> CommonWords {
        let common = &self.dealings.common;
        let (round, dealer) = (common.round, common.dealer);
        CommonWords { round, dealer, dealing: self.dealings.digest }
    }
}

/// What each answer must be about.
struct CommonWords {
    round: RoundId,
    dealer: InstitutionId,
    dealing: Digest,
}
