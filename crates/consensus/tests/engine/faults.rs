//! Validators that stop, come back, and are cut off.

use std::time::Duration;

use quittance_consensus::Role;

use crate::net::Weather;
use crate::town::{Town, peer};

#[test]
fn a_stopped_validator_catches_up_and_votes_again() {
    let mut town = Town::new(4, Weather::default());
    town.reach(3);
    town.stop(3);
    let before = town.height(3);
    town.reach(before + 25);
    town.start(3, Role::Voter);
    town.reach(town.top() + 2);
    // Without its vote there would be no quorum.
    town.stop(0);
    town.reach(town.top() + 5);
    town.agree();
    assert!(town.houses[3].disk.reports().is_empty());
}

#[test]
fn all_stop_in_the_midst_of_it_and_go_on() {
    let mut town = Town::new(4, Weather::default());
    for _ in 0..3 {
        town.reach(town.top() + 3);
        (0..4).for_each(|index| town.stop(index));
        (0..4).for_each(|index| town.start(index, Role::Voter));
    }
    town.reach(town.top() + 3);
    town.agree();
    // Nobody has said anything twice.
    assert!(town.houses.iter().all(|house| house.disk.reports().is_empty()));
}

#[test]
fn a_validator_that_has_lost_everything_follows_before_it_votes() {
    let mut town = Town::new(4, Weather::default());
    town.reach(10);
    town.stop(3);
    town.wipe(3);
    town.start(3, Role::Observer);
    let goal = town.top() + 2;
    town.reach(goal);
    town.stop(3);
    town.start(3, Role::Voter);
    town.reach(town.top() + 2);
    town.stop(1);
    town.reach(town.top() + 4);
    town.agree();
}

#[test]
fn two_and_two_decide_nothing_until_they_meet_again() {
    let town = Town::new(4, Weather::default());
    town.reach(3);
    let sides = [peer(0), peer(1), peer(2), peer(3)];
    town.net.cut(&sides[..2], &sides[2..]);
    std::thread::sleep(Duration::from_millis(300));
    let heights: Vec<u64> = (0..4).map(|index| town.height(index)).collect();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((0..4).map(|index| town.height(index)).collect::<Vec<_>>(), heights);
    town.net.heal();
    town.reach(town.top() + 5);
    town.agree();
}
