use super::*;
use crate::parties::Parties;
use quittance_crypto::field::random_field;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::memory::Network;
use crate::session::{Binding, Frame};
use crate::shamir::split;
use quittance_crypto::digest::Digest;

/// A session of the committee's last parties.
fn binding(committee: u8, threshold: u8) -> Binding {
    let active = Parties::new(committee.into(), threshold).unwrap().choices().last().unwrap();
    let [chain, round, circuit, roster, dealings] = [Digest::ZERO; 5];
    let committee = (0..committee).map(|number| Digest([number; 32])).collect();
    Binding { chain, round, attempt: 0, circuit, roster, dealings, committee, threshold, active }
}

type Made = Vec<(CommittedShare, CommittedOutput)>;

/// The nets 5, -8, 3 in group 0 and twice 11 in group 1, as all parties make them.
fn make(n: u8, t: u8, interfere: impl FnMut(Frame) -> Vec<Frame>) -> Vec<Result<Made, Abort>> {
    make_with(n, t, 0, interfere)
}

/// The same where party number `liar` takes other shares than it has.
fn make_with(
    n: u8,
    t: u8,
    liar: u8,
    interfere: impl FnMut(Frame) -> Vec<Frame>,
) -> Vec<Result<Made, Abort>> {
    let network = Network::of_engines(&binding(n, t), 1, move |mut engine| async move {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let share = |value: Fr| {
            let mut shares = split(value, Parties::new(n.into(), t).unwrap(), &mut rng);
            let mut own = shares.swap_remove(engine.me().position());
            if engine.me().number() == liar {
                own += &Share::constant(Fr::from(1u64));
            }
            own
        };
        let values = values().map(share);
        let groups = [0, 0, 1, 0, 1];
        engine.commit(&values.iter().zip(groups).collect::<Vec<_>>()).await
    });
    network.unwrap().interfering(interfere).run().results
}

fn values() -> [Fr; 5] {
    let [five, eight, eleven, three] = [5u64, 8, 11, 3].map(Fr::from);
    [five, -eight, eleven, three, eleven]
}

fn honest(n: u8, t: u8) -> Vec<Made> {
    make(n, t, |frame| vec![frame]).into_iter().map(|made| made.ok().unwrap()).collect()
}

/// The shares of all parties of one output.
fn shares(made: &[Made], output: usize) -> Vec<(PartyId, CommittedShare)> {
    let parties = made[0][output].1.parties();
    parties.ids().zip(made).map(|(id, made)| (id, made[output].0.clone())).collect()
}

#[test]
fn owners_get_values_that_open_the_commitments() {
    for (n, t) in [(3, 1), (4, 1), (5, 1), (5, 2)] {
        let made = honest(n, t);
        assert_eq!(made[0][0].1.parties(), binding(n, t).active);
        for (output, value) in values().into_iter().enumerate() {
            let public = &made[0][output].1;
            assert!(made.iter().all(|made| made[output].1 == *public));
            let combined = public.combine(&shares(&made, output)).ok().unwrap();
            assert_eq!(combined.value, value);
            assert!(combined.faulty.is_empty());
            let commitment =
                commit_scalar(&to_scalar(&combined.value), combined.blinding.as_scalar());
            assert_eq!(commitment, *public.commitment());
        }
    }
}

#[test]
fn blindings_of_a_group_sum_to_zero_and_no_part_of_them_does() {
    let made = honest(3, 1);
    let point = |output: usize| made[0][output].1.commitment().point();
    assert!((point(0) + point(1) + point(3)).is_identity());
    let twice = Commitment::from(point(2) + point(4));
    assert_eq!(twice, commit(&Fr::from(22u64), &Fr::from(0u64)));
    // The values 5 and -8 and 3 sum to zero, but no single one is without blinding.
    for (output, value) in values().into_iter().enumerate() {
        assert_ne!(Commitment::from(point(output)), commit(&value, &Fr::from(0u64)));
    }
}

#[test]
fn t_liars_are_named_and_change_nothing() {
    let parties = Parties::new(3, 1).unwrap();
    let made = honest(3, 1);
    for liar in parties.ids() {
        for change_value in [true, false] {
            let mut shares = shares(&made, 1);
            let share = &mut shares[liar.position()].1;
            let part = if change_value { &mut share.value } else { &mut share.blinding };
            part.0 += Fr::from(1u64);
            let combined = made[0][1].1.combine(&shares).ok().unwrap();
            assert_eq!(combined.value, -Fr::from(8u64));
            assert_eq!(combined.faulty, [liar]);
        }
    }
}

#[test]
fn too_few_repeated_and_unknown_shares_are_refused() {
    let made = honest(3, 1);
    let public = &made[0][0].1;
    let all = shares(&made, 0);
    let too_few = |good, faulty| Some(OutputError::TooFew { good, needed: 2, faulty });
    assert_eq!(public.combine(&all[..1]).err(), too_few(1, vec![]));
    assert_eq!(public.combine(&[]).err(), too_few(0, vec![]));
    assert!(public.combine(&all[1..]).is_ok());

    let mut two_liars = all.clone();
    two_liars[0].1.value.0 += Fr::from(1u64);
    two_liars[2].1.value.0 += Fr::from(1u64);
    let liars = vec![all[0].0, all[2].0];
    assert_eq!(public.combine(&two_liars).err(), too_few(1, liars));

    let twice = vec![all[0].clone(), all[0].clone()];
    assert_eq!(public.combine(&twice).err(), Some(OutputError::Repeated { party: all[0].0 }));
    let party = Parties::new(5, 2).unwrap().id(5).unwrap();
    let stranger = vec![all[0].clone(), (party, all[1].1.clone())];
    assert_eq!(public.combine(&stranger).err(), Some(OutputError::Unexpected { party }));
}

#[test]
fn shares_of_another_output_do_not_open_this_one() {
    let made = honest(3, 1);
    let other = shares(&made, 4);
    let error = made[0][2].1.combine(&other).err();
    assert!(matches!(error, Some(OutputError::TooFew { good: 0, .. })));
}

#[test]
fn commitments_of_too_high_a_degree_are_refused() {
    let made = honest(5, 2);
    let public = &made[0][0].1;
    for position in 0..5 {
        let mut published = public.published.clone();
        published[position] = commit(&Fr::from(1u64), &Fr::from(2u64));
        let error = CommittedOutput::new(public.parties, published).err();
        assert_eq!(error, Some(OutputError::Inconsistent));
    }
    let fewer = public.published[..4].to_vec();
    let error = CommittedOutput::new(public.parties, fewer).err();
    assert_eq!(error, Some(OutputError::Count { expected: 5, found: 4 }));
}

#[test]
fn a_party_that_publishes_another_commitment_ends_the_session() {
    let results = make_with(3, 1, 2, |frame| vec![frame]);
    let expected = Abort::InconsistentCommitments { output: 0 };
    assert!(results.iter().all(|result| result.as_ref().err() == Some(&expected)));

    // Different ones to different parties.
    let swap = |mut frame: Frame| {
        if frame.kind == Kind::Publish && (frame.from, frame.to) == (2, 3) {
            frame.payload[..5 * 32].rotate_left(32);
        }
        vec![frame]
    };
    let results = make(3, 1, swap);
    let told_otherwise = |result: &Result<_, _>| matches!(result, Err(Abort::Equivocation { .. }));
    assert!(results.iter().all(told_otherwise));

    let garbage = |mut frame: Frame| {
        if frame.kind == Kind::Publish && frame.from == 2 {
            frame.payload.fill(0xff);
        }
        vec![frame]
    };
    let results = make(3, 1, garbage);
    assert_eq!(results[0].as_ref().err().and_then(Abort::culprit).map(PartyId::number), Some(2));
}

#[test]
fn a_lone_commitment_is_refused() {
    let network = Network::of_engines(&binding(3, 1), 1, |mut engine| async move {
        let value = Share::constant(Fr::from(5u64));
        engine.commit(&[(&value, 0), (&value, 1), (&value, 0)]).await.map(|_| ())
    });
    let results = network.unwrap().run().results;
    assert!(results.iter().all(|result| matches!(result, Err(Abort::Unsupported(_)))));
}

#[test]
fn bytes_of_outputs_are_canonical_and_checked() {
    let made = honest(3, 1);
    let (share, public) = &made[1][3];
    let bytes = public.to_bytes();
    assert_eq!(CommittedOutput::from_bytes(&bytes), Ok(public.clone()));
    assert!(CommittedOutput::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let mut other = bytes.clone();
    // Of the parties 1, 2 and 4 these are no commitments; of 1 and 2 alone there is no output.
    for mask in [0b1011, 0b11] {
        other[1] = mask;
        assert!(CommittedOutput::from_bytes(&other).is_err());
    }
    let mut other = bytes;
    other[6..38].copy_from_slice(made[0][0].1.commitment().as_bytes());
    assert!(CommittedOutput::from_bytes(&other).is_err());

    let bytes = share.to_bytes();
    assert_eq!(CommittedShare::from_bytes(&bytes).ok().unwrap().to_bytes(), bytes);
    assert!(CommittedShare::from_bytes(&[0xff; 64]).is_err());
}

#[test]
fn private_outputs_need_enough_shares_that_fit() {
    for (n, t) in [(3u8, 1u8), (5, 2), (5, 1)] {
        let parties = Parties::new(n.into(), t).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let values = [random_field(&mut rng), Fr::from(1u64)];
        let dealt = values.map(|value| split(value, parties, &mut rng));
        let shares: Vec<_> = parties
            .ids()
            .map(|id| (id, dealt.iter().map(|shares| shares[id.position()].clone()).collect()))
            .collect();
        let enough = 2 * usize::from(t) + 1;
        assert_eq!(combine_private(parties.threshold(), &shares), Ok(values.to_vec()));
        assert_eq!(
            combine_private(parties.threshold(), &shares[n as usize - enough..]),
            Ok(values.to_vec())
        );
        let (good, needed, faulty) = (enough - 1, enough, vec![]);
        let too_few = OutputError::TooFew { good, needed, faulty };
        assert_eq!(combine_private(parties.threshold(), &shares[..good]), Err(too_few));
    }
}

#[test]
fn wrong_private_shares_are_noticed() {
    let parties = Parties::new(3, 1).unwrap();
    let dealt = split(Fr::from(1u64), parties, &mut ChaCha20Rng::seed_from_u64(7));
    let shares: Vec<(_, Vec<_>)> =
        parties.ids().zip(dealt).map(|(id, share)| (id, vec![share.clone(), share])).collect();
    for position in 0..3 {
        let mut wrong = shares.clone();
        wrong[position].1[1].0 += Fr::from(1u64);
        assert_eq!(
            combine_private(parties.threshold(), &wrong),
            Err(OutputError::Disputed { output: 1 })
        );
        let mut short = shares.clone();
        short[position].1.pop();
        let error = combine_private(parties.threshold(), &short).err();
        assert!(matches!(error, Some(OutputError::Unexpected { .. })));
    }
    let mut twice = shares.clone();
    twice[1].0 = shares[0].0;
    let party = shares[0].0;
    assert_eq!(combine_private(parties.threshold(), &twice), Err(OutputError::Repeated { party }));
}
