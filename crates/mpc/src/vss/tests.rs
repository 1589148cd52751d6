use super::*;
use quittance_crypto::field::random_field;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const DEALER: Owner = Owner(4);

struct Dealt {
    parties: Parties,
    statement: Vec<Option<Commitment>>,
    dealing: Dealing,
    shares: Vec<Vec<DealtShare>>,
    values: Vec<Fr>,
}

fn dealt(n: usize, t: u8, seed: u64) -> Dealt {
    let parties = Parties::new(n, t).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let values = vec![Fr::from(0u64), Fr::from(u64::MAX), random_field(&mut rng)];
    let secrets: Vec<_> = values.iter().map(|v| (*v, Blinding::random(&mut rng))).collect();
    let mut statement: Vec<_> = secrets
        .iter()
        .map(|(value, blinding)| Some(commit_scalar(&to_scalar(value), blinding.as_scalar())))
        .collect();
    statement[2] = None;
    let (dealing, shares) = deal(parties, &secrets, &mut rng);
    Dealt { parties, statement, dealing, shares, values }
}

impl Dealt {
    fn verify(&self, me: PartyId) -> Result<Vec<InputShare>, DealingError> {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let shares = &self.shares[me.position()];
        self.dealing.verify(DEALER, self.parties, me, &self.statement, shares, &mut rng)
    }

    fn first(&self) -> Result<Vec<InputShare>, DealingError> {
        self.verify(self.parties.id(1).unwrap())
    }
}

#[test]
fn honest_dealings_are_accepted_and_share_the_committed_values() {
    for (n, t) in [(3, 1), (5, 2), (7, 3)] {
        let dealt = dealt(n, t, 1);
        let inputs: Vec<_> =
            dealt.parties.ids().map(|party| dealt.verify(party).ok().unwrap()).collect();
        let interpolation = crate::shamir::Interpolation::new(
            dealt.parties.threshold(),
            &dealt.parties.ids().collect::<Vec<_>>(),
        );
        let interpolation = interpolation.unwrap();
        for (index, value) in dealt.values.iter().enumerate() {
            let shares: Vec<_> = inputs.iter().map(|inputs| inputs[index].share.0).collect();
            assert_eq!(interpolation.open(&shares), Some(*value));
        }
        let committed: Vec<_> = inputs[0].iter().map(|input| input.committed).collect();
        assert_eq!(committed, [true, true, false]);
    }
}

#[test]
fn every_wrong_share_is_found_and_named() {
    for input in 0..3 {
        for change_value in [true, false] {
            let mut dealt = dealt(3, 1, 2);
            let share = &mut dealt.shares[0][input];
            let part = if change_value { &mut share.value } else { &mut share.blinding };
            part.0 += Fr::from(1u64);
            assert_eq!(dealt.first().err(), Some(DealingError::BadShare { owner: DEALER, input }));
            // The other parties have no reason to complain, and can judge the complaint.
            let (one, two) = (dealt.parties.id(1).unwrap(), dealt.parties.id(2).unwrap());
            assert!(dealt.verify(two).is_ok());
            assert!(!dealt.dealing.fits(input, one, &dealt.shares[0][input]));
            assert!(dealt.dealing.fits(input, two, &dealt.shares[1][input]));
        }
    }
}

/// A party complains of a share that was good. The dealer answers with what it has given, and
/// everybody sees that it fits, so that nobody blames the dealer. Nothing else passes for an answer:
/// neither what the party says that it was given, nor the share of another party or input.
#[test]
fn a_false_complaint_does_not_frame_the_dealer() {
    for (n, t) in [(3, 1), (5, 2)] {
        let dealt = dealt(n, t, 11);
        let complainant = dealt.parties.id(1).unwrap();
        assert!(dealt.verify(complainant).is_ok());
        for input in 0..3 {
            let fits = |share: &DealtShare| dealt.dealing.fits(input, complainant, share);
            let owed = &dealt.shares[0][input];
            assert!(fits(owed));
            for (value, blinding) in [(1u64, 0u64), (0, 1), (1, 1)] {
                let value = &owed.value + Fr::from(value);
                let blinding = &owed.blinding + Fr::from(blinding);
                assert!(!fits(&DealtShare { value, blinding }));
            }
            assert!(!fits(&dealt.shares[1][input]));
            assert!(!fits(&dealt.shares[0][(input + 1) % 3]));
        }
        // Of an input that was not dealt there is no share.
        assert!(!dealt.dealing.fits(3, complainant, &dealt.shares[0][0]));
    }
}

#[test]
fn errors_that_cancel_in_a_plain_sum_are_found() {
    let mut dealt = dealt(3, 1, 3);
    dealt.shares[0][0].value.0 += Fr::from(9u64);
    dealt.shares[0][1].value.0 -= Fr::from(9u64);
    let expected = DealingError::BadShare { owner: DEALER, input: 0 };
    assert_eq!(dealt.first().err(), Some(expected));
}

#[test]
fn shares_of_another_party_do_not_fit() {
    let mut dealt = dealt(3, 1, 4);
    dealt.shares.swap(0, 1);
    assert!(matches!(dealt.first().err(), Some(DealingError::BadShare { input: 0, .. })));
}

#[test]
fn another_value_than_the_committed_one_is_refused() {
    let other = dealt(3, 1, 5);
    let mut dealt = dealt(3, 1, 6);
    dealt.statement[1] = other.statement[1];
    let expected = DealingError::OtherCommitment { owner: DEALER, input: 1 };
    assert_eq!(dealt.first().err(), Some(expected));
}

#[test]
fn polynomials_of_another_degree_are_refused() {
    for (n, t) in [(5, 1), (7, 3)] {
        let mut dealt = dealt(n, t, 7);
        dealt.parties = Parties::new(n, 2).unwrap();
        let expected = DealingError::Degree { owner: DEALER, input: 0 };
        assert_eq!(dealt.first().err(), Some(expected));
    }
    let mut none = dealt(3, 1, 7);
    none.dealing.inputs[2].0.clear();
    assert_eq!(none.first().err(), Some(DealingError::Degree { owner: DEALER, input: 2 }));
}

#[test]
fn missing_and_additional_inputs_are_refused() {
    let mut fewer = dealt(3, 1, 8);
    fewer.shares[0].pop();
    let expected = DealingError::Count { owner: DEALER, expected: 3, found: 2 };
    assert_eq!(fewer.first().err(), Some(expected));

    let mut fewer = dealt(3, 1, 8);
    fewer.dealing.inputs.pop();
    assert_eq!(fewer.first().err(), Some(expected));

    let mut more = dealt(3, 1, 8);
    more.statement.clear();
    let expected = DealingError::Count { owner: DEALER, expected: 0, found: 3 };
    assert_eq!(more.first().err(), Some(expected));
}

#[test]
fn bytes_are_canonical_and_digests_differ() {
    let (one, two) = (dealt(3, 1, 9), dealt(3, 1, 10));
    let bytes = one.dealing.to_bytes();
    assert_eq!(Dealing::from_bytes(&bytes), Ok(one.dealing.clone()));
    assert_eq!(bytes.len(), 4 + 3 * (4 + 2 * 32));
    assert_ne!(one.dealing.digest(), two.dealing.digest());
    for end in 0..bytes.len() {
        assert!(Dealing::from_bytes(&bytes[..end]).is_err());
    }
    let mut garbage = bytes;
    garbage[8..40].fill(0xff);
    assert!(Dealing::from_bytes(&garbage).is_err());

    let share = one.shares[0][2].to_bytes();
    assert_eq!(share.len(), 64);
    assert_eq!(DealtShare::from_bytes(&share).ok().unwrap().to_bytes(), share);
    assert!(DealtShare::from_bytes(&[0xff; 64]).is_err());
}

#[test]
fn fresh_randomness_changes_every_share_and_commitment_but_the_zeroth() {
    let parties = Parties::new(3, 1).unwrap();
    let secret = [(Fr::from(7u64), Blinding::from_scalar(Scalar::from(9u64)))];
    let [one, two] =
        [1, 2].map(|seed| deal(parties, &secret, &mut ChaCha20Rng::seed_from_u64(seed)));
    assert_eq!(one.0.commitments().next(), two.0.commitments().next());
    assert_ne!(one.0.inputs[0].0[1], two.0.inputs[0].0[1]);
    for (a, b) in one.1.iter().zip(&two.1) {
        assert!(a[0].value.0 != b[0].value.0 && a[0].blinding.0 != b[0].blinding.0);
    }
}
