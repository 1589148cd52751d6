//! From the outputs of the session to what each bank is told.

use quittance_circuit::{Fr, Owner};
use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::SigningKey;
use quittance_ledger::ids::{InstitutionId, TransactionId};
use quittance_mpc::output::{CommittedOutput, CommittedShare};
use quittance_mpc::{Output, PartyId, Share};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Assignment;
use crate::receipt::{Attestation, Queue, Statement, Subject};
use crate::result::{Notices, Part, ResultShare};
use crate::start::Start;

/// The outputs of the session that are for one bank, as the circuit sorts them.
pub struct BankOutputs {
    /// For each place of its queue, in order.
    pub notices: Vec<Output>,
    /// Its inflow.
    pub inflow: Output,
    /// Its net.
    pub net: Output,
}

/// How the session went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Computed {
    /// Its name.
    pub session: Digest,
    /// How many steps the program took.
    pub steps: u32,
    /// What this party sent.
    pub bytes_sent: u64,
    /// How long it computed.
    pub milliseconds: u64,
}

/// This party's shares of all results, kept until the round is over. Dropping it erases them.
pub struct Outcome {
    start: Start,
    /// By place in the roster.
    results: Vec<ResultShare>,
    /// By place in the roster: the roots of the queues.
    queue_roots: Vec<Digest>,
}

/// Why outputs are not those of a netting among this roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OutputsError {
    /// For another number of banks.
    #[error("outputs for {found} banks, the roster has {expected}")]
    Roster {
        /// The size of the roster.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// Of a queue of another length.
    #[error("{found} notices for the queue of {bank}, which has {expected} places")]
    Shape {
        /// Whose.
        bank: InstitutionId,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// For another bank, or not as public, private or committed as it has to be.
    #[error(
        "{part} of {bank} is not what it has to be: public, a secret of that bank, or committed"
    )]
    Kind {
        /// Which output.
        part: Part,
        /// Whose.
        bank: InstitutionId,
    },
}

impl Assignment {
    /// Sorts what the session has given, by place in the roster.
    pub fn conclude(
        &self,
        computed: &Computed,
        outputs: Vec<BankOutputs>,
    ) -> Result<Outcome, OutputsError> {
        let (expected, found) = (self.seats.len(), outputs.len());
        if expected != found {
            return Err(OutputsError::Roster { expected, found });
        }
        let banks = (0u16..).map(Owner).zip(self.start.roster.institutions());
        let taken =
            banks.zip(outputs).map(|((role, bank), outputs)| self.take(role, bank, outputs));
        let taken: Vec<_> = taken.collect::<Result<_, _>>()?;
        let nets: Vec<_> = taken.iter().map(|taken| taken.published.clone()).collect();
        let notices: Vec<_> = taken.iter().map(|taken| taken.notices.clone()).collect();
        let result = |taken: Taken| ResultShare {
            round: self.start.round,
            attempt: self.start.attempt,
            session: computed.session,
            steps: computed.steps,
            bytes_sent: computed.bytes_sent,
            milliseconds: computed.milliseconds,
            notices: notices.clone(),
            inflow: taken.inflow,
            net: taken.net,
            nets: nets.clone(),
        };
        let results: Vec<_> = taken.into_iter().map(result).collect();
        let queue_roots = self.seats.iter().map(|seat| seat.queue_root).collect();
        Ok(Outcome { start: self.start.clone(), results, queue_roots })
    }

    fn take(
        &self,
        role: Owner,
        bank: InstitutionId,
        outputs: BankOutputs,
    ) -> Result<Taken, OutputsError> {
        let expected = self.seats.get(usize::from(role.0)).map_or(0, |seat| seat.leaves.len());
        let found = outputs.notices.len();
        if expected != found {
            return Err(OutputsError::Shape { bank, expected, found });
        }
        let wrong = |part| OutputsError::Kind { part, bank };
        let notices = (0..).zip(outputs.notices).map(|(place, output)| {
            public(output).ok_or(wrong(Part::Notice { payer: bank, place }))
        });
        let notices = Notices(notices.collect::<Result<_, _>>()?);
        let inflow = private(role, outputs.inflow).ok_or(wrong(Part::Inflow))?;
        let (net, published) = committed(role, outputs.net).ok_or(wrong(Part::Net))?;
        Ok(Taken { notices, inflow, net, published })
    }
}

/// What one bank is told apart from what all are told.
struct Taken {
    notices: Notices,
    inflow: Share,
    net: CommittedShare,
    published: CommittedOutput,
}

fn public(output: Output) -> Option<Fr> {
    match output {
        Output::Public(value) => Some(value),
        _ => None,
    }
}

fn private(role: Owner, output: Output) -> Option<Share> {
    match output {
        Output::Private { owner, share } if owner == role => Some(share),
        _ => None,
    }
}

fn committed(role: Owner, output: Output) -> Option<(CommittedShare, CommittedOutput)> {
    match output {
        Output::Committed { owner, share, public } if owner == role => Some((share, *public)),
        _ => None,
    }
}

impl Outcome {
    /// What was started.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// By place in the roster: the commitments to all nets. Public.
    pub fn nets(&self) -> Vec<Commitment> {
        let nets = self.results.first().map(|result| result.nets.as_slice()).unwrap_or_default();
        nets.iter().map(|net| *net.commitment()).collect()
    }

    /// The canonical bytes of the [`ResultShare`] for a bank of the roster, to be given to that bank
    /// only.
    pub fn result(&self, bank: &InstitutionId) -> Option<Zeroizing<Vec<u8>>> {
        let result = self.results.get(self.start.roster.place(bank)?)?;
        Some(Zeroizing::new(result.to_bytes()))
    }

    /// This party's word for all notices, to be given when `settlement` is final and is one of this
    /// attempt of the round.
    pub fn attest(
        &self,
        settlement: TransactionId,
        party: PartyId,
        key: &SigningKey,
    ) -> Attestation {
        let Start { round, attempt, roster, .. } = &self.start;
        let notices = self.results.first().map_or(&[][..], |result| &result.notices);
        let queues = roster.institutions().zip(&self.queue_roots).zip(notices);
        let queues = queues.map(|((payer, root), notices)| Queue { payer, root: *root, notices });
        let notices = Statement::new(queues).root();
        let subject = Subject { round: *round, settlement, attempt: *attempt, notices };
        Attestation::sign(subject, party, key)
    }
}
