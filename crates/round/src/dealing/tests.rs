mod out_of_range;

use super::*;
use crate::Joined;
use crate::testing::{bank, joined, place, queue, ranges, rng};
use quittance_crypto::commitment::Commitment;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::merkle;

struct Dealt {
    dealer: Joined,
    balance: Commitment,
    parties: Parties,
    common: CommonPart,
    private: Vec<PrivatePart>,
}

fn parties() -> Parties {
    Parties::new(3, 1).unwrap()
}

/// The proof of the amounts of `queue(1)`, made once.
fn proven() -> &'static [RangeProof] {
    static PROVEN: std::sync::LazyLock<Vec<RangeProof>> =
        std::sync::LazyLock::new(|| ranges(&queue(1)));
    &PROVEN
}

fn dealings(seed: u64) -> (Opening, Dealings) {
    let rng = &mut rng(seed);
    let balance = Opening::random(900, rng);
    let (queue, ranges) = (queue(1), proven().to_vec());
    let dealings = deal(place().round, &balance, &queue, ranges, parties(), rng);
    (balance, dealings)
}

fn dealt() -> Dealt {
    let (balance, Dealings { common, private, .. }) = dealings(6);
    let parties = parties();
    Dealt { dealer: joined(&queue(1)), balance: balance.commit(), parties, common, private }
}

impl Dealt {
    fn bytes(&self, number: u8) -> Vec<u8> {
        [self.common.to_bytes(), self.private[usize::from(number) - 1].to_bytes()].concat()
    }

    fn accept(&self, number: u8) -> Result<DealtInputs, DealtError> {
        self.accept_bytes(number, &self.bytes(number)).unwrap()
    }

    fn accept_bytes(
        &self,
        number: u8,
        bytes: &[u8],
    ) -> Result<Result<DealtInputs, DealtError>, DecodeError> {
        let committee = (self.parties, self.parties.id(number).unwrap());
        let dealing = Dealing::from_bytes(bytes)?;
        Ok(dealing.accept(&self.dealer, &self.balance, committee, &mut rng(7)))
    }

    fn problem(&self) -> DealtProblem {
        let error = self.accept(1).err().unwrap();
        assert_eq!(error.dealer, self.dealer.institution);
        error.problem
    }

    /// The private parts follow a change of the common part, as a cheating dealer's would.
    fn rebind(&mut self) {
        let digest = self.common.digest();
        self.private.iter_mut().for_each(|private| private.dealing = digest);
        self.dealer.queue_root = merkle::root_of(&self.common.leaves);
    }
}

#[test]
fn every_party_accepts_an_honest_dealing_under_one_digest() {
    let dealt = dealt();
    for number in 1..=3 {
        let inputs = dealt.accept(number).ok().unwrap();
        let payees: Vec<_> = inputs.payments.iter().map(|payment| payment.payee).collect();
        assert_eq!(payees, [2, 3, 2]);
        assert!(inputs.liquidity.committed);
        assert!(inputs.payments.iter().all(|payment| payment.amount.committed));
        let hashes: Vec<_> = inputs.payments.iter().map(|payment| payment.leaf).collect();
        let queue = queue(1);
        let leaves = queue.leaves()[..3].iter().map(|leaf| merkle::leaf_hash(&leaf.to_bytes()));
        assert_eq!(hashes, leaves.collect::<Vec<_>>());
        assert_eq!(inputs.digest(), dealt.common.digest());
        assert_eq!((inputs.round(), inputs.dealer()), (place().round, bank(1)));
        assert_eq!(inputs.number, 1);
    }
}

#[test]
fn what_is_sent_is_the_same_at_every_call_and_other_for_every_party() {
    let (_, dealings) = dealings(6);
    let dealt = dealt();
    for party in 1..=3 {
        let message = dealings.message(party).unwrap();
        assert_eq!(*message, dealt.bytes(party));
        assert_eq!(dealings.message(party), Some(message));
        let at = |number| *dealings.message(number).unwrap() == dealt.bytes(party);
        assert_eq!([1, 2, 3].map(at), [1, 2, 3].map(|number| number == party));
    }
    assert_eq!(dealings.message(0), None);
    assert_eq!(dealings.message(4), None);
    assert_eq!(dealings.digest(), dealt.common.digest());
}

/// Who is dealt to again sees no scalar that it has seen before.
#[test]
fn two_dealings_of_the_same_secrets_have_nothing_in_common() {
    let ((_, one), (_, two)) = (dealings(6), dealings(8));
    assert_ne!(one.digest(), two.digest());
    let scalars = |dealings: &Dealings| -> Vec<Vec<u8>> {
        let shares = dealings.private.iter().flat_map(|private| &private.shares);
        shares
            .flat_map(|share| share.to_bytes().chunks(32).map(<[u8]>::to_vec).collect::<Vec<_>>())
            .collect()
    };
    let (one, two) = (scalars(&one), scalars(&two));
    assert_eq!(one.len(), 3 * 9 * 2);
    assert!(one.iter().all(|scalar| !two.contains(scalar)));
}

#[test]
fn other_facts_on_the_ledger_are_named() {
    let change = |change: fn(&mut Dealt)| {
        let mut dealt = dealt();
        change(&mut dealt);
        dealt.problem()
    };
    let round = change(|dealt| dealt.dealer.round = RoundId(Digest::ZERO));
    assert_eq!(round, DealtProblem::OtherRound(place().round));
    let dealer = change(|dealt| dealt.dealer.institution = bank(5));
    assert_eq!(dealer, DealtProblem::OtherDealer(bank(1)));
    let root = change(|dealt| dealt.dealer.queue_root = Digest::ZERO);
    assert_eq!(root, DealtProblem::OtherRoot(queue(1).root()));
    let what = "leaves";
    let bucket = change(|dealt| dealt.dealer.bucket = 16);
    assert_eq!(bucket, DealtProblem::Length { what, expected: 16, found: 8 });
    assert_eq!(change(|dealt| dealt.dealer.bucket = 9), DealtProblem::Bucket(9));
    let balance = change(|dealt| dealt.balance = Opening::random(900, &mut rng(8)).commit());
    assert_eq!(balance, DealtProblem::OtherBalance);
    assert_eq!(change(|dealt| dealt.dealer.number = 3), DealtProblem::OwnPayee(1));
}

#[test]
fn other_lengths_and_degrees_are_named() {
    let mut short = dealt();
    short.common.payees.pop();
    assert_eq!(short.problem(), DealtProblem::Length { what: "payees", expected: 8, found: 7 });
    let mut fewer = dealt();
    fewer.private[0].shares.pop();
    assert_eq!(fewer.problem(), DealtProblem::Inputs { expected: 9, found: 8 });
    let mut higher = dealt();
    higher.parties = Parties::new(5, 2).unwrap();
    assert_eq!(higher.problem(), DealtProblem::Degree(0));
    let mut fewer_inputs = dealt();
    let (_, others) = dealings(9);
    fewer_inputs.common.dealing = others.common.dealing;
    fewer_inputs.rebind();
    assert_eq!(fewer_inputs.problem(), DealtProblem::OtherBalance);
}

#[test]
fn a_payee_other_than_in_the_leaf_is_named() {
    let mut dealt = dealt();
    dealt.common.payees[1].value = 2;
    assert_eq!(dealt.problem(), DealtProblem::Payee(1));
}

#[test]
fn payments_after_padding_and_impossible_payees_are_named() {
    let mut moved = dealt();
    moved.common.leaves.swap(2, 5);
    moved.common.payees.swap(2, 5);
    moved.rebind();
    assert_eq!(moved.problem(), DealtProblem::AfterPadding(5));
    let mut large = dealt();
    let payee = Opening::random(1 << 32, &mut rng(8));
    large.common.leaves[0].payee = payee.commit();
    large.common.payees[0] = payee;
    large.rebind();
    assert_eq!(large.problem(), DealtProblem::PayeeNumber(0));
}

#[test]
fn an_amount_other_than_in_the_leaf_is_named() {
    let mut dealt = dealt();
    dealt.common.leaves[2].amount = Opening::random(7, &mut rng(8)).commit();
    dealt.rebind();
    assert_eq!(dealt.problem(), DealtProblem::OtherAmount(2));
}

#[test]
fn bad_shares_and_swapped_parts_are_named() {
    for input in 0..9 {
        let mut dealt = dealt();
        let foreign = dealt.private[1].shares[input].clone();
        dealt.private[0].shares[input] = foreign;
        assert_eq!(dealt.problem(), DealtProblem::BadShare(input));
        assert!(dealt.accept(2).is_ok());
    }
    let mut swapped = dealt();
    swapped.private.swap(0, 1);
    assert_eq!(swapped.problem(), DealtProblem::OtherParty(2));
    let mut other = dealt();
    other.private[0].dealing = Digest::ZERO;
    assert_eq!(other.problem(), DealtProblem::OtherDealing(Digest::ZERO));
}

/// Value or blinding, off by one at the lowest byte.
#[test]
fn a_share_off_by_one_is_named() {
    let dealt = dealt();
    let bytes = dealt.private[0].to_bytes();
    let first = 1 + 32 + 1 + 4;
    for scalar in 0..18 {
        let mut changed = bytes.clone();
        let position = first + 32 * scalar;
        changed[position] = changed[position].wrapping_add(1);
        let Ok(private) = PrivatePart::from_bytes(&changed) else { continue };
        let mut dealt = self::dealt();
        dealt.private[0] = private;
        assert_eq!(dealt.problem(), DealtProblem::BadShare(scalar / 2));
    }
}

#[test]
fn a_dealing_has_one_encoding_and_no_changed_byte_passes() {
    let dealt = dealt();
    let bytes = dealt.bytes(1);
    let again =
        |bytes: &[u8]| Dealing::from_bytes(bytes).is_ok_and(|same| same.to_bytes() == bytes);
    assert!(again(&bytes));
    assert!(dealt.accept_bytes(1, &bytes).unwrap().is_ok());
    let private = dealt.common.to_bytes().len();
    let common = (0..private).step_by(7);
    for position in common.chain(private..bytes.len()) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let accepted = dealt.accept_bytes(1, &changed).is_ok_and(|inputs| inputs.is_ok());
        assert!(!accepted, "byte {position}");
        assert!(Dealing::from_bytes(&changed).is_err() || again(&changed));
    }
    for end in (0..bytes.len()).step_by(31).chain([bytes.len() - 1]) {
        assert!(Dealing::from_bytes(&bytes[..end]).is_err());
    }
    assert!(Dealing::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn an_acknowledgement_holds_for_what_it_names_only() {
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32]);
    let dealt = dealt();
    let good = dealt.accept(1).ok().unwrap().acknowledge(bank(7), &key);
    let verifying = key.verifying_key();
    assert_eq!(good.verify(&verifying), Ok(()));
    assert_eq!(good.dealing, dealt.common.digest());
    assert_eq!(Acknowledgement::from_bytes(&good.to_bytes()), Ok(good.clone()));
    let changed = [
        Acknowledgement { round: RoundId(Digest::ZERO), ..good.clone() },
        Acknowledgement { dealer: bank(2), ..good.clone() },
        Acknowledgement { party: bank(2), ..good.clone() },
        Acknowledgement { dealing: Digest::ZERO, ..good.clone() },
    ];
    assert!(changed.iter().all(|changed| changed.verify(&verifying).is_err()));
    let other = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[5; 32]);
    assert!(good.verify(&other.verifying_key()).is_err());

    // The same words signed by somebody else, or the right key's word about something else.
    let forged = dealt.accept(1).ok().unwrap().acknowledge(bank(7), &other);
    assert!(forged.verify(&verifying).is_err());
    let signature = |purpose| key.sign(purpose, &good.dealing);
    for signature in Purpose::ALL.map(signature) {
        assert!(Acknowledgement { signature, ..good.clone() }.verify(&verifying).is_err());
    }
    let bytes = good.to_bytes();
    for position in (0..bytes.len()).step_by(13) {
        let mut changed = bytes.clone();
        changed[position] ^= 0x10;
        let accepted = Acknowledgement::from_bytes(&changed)
            .is_ok_and(|changed| changed.verify(&verifying).is_ok());
        assert!(!accepted, "byte {position}");
    }
}

/// An acknowledgement says which dealing: that of an earlier one of the same dealer is no other's.
#[test]
fn an_acknowledgement_of_an_earlier_dealing_names_that_one() {
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32]);
    let earlier = dealt().accept(1).ok().unwrap().acknowledge(bank(7), &key);
    let (_, later) = dealings(8);
    assert_ne!(earlier.dealing, later.digest());
    let replayed = Acknowledgement { dealing: later.digest(), ..earlier };
    assert!(replayed.verify(&key.verifying_key()).is_err());
}
