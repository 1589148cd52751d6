//! Money's whole life, from the builders through verification to the state: issued, absorbed,
//! paid, rejected, found again by a restored agent, exchanged, netted and redeemed.

#![allow(clippy::unwrap_used)] // A test stops where its assumption fails.

mod network;

use quittance_crypto::commitment::Blinding;
use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof;
use quittance_crypto::signature::Purpose;
use quittance_ledger::build::{Receiver, Unsigned};
use quittance_ledger::ids::{AccountId, CommitteeId, Height, RoundId, Uetr};
use quittance_ledger::payload::{Particulars, SelfNote};
use quittance_ledger::transaction::{
    Action, CreditReturn, ReturnReason, RoundJoin, RoundOpen, Side,
};

use network::{A, B, CENTRAL, code, id, network, signing};

#[test]
fn credits_are_issued_paid_rejected_and_redeemed() {
    let mut network = network();
    let mut log = vec![network.transfer(CENTRAL, "EUR", &[(A, 100), (B, 0)])];
    network.absorb(A, "EUR", &log);
    network.absorb(B, "EUR", &log);
    log.push(network.transfer(A, "EUR", &[(B, 30), (B, 5), (CENTRAL, 0)]));
    assert_eq!((network.holds(A, "EUR"), network.holds(CENTRAL, "EUR")), (65, 100));

    let rejected = log[1].credit_id(0, 1);
    let holder = AccountId { institution: id(B), asset: code("EUR") };
    let key_fingerprint = signing(B, Purpose::Transaction).verifying_key().fingerprint();
    network.act(Action::Return(CreditReturn {
        credit: rejected,
        holder,
        by: id(B),
        key_fingerprint,
        reason: ReturnReason::Rejected,
    }));
    network.absorb(B, "EUR", &log);
    network.absorb(A, "EUR", &log);
    assert_eq!((network.holds(A, "EUR"), network.holds(B, "EUR")), (70, 30));

    log.push(network.transfer(B, "EUR", &[(CENTRAL, 30)]));
    network.absorb(CENTRAL, "EUR", &log);
    assert_eq!((network.holds(B, "EUR"), network.holds(CENTRAL, "EUR")), (0, 70));
}

#[test]
fn two_banks_exchange_in_one_transaction() {
    let mut network = network();
    let log = [
        network.transfer(CENTRAL, "EUR", &[(A, 100)]),
        network.transfer(CENTRAL, "USD", &[(B, 200)]),
    ];
    network.absorb(A, "EUR", &log);
    network.absorb(B, "USD", &log);

    let mut draft = |from: &str, asset: &str, to: &str, amount: u64| {
        let sealing_key = network.agents[&id(to)].public();
        let particulars = Particulars::new(Uetr([2; 16]), "FX", "").unwrap();
        let receiver =
            Receiver { institution: id(to), sealing_key: &sealing_key, amount, particulars };
        network.with_poster(from, asset, |poster, _, rng| {
            poster.transfer(&[], &[receiver], Uetr([2; 16]), rng).unwrap()
        })
    };
    let (dollars, euros) = (draft(B, "USD", A, 110), draft(A, "EUR", B, 100));
    let shown = vec![dollars.entry().clone(), euros.entry().clone()];
    let body = network.terms().entries(shown).unwrap();
    let euros = euros.prove(&body, &mut network.rng).unwrap();
    let dollars = dollars.prove(&body, &mut network.rng).unwrap();
    let unsigned = Unsigned::new(body, vec![euros.proof, dollars.proof]).unwrap();
    let exchange = network.sign(unsigned);
    network.include(exchange.clone());
    network.remember(A, "EUR", euros.new_balance);
    network.remember(B, "USD", dollars.new_balance);
    let log = [exchange];
    network.absorb(A, "USD", &log);
    network.absorb(B, "EUR", &log);
    assert_eq!((network.holds(A, "EUR"), network.holds(A, "USD")), (0, 110));
    assert_eq!((network.holds(B, "EUR"), network.holds(B, "USD")), (100, 90));
}

#[test]
fn a_round_settles_nets_and_a_restored_agent_finds_its_balance() {
    let mut network = network();
    let log = [network.transfer(CENTRAL, "EUR", &[(A, 100), (B, 10)])];
    network.absorb(A, "EUR", &log);
    network.absorb(B, "EUR", &log);
    let fingerprint = |name| signing(name, Purpose::Transaction).verifying_key().fingerprint();
    let opening = network.act(Action::RoundOpen(RoundOpen {
        salt: [1; 16],
        opener: id("COORXX2A"),
        key_fingerprint: fingerprint("COORXX2A"),
        asset: code("EUR"),
        program: Digest([2; 32]),
        committee: CommitteeId(1),
        minimum_roster: 2,
        attempts: 1,
        join_until: network.tip.height().plus(3),
        deadline: network.tip.height().plus(20),
    }));
    let round = RoundId::of(network.genesis.chain_id(), &opening.body_digest());
    for name in [A, B] {
        let sequence = network.sequence(&AccountId { institution: id(name), asset: code("EUR") });
        network.act(Action::RoundJoin(RoundJoin {
            round,
            institution: id(name),
            key_fingerprint: fingerprint(name),
            sequence: sequence + 1,
            queue_root: Digest([3; 32]),
            bucket: 8,
            note: vec![],
        }));
    }
    while network.tip.height() < Height(10) {
        network.act_of_nobody();
    }

    let blinding = Blinding::random(&mut network.rng);
    let nets = [(A, 10, 50, blinding.clone(), 3), (B, 50, 10, -&blinding, 1)];
    let drafts = nets.map(|(name, receives, pays, blinding, settled)| {
        network.with_poster(name, "EUR", |poster, _, rng| {
            poster.settle(receives, pays, &blinding, settled, rng).unwrap()
        })
    });
    let postings = drafts.iter().map(|draft| draft.posting.clone()).collect();
    let body = network.terms().settlement(round, 0, code("EUR"), postings, None).unwrap();
    // Proven here by one who knows all; jointly it gives the same kind of proof.
    let openings = drafts.each_ref().map(|draft| draft.opening.clone());
    let context = body.proof_context(&body.digest(), 0);
    let proof = range_proof::prove(&context, &openings, &mut network.rng).unwrap();
    let settlement = network.sign(Unsigned::new(body, vec![proof]).unwrap());
    network.include(settlement.clone());

    for posting in &settlement.body().entries()[0].postings {
        let agent = &network.agents[&posting.institution];
        let chain = network.genesis.chain_id();
        let note = SelfNote::open(chain, code("EUR"), posting, Side::Holder, &agent.note).unwrap();
        let name = agent.id.to_string();
        network.remember(&name, "EUR", note.opening);
    }
    assert_eq!((network.holds(A, "EUR"), network.holds(B, "EUR")), (60, 50));
    // The accounts are free again.
    network.transfer(A, "EUR", &[(B, 60)]);
}
