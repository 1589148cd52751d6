//! Banks in gridlock, and what should become of them.

use std::time::Duration;

use quittance_circuit_library::netting::{self, Netting};
use quittance_crypto::commitment::Opening;
use quittance_crypto::field::Fr;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::RoundId;
use quittance_round::envelope::Signed;
use quittance_round::message::Instruction;
use quittance_round::result::BankResult;
use quittance_round::start::Start;

use super::{Bank, COORDINATOR, World, id};

impl World {
    /// Each bank gets what the netting gives in the clear.
    pub async fn settles_as_in_clear(&self, banks: &[Bank], start: &Start) {
        for (bank, (settled, inflow, net)) in banks.iter().zip(in_clear(banks)) {
            let result = self.result(bank, start, banks).await;
            assert_eq!((result.settled, result.attempt), (settled, start.attempt), "{}", bank.id);
            assert_eq!((field(result.inflow as i128), field(result.net)), (inflow, net));
        }
    }
}

/// A dealt round of eight banks whose computation takes some time: they pay in a circle without any
/// liquidity, and one payment is too small. So one payment of each bank after the other falls out,
/// all the way round, until nothing settles.
pub async fn long_round(world: &mut World) -> (Vec<Bank>, RoundId, Start) {
    let all: Vec<_> = (1..=8usize)
        .map(|number| {
            let amount = |k| if number == 8 && k == 0 { 1 } else { 2 };
            let payments: Vec<_> = (0..40).map(|k| (1 + number % 8, amount(k))).collect();
            world.bank(number, 0, &payments)
        })
        .collect();
    let round = world.open_round(&all);
    let dealings = world.deal_all(round, &all).await;
    let start = world.start(round, &all, &dealings);
    (all, round, start)
}

/// Until the parties are at work on a long round.
pub async fn in_the_middle(world: &World) {
    tokio::time::sleep(Duration::from_millis(400)).await;
    let early = world.coordinator.reports();
    assert!(early.is_empty(), "the session is too short for this test: {early:?}");
}

/// Lets the chain pass a round's deadline.
pub fn end_round(world: &mut World, round: RoundId) {
    let deadline = world.chain.book.round(&round).unwrap().terms.deadline;
    while world.chain.tip.height() < deadline {
        world.include(vec![]);
    }
}

/// Signed by the coordinator.
pub fn signed(world: &World, start: &Start) -> Instruction {
    signed_by(world, start, COORDINATOR)
}

pub fn signed_by(world: &World, start: &Start, who: &str) -> Instruction {
    let key = world.rings[&id(who)].signing(Purpose::Round);
    Instruction::Start(Signed::sign(start.clone(), id(who), key))
}

/// Four banks in gridlock: the first three pay each other in a circle, the last has nothing.
pub fn gridlock(world: &mut World) -> Vec<Bank> {
    vec![
        world.bank(1, 30, &[(2, 100), (3, 20), (4, 1)]),
        world.bank(2, 15, &[(3, 110)]),
        world.bank(3, 0, &[(1, 90), (4, 15), (1, 1_000)]),
        world.bank(4, 3, &[(1, 500)]),
    ]
}

/// What the netting gives in the clear, by bank: settled payments, inflow, net.
pub fn in_clear(banks: &[Bank]) -> Vec<(u32, Fr, Fr)> {
    let ids: Vec<_> = banks.iter().map(|bank| bank.id).collect();
    let payees = |bank: &Bank| -> Vec<_> {
        bank.queue.payments().iter().map(|payment| payment.payee).collect()
    };
    let queues: Vec<_> = banks.iter().map(|bank| netting::truncate(&ids, &payees(bank))).collect();
    let inputs: Vec<_> = banks
        .iter()
        .zip(&queues)
        .map(|(bank, queue)| {
            let payments = bank.queue.payments().iter().take(queue.len());
            let amounts = payments.map(|payment| payment.amount).collect();
            netting::Bank { liquidity: bank.balance.value, amounts }
        })
        .collect();
    let netting = Netting::new(queues).unwrap();
    let inputs = netting.inputs(&inputs).unwrap();
    let run = netting.until_settled().unwrap().run_in_clear(inputs).unwrap();
    let results = netting.results(run.outputs).unwrap().banks;
    let settled = |bits: &[Fr]| bits.iter().filter(|bit| **bit == Fr::from(1u64)).count() as u32;
    results.iter().map(|bank| (settled(&bank.settled), bank.inflow, bank.net)).collect()
}

pub fn field(value: i128) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 { -magnitude } else { magnitude }
}

/// The balance of a bank after the settlement.
pub fn settled_balance(bank: &Bank, result: &BankResult) -> Opening {
    let value = i128::from(bank.balance.value) + result.net;
    let blinding = &bank.balance.blinding + &result.blinding;
    Opening::new(u64::try_from(value).unwrap(), blinding)
}
