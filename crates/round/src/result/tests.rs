mod computed;

use super::*;
use crate::queue::{FrozenQueue, QueueSeed};
use crate::start::Start;
use crate::testing::{bank, number, payment, place, rng};
use computed::{
    announced, computed, expected, fr, parties, party, queue, queue_of, refused_from, start,
};
use quittance_crypto::commitment::commit_scalar;
use quittance_crypto::field::to_scalar;
use quittance_mpc::Parties;

const COMMITTEES: [(usize, u8); 5] = [(3, 1), (4, 1), (5, 1), (5, 2), (7, 3)];

#[test]
fn the_shares_of_all_parties_give_the_result() {
    for (n, t) in COMMITTEES {
        for parties in Parties::new(n, t).unwrap().choices() {
            let shares = computed().shares_for(0, parties, &mut rng(2));
            let combined = combine(&expected(parties), &shares).ok().unwrap();
            let result = combined.check(&queue(), announced()).ok().unwrap();
            assert_eq!((result.round, result.attempt, result.steps), (place().round, 1, 3));
            assert_eq!((result.settled, result.inflow, result.net), (1, 1300, 800));
            assert_eq!(result.outflow(), 500);
            let bit = |number, place, settles| ReceivedBit { payer: bank(number), place, settles };
            // In order, and nothing of bank 4, which takes no part.
            assert_eq!(result.received, [bit(2, 0, true), bit(3, 1, true), bit(3, 2, false)]);
            assert_eq!(result.notices, shares[0].1.notices);
            let own = commit_scalar(&to_scalar(&fr(800)), result.blinding.as_scalar());
            assert_eq!(result.nets[expected(parties).place()], own);
            let slowest = parties.numbers().into_iter().max().unwrap();
            assert_eq!(result.milliseconds, 40 + u64::from(slowest));
        }
    }
}

#[test]
fn a_negative_net_is_one() {
    let mut computed = computed();
    computed.says[1..].iter_mut().for_each(|says| says.fill(fr(0)));
    computed.inflow = fr(0);
    computed.nets = vec![-fr(500), fr(400), fr(100)];
    let result = computed.check().ok().unwrap();
    assert_eq!((result.net, result.inflow, result.outflow()), (-500, 0, 500));
}

#[test]
fn who_is_not_in_the_roster_expects_nothing() {
    let payments = vec![payment(2, 500, 1)];
    let seed = QueueSeed::random(&mut rng(1));
    let stranger = FrozenQueue::freeze(bank(4), payments, number, seed).ok().unwrap();
    assert_eq!(Expected::new(&start(), &stranger), None);
}

#[test]
fn one_party_that_lies_in_public_is_named() {
    for liar in 1..=3 {
        let party = party(liar);
        let differ = |what| ResultError::Differ { what, parties: vec![party] };
        let found = RoundId(Digest::ZERO);
        let refused = refused_from(liar, |share| share.round = found);
        assert_eq!(refused, ResultError::OtherRound { party, found });
        let refused = refused_from(liar, |share| share.attempt = 0);
        assert_eq!(refused, ResultError::OtherAttempt { party, found: 0 });
        let refused = refused_from(liar, |share| share.session = Digest::ZERO);
        assert_eq!(refused, differ("the session"));
        assert_eq!(refused_from(liar, |share| share.steps = 2), differ("the number of steps"));
        assert_eq!(refused_from(liar, |share| share.nets.swap(0, 1)), differ("the nets"));
        let refused = refused_from(liar, |share| share.nets.truncate(2));
        assert_eq!(refused, differ("the nets"));
        let notices = differ("the notices");
        for (queue, place) in [(0, 0), (0, 7), (2, 1)] {
            let refused = refused_from(liar, |share| share.notices[queue].0[place] += fr(1));
            assert_eq!(refused, notices);
        }
        assert_eq!(refused_from(liar, |share| share.notices[0].0.truncate(7)), notices);
        assert_eq!(refused_from(liar, |share| share.notices.truncate(2)), notices);
        assert_eq!(refused_from(liar, |share| share.notices.swap(0, 1)), notices);
    }
}

#[test]
fn one_party_that_lies_in_private_is_noticed() {
    for liar in 1..=3 {
        let refused = refused_from(liar, |share| share.inflow += &Share::constant(fr(1)));
        assert_eq!(refused, ResultError::Disputed(Part::Inflow));
        for scalar in 0..2 {
            let refused = refused_from(liar, |share| {
                let mut bytes = share.net.to_bytes();
                bytes[32 * scalar] ^= 1;
                share.net = CommittedShare::from_bytes(&bytes).ok().unwrap();
            });
            assert_eq!(refused, ResultError::NetShare { parties: vec![party(liar)] });
        }
    }
}

#[test]
fn as_many_liars_as_a_committee_bears_are_named() {
    let five = Parties::new(5, 2).unwrap().first_active();
    let shares = computed().shares_for(0, five, &mut rng(4));
    let mut lying = shares.clone();
    lying[1].1.steps = 9;
    lying[4].1.steps = 8;
    let parties = vec![party(2), party(5)];
    let refused = combine(&expected(five), &lying).err().unwrap();
    assert_eq!(refused, ResultError::Differ { what: "the number of steps", parties });
    // More liars than that, and nobody can tell who they are.
    lying[0].1.steps = 8;
    let refused = combine(&expected(five), &lying).err().unwrap();
    let parties = five.ids().collect();
    assert_eq!(refused, ResultError::Differ { what: "the number of steps", parties });

    let mut lying = shares.clone();
    lying[0].1.net = shares[2].1.net.clone();
    lying[3].1.net = shares[2].1.net.clone();
    let parties = vec![party(1), party(4)];
    let refused = combine(&expected(five), &lying).err().unwrap();
    assert_eq!(refused, ResultError::NetShare { parties });
}

#[test]
fn the_share_of_another_party_or_bank_is_noticed() {
    let shares = computed().shares();
    let mut copied = shares.clone();
    copied[1].1 = shares[0].1.clone();
    let refused = combine(&expected(parties()), &copied).err().unwrap();
    assert_eq!(refused, ResultError::NetShare { parties: vec![party(2)] });

    // All but the net, which gives the liar away.
    let mut copied = shares.clone();
    copied[1].1.inflow = shares[0].1.inflow.clone();
    let refused = combine(&expected(parties()), &copied).err().unwrap();
    assert_eq!(refused, ResultError::Disputed(Part::Inflow));

    // The same computation, but what bank 2 should get: its net.
    let mut others = shares.clone();
    others[2].1.net = computed().shares_for(1, parties(), &mut rng(3))[2].1.net.clone();
    let refused = combine(&expected(parties()), &others).err().unwrap();
    assert_eq!(refused, ResultError::NetShare { parties: vec![party(3)] });

    // The shares of another session with the same result.
    let mut stale = shares.clone();
    stale[0].1 = computed().shares_for(0, parties(), &mut rng(5))[0].1.clone();
    let refused = combine(&expected(parties()), &stale).err().unwrap();
    assert_eq!(refused, ResultError::Differ { what: "the nets", parties: vec![party(1)] });
}

#[test]
fn too_few_repeated_and_unknown_parties_are_refused() {
    let shares = computed().shares();
    let refused = |shares: &[_]| combine(&expected(parties()), shares).err().unwrap();
    for found in 0..3 {
        let needed = 3;
        assert_eq!(refused(&shares[..found]), ResultError::TooFew { found, needed });
    }
    let twice = [shares.clone(), vec![shares[1].clone()]].concat();
    assert_eq!(refused(&twice), ResultError::Repeated(party(2)));
    let mut stranger = shares.clone();
    stranger[2].0 = party(4);
    assert_eq!(refused(&stranger), ResultError::Unknown(party(4)));
    assert_eq!(refused(&stranger).named(), [party(4)]);
    // A fourth party of the committee, which has no part in this attempt.
    let all = [shares, vec![stranger.pop().unwrap()]].concat();
    assert_eq!(refused(&all), ResultError::Unknown(party(4)));
    // Others than those that the start names have computed, and say so in public.
    let others = Parties::new(4, 1).unwrap().active(&[1, 2, 4]).unwrap();
    let mut moved = computed().shares_for(0, others, &mut rng(3));
    moved[2].0 = party(3);
    assert_eq!(refused(&moved), ResultError::Parties);
}

/// The whole committee is corrupt, and all parties tell the same untruth.
#[test]
fn results_of_the_wrong_shape_are_refused() {
    let mut longer = computed();
    longer.says[0].pop();
    assert_eq!(longer.refused(), ResultError::Queue { expected: 8, found: 7 });
    let mut smaller = computed();
    smaller.nets = vec![fr(800), -fr(800)];
    let roster = |what| ResultError::Roster { what, expected: 3, found: 2 };
    assert_eq!(smaller.refused(), roster("nets"));
    let mut fewer = computed();
    fewer.says.pop();
    assert_eq!(fewer.refused(), roster("queues"));
    // Of another bank's queue only what was announced is looked for.
    let mut short = computed();
    short.says[2].truncate(1);
    let refused = CheckError::NoNotice { payer: bank(3), place: 1 };
    assert_eq!(short.check().err(), Some(refused));
}

#[test]
fn nets_that_do_not_sum_to_zero_are_refused() {
    let mut minted = computed();
    minted.nets[2] += fr(1);
    assert_eq!(minted.refused(), ResultError::NotBalanced);
    let mut hidden = computed();
    hidden.excess = fr(1);
    assert_eq!(hidden.refused(), ResultError::NotBalanced);
}

#[test]
fn notices_that_say_neither_or_are_out_of_order_are_refused() {
    for wrong in [fr(2), -fr(1), fr(u64::MAX)] {
        // An own payment, padding, and a payment that was announced.
        for (queue, place) in [(0, 1), (0, 7), (2, 2)] {
            let mut strange = computed();
            strange.says[queue][place] = wrong;
            let payer = bank([1, 2, 3][queue]);
            let refused = CheckError::NoNotice { payer, place: place as u32 };
            assert_eq!(strange.check().err(), Some(refused));
        }
    }
    let mut gap = computed();
    gap.says[0] = [&[fr(0), fr(1)][..], &[fr(0); 6]].concat();
    assert_eq!(gap.check().err(), Some(CheckError::NotAPrefix { place: 1 }));
    let mut overtaken = computed();
    overtaken.says[2][1] = fr(0);
    overtaken.says[2][2] = fr(1);
    let refused = CheckError::Overtaken { payer: bank(3), place: 2 };
    assert_eq!(overtaken.check().err(), Some(refused));
    // One payer's stop is none of another's.
    let mut stopped = computed();
    stopped.says[1][0] = fr(0);
    stopped.inflow = fr(1000);
    stopped.nets = vec![fr(500), fr(500), -fr(1000)];
    assert!(stopped.check().is_ok());
    // What a stranger's notice says is nobody's business here.
    let mut others = computed();
    others.says[1][1] = fr(7);
    assert!(others.check().is_ok());
}

/// A notice under the pad of another place or attempt, or a notice that was moved, says nothing.
#[test]
fn notices_under_other_pads_are_refused() {
    let told = |change: fn(&mut Announced)| {
        let mut announced = announced();
        // Sorted: bank 2's payment comes first, then those of bank 3.
        announced.sort_by_key(|payment| (payment.payer, payment.place));
        change(&mut announced[1]);
        computed().combined().ok().unwrap().check(&queue(), announced).err()
    };
    let refused = Some(CheckError::NoNotice { payer: bank(3), place: 1 });
    assert_eq!(told(|payment| payment.pads.swap(0, 1)), refused);
    assert_eq!(told(|payment| payment.pads = queue_of(3).pads(2)), refused);
    assert_eq!(told(|payment| payment.pads = queue_of(2).pads(1)), refused);

    let own = |attempt: u8| {
        let start = Start { attempt, ..start() };
        let expected = Expected::new(&start, &queue()).unwrap();
        let mut shares = computed().shares();
        shares.iter_mut().for_each(|(_, share)| share.attempt = attempt);
        combine(&expected, &shares).ok().unwrap().check(&queue(), announced()).err()
    };
    // What was computed for attempt 1, told as the result of another.
    assert_eq!(own(1), None);
    let refused = Some(CheckError::NoNotice { payer: bank(1), place: 0 });
    assert_eq!(own(0), refused);
    assert_eq!(own(2), refused, "there is no pad for it");
}

/// Payments 0 and 1 go to bank 2; payment 2 to bank 9, which takes no part, and ends the queue.
#[test]
fn what_cannot_settle_does_not() {
    for settled in 3..=8u32 {
        let mut more = computed();
        more.says[0][..settled as usize].fill(fr(1));
        assert_eq!(more.check().err(), Some(CheckError::Queue { settled, payments: 2 }));
    }
}

#[test]
fn what_is_no_sum_of_amounts_is_refused() {
    let large = fr(1 << 63) * fr(1 << 63) * fr(4);
    let mut inflow = computed();
    inflow.inflow = large;
    assert_eq!(inflow.refused(), ResultError::OutOfRange(Part::Inflow));
    inflow.inflow = -fr(1);
    assert_eq!(inflow.refused(), ResultError::OutOfRange(Part::Inflow));
    for net in [large, -large, fr(1 << 63) * fr(1 << 63) * fr(2)] {
        let mut computed = computed();
        computed.nets = vec![net, -net, fr(0)];
        assert_eq!(computed.refused(), ResultError::OutOfRange(Part::Net));
    }
}

#[test]
fn sums_that_do_not_add_up_are_refused() {
    let mut inflow = computed();
    inflow.inflow += fr(1);
    assert_eq!(inflow.check().err(), Some(CheckError::Inflow));
    // Both off by the same, so that net + outflow = inflow again.
    inflow.nets = vec![fr(801), fr(199), -fr(1000)];
    assert_eq!(inflow.check().err(), Some(CheckError::Inflow));
    for net in [fr(799), fr(801), -fr(800), fr(0)] {
        let mut robbed = computed();
        robbed.nets = vec![net, fr(1000) - net, -fr(1000)];
        assert_eq!(robbed.check().err(), Some(CheckError::Net));
    }
    // A payment that settles without its amount, and one whose amount is not counted.
    let mut more = computed();
    more.says[0][1] = fr(1);
    assert_eq!(more.check().err(), Some(CheckError::Net));
    let mut less = computed();
    less.says[2][1] = fr(0);
    assert_eq!(less.check().err(), Some(CheckError::Inflow));
}

/// A payee whose inflow is not what was announced to it does not sign.
#[test]
fn a_payment_that_settles_unannounced_is_refused() {
    let check = |announced: Vec<Announced>| {
        computed().combined().ok().unwrap().check(&queue(), announced).err()
    };
    let without = |payer: u32, place: u32| {
        let mut told = announced();
        told.retain(|payment| (payment.payer, payment.place) != (bank(payer), place));
        told
    };
    assert_eq!(check(without(3, 1)), Some(CheckError::Inflow));
    assert_eq!(check(without(2, 0)), Some(CheckError::Inflow));
    assert_eq!(check(vec![]), Some(CheckError::Inflow));
    // What does not settle is in no sum.
    assert_eq!(check(without(3, 2)), None);
    // Another amount than the one that was computed with, and one payment twice.
    let mut other = announced();
    other.iter_mut().for_each(|payment| payment.amount += 1);
    assert_eq!(check(other), Some(CheckError::Inflow));
    assert_eq!(check([announced(), announced()].concat()), None);
}

#[test]
fn no_changed_byte_of_one_party_changes_the_result() {
    let shares = computed().shares();
    let bytes = shares[1].1.to_bytes();
    assert_eq!(ResultShare::from_bytes(&bytes).ok().unwrap().to_bytes(), bytes);
    // Version, round, attempt, session and steps stand before what each party says of itself.
    let of_itself = 1 + 32 + 1 + 32 + 4..1 + 32 + 1 + 32 + 4 + 16;
    for position in (0..bytes.len()).filter(|position| !of_itself.contains(position)) {
        let mut changed = bytes.clone();
        changed[position] ^= 1;
        let Ok(share) = ResultShare::from_bytes(&changed) else { continue };
        assert_eq!(share.to_bytes(), changed);
        let mut shares = shares.clone();
        shares[1].1 = share;
        assert!(combine(&expected(parties()), &shares).is_err(), "byte {position}");
    }
    for end in (0..bytes.len()).step_by(17) {
        assert!(ResultShare::from_bytes(&bytes[..end]).is_err());
    }
    assert!(ResultShare::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

/// Commitments of a higher degree open anything.
#[test]
fn commitments_that_do_not_fit_are_not_decoded() {
    let share = computed().shares().remove(0).1;
    let mut bytes = share.to_bytes();
    let last_net = bytes.len() - 32;
    let other = share.nets[0].commitment().to_bytes();
    bytes[last_net..].copy_from_slice(&other);
    assert!(ResultShare::from_bytes(&bytes).is_err());
}

#[test]
fn a_stored_result_comes_back() {
    let result = computed().check().ok().unwrap();
    let bytes = result.to_bytes();
    let again = BankResult::from_bytes(&bytes).ok().unwrap();
    assert_eq!(again.to_bytes(), bytes);
    assert_eq!((again.net, again.inflow, again.settled), (800, 1300, 1));
    assert_eq!(again.received, result.received);
    assert_eq!(again.nets, result.nets);
    assert_eq!(again.notices, result.notices);
    assert!(BankResult::from_bytes(&bytes[..bytes.len() - 1]).is_err());
}
