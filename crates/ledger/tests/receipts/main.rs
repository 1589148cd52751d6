//! Receipts: honest ones prove what they say, and all others are refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacks;
mod format;
mod small;
mod world;

use std::sync::LazyLock;

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::receipt::{Checkpoint, Receipt};
use world::{TIP, World, deciders, set};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

#[test]
fn honest_receipts_prove_what_they_say_from_every_root_before_them() {
    for height in 1..=TIP {
        let claims = vec![WORLD.paid(height, 3), WORLD.account(height, 0)];
        let receipt = WORLD.receipt(height, claims);
        let proven = receipt.verify(&WORLD.root).unwrap();
        assert_eq!(*proven.validators, set(deciders(height).0), "{height}");
        for from in 1..height {
            let changes: Vec<_> =
                receipt.changes.iter().filter(|it| it.header.height.0 > from).cloned().collect();
            let shorter = Receipt { changes, ..receipt.clone() };
            assert!(shorter.verify(&WORLD.checkpoint(from)).is_ok(), "{height} from {from}");
        }
    }
    assert!(WORLD.complete().verify(&WORLD.root).is_ok());
}

/// Where the same validators decide again, what was in between need not be shown.
#[test]
fn a_root_with_the_validators_of_the_block_needs_no_changes() {
    let receipt = Receipt { changes: vec![], ..WORLD.receipt(9, vec![WORLD.paid_id(9, 0)]) };
    assert!(receipt.verify(&WORLD.root).is_err());
    let root = Checkpoint { validators: set(deciders(9).0), ..WORLD.checkpoint(2) };
    assert!(receipt.verify(&root).is_ok());
}

#[test]
fn every_attack_is_refused() {
    let attacks = attacks::all(&WORLD);
    assert!(attacks.len() > 150, "{}", attacks.len());
    for (name, rule, receipt, root) in attacks {
        assert!(receipt.verify(&root).is_err(), "{rule}: {name}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    for (receipt, root) in small::receipts(&WORLD) {
        let bytes = receipt.to_bytes();
        assert!(receipt.verify(&root).is_ok());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            if let Ok(other) = Receipt::from_bytes(&changed) {
                let refused = other.verify(&root).is_err();
                let harmless = small::denies_another(&WORLD, &receipt, &other);
                assert!(refused || harmless, "byte {place}");
            }
        }
    }
}

#[test]
fn a_checkpoint_has_the_validators_that_its_block_announces() {
    let header = WORLD.header(3);
    assert!(Checkpoint::after(header, &set(deciders(3).0)).is_none());
    let checkpoint = Checkpoint::after(header, &set(deciders(4).0)).unwrap();
    assert_eq!(checkpoint.block, header.id());
    assert_ne!(checkpoint.digest(), WORLD.checkpoint(4).digest());
}
