//! Netting with preprocessing that was made in a session of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod committee;

use quittance_circuit::{Fr, Owner, Part, Program};
use quittance_circuit_library::netting::{Bank, Netting};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Traffic};
use quittance_mpc::stock::{Amount, BatchId, Material, Single};
use quittance_mpc::{Output, Shared};

use committee::Committee;
use committee::hidden::{Scene, labels};
use committee::reference::Case;

fn stock(side: Option<(BatchId, Vec<u8>)>) -> Single {
    Single(side.map(|(_, bytes)| Material::from_bytes(&bytes).unwrap()))
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
        assert_eq!(engine.draw(&mut stock(own)).await?, expected);
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

/// Payees hidden, as in a round, and a party to spare. All comparisons are drawn; the batch serves
/// those who have made it, and nobody else.
#[test]
fn netting_with_hidden_payees_draws_its_comparisons() {
    let queues = vec![vec![(1, 100), (2, 20)], vec![(2, 110)], vec![(0, 90), (1, 15)]];
    let scene = Scene::whole(Case { liquidity: vec![30, 15, 0], queues }, 4);
    let program = scene.hidden().until_settled().unwrap();
    let clear = program.run_in_clear(scene.hidden().inputs(&scene.banks()).unwrap()).unwrap();
    let mut committee = Committee::new(4, 1);
    let makers = committee.active;
    let mut sides = made(&committee, Amount { comparisons: 400, bits: 4_000 });
    // The fourth party claims to have made it as well.
    sides.push(sides[2].clone());
    let (labels, kept, steps) = (labels(3), scene.kept(), clear.steps);
    let mut sent = vec![];
    for active in committee.parties.choices() {
        committee.active = active;
        let dealt = committee.hidden(&scene.dealt());
        let (sides, program) = (sides.clone(), program.clone());
        let (labels, kept) = (labels.clone(), kept.clone());
        let protocol = move |mut shared: Shared, vectors: Vec<_>| async move {
            let engine = shared.engine();
            let own = sides[engine.me().position()].clone();
            let drawn = engine.draw(&mut stock(Some(own))).await?;
            shared.check_one_hot(&vectors, &labels, &kept).await?;
            let checked = shared.engine().traffic();
            shared.prepare(&program, steps).await?;
            let prepared = shared.engine().traffic() - checked;
            let run = shared.run(&program).await?;
            Ok((drawn.is_some(), run, prepared, shared.engine().traffic()))
        };
        let ran: Vec<_> =
            committee.network_with(dealt, protocol).run().results.into_iter().collect();
        let ran: Vec<_> = ran.into_iter().map(Result::unwrap).collect();
        let outputs: Vec<_> = ran.iter().map(|(_, run, ..)| run.outputs.clone()).collect();
        assert_eq!(committee.combine(&outputs), clear.outputs);
        for (drawn, _, prepared, all) in ran {
            assert_eq!((drawn, prepared.exchanges == 0), (active == makers, active == makers));
            sent.push((drawn, all.bytes));
        }
    }
    let bytes = |with: bool| sent.iter().filter(move |(drawn, _)| *drawn == with).map(|it| it.1);
    let (most, least) = (bytes(true).max().unwrap(), bytes(false).min().unwrap());
    assert!(4 * most < 3 * least, "{most} of {least} bytes");
}
