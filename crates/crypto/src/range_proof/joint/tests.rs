//! Joint proofs: honest runs, and every way in which a prover or the aggregator can cheat.

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;

use super::prover::commit;
use super::*;
use crate::commitment::{Blinding, Opening};
use crate::digest::Digest;
use crate::encoding::{Decode, Encode};
use crate::field::Scalar;
use crate::group::{blinding_base, value_base};
use crate::range_proof::tests::{commitments, context, rng};
use crate::range_proof::{RangeProof, reference, verify};

/// A change to a list of messages.
type Change<'a, T> = &'a dyn Fn(&mut Vec<T>);

/// A change to one message.
type Touch<'a, T> = &'a dyn Fn(&mut T);

/// Where a run can be tampered with: between the senders and the receivers of each list.
#[derive(Default)]
struct Tamper<'a> {
    /// First messages on their way to the aggregator.
    bits: Option<Change<'a, BitMessage>>,
    /// The list that the prover at the position gets from the aggregator.
    bits_to: Option<(usize, Change<'a, BitMessage>)>,
    polynomials: Option<Change<'a, PolynomialMessage>>,
    polynomials_to: Option<(usize, Change<'a, PolynomialMessage>)>,
    shares: Option<Change<'a, ShareMessage>>,
    /// A prover that takes whatever the list says at its position for its own message.
    accomplice: Option<usize>,
}

fn deliver<T: Clone>(
    list: &[T],
    position: usize,
    tamper: Option<(usize, Change<'_, T>)>,
) -> Vec<T> {
    let mut list = list.to_vec();
    if let Some((target, change)) = tamper
        && target == position
    {
        change(&mut list);
    }
    list
}

fn openings(count: usize) -> Vec<Opening> {
    let mut rng = rng(70);
    (0..count).map(|_| Opening::random(rng.next_u64(), &mut rng)).collect()
}

/// A whole run on `statement`; each prover proves its opening, which need not open it.
fn run_on(
    statement: &[Commitment],
    openings: &[Opening],
    tamper: &Tamper<'_>,
    rng: &mut ChaCha20Rng,
) -> Result<RangeProof, JointError> {
    let context = context("joint");
    let (provers, mut bits): (Vec<_>, Vec<_>) = openings
        .iter()
        .enumerate()
        .map(|(position, opening)| commit(&context, statement, position, opening, rng))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    tamper.bits.inspect(|change| change(&mut bits));

    let aggregator = Aggregator::new(&context, statement, rng)?;
    let (aggregator, all) = aggregator.receive(bits, rng)?;
    let (provers, mut polynomials): (Vec<_>, Vec<_>) = provers
        .into_iter()
        .enumerate()
        .map(|(position, mut prover)| {
            let all = deliver(&all, position, tamper.bits_to);
            if tamper.accomplice == Some(position) {
                prover.sent = all[position];
            }
            prover.receive(&all, rng)
        })
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    tamper.polynomials.inspect(|change| change(&mut polynomials));

    let (aggregator, all) = aggregator.receive(polynomials)?;
    let mut shares = provers
        .into_iter()
        .enumerate()
        .map(|(position, mut prover)| {
            let all = deliver(&all, position, tamper.polynomials_to);
            if tamper.accomplice == Some(position) {
                prover.sent = all[position];
            }
            prover.receive(&all)
        })
        .collect::<Result<Vec<_>, _>>()?;
    tamper.shares.inspect(|change| change(&mut shares));
    aggregator.receive(shares, rng)
}

fn run(count: usize, tamper: &Tamper<'_>) -> Result<RangeProof, JointError> {
    let openings = openings(count);
    run_on(&commitments(&openings), &openings, tamper, &mut rng(71))
}

fn shifted(commitment: Commitment) -> Commitment {
    (commitment.point() + value_base()).into()
}

#[test]
fn honest_provers_make_a_proof_that_every_verifier_accepts() {
    for count in [1, 2, 3, 5, 8] {
        let statement = commitments(&openings(count));
        let proof = run(count, &Tamper::default()).unwrap();
        assert_eq!(verify(&context("joint"), &statement, &proof), Ok(()));
        assert_eq!(reference::verify(&context("joint"), &statement, &proof), Ok(()));
        assert!(verify(&context("other"), &statement, &proof).is_err());
    }
}

/// A prover draws each challenge from all messages: whatever another prover sends, every element of
/// it changes what this one answers, although this one's randomness stays the same.
#[test]
fn every_message_of_others_changes_each_later_answer() {
    let openings = openings(2);
    let statement = commitments(&openings);
    let answers = |bits: Touch<'_, BitMessage>, polynomials: Touch<'_, PolynomialMessage>| {
        let start = |position: usize| {
            let seed = &mut rng(74 + position as u64);
            commit(&context("joint"), &statement, position, &openings[position], seed).unwrap()
        };
        let ((one, of_one), (two, mut of_two)) = (start(0), start(1));
        let (_, theirs) = two.receive(&[of_one, of_two], &mut rng(76)).unwrap();
        bits(&mut of_two);
        let (one, own) = one.receive(&[of_one, of_two], &mut rng(77)).unwrap();
        let mut theirs = theirs;
        polynomials(&mut theirs);
        let share = one.receive(&[own, theirs]).unwrap();
        (own.to_bytes(), share.to_bytes())
    };
    let nothing: Touch<'_, BitMessage> = &|_| ();
    let same: Touch<'_, PolynomialMessage> = &|_| ();
    let (polynomials, share) = answers(nothing, same);
    assert_eq!(answers(nothing, same), (polynomials.clone(), share.clone()), "it is repeatable");
    let of_bits: [Touch<'_, BitMessage>; 2] =
        [&|bits| bits.a = shifted(bits.a), &|bits| bits.s = shifted(bits.s)];
    for change in of_bits {
        let changed = answers(change, same);
        assert!(changed.0 != polynomials && changed.1 != share);
    }
    let of_polynomials: [&dyn Fn(&mut PolynomialMessage); 2] =
        [&|polynomials| polynomials.t1 = shifted(polynomials.t1), &|polynomials| {
            polynomials.t2 = shifted(polynomials.t2)
        }];
    for change in of_polynomials {
        let changed = answers(nothing, change);
        assert!(changed.0 == polynomials && changed.1 != share);
    }
}

#[test]
fn a_prover_starts_only_on_its_own_commitment() {
    let openings = openings(3);
    let statement = commitments(&openings);
    let start = |statement: &[Commitment], position, opening: &Opening| {
        Prover::start(&context("joint"), statement, position, opening, &mut rng(72)).map(|_| ())
    };
    assert_eq!(start(&statement, 1, &openings[1]), Ok(()));
    let wrong = Err(JointError::Opening { position: 1 });
    assert_eq!(start(&statement, 1, &openings[0]), wrong);
    let outside = Err(JointError::Position { position: 3, count: 3 });
    assert_eq!(start(&statement, 3, &Opening::zero()), outside);
    let empty = Err(JointError::Position { position: 0, count: 0 });
    assert_eq!(start(&[], 0, &openings[0]), empty);
    let long = vec![statement[0]; 129];
    let error = Err(JointError::Statement(RangeProofError::TooMany { found: 129 }));
    assert_eq!(start(&long, 0, &openings[0]), error);
    let none = Aggregator::new(&context("joint"), &[], &mut rng(72)).map(|_| ());
    assert_eq!(none, Err(JointError::Statement(RangeProofError::Empty)));
}

#[test]
fn the_aggregator_names_a_prover_that_sends_something_else() {
    let with_bits = |change: Change<'_, BitMessage>| {
        run(3, &Tamper { bits: Some(change), ..Tamper::default() }).map(|_| ())
    };
    let changed = with_bits(&|list| list[1].commitment = shifted(list[1].commitment));
    assert_eq!(changed, Err(JointError::WrongCommitment { position: 1 }));
    let swapped = with_bits(&|list| list.swap(0, 2));
    assert_eq!(swapped, Err(JointError::WrongCommitment { position: 0 }));
    let no_a = with_bits(&|list| list[2].a = Commitment::identity());
    assert_eq!(no_a, Err(JointError::IdentityPoint { position: 2, element: Element::A }));
    let no_s = with_bits(&|list| list[0].s = Commitment::identity());
    assert_eq!(no_s, Err(JointError::IdentityPoint { position: 0, element: Element::S }));
    for length in [2, 4] {
        let count = with_bits(&|list| list.resize(length, list[0]));
        assert_eq!(count, Err(JointError::Count { found: length, expected: 3 }));
    }

    let with_polynomials = |change: Change<'_, PolynomialMessage>| {
        run(3, &Tamper { polynomials: Some(change), ..Tamper::default() }).map(|_| ())
    };
    let no_t1 = with_polynomials(&|list| list[2].t1 = Commitment::identity());
    assert_eq!(no_t1, Err(JointError::IdentityPoint { position: 2, element: Element::T1 }));
    let no_t2 = with_polynomials(&|list| list[1].t2 = Commitment::identity());
    assert_eq!(no_t2, Err(JointError::IdentityPoint { position: 1, element: Element::T2 }));
    let short = with_polynomials(&|list| list.truncate(2));
    assert_eq!(short, Err(JointError::Count { found: 2, expected: 3 }));

    let short = |list: &mut Vec<ShareMessage>| list.truncate(2);
    let short = run(3, &Tamper { shares: Some(&short), ..Tamper::default() });
    assert_eq!(short, Err(JointError::Count { found: 2, expected: 3 }));
}

#[test]
fn points_that_cancel_all_others_are_detected_but_not_attributed() {
    let cancel = |list: &mut Vec<BitMessage>| {
        let sum = list[0].s.point() + list[1].s.point() + list[2].s.point();
        list[3].s = (-sum).into();
    };
    let outcome = run(4, &Tamper { bits: Some(&cancel), ..Tamper::default() });
    assert_eq!(outcome, Err(JointError::Cancelled { element: Element::S }));
    let cancel = |list: &mut Vec<PolynomialMessage>| {
        let sum = list[0].t2.point() + list[1].t2.point() + list[2].t2.point();
        list[3].t2 = (-sum).into();
    };
    let outcome = run(4, &Tamper { polynomials: Some(&cancel), ..Tamper::default() });
    assert_eq!(outcome, Err(JointError::Cancelled { element: Element::T2 }));
}

#[test]
fn a_prover_refuses_a_list_that_misstates_itself_the_statement_or_the_padding() {
    let to_first = |change: Change<'_, BitMessage>| {
        run(3, &Tamper { bits_to: Some((0, change)), ..Tamper::default() }).map(|_| ())
    };
    let own = Err(JointError::OwnMessageChanged { position: 0 });
    assert_eq!(to_first(&|list| list[0].a = shifted(list[0].a)), own);
    assert_eq!(to_first(&|list| list[0].s = shifted(list[0].s)), own);
    for position in 0..4 {
        let wrong = Err(JointError::WrongCommitment { position });
        let change = |list: &mut Vec<BitMessage>| {
            list[position].commitment = shifted(list[position].commitment);
        };
        assert_eq!(to_first(&change), wrong, "position 3 is padding");
    }
    let no_s = to_first(&|list| list[1].s = Commitment::identity());
    assert_eq!(no_s, Err(JointError::IdentityPoint { position: 1, element: Element::S }));
    for length in [0, 3, 8] {
        let count = to_first(&|list| list.resize(length, list[3]));
        assert_eq!(count, Err(JointError::Count { found: length, expected: 4 }));
    }

    let to_last = |change: Change<'_, PolynomialMessage>| {
        run(3, &Tamper { polynomials_to: Some((2, change)), ..Tamper::default() }).map(|_| ())
    };
    let own = Err(JointError::OwnMessageChanged { position: 2 });
    assert_eq!(to_last(&|list| list[2].t1 = shifted(list[2].t1)), own);
    assert_eq!(to_last(&|list| list[2].t2 = shifted(list[2].t2)), own);
    let no_t1 = to_last(&|list| list[3].t1 = Commitment::identity());
    assert_eq!(no_t1, Err(JointError::IdentityPoint { position: 3, element: Element::T1 }));
    let short = to_last(&|list| list.truncate(3));
    assert_eq!(short, Err(JointError::Count { found: 3, expected: 4 }));
}

/// An aggregator that shows one prover other messages than the rest only gets a share for other
/// challenges, which fits nothing.
#[test]
fn equivocation_ends_without_a_proof() {
    let change = |list: &mut Vec<BitMessage>| list[1].a = shifted(list[1].a);
    let outcome = run(3, &Tamper { bits_to: Some((0, &change)), ..Tamper::default() });
    assert_eq!(outcome, Err(JointError::BadShares { positions: vec![0] }));
    let change = |list: &mut Vec<PolynomialMessage>| list[0].t1 = shifted(list[0].t1);
    let outcome = run(3, &Tamper { polynomials_to: Some((2, &change)), ..Tamper::default() });
    assert_eq!(outcome, Err(JointError::BadShares { positions: vec![2] }));
}

#[test]
fn every_scalar_of_a_share_counts_and_its_sender_is_named() {
    let one = Scalar::ONE;
    let changes: [&dyn Fn(&mut ShareMessage); 8] = [
        &|share| share.t_x += one,
        &|share| share.t_x_blinding += one,
        &|share| share.e_blinding += one,
        &|share| share.l[0] += one,
        &|share| share.l[63] += one,
        &|share| share.r[0] += one,
        &|share| share.r[63] += one,
        &|share| std::mem::swap(&mut share.l, &mut share.r),
    ];
    for (k, change) in changes.into_iter().enumerate() {
        let position = k % 2;
        let shares = |list: &mut Vec<ShareMessage>| change(&mut list[position]);
        let outcome = run(2, &Tamper { shares: Some(&shares), ..Tamper::default() });
        assert_eq!(outcome, Err(JointError::BadShares { positions: vec![position] }), "{k}");
    }
    let both = |list: &mut Vec<ShareMessage>| list.swap(0, 2);
    let outcome = run(3, &Tamper { shares: Some(&both), ..Tamper::default() });
    assert_eq!(outcome, Err(JointError::BadShares { positions: vec![0, 2] }));
}

/// Each first or second message counts too: the sender's own share no longer fits it.
#[test]
fn commitments_that_are_not_those_of_the_share_are_attributed() {
    let bits: [Change<'_, BitMessage>; 2] =
        [&|list| list[1].a = shifted(list[1].a), &|list| list[1].s = shifted(list[1].s)];
    let polynomials: [Change<'_, PolynomialMessage>; 2] =
        [&|list| list[1].t1 = shifted(list[1].t1), &|list| list[1].t2 = shifted(list[1].t2)];
    let accomplice = Some(1);
    let cheats = bits
        .map(|bits| Tamper { bits: Some(bits), accomplice, ..Tamper::default() })
        .into_iter()
        .chain(polynomials.map(|polynomials| Tamper {
            polynomials: Some(polynomials),
            accomplice,
            ..Tamper::default()
        }));
    for tamper in cheats {
        assert_eq!(run(3, &tamper), Err(JointError::BadShares { positions: vec![1] }));
    }
}

/// A prover whose commitment is to -1, and who knows that, proves the bits of some other value.
#[test]
fn a_value_out_of_range_is_attributed_to_its_prover() {
    let mut openings = openings(3);
    let mut statement = commitments(&openings);
    let blinding = Scalar::from(77u64);
    statement[1] = (blinding_base() * blinding - value_base()).into();
    for claimed in [0, 1, u64::MAX] {
        openings[1] = Opening::new(claimed, Blinding::from_scalar(blinding));
        let forge = |list: &mut Vec<BitMessage>| list[1].commitment = statement[1];
        let tamper = Tamper { bits: Some(&forge), accomplice: Some(1), ..Tamper::default() };
        let outcome = run_on(&statement, &openings, &tamper, &mut rng(73));
        assert_eq!(outcome, Err(JointError::BadShares { positions: vec![1] }));
    }
}

#[test]
fn two_runs_share_no_mask() {
    let openings = openings(1);
    let statement = commitments(&openings);
    let first = |context: &Digest, seed| {
        let (_, message) =
            Prover::start(context, &statement, 0, &openings[0], &mut rng(seed)).unwrap();
        message
    };
    let message = first(&context("joint"), 75);
    for other in [first(&context("joint"), 76), first(&context("other"), 75)] {
        assert_ne!(message.a, other.a);
        assert_ne!(message.s, other.s);
    }
}

#[test]
fn messages_have_one_encoding() {
    let openings = openings(1);
    let statement = commitments(&openings);
    let rng = &mut rng(77);
    let context = context("joint");
    let (prover, bits) = Prover::start(&context, &statement, 0, &openings[0], rng).unwrap();
    let (prover, polynomials) = prover.receive(&[bits], rng).unwrap();
    let share = prover.receive(&[polynomials]).unwrap();

    assert_eq!(BitMessage::from_bytes(&bits.to_bytes()), Ok(bits));
    assert_eq!(PolynomialMessage::from_bytes(&polynomials.to_bytes()), Ok(polynomials));
    assert_eq!(ShareMessage::from_bytes(&share.to_bytes()), Ok(share.clone()));
    refuses_bad_words::<BitMessage>(&bits.to_bytes(), 3);
    refuses_bad_words::<PolynomialMessage>(&polynomials.to_bytes(), 2);
    refuses_bad_words::<ShareMessage>(&share.to_bytes(), 131);
}

fn refuses_bad_words<T: Decode>(bytes: &[u8], words: usize) {
    assert_eq!(bytes.len(), 32 * words);
    for word in 0..words {
        let mut bad = bytes.to_vec();
        bad[32 * word..32 * (word + 1)].fill(0xff);
        let error = T::from_bytes(&bad).map(|_| ()).unwrap_err();
        assert_eq!(error.offset, 32 * word);
        assert!(T::from_bytes(&bytes[..32 * word]).is_err());
    }
    assert!(T::from_bytes(&[bytes, &[0]].concat()).is_err());
}
