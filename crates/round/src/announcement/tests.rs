use super::*;
use crate::queue::{QueueSeed, QueuedPayment};
use crate::testing::{bank, joined, number, payment, place, queue, rng};
use quittance_crypto::digest::Digest;

fn announce(place_in_queue: u32) -> Announcement {
    Announcement::new(place().round, &queue(1), place_in_queue).unwrap()
}

#[test]
fn every_payment_is_announced_to_its_payee_and_to_nobody_else() {
    let payer = joined(&queue(1));
    for (place, payee, amount) in [(0, 2, 500), (1, 3, u64::MAX), (2, 2, 7)] {
        let announcement = announce(place);
        assert_eq!(announcement.check(&payer, payee), Ok(()));
        assert_eq!(announcement.amount.value, amount);
        for expected in (0..5).filter(|&other| other != payee) {
            let found = u64::from(payee);
            let refused = Err(AnnouncementError::OtherPayee { expected, found });
            assert_eq!(announcement.check(&payer, expected), refused);
        }
    }
    assert!(Announcement::new(place().round, &queue(1), 3).is_none(), "padding is not announced");
}

#[test]
fn another_round_payer_or_queue_is_refused() {
    let announcement = announce(0);
    let payer = joined(&queue(1));
    let refused = |joined: Joined| announcement.check(&joined, 2).unwrap_err();
    let other_round = Joined { round: RoundId(Digest([9; 32])), ..payer };
    assert_eq!(refused(other_round), AnnouncementError::OtherRound(place().round));
    let other_payer = Joined { institution: bank(4), ..payer };
    assert_eq!(refused(other_payer), AnnouncementError::OtherPayer(bank(1)));
    let other_bucket = AnnouncementError::OtherBucket { expected: 16, found: 8 };
    assert_eq!(refused(Joined { bucket: 16, ..payer }), other_bucket);
    assert!(matches!(refused(joined(&queue(2))), AnnouncementError::NotInQueue(_)));
}

#[test]
fn another_place_is_refused() {
    let payer = joined(&queue(1));
    let mut moved = announce(0);
    moved.place = 2;
    let refused = AnnouncementError::OtherPlace { stated: 2, proven: 0 };
    assert_eq!(moved.check(&payer, 2), Err(refused));
    moved.inclusion.index = 2;
    assert!(matches!(moved.check(&payer, 2), Err(AnnouncementError::NotInQueue(_))));
    moved.inclusion = announce(2).inclusion;
    assert!(matches!(moved.check(&payer, 2), Err(AnnouncementError::NotInQueue(_))));
    moved.leaf = announce(2).leaf;
    assert_eq!(moved.check(&payer, 2), Err(AnnouncementError::Amount));
    moved.amount = announce(2).amount;
    assert_eq!(moved.check(&payer, 2), Err(AnnouncementError::Payee));
    moved.payee = announce(2).payee;
    for attempt in 0..PADS {
        assert_eq!(moved.check(&payer, 2), Err(AnnouncementError::Pad(attempt)));
        moved.pads[attempt] = announce(2).pads[attempt].clone();
    }
    assert_eq!(moved.check(&payer, 2), Err(AnnouncementError::Details));
    moved.details = announce(2).details;
    assert_eq!(moved.check(&payer, 2), Ok(()));
}

/// The pads of both attempts exchanged: the payee would read nothing.
#[test]
fn a_pad_of_another_attempt_is_refused() {
    let mut exchanged = announce(0);
    exchanged.pads.swap(0, 1);
    assert_eq!(exchanged.check(&joined(&queue(1)), 2), Err(AnnouncementError::Pad(0)));
    let mut second = announce(0);
    second.pads[1] = second.pads[0].clone();
    assert_eq!(second.check(&joined(&queue(1)), 2), Err(AnnouncementError::Pad(1)));
}

#[test]
fn every_changed_byte_is_refused() {
    let payer = joined(&queue(1));
    let bytes = announce(2).to_bytes();
    assert!(Announcement::from_bytes(&bytes).is_ok_and(|same| same.to_bytes() == bytes));
    for position in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            let accepted = Announcement::from_bytes(&changed)
                .is_ok_and(|announcement| announcement.check(&payer, 2).is_ok());
            assert!(!accepted, "byte {position}");
        }
        assert!(Announcement::from_bytes(&bytes[..position]).is_err());
    }
}

#[test]
fn the_seed_alone_decides_what_hides_a_payment() {
    let payments = || -> Vec<QueuedPayment> { vec![payment(2, 500, 1)] };
    let freeze = |seed| {
        let seed = QueueSeed::random(&mut rng(seed));
        FrozenQueue::freeze(bank(1), payments(), number, seed).ok().unwrap()
    };
    let (one, two) = (freeze(1), freeze(2));
    let announcement = Announcement::new(place().round, &one, 0).unwrap();
    assert_eq!(announcement.check(&joined(&freeze(1)), 2), Ok(()));
    assert!(announcement.check(&joined(&two), 2).is_err());
}
