//! Complaints, publications, and what is passed off as them.

use quittance_crypto::signature::VerifyingKey;

use super::*;
use crate::envelope::Signed;
use crate::message::{Reason, Report};

/// The members of a committee, party 1 first.
fn member(number: u8) -> InstitutionId {
    bank(20 + u32::from(number))
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &[number; 32])
}

fn members(parties: Parties) -> Vec<InstitutionId> {
    parties.ids().map(|party| member(party.number())).collect()
}

/// A dealer, and the same dealing as its parties get it.
fn court(parties: Parties) -> (Answers, Dealt) {
    let deal = || {
        let (rng, queue) = (&mut rng(6), queue(1));
        let balance = Opening::random(900, rng);
        let (ranges, joined) = (proven().to_vec(), joined(&queue));
        let dealings = deal(&joined, &balance, &queue, ranges, &payees(), parties, rng);
        (balance.commit(), dealings.ok().unwrap())
    };
    let (balance, Dealings { common, private, .. }) = deal();
    let dealer = joined(&queue(1));
    let dealt = Dealt { dealer, balance, payees: payees(), parties, common, private };
    (Answers::new(deal().1, parties, members(parties)), dealt)
}

impl Dealt {
    fn complaint(&self) -> Complaint {
        let (round, dealer) = (self.dealer.round, self.dealer.institution);
        let dealing = self.common.digest();
        Complaint { round, dealer, dealing, reason: Reason::new("a bad share") }
    }

    fn complains(&self, number: u8) -> Signed<Complaint> {
        Signed::sign(self.complaint(), member(number), &key(number))
    }

    fn acknowledges(&self, number: u8, published: &[PublishedPart]) -> Acknowledgement {
        let inputs = self.accept(number).ok().unwrap();
        inputs.acknowledge(published, member(number), &key(number))
    }

    fn settle(&self, bytes: &[u8]) -> Result<Settled, PublicationError> {
        let publication = Publication::from_bytes(bytes).unwrap_or_else(|error| panic!("{error}"));
        self.settle_publication(publication)
    }

    fn settle_publication(&self, publication: Publication) -> Result<Settled, PublicationError> {
        let members = members(self.parties);
        let keys: Vec<_> = (1..=9).map(|number| (member(number), key(number))).collect();
        let keys: Vec<(InstitutionId, VerifyingKey)> =
            keys.iter().map(|(who, key)| (*who, key.verifying_key())).collect();
        let key =
            |who: &InstitutionId| keys.iter().find(|(known, _)| known == who).map(|(_, key)| key);
        let committee = (self.parties, &members[..]);
        publication.accept(&self.dealer, &self.balance, &self.payees, committee, key, &mut rng(7))
    }
}

fn take(
    answers: &mut Answers,
    number: u8,
    answer: Answer,
) -> Result<Option<Zeroizing<Vec<u8>>>, AnswerError> {
    answers.take(member(number), answer, &key(number).verifying_key())
}

fn counts(report: &Report) -> (Vec<InstitutionId>, Vec<InstitutionId>) {
    let Report::Dealt { acknowledgements, complaints, .. } = report else { panic!() };
    let words = acknowledgements.iter().map(|word| word.party).collect();
    (words, complaints.iter().map(Signed::signer).collect())
}

/// The part that is published is the one that the complainant was sent. Everybody checks it, the
/// complainant can compute with it, and the dealer is in the round.
#[test]
fn a_false_complaint_is_settled_by_publishing_what_was_dealt() {
    for complainant in 1..=3 {
        let (mut answers, dealt) = court(parties());
        assert_eq!(answers.standing(), Standing::Waiting);
        let complaint = Answer::Complained(dealt.complains(complainant));
        let published = take(&mut answers, complainant, complaint.clone()).unwrap().unwrap();
        // Said once more it is answered no more.
        assert_eq!(take(&mut answers, complainant, complaint), Ok(None));
        let others: Vec<u8> = (1..=3).filter(|number| *number != complainant).collect();
        for number in &others {
            // Its word before it has seen the publication does not count.
            let early = Answer::Acknowledged(dealt.acknowledges(*number, &[]));
            assert_eq!(take(&mut answers, *number, early), Ok(None));
            assert_eq!(answers.standing(), Standing::Waiting);
        }
        for number in &others {
            let settled = dealt.settle(&published).ok().unwrap();
            assert_eq!(settled.complainant.number(), complainant);
            let own = dealt.accept(complainant).ok().unwrap();
            let bytes = |inputs: &DealtInputs| inputs.liquidity.share.to_bytes();
            assert_eq!(bytes(&settled.inputs), bytes(&own));
            let word = dealt.acknowledges(*number, &[settled.published]);
            assert_eq!(take(&mut answers, *number, Answer::Acknowledged(word)), Ok(None));
        }
        let Standing::Complete(report) = answers.standing() else { panic!() };
        let expected = others.iter().map(|number| member(*number)).collect();
        assert_eq!(counts(&report), (expected, vec![member(complainant)]));
    }
}

/// A complaint is worth a party's share. One of another round, dealer or dealing, by somebody else,
/// or with any byte changed, gets none.
#[test]
fn what_is_no_complaint_of_this_dealing_by_this_party_publishes_nothing() {
    let (mut answers, dealt) = court(parties());
    let good = dealt.complaint();
    let signed = |complaint, by, with| Signed::sign(complaint, member(by), &key(with));
    let others = [
        (Complaint { round: RoundId(Digest::ZERO), ..good.clone() }, ComplaintError::OtherRound),
        (Complaint { dealer: bank(2), ..good.clone() }, ComplaintError::OtherDealer(bank(2))),
        (
            Complaint { dealing: Digest::ZERO, ..good.clone() },
            ComplaintError::OtherDealing(Digest::ZERO),
        ),
    ];
    for (complaint, error) in others {
        let found = take(&mut answers, 3, Answer::Complained(signed(complaint, 3, 3)));
        assert_eq!(found, Err(AnswerError::Complaint(error)));
    }
    // By another party, who would have an honest one's share published; by nobody of the committee.
    let mut refused = |complaint| take(&mut answers, 3, Answer::Complained(complaint)).unwrap_err();
    let forged = refused(signed(good.clone(), 3, 2));
    assert!(matches!(forged, AnswerError::Complaint(ComplaintError::Signature(_))));
    assert_eq!(refused(signed(good.clone(), 2, 2)), AnswerError::NotAParty);
    assert_eq!(refused(signed(good.clone(), 9, 3)), AnswerError::NotAParty);
    let stranger = answers.take(
        member(9),
        Answer::Complained(signed(good.clone(), 9, 9)),
        &key(9).verifying_key(),
    );
    assert_eq!(stranger, Err(AnswerError::NotAParty));
    // Or the right party's signature under something else.
    let bytes = signed(good, 3, 3).to_bytes();
    for position in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[position] ^= 0x10;
        let Ok(complaint) = Signed::from_bytes(&changed) else { continue };
        let found = take(&mut answers, 3, Answer::Complained(complaint));
        assert!(found.is_err(), "byte {position}");
    }
    assert!(answers.published().is_empty());
    assert!(take(&mut answers, 3, Answer::Complained(dealt.complains(3))).unwrap().is_some());
}

/// With t + 1 published parts everybody could compute what was dealt. One of so many complainants is
/// honest: the dealer is at fault, and is in no round.
#[test]
fn no_more_parts_are_published_than_parties_can_be_corrupt() {
    for (count, threshold) in [(3, 1), (4, 1), (5, 2)] {
        let (mut answers, dealt) = court(Parties::new(count, threshold).unwrap());
        for number in 1..=threshold {
            let complaint = Answer::Complained(dealt.complains(number));
            assert!(take(&mut answers, number, complaint).unwrap().is_some());
        }
        let one_more = threshold + 1;
        let complaint = Answer::Complained(dealt.complains(one_more));
        assert_eq!(take(&mut answers, one_more, complaint), Err(AnswerError::TooMany));
        assert_eq!(answers.published().len(), usize::from(threshold));
        assert_eq!(answers.standing(), Standing::Hopeless);
    }
}

#[test]
fn a_publication_of_anything_else_is_refused() {
    let (mut answers, dealt) = court(parties());
    let complaint = Answer::Complained(dealt.complains(2));
    let good = take(&mut answers, 2, complaint).unwrap().unwrap();
    assert!(dealt.settle(&good).is_ok());
    let with = |change: &dyn Fn(&mut Publication)| {
        let mut publication = Publication::from_bytes(&good).ok().unwrap();
        change(&mut publication);
        dealt.settle_publication(publication).err().unwrap()
    };
    let part = |error| match error {
        PublicationError::Part(error) => error.problem,
        other => panic!("{other}"),
    };
    let private = |number: u8| {
        PrivatePart::from_bytes(&dealt.private[usize::from(number) - 1].to_bytes()).ok().unwrap()
    };
    // Another's part; a share of another's; vectors of another's.
    assert_eq!(part(with(&|it| it.private = private(1))), DealtProblem::OtherParty(1));
    for input in [0, 1, INPUTS - 1] {
        let found = with(&|it| it.private.shares[input] = private(1).shares[input].clone());
        assert_eq!(part(found), DealtProblem::BadShare(input));
    }
    let found = with(&|it| it.private.vectors = private(1).vectors.clone());
    assert_eq!(part(found), DealtProblem::OtherVectors);
    let found = with(&|it| it.private.shares.truncate(1));
    assert!(matches!(part(found), DealtProblem::Inputs { found: 1, .. }));
    // In answer to another's complaint, or to none.
    let found = with(&|it| it.complaint = dealt.complains(1));
    assert_eq!(part(found), DealtProblem::OtherParty(2));
    let found = with(&|it| it.complaint = dealt.complains(9));
    assert_eq!(found, PublicationError::NotAParty(member(9)));
    let found = with(&|it| {
        it.complaint = Signed::sign(dealt.complaint(), member(2), &key(1));
    });
    assert!(matches!(found, PublicationError::Complaint(ComplaintError::Signature(_))));
    let found = with(&|it| {
        let complaint = Complaint { dealing: Digest::ZERO, ..dealt.complaint() };
        it.complaint = Signed::sign(complaint, member(2), &key(2));
    });
    let other = ComplaintError::OtherDealing(Digest::ZERO);
    assert_eq!(found, PublicationError::Complaint(other));
    // And with any byte changed.
    for position in (0..good.len()).step_by(61) {
        let mut changed = good.to_vec();
        changed[position] ^= 1;
        let Ok(publication) = Publication::from_bytes(&changed) else { continue };
        assert_eq!(publication.to_bytes(), changed);
        assert!(dealt.settle_publication(publication).is_err(), "byte {position}");
    }
}

/// What is acknowledged is what was published to this very party.
#[test]
fn an_acknowledgement_holds_for_the_parts_that_it_names_only() {
    let (mut answers, dealt) = court(parties());
    let publication = take(&mut answers, 3, Answer::Complained(dealt.complains(3)));
    let published = dealt.settle(&publication.unwrap().unwrap()).ok().unwrap().published;
    let good = dealt.acknowledges(1, &[published]);
    let other = PublishedPart { part: Digest([1; 32]), ..published };
    for parts in [vec![], vec![other], vec![published, other]] {
        let changed = Acknowledgement { published: parts, ..good.clone() };
        assert!(changed.verify(&key(1).verifying_key()).is_err());
    }
    // Nor does a dealer count what names something that it has not published.
    for parts in [vec![other], vec![published, other], vec![PublishedPart { party: 2, ..other }]] {
        let word = Answer::Acknowledged(dealt.acknowledges(1, &parts));
        assert_eq!(take(&mut answers, 1, word), Err(AnswerError::OtherParts));
    }
    let of_other = Acknowledgement { dealing: Digest::ZERO, ..good.clone() };
    let found = take(&mut answers, 1, Answer::Acknowledged(of_other));
    assert_eq!(found, Err(AnswerError::OtherDealing));
    let by_other = take(&mut answers, 2, Answer::Acknowledged(good.clone()));
    assert_eq!(by_other, Err(AnswerError::NotAParty));
    assert_eq!(take(&mut answers, 1, Answer::Acknowledged(good)), Ok(None));
    // Who has acknowledged does not complain.
    let late = take(&mut answers, 1, Answer::Complained(dealt.complains(1)));
    assert_eq!(late, Err(AnswerError::Withdrawn));
}

/// With parties to spare as many as compute are enough, when the time for the others is over.
#[test]
fn parties_to_spare_need_not_answer() {
    let (mut answers, dealt) = court(Parties::new(4, 1).unwrap());
    for number in 1..=3 {
        assert_eq!(answers.standing(), Standing::Waiting);
        let word = Answer::Acknowledged(dealt.acknowledges(number, &[]));
        assert_eq!(take(&mut answers, number, word), Ok(None));
    }
    let Standing::Enough(report) = answers.standing() else { panic!() };
    assert_eq!(counts(&report), ((1..=3).map(member).collect(), vec![]));
    // The fourth complains: the others have to see its part.
    let publication = take(&mut answers, 4, Answer::Complained(dealt.complains(4)));
    assert_eq!(answers.standing(), Standing::Waiting);
    let published = dealt.settle(&publication.unwrap().unwrap()).ok().unwrap().published;
    for number in 1..=2 {
        let word = Answer::Acknowledged(dealt.acknowledges(number, &[published]));
        assert_eq!(take(&mut answers, number, word), Ok(None));
    }
    let Standing::Enough(_) = answers.standing() else { panic!() };
    answers.fail(&member(3));
    let Standing::Complete(report) = answers.standing() else { panic!() };
    assert_eq!(counts(&report), (vec![member(1), member(2)], vec![member(4)]));
    answers.fail(&member(2));
    let Standing::Complete(_) = answers.standing() else { panic!("it has answered") };
    // Two that will not answer are too many.
    let (mut answers, _) = court(Parties::new(4, 1).unwrap());
    answers.fail(&member(1));
    assert_eq!(answers.standing(), Standing::Waiting);
    answers.fail(&member(2));
    assert_eq!(answers.standing(), Standing::Hopeless);
}
