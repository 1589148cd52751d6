use super::*;
use crate::shamir::Interpolation;

const OWNER: Owner = Owner(4);

fn values() -> Vec<Fr> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    [0, 1, 0, 0].map(Fr::from).into_iter().chain([random_field(&mut rng)]).collect()
}

fn dealt(parties: Parties, owner: Owner, seed: u64) -> (CompressedDealing, Vec<CompressedShares>) {
    deal_compressed(parties, owner, &values(), &mut ChaCha20Rng::seed_from_u64(seed))
}

fn expanded(parties: Parties, owner: Owner, seed: u64) -> Vec<Vec<Fr>> {
    let (public, shares) = dealt(parties, owner, seed);
    let verified = parties.ids().zip(&shares).map(|(party, shares)| {
        let verified = public.verify(owner, parties, party, shares, values().len()).ok().unwrap();
        verified.iter().map(|input| input.share.0).collect()
    });
    verified.collect()
}

#[test]
fn shares_are_those_of_the_values() {
    for (n, t) in [(3, 1), (4, 1), (5, 2), (7, 3)] {
        let parties = Parties::new(n, t).unwrap();
        let interpolation =
            Interpolation::new(parties.threshold(), &parties.ids().collect::<Vec<_>>()).unwrap();
        for owner in (0..8).map(Owner) {
            let shares = expanded(parties, owner, 7);
            for (k, value) in values().iter().enumerate() {
                let row: Vec<_> = shares.iter().map(|shares| shares[k]).collect();
                assert_eq!(interpolation.open(&row), Some(*value));
            }
        }
    }
}

#[test]
fn t_parties_get_seeds_and_all_parties_get_as_many() {
    for (n, t) in [(3, 1), (5, 2), (7, 3)] {
        let parties = Parties::new(n, t).unwrap();
        let mut seeds = vec![0; n];
        for owner in (0..2 * n as u16).map(Owner) {
            let (_, dealt) = dealt(parties, owner, 3);
            let seeded: Vec<_> =
                dealt.iter().map(|shares| matches!(shares, CompressedShares::Seed(_))).collect();
            assert_eq!(seeded.iter().filter(|seeded| **seeded).count(), usize::from(t));
            seeds.iter_mut().zip(seeded).for_each(|(count, seeded)| *count += i32::from(seeded));
        }
        assert!(seeds.iter().all(|count| *count == 2 * i32::from(t)));
    }
}

/// No party's shares are repeated, for other randomness, another owner or at another party.
#[test]
fn shares_are_fresh() {
    let parties = Parties::new(5, 2).unwrap();
    let runs = [(OWNER, 1), (OWNER, 2), (Owner(9), 1)];
    let mut all: Vec<Fr> =
        runs.iter().flat_map(|&(owner, seed)| expanded(parties, owner, seed)).flatten().collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn another_number_of_values_is_refused() {
    let parties = Parties::new(3, 1).unwrap();
    let (public, shares) = dealt(parties, OWNER, 1);
    for count in [4, 6] {
        for (party, shares) in parties.ids().zip(&shares) {
            let refused = match shares {
                CompressedShares::Shares(_) => {
                    CompressedError::Count { owner: OWNER, expected: count, found: 5 }
                }
                CompressedShares::Seed(_) => CompressedError::NotCombined { owner: OWNER },
            };
            assert_eq!(public.verify(OWNER, parties, party, shares, count).err(), Some(refused));
        }
    }
}

/// The dealer gives one party other shares, and publishes the digest of those.
#[test]
fn shares_on_no_polynomial_are_refused() {
    for (n, t) in [(3, 1), (5, 2), (4, 1)] {
        let parties = Parties::new(n, t).unwrap();
        for victim in parties.ids() {
            for place in 0..=values().len() {
                let (_, mut shares) = dealt(parties, OWNER, 1);
                let mut own = shares[victim.position()].expand(OWNER, values().len()).ok().unwrap();
                own[place].0 += Fr::from(1u64);
                shares[victim.position()] = CompressedShares::Shares(own);
                // The best that the dealer can do: the combination of the others' shares.
                let parts = parties.ids().zip(&shares);
                let parts: Vec<_> = parts.map(|(id, part)| part.digest(OWNER, id)).collect();
                let r = weight(&parts, parties, OWNER, values().len());
                let honest: Vec<_> =
                    parties.ids().filter(|id| *id != victim).take(usize::from(t) + 1).collect();
                let points: Vec<_> = honest.iter().map(|id| id.point()).collect();
                let rows = honest.iter().map(|id| {
                    let own = shares[id.position()].expand(OWNER, values().len()).ok().unwrap();
                    combine(own.iter().map(|share| share.0), r)
                });
                let rows: Vec<_> = rows.collect();
                let combination =
                    ends(parties).iter().map(|at| extend(&points, &rows, *at)).collect();
                let public = CompressedDealing { parts, combination };
                for (party, shares) in parties.ids().zip(&shares) {
                    let verified =
                        public.verify(OWNER, parties, party, shares, values().len()).err();
                    let expected = CompressedError::NotCombined { owner: OWNER };
                    assert_eq!(verified, (party == victim).then_some(expected));
                }
            }
        }
    }
}

/// Each part of what is published, for another dealer, party or committee, and another's part.
#[test]
fn what_is_published_fits_one_dealing_only() {
    let parties = Parties::new(3, 1).unwrap();
    let (public, shares) = dealt(parties, OWNER, 1);
    let count = values().len();
    let check = |public: &CompressedDealing, owner, party: PartyId, part: PartyId| {
        public.verify(owner, parties, party, &shares[part.position()], count).err()
    };
    let ids: Vec<_> = parties.ids().collect();
    for party in parties.ids() {
        assert_eq!(check(&public, OWNER, party, party), None);
        for other in parties.ids().filter(|id| *id != party) {
            let refused = Some(CompressedError::OtherPart { owner: OWNER });
            assert_eq!(check(&public, OWNER, party, other), refused);
        }
        let refused = Some(CompressedError::OtherPart { owner: Owner(9) });
        assert_eq!(check(&public, Owner(9), party, party), refused);
        // Another party's digest changes the weight, so nobody's combination fits.
        for place in 0..3 {
            let mut changed = public.clone();
            changed.parts[place].0[31] ^= 1;
            let expected = match place == party.position() {
                true => CompressedError::OtherPart { owner: OWNER },
                false => CompressedError::NotCombined { owner: OWNER },
            };
            assert_eq!(check(&changed, OWNER, party, party), Some(expected));
        }
        for place in 0..2 {
            let mut changed = public.clone();
            changed.combination[place] += Fr::from(1u64);
            // y(1) is all that party 1 looks at.
            let fits = party == ids[0] && place == 0;
            let refused = CompressedError::NotCombined { owner: OWNER };
            assert_eq!(check(&changed, OWNER, party, party), (!fits).then_some(refused));
        }
        let shape = Some(CompressedError::Shape { owner: OWNER });
        for change in [
            |public: &mut CompressedDealing| {
                public.parts.pop();
            },
            |public: &mut CompressedDealing| public.parts.push(Digest::ZERO),
            |public: &mut CompressedDealing| {
                public.combination.pop();
            },
            |public: &mut CompressedDealing| public.combination.push(Fr::ZERO),
        ] {
            let mut changed = public.clone();
            change(&mut changed);
            assert_eq!(check(&changed, OWNER, party, party), shape);
        }
    }
}

/// What is published of two dealings whose vectors differ is as good as uniform, and their
/// difference too: the mask is fresh.
#[test]
fn the_combination_is_masked() {
    let parties = Parties::new(3, 1).unwrap();
    let combined = |seed| dealt(parties, OWNER, seed).0.combination;
    let (one, other) = (combined(1), combined(2));
    assert!(one.iter().zip(&other).all(|(one, other)| one != other));
    // Without the mask it is a combination of known values.
    let (public, shares) = dealt(parties, OWNER, 1);
    let r = weight(&public.parts, parties, OWNER, values().len());
    let without = combine(values().into_iter().chain([Fr::ZERO]), r);
    let own = shares.iter().map(|part| part.expand(OWNER, values().len()).ok().unwrap());
    let masks: Vec<_> = own.map(|own| own.last().unwrap().0).collect();
    let mask = Interpolation::of_all(parties.first_active()).open(&masks).unwrap();
    assert_eq!(public.combination[0], without + mask);
    assert!(mask != Fr::ZERO);
}

#[test]
fn bytes_are_canonical_and_seeds_are_short() {
    let parties = Parties::new(3, 1).unwrap();
    let (public, shares) = dealt(parties, OWNER, 1);
    let bytes = public.to_bytes();
    assert_eq!(bytes.len(), 2 * 4 + (3 + 2) * 32);
    assert_eq!(CompressedDealing::from_bytes(&bytes), Ok(public));
    for shares in shares {
        let bytes = shares.to_bytes();
        let seed = matches!(shares, CompressedShares::Seed(_));
        assert_eq!(bytes.len(), if seed { 33 } else { 5 + 32 * (values().len() + 1) });
        assert_eq!(CompressedShares::from_bytes(&bytes).ok().unwrap().to_bytes(), bytes);
        for end in 0..bytes.len() {
            assert!(CompressedShares::from_bytes(&bytes[..end]).is_err());
        }
        assert!(CompressedShares::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
