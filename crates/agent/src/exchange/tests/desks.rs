//! The desk: what is refused, what is repeated, what ends by itself.

use quittance_crypto::encoding::{Decode, Encode};
use quittance_ledger::ids::Timestamp;

use super::legs::{agreement, money};
use super::net::*;
use crate::exchange::*;
use crate::wallet::tests::world::*;

fn proposal() -> Proposal {
    let Agreement { uetr, accepter: counterparty, offered: give, asked: get, .. } = agreement();
    Proposal { uetr, counterparty, give, get, valid_ms: 10_000 }
}

fn offer(net: &Net) -> Offer {
    let Proposal { uetr, give, get, .. } = proposal();
    Offer { uetr, give, get, valid_until: Timestamp(net.now.0 + 10_000) }
}

/// The accepting side's half, made by hand on a wallet of its own.
fn join(net: &mut Net) -> Join {
    let mut two = net.world.restore(TWO);
    let expiry = two.height().plus(5);
    let (state, rng) = (&net.world.state, &mut net.world.rng);
    Joining::new(&agreement(), expiry, &mut two, state, rng).unwrap().join()
}

#[test]
fn repeated_calls_answer_with_the_first_outcome() {
    let mut net = Net::new();
    let first = net.propose().unwrap();
    net.pass(10);
    assert_eq!(net.propose().unwrap(), first);
    for other in [
        Proposal { give: money(eur(), 101), ..proposal() },
        Proposal { get: money(usd(), 251), ..proposal() },
        Proposal { counterparty: id(CENTRAL), ..proposal() },
        Proposal { valid_ms: 10_001, ..proposal() },
    ] {
        let refused = net.act(0, |desk, means| desk.propose(means, &other));
        assert_eq!(refused, Err(Refusal::Exists(uetr(1))));
    }
    net.accept().unwrap();
    net.pass(10);
    let accepted = net.accept().unwrap();
    assert!(matches!(accepted.stage, Stage::Final { .. }));
    assert!(matches!(net.propose().unwrap().stage, Stage::Final { .. }));
    assert_eq!(net.holdings(), AFTER);
}

#[test]
fn senseless_proposals_are_refused() {
    let mut net = Net::new();
    for wrong in [
        Proposal { counterparty: id(ONE), ..proposal() },
        Proposal { counterparty: id("NOBODY01"), ..proposal() },
        Proposal { counterparty: id("CORDZZ01"), ..proposal() },
        Proposal { get: money(eur(), 1), ..proposal() },
        Proposal { get: money("XXX".parse().unwrap(), 1), ..proposal() },
        Proposal { give: money(eur(), 0), ..proposal() },
        Proposal { get: money(usd(), 0), ..proposal() },
        Proposal { valid_ms: 999, ..proposal() },
        Proposal { valid_ms: 600_001, ..proposal() },
    ] {
        let refused = net.act(0, |desk, means| desk.propose(means, &wrong));
        assert!(matches!(refused, Err(Refusal::Wrong(_))));
    }
    // A reference that a payment has.
    net.world.pay(&mut net.agents[0].wallet, &[(TWO, 1)], 1).unwrap();
    assert_eq!(net.propose().err(), Some(Refusal::Exists(uetr(1))));
    assert_eq!(net.agents[0].desk.list().len(), 0);
}

#[test]
fn an_acceptance_must_be_of_the_offer() {
    let mut net = Net::new();
    let (give, get) = (agreement().asked, agreement().offered);
    let accept = |net: &mut Net, uetr, give, get| {
        net.act(1, |desk, means| desk.accept(means, uetr, give, get)).err()
    };
    assert_eq!(accept(&mut net, uetr(1), give, get), Some(Refusal::Unknown(uetr(1))));
    net.propose().unwrap();
    for (give, get) in [
        (money(usd(), 251), get),
        (money(usd(), 249), get),
        (give, money(eur(), 99)),
        (give, money(usd(), 100)),
        (get, give),
    ] {
        let refused = accept(&mut net, uetr(1), give, get);
        assert!(matches!(refused, Some(Refusal::Not(_))));
    }
    let own = net.act(0, |desk, means| desk.accept(means, uetr(1), get, give));
    assert!(matches!(own, Err(Refusal::Not(_))));
    assert_eq!(net.stages(), ["offered", "offered"]);
}

#[test]
fn who_cannot_pay_is_told_and_may_try_again() {
    let mut net = Net::new();
    let dear = Proposal { get: money(usd(), 5_000), ..proposal() };
    net.act(0, |desk, means| desk.propose(means, &dear)).unwrap();
    net.run();
    let accepted = net.act(1, |desk, means| desk.accept(means, uetr(1), dear.get, dear.give));
    assert!(matches!(accepted, Err(Refusal::Not(_))));
    assert_eq!(net.stages(), ["offered", "offered"]);
    assert!(net.agents[1].wallet.in_flight(usd()).unwrap().is_empty());
}

#[test]
fn an_offer_ends() {
    let mut net = Net::new();
    net.propose().unwrap();
    net.pass(10_000);
    assert_eq!(net.stages(), ["offered", "offered"]);
    net.pass(1);
    assert_eq!(net.stages(), ["expired", "expired"]);
    assert!(matches!(net.accept().unwrap().stage, Stage::Expired { .. }));
    let late = join(&mut net);
    let refused = net.act(0, |desk, means| desk.join(means, id(TWO), uetr(1), &late).err());
    assert!(matches!(refused, Some(Refusal::Not(_))));
    assert_eq!(net.holdings(), BEFORE);
    for agent in &net.agents {
        assert_eq!(agent.told, ["offered", "expired"]);
    }
}

#[test]
fn nobody_else_takes_part() {
    let mut net = Net::new();
    net.propose().unwrap();
    let half = join(&mut net);
    let stranger = id(CENTRAL);
    let refused = net.act(0, |desk, means| desk.join(means, stranger, uetr(1), &half).err());
    assert_eq!(refused, Some(Refusal::Unknown(uetr(1))));
    let refused = net.act(0, |desk, means| desk.join(means, id(TWO), uetr(2), &half).err());
    assert_eq!(refused, Some(Refusal::Unknown(uetr(2))));
    // The other side of the same exchange has no offer to be joined.
    let refused = net.act(1, |desk, means| desk.join(means, id(ONE), uetr(1), &half).err());
    assert_eq!(refused, Some(Refusal::Unknown(uetr(1))));
    // The reference is taken, also for somebody else.
    let other = offer(&net);
    let refused = net.act(1, |desk, means| desk.offer(means, stranger, &other));
    assert_eq!(refused, Err(Refusal::Exists(uetr(1))));
}

#[test]
fn offers_are_checked_bounded_and_forgotten() {
    let mut net = Net::new();
    let from = id(ONE);
    let good = offer(&net);
    let late = Timestamp(net.now.0 + 600_000 + 60_001);
    for bad in [
        Offer { give: money(usd(), 1), ..good },
        Offer { get: money(usd(), 0), ..good },
        Offer { valid_until: net.now, ..good },
        Offer { valid_until: late, ..good },
    ] {
        assert!(net.act(1, |desk, means| desk.offer(means, from, &bad)).is_err());
    }
    for round in 0..5_u8 {
        let valid_until = Timestamp(net.now.0 + 1_000);
        for number in 0..=64 {
            let one = Offer {
                uetr: Uetr([round, number, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]),
                valid_until,
                ..good
            };
            let result = net.act(1, |desk, means| desk.offer(means, from, &one));
            match number {
                64 => assert_eq!(result, Err(Refusal::TooMany(from))),
                _ => assert_eq!(result, Ok(())),
            }
        }
        net.pass(1_001);
        let uetr = Uetr([round, 65, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        let valid_until = Timestamp(net.now.0 + 1_000);
        let soon = Offer { uetr, valid_until, ..good };
        let result = net.act(1, |desk, means| desk.offer(means, from, &soon));
        assert_eq!(result, Err(Refusal::TooMany(from)), "they have ended just now");
        net.pass(60_000);
    }
    assert_eq!(net.agents[1].desk.list().len(), 255 + 64);
    let list = net.agents[1].desk.list();
    assert!(list.iter().zip(&list[1..]).all(|(newer, older)| newer.number > older.number));
    net.restart(1);
    assert_eq!(net.agents[1].desk.list().len(), 255 + 64);
}

#[test]
fn one_join_at_a_time_and_none_twice() {
    let mut net = Net::new();
    net.propose().unwrap();
    let joins = [join(&mut net), join(&mut net)];
    let send = |net: &mut Net, join: &Join| {
        net.act(0, |desk, means| desk.join(means, id(TWO), uetr(1), join))
    };
    let first = send(&mut net, &joins[0]).unwrap();
    assert_eq!(send(&mut net, &joins[0]).unwrap(), first, "the same answer");
    assert!(matches!(send(&mut net, &joins[1]), Err(Refusal::NotNow(_))));
    assert!(net.agents[0].desk.holds(eur()));
    assert_eq!(net.agents[0].wallet.in_flight(eur()).unwrap().len(), 1);

    net.pass(TALK_MS);
    assert!(net.agents[0].desk.holds(eur()));
    net.pass(1);
    assert!(!net.agents[0].desk.holds(eur()));
    assert!(net.agents[0].wallet.in_flight(eur()).unwrap().is_empty(), "withdrawn");
    assert!(matches!(send(&mut net, &joins[0]), Err(Refusal::Wrong(_))), "an old join");
    send(&mut net, &joins[1]).unwrap();
    assert_eq!(net.stages(), ["offered", "offered"]);
}

#[test]
fn a_bad_completion_ends_the_attempt() {
    let mut net = Net::new();
    net.propose().unwrap();
    let mut two = net.world.restore(TWO);
    let (state, key) = (net.world.state.clone(), super::legs::signing(TWO));
    let expiry = two.height().plus(3);
    let joining = Joining::new(&agreement(), expiry, &mut two, &state, &mut net.world.rng).unwrap();
    let half = joining.join();
    let answer = net.act(0, |desk, means| desk.join(means, id(TWO), uetr(1), &half));
    let (body, proof) = answer.unwrap();
    let signed = joining.sign(body, proof.clone(), &two, &state, &key, &mut net.world.rng).unwrap();
    let complete = |net: &mut Net, from, proof: &_| {
        net.act(0, |desk, means| desk.complete(means, from, uetr(1), proof, signed.signature()))
    };
    let refused = complete(&mut net, id(CENTRAL), signed.range_proof());
    assert_eq!(refused.err(), Some(Refusal::Unknown(uetr(1))));
    assert!(matches!(complete(&mut net, id(TWO), &proof), Err(Refusal::Wrong(_))));
    assert!(net.agents[0].wallet.in_flight(eur()).unwrap().is_empty());
    // The right one comes too late: the draft is gone, and nothing was signed.
    let late = complete(&mut net, id(TWO), signed.range_proof());
    assert!(matches!(late, Err(Refusal::Not(_))));
    assert!(net.agents[0].signed.is_empty() && net.pool.is_empty());
}

#[test]
fn a_silent_other_side_is_waited_for_and_nothing_moves() {
    // The offering side cannot be reached at all, then its answers do not arrive.
    for (cut, deaf) in [([false, true], [false; 2]), ([false; 2], [false, true])] {
        let mut net = Net::new();
        net.propose().unwrap();
        (net.cut, net.deaf) = (cut, deaf);
        assert!(matches!(net.accept().unwrap().stage, Stage::Accepted));
        for _ in 0..20 {
            net.pass(1_000);
        }
        assert_eq!(net.stages(), ["expired", "expired"]);
        assert_eq!(net.holdings(), BEFORE);
        for agent in &net.agents {
            assert!(agent.signed.is_empty());
            let in_flight = [eur(), usd()].map(|asset| agent.wallet.in_flight(asset).unwrap());
            assert!(in_flight.iter().all(Vec::is_empty));
        }
    }
}

#[test]
fn an_offer_is_delivered_when_the_other_side_is_back() {
    let mut net = Net::new();
    net.cut[0] = true;
    net.propose().unwrap();
    net.pass(1_000);
    assert!(net.agents[1].desk.get(&uetr(1)).is_none());
    net.cut[0] = false;
    net.pass(5_000);
    net.accept().unwrap();
    net.pass(1);
    assert_eq!(net.stages(), ["final", "final"]);
}

#[test]
fn a_refused_offer_fails() {
    let mut net = Net::new();
    net.world.pay(&mut net.agents[1].wallet, &[(ONE, 0)], 1).unwrap();
    net.propose().unwrap();
    assert!(
        matches!(&net.agents[0].record().stage, Stage::Failed { reason } if reason.contains("refused"))
    );
}

#[test]
fn proof_and_signature_are_sent_until_they_arrive() {
    let mut net = Net::new();
    net.propose().unwrap();
    net.mute = true;
    net.accept().unwrap();
    net.pass(1_000);
    assert_eq!(net.stages(), ["offered", "signed"]);
    net.mute = false;
    net.pass(1_000);
    net.pass(1_000);
    assert_eq!(net.stages(), ["final", "final"]);
    assert_eq!(net.holdings(), AFTER);
    let signed = &net.agents[1].signed;
    assert!(signed.len() > 1 && signed.iter().all(|one| *one == signed[0]));
}

/// The offering side falls silent when the accepting side has signed: after a while the sequence
/// number is used up, and what was signed can land no longer. Also after a restart.
#[test]
fn an_account_is_not_kept_forever() {
    for restarted in [false, true] {
        let mut net = Net::new();
        net.propose().unwrap();
        net.mute = true;
        net.accept().unwrap();
        assert_eq!(net.stages(), ["offered", "signed"]);
        if restarted {
            net.restart(1);
            net.pass(0);
        }
        net.pass(KEEP_MS);
        let kept = usize::from(!restarted);
        assert_eq!(net.agents[1].wallet.in_flight(usd()).unwrap().len(), kept);
        net.pass(1);
        assert_eq!(net.agents[1].wallet.may_still_land(&uetr(1)), !restarted);
        assert_eq!(net.stages(), ["expired", "signed"], "it is not said to have failed yet");
        assert_eq!(net.pool.len(), 1);
        net.pass(1);
        assert_eq!(net.stages(), ["expired", "failed"]);
        assert_eq!(net.holdings(), BEFORE);
        assert_eq!(net.agents[1].wallet.sequence(usd()), Ok(1));
    }
}

/// Another posting of the accepting side's takes the place of what it has signed.
#[test]
fn what_is_overtaken_fails_on_both_sides() {
    let mut net = Net::new();
    net.propose().unwrap();
    let mut twin = net.world.restore(TWO);
    let draft = twin.draft_absorption(usd(), twin.height().plus(5), &mut net.world.rng).unwrap();
    let unsigned = draft.complete(&mut net.world.rng).unwrap();
    let rival = net.world.sign(TWO, unsigned);
    net.accept().unwrap();
    net.pool.insert(0, rival);
    for _ in 0..8 {
        net.pass(1_000);
    }
    assert_eq!(net.stages(), ["failed", "failed"]);
    assert_eq!(net.holdings(), BEFORE);
    let in_flight = net.agents[0].wallet.in_flight(eur()).unwrap();
    assert!(in_flight.is_empty());
}

#[test]
fn records_have_one_encoding() {
    let mut net = Net::new();
    net.propose().unwrap();
    net.cut[1] = true;
    net.accept().unwrap();
    let mut records = vec![net.agents[0].record().clone(), net.agents[1].record().clone()];
    net.cut[1] = false;
    net.act(1, |desk, means| {
        means.now = Timestamp(means.now.0 + 1_000);
        desk.tick(means);
    });
    net.run();
    assert_eq!(net.stages(), ["signed", "signed"]);
    records.extend(net.agents.iter().map(|agent| agent.record().clone()));
    net.pass(1);
    records.push(net.agents[0].record().clone());
    let reason = Stage::failed("a\nb");
    assert_eq!(reason, Stage::Failed { reason: "a\u{fffd}b".to_owned() });
    records.push(Record { stage: reason, ..records[0].clone() });
    records.push(Record { stage: Stage::expired("ü".repeat(400)), ..records[0].clone() });
    for record in records {
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&bytes), Ok(record));
        for end in (0..bytes.len()).step_by(7) {
            assert!(Record::from_bytes(&bytes[..end]).is_err());
        }
        assert!(Record::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}
