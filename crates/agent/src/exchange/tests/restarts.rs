//! Either side is killed at every step: an exchange lands once or nothing moves, and both records
//! say which.

use super::net::*;
use crate::wallet::tests::world::uetr;

/// Proposes, accepts as soon as the offer is there, and lets everything end.
fn story(kill: Option<(u32, usize)>) -> (Net, u32) {
    let mut net = Net::new();
    net.kill = kill;
    net.propose().unwrap();
    let mut steps = net.step;
    for _ in 0..24 {
        let offered = net.agents[1].desk.get(&uetr(1));
        if offered.is_some_and(|record| name(&record.stage) == "offered") {
            net.accept().unwrap();
            steps = net.step.max(steps);
        }
        net.pass(1_000);
    }
    (net, steps)
}

#[test]
fn without_a_fault_it_lands() {
    let (net, _) = story(None);
    assert_eq!(net.stages(), ["final", "final"]);
    assert_eq!(net.holdings(), AFTER);
    assert_eq!(net.agents[0].told, ["offered", "signed", "final"]);
    assert_eq!(net.agents[1].told, ["offered", "accepted", "signed", "final"]);
}

#[test]
fn killed_at_any_step_it_lands_once_or_nothing_moves() {
    let (_, steps) = story(None);
    assert!(steps >= 8, "{steps}");
    let (mut landed, mut nothing) = (0, 0);
    for step in 1..=steps {
        for victim in 0..2 {
            let (net, _) = story(Some((step, victim)));
            let place = format!("agent {victim} killed at step {step}");
            for agent in &net.agents {
                let mut signed = agent.signed.clone();
                signed.dedup();
                assert!(signed.len() <= 1, "{place}: {} has signed twice", agent.who);
                assert!(agent.record().stage.is_over(), "{place}");
            }
            match net.stages() {
                ["final", "final"] => {
                    assert_eq!(net.holdings(), AFTER, "{place}");
                    landed += 1;
                }
                stages => {
                    assert!(!stages.contains(&"final"), "{place}: {stages:?}");
                    assert_eq!(net.holdings(), BEFORE, "{place}");
                    nothing += 1;
                }
            }
        }
    }
    assert!(landed > 0 && nothing > 0, "{landed} landed, {nothing} did not");
}

/// Both are killed again and again, and the calls go astray now and then.
#[test]
fn restarted_between_all_steps_it_still_ends() {
    for silent in [[false, false], [true, false], [false, true]] {
        let mut net = Net::new();
        net.propose().unwrap();
        net.accept().unwrap();
        net.deaf = silent;
        for round in 0..24 {
            net.restart(round % 2);
            net.pass(1_000);
        }
        let stages = net.stages();
        assert_eq!(stages, ["final", "final"], "{silent:?}");
        assert_eq!(net.holdings(), AFTER);
    }
}
