use super::*;
use crate::testing::bank;
use quittance_mpc::Parties;

fn seat(number: u32) -> Seat {
    Seat { institution: bank(number), dealing: Digest([number as u8; 32]) }
}

fn roster(numbers: &[u32]) -> Result<Roster, RosterError> {
    Roster::new(numbers.iter().copied().map(seat).collect())
}

/// The bytes of a list that need not be a roster.
fn list(numbers: &[u32]) -> Vec<u8> {
    let mut out = Writer::new();
    out.list(&numbers.iter().copied().map(seat).collect::<Vec<_>>());
    out.into_bytes()
}

#[test]
fn a_roster_is_in_strict_order_and_of_a_size_that_can_settle() {
    assert!(roster(&[1, 2]).is_ok());
    assert_eq!(roster(&[]), Err(RosterError::Size(0)));
    assert_eq!(roster(&[1]), Err(RosterError::Size(1)));
    assert_eq!(roster(&[1, 3, 2]), Err(RosterError::Order(bank(2))));
    assert_eq!(roster(&[1, 2, 2]), Err(RosterError::Order(bank(2))));
    let many: Vec<u32> = (1..100).collect();
    assert!(roster(&many).is_ok());
    for refused in [&[][..], &[1], &[2, 1], &[1, 1]] {
        assert!(Roster::from_bytes(&list(refused)).is_err(), "{refused:?}");
    }
    let seats: Vec<_> = (0..=MAX_MEMBERS)
        .map(|number| format!("B{number:03}ZZ00").parse().unwrap())
        .map(|institution| Seat { institution, dealing: Digest::ZERO })
        .collect();
    assert!(Roster::new(seats[1..].to_vec()).is_ok());
    assert_eq!(Roster::new(seats), Err(RosterError::Size(MAX_MEMBERS + 1)));
}

#[test]
fn decoding_gives_the_same_bytes_or_refuses() {
    let roster = roster(&[1, 2, 5]).unwrap();
    let active = Parties::new(5, 1).unwrap().active(&[2, 3, 5]).unwrap();
    let start = Start { round: RoundId(Digest([9; 32])), attempt: 1, active, roster };
    let bytes = start.to_bytes();
    assert_eq!(Start::from_bytes(&bytes).as_ref(), Ok(&start));
    for position in 0..bytes.len() {
        assert!(Start::from_bytes(&bytes[..position]).is_err());
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            let decoded = Start::from_bytes(&changed);
            assert!(
                decoded.is_err()
                    || decoded.is_ok_and(|other| { other != start && other.to_bytes() == changed })
            );
        }
    }
    assert!(Start::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    assert!(Start::from_bytes(&[&[2], &bytes[1..]].concat()).is_err(), "of another version");
}

#[test]
fn places_count_from_zero_and_digests_bind_what_they_name() {
    let three = roster(&[1, 2, 5]).unwrap();
    assert_eq!(
        [1, 2, 5, 3].map(|number| three.place(&bank(number))),
        [Some(0), Some(1), Some(2), None]
    );
    let mut seats = three.seats().to_vec();
    seats[2].dealing = Digest([7; 32]);
    let other = Roster::new(seats).unwrap();
    assert_eq!(other.digest(), three.digest());
    assert_ne!(other.dealings_digest(), three.dealings_digest());
    let two = roster(&[1, 2]).unwrap();
    assert_ne!(two.digest(), three.digest());
    assert_ne!(two.dealings_digest(), three.dealings_digest());
}
