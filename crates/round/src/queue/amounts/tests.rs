use quittance_ledger::ids::{AssetId, InstitutionId};

use super::*;
use crate::queue::QueuedPayment;
use crate::testing::{bank, number, payment, place, queue, ranges, rng};

fn account() -> AccountId {
    AccountId { institution: bank(1), asset: place().asset }
}

/// The verdict for the account of the tests.
fn verdict(leaves: &[Leaf], proofs: &[RangeProof]) -> Result<(), (usize, RangeProofError)> {
    verify(place().chain, &account(), leaves, proofs, &mut rng(6))
}

fn payments(count: u8) -> Vec<QueuedPayment> {
    (1..=count).map(|number| payment(2, 100 * u64::from(number), number)).collect()
}

fn frozen(count: u8, seed: u64) -> FrozenQueue {
    let seed = QueueSeed::random(&mut rng(seed));
    FrozenQueue::freeze(bank(1), payments(count), number, seed).ok().unwrap()
}

#[test]
fn every_queue_has_whole_groups_and_their_proofs_have_one_length() {
    for (payments, groups) in [(0, 1), (1, 1), (8, 1), (9, 2), (17, 4)] {
        let queue = frozen(payments, 1);
        let proofs = ranges(&queue);
        assert_eq!((queue.groups(), proofs.len()), (groups, groups));
        assert_eq!(verdict(queue.leaves(), &proofs), Ok(()));
        // Padding or not: nothing of it shows.
        assert!(proofs.iter().all(|proof| proof.as_bytes().len() == 864));
    }
}

/// A payment is proven when it is queued, before anybody knows what comes after it.
#[test]
fn a_proof_holds_on_when_payments_are_added() {
    let seed = QueueSeed::random(&mut rng(1));
    let amounts = std::array::from_fn(|index| 100 * (index as u64 + 1));
    let early = seed.prove_amounts(place().chain, &account(), 0, &amounts, &mut rng(2)).unwrap();
    let queue = frozen(11, 1);
    assert!(queue.is_from(&seed) && !queue.is_from(&QueueSeed::random(&mut rng(2))));
    assert_eq!(queue.amounts(0), amounts);
    assert_eq!(queue.amounts(1), [900, 1000, 1100, 0, 0, 0, 0, 0]);
    let late = ranges(&queue).swap_remove(1);
    assert_eq!(verdict(queue.leaves(), &[early, late]), Ok(()));
}

#[test]
fn each_field_of_the_statement_changes_the_verdict() {
    let queue = queue(1);
    let (leaves, proofs) = (queue.leaves(), ranges(&queue));
    let refused = Err((0, RangeProofError::Refused));
    let other = |chain: ChainId, institution: InstitutionId, asset: &str| {
        let account = AccountId { institution, asset: asset.parse::<AssetId>().unwrap() };
        verify(chain, &account, leaves, &proofs, &mut rng(6))
    };
    assert_eq!(other(place().chain, bank(1), "EUR"), Ok(()));
    assert_eq!(other(ChainId(Digest([9; 32])), bank(1), "EUR"), refused);
    assert_eq!(other(place().chain, bank(2), "EUR"), refused);
    assert_eq!(other(place().chain, bank(1), "USD"), refused);
    for index in 0..GROUP {
        let mut changed = leaves.to_vec();
        changed[index].amount = Opening::random(queue.amount(index).value, &mut rng(8)).commit();
        assert_eq!(verdict(&changed, &proofs), refused, "amount {index}");
    }
    let mut swapped = leaves.to_vec();
    swapped.swap(3, 4);
    assert_eq!(verdict(&swapped, &proofs), refused);
    let another = frozen(3, 1);
    assert_eq!(verdict(another.leaves(), &proofs), refused);
}

#[test]
fn a_group_is_proven_at_its_place_only() {
    let queue = frozen(17, 1);
    let proofs = ranges(&queue);
    let mut swapped = proofs.clone();
    swapped.swap(1, 2);
    assert_eq!(verdict(queue.leaves(), &swapped), Err((1, RangeProofError::Refused)));
    // The same commitments, moved to the front with their proof.
    let (moved, proof) = (&queue.leaves()[GROUP..2 * GROUP], &proofs[1..2]);
    assert_eq!(verdict(moved, proof), Err((0, RangeProofError::Refused)));
    let mut last = proofs;
    last[3] = last[0].clone();
    assert_eq!(verdict(queue.leaves(), &last), Err((3, RangeProofError::Refused)));
}

#[test]
fn no_changed_element_of_a_proof_passes() {
    let queue = queue(1);
    let proof = ranges(&queue).swap_remove(0);
    for word in 0..proof.as_bytes().len() / 32 {
        let mut bytes = proof.as_bytes().to_vec();
        bytes[32 * word] ^= 2;
        let changed = RangeProof::try_from(bytes).unwrap();
        assert!(verdict(queue.leaves(), &[changed]).is_err(), "element {word}");
    }
}
