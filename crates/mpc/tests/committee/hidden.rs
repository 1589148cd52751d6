//! Cases of netting as rounds with hidden payees.

use std::future::Future;
use std::pin::Pin;

use quittance_circuit::{Fr, Owner, Program, Run};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBank, HiddenPayment};
use quittance_mpc::session::Abort;
use quittance_mpc::{Output, Shared, VectorInput};

use super::reference::Case;

/// How many inputs of an owner with so many places are committed.
pub fn committed(places: usize) -> usize {
    1 + 3 * places
}

/// What banks are called in commitments to payees; nobody has no label.
pub fn labels(banks: usize) -> Vec<Option<Fr>> {
    let banks = (0..banks as u64).map(|bank| Some(Fr::from(1000 + bank)));
    [None].into_iter().chain(banks).collect()
}

/// The pad of a payment.
pub fn pad(payer: usize, place: usize) -> Fr {
    -Fr::from((1 + payer as u64) << 32 | place as u64) * Fr::from(0x9e37_79b9_7f4a_7c15u64)
}

/// The case with queues of so many places, and its inputs.
pub fn hide(case: &Case, places: usize) -> (Hidden, Vec<Vec<Fr>>) {
    let labels = labels(case.queues.len());
    let bank = |(payer, queue): (usize, &Vec<(usize, u64)>)| {
        let payment = |place: usize| match queue.get(place) {
            None => HiddenPayment::padding(pad(payer, place)),
            Some(&(payee, amount)) => HiddenPayment {
                amount,
                payee: Some(Owner(payee as u16)),
                index: labels[payee + 1].unwrap(),
                pad: pad(payer, place),
            },
        };
        HiddenBank { liquidity: case.liquidity[payer], queue: (0..places).map(payment).collect() }
    };
    let hidden = Hidden::new(vec![places; case.queues.len()]).unwrap();
    let banks: Vec<_> = case.queues.iter().enumerate().map(bank).collect();
    let inputs = hidden.inputs(&banks).unwrap();
    (hidden, inputs)
}

/// Where the vectors are.
pub fn vectors(hidden: &Hidden) -> Vec<VectorInput> {
    let payees = hidden.payees();
    payees.map(|at| VectorInput { owner: at.owner, index: at.index, entries: at.entries }).collect()
}

/// What one party does.
pub type Party = Pin<Box<dyn Future<Output = Result<Run<Output>, Abort>> + Send>>;

/// Checks payees and runs, as a party of a round does: to the comparison of transcripts.
pub fn protocol(
    hidden: &Hidden,
    program: &Program,
) -> impl Fn(Shared) -> Party + Clone + Send + Sync + 'static {
    let (program, vectors) = (program.clone(), vectors(hidden));
    let labels = labels(usize::from(program.owners()));
    move |mut shared: Shared| {
        let (program, vectors, labels) = (program.clone(), vectors.clone(), labels.clone());
        Box::pin(async move {
            shared.check_one_hot(&vectors, &labels).await?;
            let run = shared.run(&program).await?;
            shared.engine().compare_transcripts().await?;
            Ok(run)
        })
    }
}
