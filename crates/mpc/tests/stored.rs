//! Netting with preprocessing that was made in a session of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::{Fr, Owner, Part, Program};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Traffic};
use quittance_mpc::stock::{Amount, BatchId, Comparison, Holdings, Material, Stock};
use quittance_mpc::{Output, Shared};

use committee::Committee;

/// A stock of one batch.
struct One(Option<(BatchId, Vec<u8>)>);

impl Stock for One {
    fn holdings(&mut self) -> Holdings {
        Holdings { agreed: 0, ready: self.0.iter().map(|(id, _)| *id).collect() }
    }
    fn compare(&mut self, _: &Comparison) {}
    fn take(&mut self, _: &BatchId) -> Option<Material> {
        self.0.take().map(|(_, bytes)| Material::from_bytes(&bytes).unwrap())
    }
    fn agreed(&mut self, _: &BatchId) {}
}

/// All parties' sides of a batch.
fn made(committee: &Committee, amount: Amount) -> Vec<(BatchId, Vec<u8>)> {
    let binding = Binding { round: Digest([1; 32]), ..committee.binding() };
    let network =
        Network::of_engines(&binding, 77, move |engine| engine.into_material(1, amount)).unwrap();
    let made = network.run().results.into_iter().map(Result::unwrap);
    made.map(|material| (*material.id(), material.to_secret_bytes().to_vec())).collect()
}

/// Four banks, six payments.
fn netting() -> (Program, Vec<Vec<Fr>>) {
    let queues: [(u64, &[(u16, u64)]); 4] = [
        (30, &[(1, 100), (2, 20), (3, 1)]),
        (15, &[(2, 110)]),
        (0, &[(0, 90), (3, 15)]),
        (3, &[(0, 500)]),
    ];
    let payees = |queue: &[(u16, u64)]| queue.iter().map(|&(to, _)| Owner(to)).collect();
    let netting = Netting::new(queues.iter().map(|(_, queue)| payees(queue)).collect()).unwrap();
    let amounts = |queue: &[(u16, u64)]| queue.iter().map(|&(_, amount)| amount).collect();
    let banks = queues.iter().map(|&(liquidity, q)| Bank { liquidity, amounts: amounts(q) });
    let inputs = netting.inputs(&banks.collect::<Vec<_>>()).unwrap();
    (netting.until_settled().unwrap(), inputs)
}

/// What a party has, when its preparations are done and at the end.
type Ran = (Vec<Output>, u32, Traffic, Traffic);

fn run(committee: &mut Committee, stored: Vec<Option<(BatchId, Vec<u8>)>>) -> (Vec<Fr>, Vec<Ran>) {
    let (program, inputs) = netting();
    let start = program.part(Part::Start);
    let statement = |owner| start.inputs_of(owner).map(|(committed, _)| committed).collect();
    let shared = program.clone();
    let ran = committee.run(&inputs, statement, move |mut interpreter: Shared| async move {
        let engine = interpreter.engine();
        let own = stored[engine.me().position()].clone();
        let expected = own.as_ref().map(|(id, _)| *id);
        assert_eq!(engine.draw(&mut One(own)).await?, expected);
        interpreter.prepare(&shared, 2).await?;
        let prepared = interpreter.engine().traffic();
        let run = interpreter.run(&shared).await?;
        Ok((run.outputs, run.steps, prepared, interpreter.engine().traffic()))
    });
    let ran: Vec<Ran> = ran.unwrap();
    let outputs: Vec<_> = ran.iter().map(|(outputs, ..)| outputs.clone()).collect();
    (committee.combine(&outputs), ran)
}

#[test]
fn netting_with_stored_preprocessing_gives_the_same_for_fewer_bytes() {
    for (count, threshold) in [(3, 1), (5, 2)] {
        let mut committee = Committee::new(count, threshold);
        let (program, inputs) = netting();
        let clear = program.run_in_clear(inputs).unwrap();
        assert!(clear.steps > 1);

        let batch = made(&committee, Amount { comparisons: 150, bits: 1_200 });
        let (none, without) = run(&mut committee, vec![None; count]);
        let (one, with) = run(&mut committee, batch.into_iter().map(Some).collect());
        assert_eq!((&none, &one), (&clear.outputs, &clear.outputs));
        for ((_, steps, prepared, all), (_, other_steps, prepared_without, all_without)) in
            with.iter().zip(&without)
        {
            assert_eq!((steps, other_steps), (&clear.steps, &clear.steps));
            // Seeds, and agreement on the batch: nothing had to be prepared.
            assert_eq!(prepared.exchanges, 6);
            assert!(prepared_without.exchanges > 15);
            assert!(all.exchanges + 10 < all_without.exchanges);
            assert!(3 * all.bytes < 2 * all_without.bytes, "{} {}", all.bytes, all_without.bytes);
        }
    }
}

/// A batch too small for the round serves as far as it goes, and the rest is made.
#[test]
fn what_a_batch_lacks_is_made() {
    let mut committee = Committee::new(3, 1);
    let batch = made(&committee, Amount { comparisons: 7, bits: 10 });
    let (outputs, _) = run(&mut committee, batch.into_iter().map(Some).collect());
    let (program, inputs) = netting();
    assert_eq!(outputs, program.run_in_clear(inputs).unwrap().outputs);
}
