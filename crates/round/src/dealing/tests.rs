mod complaints;
mod out_of_range;
mod vectors;

use super::*;
use crate::Joined;
use crate::testing::{bank, joined, payees, place, queue, ranges, rng};
use quittance_crypto::commitment::Commitment;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::merkle;

struct Dealt {
    dealer: Joined,
    balance: Commitment,
    payees: Payees,
    parties: Parties,
    common: CommonPart,
    private: Vec<PrivatePart>,
}

/// Liquidity, and for each of eight leaves amount, payee and two pads.
const INPUTS: usize = 1 + 4 * 8;

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
    let dealings = deal(&joined(&queue), &balance, &queue, ranges, &payees(), parties(), rng);
    (balance, dealings.unwrap_or_else(|error| panic!("{error}")))
}

fn dealt() -> Dealt {
    let (balance, Dealings { common, private, .. }) = dealings(6);
    let parties = parties();
    let (dealer, balance) = (joined(&queue(1)), balance.commit());
    Dealt { dealer, balance, payees: payees(), parties, common, private }
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
        Ok(dealing.accept(&self.dealer, &self.balance, &self.payees, committee, &mut rng(7)))
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
        assert!(inputs.liquidity.committed);
        assert_eq!(inputs.leaves.len(), 8, "padding included");
        for leaf in &inputs.leaves {
            assert!(leaf.amount.committed && leaf.payee.committed);
            assert!(leaf.pads.len() == PADS && leaf.pads.iter().all(|pad| pad.committed));
            assert_eq!(leaf.vector.len(), 10);
            assert!(leaf.vector.iter().all(|entry| !entry.committed));
        }
        assert_eq!((inputs.queue_root, &inputs.payees), (queue(1).root(), &payees()));
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
    assert_eq!(one.len(), 3 * INPUTS * 2);
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
    let bucket = change(|dealt| dealt.dealer.bucket = 16);
    assert_eq!(bucket, DealtProblem::Leaves { expected: 16, found: 8 });
    assert_eq!(change(|dealt| dealt.dealer.bucket = 9), DealtProblem::Bucket(9));
    let balance = change(|dealt| dealt.balance = Opening::random(900, &mut rng(8)).commit());
    assert_eq!(balance, DealtProblem::OtherBalance);
    let fewer = change(|dealt| dealt.payees = Payees::with(1..=8));
    assert_eq!(fewer, DealtProblem::OtherPayees);
    let others = change(|dealt| dealt.payees = Payees::with((1..=8).chain([10])));
    assert_eq!(others, DealtProblem::OtherPayees);
}

#[test]
fn other_lengths_and_degrees_are_named() {
    let mut fewer = dealt();
    fewer.private[0].shares.pop();
    assert_eq!(fewer.problem(), DealtProblem::Inputs { expected: INPUTS, found: INPUTS - 1 });
    let mut higher = dealt();
    higher.parties = Parties::new(5, 2).unwrap();
    assert_eq!(higher.problem(), DealtProblem::Degree(0));
    let mut fewer_inputs = dealt();
    let (_, others) = dealings(9);
    fewer_inputs.common.dealing = others.common.dealing;
    fewer_inputs.rebind();
    assert_eq!(fewer_inputs.problem(), DealtProblem::OtherBalance);
}

/// Amount, payee or one of the pads.
#[test]
fn what_is_not_in_the_leaf_is_named() {
    let other = || Opening::random(7, &mut rng(8)).commit();
    for (what, change) in [
        ("amount", (|leaf, other| leaf.amount = other) as fn(&mut Leaf, Commitment)),
        ("payee", |leaf, other| leaf.payee = other),
        ("pad", |leaf, other| leaf.pads[0] = other),
        ("pad", |leaf, other| leaf.pads[1] = other),
        ("pad", |leaf, _| leaf.pads.swap(0, 1)),
    ] {
        for place in [0, 2, 7] {
            let mut dealt = dealt();
            change(&mut dealt.common.leaves[place], other());
            dealt.rebind();
            assert_eq!(dealt.problem(), DealtProblem::OtherLeaf { what, place });
        }
    }
}

/// The common part is the same whoever is paid, but for commitments, and of the same length.
#[test]
fn nothing_that_all_parties_get_opens_a_payee() {
    let dealt = dealt();
    let bytes = dealt.common.to_bytes();
    for place in 0..8 {
        let queue = queue(1);
        let secrets =
            [queue.amount(place).blinding.to_bytes(), queue.payee(place).blinding.to_bytes()];
        let pads = queue.pads(place).map(|pad| pad.to_bytes());
        for secret in secrets.iter().chain(pads.iter()).flat_map(|it| it.chunks(32)) {
            assert!(!bytes.windows(32).any(|window| window == secret));
        }
    }
}

#[test]
fn who_cannot_be_paid_and_what_is_too_large_is_not_dealt() {
    let (queue, rng) = (queue(1), &mut rng(6));
    let balance = Opening::random(900, rng);
    let mut refused = |payees: Payees| {
        let ranges = proven().to_vec();
        deal(&joined(&queue), &balance, &queue, ranges, &payees, parties(), rng).err().unwrap()
    };
    // Bank 3 is paid at place 1.
    let without = Payees::with([1, 2, 4, 5]);
    assert_eq!(refused(without), DealError::Payee { place: 1, number: 3 });
    let many = Payees::with(1..=24_576);
    assert_eq!(refused(many), DealError::TooLarge { leaves: 8, payees: 24_577 });
}

#[test]
fn bad_shares_and_swapped_parts_are_named() {
    for input in 0..INPUTS {
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
    for scalar in 0..2 * INPUTS {
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
    let vectors = bytes.len() - dealt.private[0].vectors.to_bytes().len();
    let common = (0..private).step_by(23);
    let shares = (private..vectors).step_by(3).chain((vectors..bytes.len()).step_by(31));
    for position in common.chain(shares) {
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
    let good = dealt.accept(1).ok().unwrap().acknowledge(&[], bank(7), &key);
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
    let forged = dealt.accept(1).ok().unwrap().acknowledge(&[], bank(7), &other);
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
    let earlier = dealt().accept(1).ok().unwrap().acknowledge(&[], bank(7), &key);
    let (_, later) = dealings(8);
    assert_ne!(earlier.dealing, later.digest());
    let replayed = Acknowledgement { dealing: later.digest(), ..earlier };
    assert!(replayed.verify(&key.verifying_key()).is_err());
}
