use super::*;
use crate::shamir::Interpolation;

const OWNER: Owner = Owner(4);

fn values() -> Vec<Fr> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    [0, 1, 0, 0].map(Fr::from).into_iter().chain([random_field(&mut rng)]).collect()
}

fn dealt(parties: Parties, owner: Owner, seed: u64) -> Vec<CompressedShares> {
    deal_compressed(parties, owner, &values(), &mut ChaCha20Rng::seed_from_u64(seed))
}

fn expanded(parties: Parties, owner: Owner, seed: u64) -> Vec<Vec<Fr>> {
    let shares = dealt(parties, owner, seed).into_iter();
    let shares = shares.map(|shares| shares.expand(owner, values().len()).unwrap_or_default());
    shares.map(|shares| shares.iter().map(|input| input.share.0).collect()).collect()
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
            let dealt = dealt(parties, owner, 3);
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
    for count in [4, 6] {
        for shares in dealt(parties, OWNER, 1) {
            let explicit = matches!(shares, CompressedShares::Shares(_));
            let refused = DealingError::Count { owner: OWNER, expected: count, found: 5 };
            assert_eq!(shares.expand(OWNER, count).err(), explicit.then_some(refused));
        }
    }
}

#[test]
fn bytes_are_canonical_and_seeds_are_short() {
    let parties = Parties::new(3, 1).unwrap();
    for shares in dealt(parties, OWNER, 1) {
        let bytes = shares.to_bytes();
        let seed = matches!(shares, CompressedShares::Seed(_));
        assert_eq!(bytes.len(), if seed { 33 } else { 5 + 32 * values().len() });
        assert_eq!(CompressedShares::from_bytes(&bytes).ok().unwrap().to_bytes(), bytes);
        for end in 0..bytes.len() {
            assert!(CompressedShares::from_bytes(&bytes[..end]).is_err());
        }
        assert!(CompressedShares::from_bytes(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
