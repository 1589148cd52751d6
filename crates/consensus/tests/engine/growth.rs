//! Chains that grow.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quittance_consensus::{Pace, Role};
use quittance_ledger::ids::Height;

use crate::net::Weather;
use crate::town::{House, Town, set};

#[test]
fn four_validators_decide_the_same_blocks() {
    let town = Town::new(4, Weather::default());
    town.reach(5);
    let (start, before) = (Instant::now(), town.top());
    town.reach(before + 40);
    let each = start.elapsed() / 40;
    println!("four validators: {each:?} a block");
    town.agree();
    // Everybody proposes in turn: with all present, nearly all rounds are the first.
    let blocks = town.houses[0].disk.blocks().clone();
    let late = blocks.iter().filter(|(_, certificate)| certificate.round > 0).count();
    assert!(late < blocks.len() / 2, "{late} of {} blocks took more than one round", blocks.len());
}

#[test]
fn seven_validators_decide_the_same_blocks() {
    let town = Town::new(7, Weather::default());
    town.reach(15);
    town.agree();
}

#[test]
fn delay_loss_and_repetition_only_take_time() {
    let delay = Duration::from_millis(3);
    let town = Town::new(4, Weather { delay, loss: 20, twice: 100 });
    town.reach(12);
    town.agree();
}

#[test]
fn blocks_come_when_there_is_work() {
    let mut town = Town::empty(Arc::new(|_| set(&[0, 1, 2, 3])), Weather::default());
    for number in 0..4 {
        let house = House::new(number);
        house.disk.work.store(false, Ordering::SeqCst);
        town.add(house, Role::Voter);
    }
    // The first block comes at once, and no other before the heartbeat, which is far.
    town.reach(1);
    std::thread::sleep(Duration::from_millis(700));
    let still = town.top();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(town.top(), still);
    // One validator has work: all make blocks, until it has none.
    town.houses[2].disk.work.store(true, Ordering::SeqCst);
    town.houses[2].bell().ring();
    town.reach(still + 4);
    town.houses[2].disk.work.store(false, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(700));
    let still = town.top();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(town.top(), still);
    town.agree();
}

#[test]
fn a_heartbeat_makes_a_block_without_work() {
    let mut town = Town::empty(Arc::new(|_| set(&[0, 1, 2, 3])), Weather::default());
    town.pace =
        Pace { min_interval: Duration::from_millis(1), heartbeat: Duration::from_millis(400) };
    for number in 0..4 {
        let house = House::new(number);
        house.disk.work.store(false, Ordering::SeqCst);
        town.add(house, Role::Voter);
    }
    town.reach(1);
    let start = Instant::now();
    town.reach(5);
    assert!(start.elapsed() > Duration::from_millis(800));
    town.agree();
}

#[test]
fn validators_change_with_the_state_of_the_chain() {
    let sets = |height: Height| match height.0 {
        0..=8 => set(&[0, 1, 2, 3]),
        9..=16 => set(&[1, 2, 3, 4]),
        _ => set(&[0, 1, 2, 3, 4]),
    };
    let mut town = Town::empty(Arc::new(sets), Weather::default());
    for number in 0..5 {
        town.add(House::new(number), Role::Voter);
    }
    town.reach(24);
    town.agree();
    let blocks = town.houses[0].disk.blocks().clone();
    let signs = |height: usize, number: u8| {
        let signatures = &blocks[height - 1].1.signatures;
        signatures.iter().any(|each| each.institution == crate::town::name(number))
    };
    assert!((9..=16).all(|height| !signs(height, 0)));
    assert!((1..=8).all(|height| !signs(height, 4)));
}
