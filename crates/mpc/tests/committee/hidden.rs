//! Cases of netting as rounds with hidden payees.

use std::future::Future;
use std::pin::Pin;

use quittance_circuit::{Fr, Owner, Program, Run};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBank, HiddenPayment};
use quittance_circuit_library::netting::truncate;
use quittance_mpc::session::Abort;
use quittance_mpc::{Output, Shared, VectorInput};

use super::Dealt;
use super::reference::Case;

/// What banks are called in commitments to payees; nobody is 0, at the place 0.
pub fn labels(banks: usize) -> Vec<Fr> {
    let banks = (0..banks as u64).map(|bank| Fr::from(1000 + bank));
    [Fr::from(0u64)].into_iter().chain(banks).collect()
}

/// The pad of a payment.
pub fn pad(payer: usize, place: usize) -> Fr {
    -Fr::from((1 + payer as u64) << 32 | place as u64) * Fr::from(0x9e37_79b9_7f4a_7c15u64)
}

/// All banks, and those of them that take part.
#[derive(Debug, Clone)]
pub struct Scene {
    pub case: Case,
    /// How many places each queue has.
    pub places: usize,
    pub roster: Vec<usize>,
}

impl Scene {
    /// With everybody.
    pub fn whole(case: Case, places: usize) -> Self {
        let roster = (0..case.queues.len()).collect();
        Self { case, places, roster }
    }

    /// Where the entries of the roster stand in the vectors.
    pub fn kept(&self) -> Vec<usize> {
        self.roster.iter().map(|bank| bank + 1).collect()
    }

    /// What each bank of the roster deals. It deals the same whoever else takes part.
    pub fn dealt(&self) -> Vec<Dealt> {
        let labels = labels(self.case.queues.len());
        let bank = |&payer: &usize| {
            let mut inputs = vec![Fr::from(self.case.liquidity[payer])];
            let mut vectors = vec![];
            for place in 0..self.places {
                let payment = self.case.queues[payer].get(place);
                let (at, amount) = payment.map_or((0, 0), |&(payee, amount)| (payee + 1, amount));
                inputs.extend([Fr::from(amount), pad(payer, place)]);
                let entry = |k| Fr::from(u64::from(k == at));
                vectors.push((labels[at], (0..labels.len()).map(entry).collect()));
            }
            Dealt { inputs, vectors }
        };
        self.roster.iter().map(bank).collect()
    }

    pub fn hidden(&self) -> Hidden {
        Hidden::new(vec![self.places; self.roster.len()]).unwrap()
    }

    /// The same in the clear.
    pub fn banks(&self) -> Vec<HiddenBank> {
        let bank = |&payer: &usize| {
            let payment = |place: usize| match self.case.queues[payer].get(place) {
                None => HiddenPayment::padding(pad(payer, place)),
                Some(&(payee, amount)) => {
                    let role = self.roster.iter().position(|member| *member == payee);
                    let payee = role.map(|role| Owner(role as u16));
                    HiddenPayment { amount, payee, pad: pad(payer, place) }
                }
            };
            let queue = (0..self.places).map(payment).collect();
            HiddenBank { liquidity: self.case.liquidity[payer], queue }
        };
        self.roster.iter().map(bank).collect()
    }

    /// Among the roster, what is left of the queues.
    pub fn plain(&self) -> Case {
        let queue = |&payer: &usize| {
            let queue = &self.case.queues[payer];
            let payees: Vec<_> = queue.iter().map(|(payee, _)| *payee).collect();
            let roles = truncate(&self.roster, &payees).into_iter();
            roles.zip(queue).map(|(role, (_, amount))| (usize::from(role.0), *amount)).collect()
        };
        let liquidity = self.roster.iter().map(|&bank| self.case.liquidity[bank]).collect();
        Case { liquidity, queues: self.roster.iter().map(queue).collect() }
    }

    /// What each party does, as a party of a round: to the comparison of transcripts.
    pub fn protocol(
        &self,
        program: &Program,
    ) -> impl Fn(Shared, Vec<VectorInput>) -> Party + Clone + Send + Sync + 'static {
        let (program, labels) = (program.clone(), labels(self.case.queues.len()));
        let kept = self.kept();
        move |mut shared: Shared, vectors: Vec<VectorInput>| {
            let (program, labels, kept) = (program.clone(), labels.clone(), kept.clone());
            Box::pin(async move {
                shared.check_one_hot(&vectors, &labels, &kept).await?;
                let run = shared.run(&program).await?;
                shared.engine().compare_transcripts().await?;
                Ok(run)
            })
        }
    }
}

/// What one party does.
pub type Party = Pin<Box<dyn Future<Output = Result<Run<Output>, Abort>> + Send>>;
