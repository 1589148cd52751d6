mod computed;

use super::*;
use crate::queue::{FrozenQueue, QueueSeed};
use crate::testing::{bank, number, payment, place, rng};
use computed::{announced, computed, expected, fr, parties, party, queue, refused_from, start};
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
            let result = combined.check(&queue(), announced).ok().unwrap();
            assert_eq!((result.round, result.attempt, result.steps), (place().round, 1, 3));
            assert_eq!((result.settled, result.inflow, result.net), (1, 1300, 800));
            assert_eq!(result.outflow(), 500);
            let bit = |number, place, settles| ReceivedBit { payer: bank(number), place, settles };
            assert_eq!(result.received, [bit(2, 0, true), bit(3, 1, true), bit(3, 2, false)]);
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
    computed.received.clear();
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
        let refused = refused_from(liar, |share| share.settled.truncate(1));
        assert_eq!(refused, differ("the number of own payments"));
        let addressed = differ("the payments addressed here");
        assert_eq!(refused_from(liar, |share| share.received[2].place = 3), addressed);
        assert_eq!(refused_from(liar, |share| share.received[1].payer = 1), addressed);
        assert_eq!(refused_from(liar, |share| share.received.truncate(2)), addressed);
    }
}

#[test]
fn one_party_that_lies_in_private_is_noticed() {
    for liar in 1..=3 {
        let disputed = ResultError::Disputed;
        for place in 0..2 {
            let refused =
                refused_from(liar, |share| share.settled[place] += &Share::constant(fr(1)));
            assert_eq!(refused, disputed(Part::Settled { place }));
        }
        for (index, (payer, place)) in [(2, 0), (3, 1), (3, 2)].into_iter().enumerate() {
            let refused =
                refused_from(liar, |share| share.received[index].share += &Share::constant(fr(1)));
            assert_eq!(refused, disputed(Part::Received { payer: bank(payer), place }));
        }
        let refused = refused_from(liar, |share| share.inflow += &Share::constant(fr(1)));
        assert_eq!(refused, disputed(Part::Inflow));
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
    copied[1].1.settled = shares[0].1.settled.clone();
    copied[1].1.received = shares[0].1.received.clone();
    let refused = combine(&expected(parties()), &copied).err().unwrap();
    assert_eq!(refused, ResultError::Disputed(Part::Settled { place: 0 }));

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
    longer.settled.push(fr(0));
    assert_eq!(longer.refused(), ResultError::Queue { expected: 2, found: 3 });
    let mut smaller = computed();
    smaller.nets = vec![fr(800), -fr(800)];
    assert_eq!(smaller.refused(), ResultError::Roster { expected: 3, found: 2 });
    for payer in [0, 3, u16::MAX] {
        let mut strange = computed();
        strange.received[0].0 = payer;
        assert_eq!(strange.refused(), ResultError::Payer { payer });
    }
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
fn bits_that_are_none_or_out_of_order_are_refused() {
    for wrong in [fr(2), -fr(1), fr(u64::MAX)] {
        let mut strange = computed();
        strange.settled[1] = wrong;
        assert_eq!(strange.refused(), ResultError::NotABit(Part::Settled { place: 1 }));
        let mut strange = computed();
        strange.received[2].2 = wrong;
        let part = Part::Received { payer: bank(3), place: 2 };
        assert_eq!(strange.refused(), ResultError::NotABit(part));
    }
    let mut gap = computed();
    gap.settled = vec![fr(0), fr(1)];
    assert_eq!(gap.refused(), ResultError::NotAPrefix { place: 1 });
    let mut overtaken = computed();
    overtaken.received = vec![(1, 0, fr(0)), (2, 1, fr(0)), (2, 2, fr(1))];
    assert_eq!(overtaken.refused(), ResultError::Overtaken { payer: bank(3), place: 2 });
    // One payer's stop is none of another's.
    let mut stopped = computed();
    stopped.received[0].2 = fr(0);
    assert!(stopped.combined().is_ok());
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
    more.settled[1] = fr(1);
    assert_eq!(more.check().err(), Some(CheckError::Net));
    let mut less = computed();
    less.received[1].2 = fr(0);
    assert_eq!(less.check().err(), Some(CheckError::Inflow));
}

#[test]
fn more_settled_payments_than_queued_are_refused() {
    let seed = QueueSeed::random(&mut rng(1));
    let empty = FrozenQueue::freeze(bank(1), vec![], number, seed).ok().unwrap();
    let refused = computed().combined().ok().unwrap().check(&empty, announced).err();
    assert_eq!(refused, Some(CheckError::Queue { settled: 1, queued: 0 }));
}

#[test]
fn a_payment_that_settles_unannounced_is_named() {
    let (payer, place) = (bank(3), 1);
    let silent = |other: &InstitutionId, at: u32| {
        announced(other, at).filter(|_| (*other, at) != (payer, place))
    };
    let refused = computed().combined().ok().unwrap().check(&queue(), silent).err();
    assert_eq!(refused, Some(CheckError::Unannounced { payer, place }));
    // What does not settle is in no sum.
    let silent = |other: &InstitutionId, at: u32| announced(other, at).filter(|_| at != 2);
    assert!(computed().combined().ok().unwrap().check(&queue(), silent).is_ok());
    // Another amount than the one that was computed with.
    let other =
        |payer: &InstitutionId, place: u32| announced(payer, place).map(|amount| amount + 1);
    let refused = computed().combined().ok().unwrap().check(&queue(), other).err();
    assert_eq!(refused, Some(CheckError::Inflow));
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

/// Twice the same payment would be twice its amount; commitments of a higher degree open anything.
#[test]
fn repeated_payments_and_commitments_that_do_not_fit_are_not_decoded() {
    let share = computed().shares().remove(0).1;
    let mut twice = share.clone();
    twice.received[2] = twice.received[1].clone();
    assert!(ResultShare::from_bytes(&twice.to_bytes()).is_err());
    let mut unsorted = share.clone();
    unsorted.received.swap(0, 1);
    assert!(ResultShare::from_bytes(&unsorted.to_bytes()).is_err());

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
    assert!(BankResult::from_bytes(&bytes[..bytes.len() - 1]).is_err());
}
