//! From the outputs of the session to what each bank is told.

use quittance_circuit::Owner;
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
use crate::receipt::{ReceiptShare, Subject};
use crate::result::{Part, ReceivedShare, ResultShare};
use crate::start::Start;

/// The outputs of the session that are for one bank, as the circuit sorts them.
pub struct BankOutputs {
    /// For each payment of its queue, in order.
    pub settled: Vec<Output>,
    /// For each payment addressed to it, by payer and place.
    pub received: Vec<Output>,
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
    bits: Vec<SettledBit>,
}

struct SettledBit {
    payer: InstitutionId,
    payee: InstitutionId,
    place: u32,
    leaf: Digest,
    share: Share,
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
    /// Of queues of another shape.
    #[error("{found} {what} of {bank}, there are {expected}")]
    Shape {
        /// What was counted.
        what: &'static str,
        /// Whose.
        bank: InstitutionId,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// For another bank, or not as private or committed as it has to be.
    #[error("{part} of {bank} is not a secret of that bank")]
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
        let result = |taken: Taken| ResultShare {
            round: self.start.round,
            attempt: self.start.attempt,
            session: computed.session,
            steps: computed.steps,
            bytes_sent: computed.bytes_sent,
            milliseconds: computed.milliseconds,
            settled: taken.settled,
            received: taken.received,
            inflow: taken.inflow,
            net: taken.net,
            nets: nets.clone(),
        };
        let results: Vec<_> = taken.into_iter().map(result).collect();
        Ok(Outcome { start: self.start.clone(), bits: self.bits(&results), results })
    }

    fn take(
        &self,
        role: Owner,
        bank: InstitutionId,
        outputs: BankOutputs,
    ) -> Result<Taken, OutputsError> {
        let queue = self.seats.get(usize::from(role.0)).map_or(0, |seat| seat.payments.len());
        let addressed: Vec<_> = self.addressed_to(role).collect();
        let counted = [
            ("bits of payments", queue, outputs.settled.len()),
            ("bits of payments to it", addressed.len(), outputs.received.len()),
        ];
        for (what, expected, found) in counted {
            if expected != found {
                return Err(OutputsError::Shape { what, bank, expected, found });
            }
        }
        let wrong = |part| OutputsError::Kind { part, bank };
        let settled = outputs
            .settled
            .into_iter()
            .enumerate()
            .map(|(place, output)| private(role, output).ok_or(wrong(Part::Settled { place })));
        let settled = settled.collect::<Result<_, _>>()?;
        let received = addressed.into_iter().zip(outputs.received);
        let received = received.map(|((payer, place), output)| {
            let part = Part::Received { payer: self.institution(payer).unwrap_or(bank), place };
            let share = private(role, output).ok_or(wrong(part))?;
            Ok(ReceivedShare { payer, place, share })
        });
        let received = received.collect::<Result<_, _>>()?;
        let inflow = private(role, outputs.inflow).ok_or(wrong(Part::Inflow))?;
        let (net, published) = committed(role, outputs.net).ok_or(wrong(Part::Net))?;
        Ok(Taken { settled, received, inflow, net, published })
    }

    /// All bits with what they are about, from those that the payers get.
    fn bits(&self, results: &[ResultShare]) -> Vec<SettledBit> {
        let banks = self.start.roster.institutions().zip(&self.seats).zip(results);
        let bits = banks.flat_map(|((payer, seat), result)| {
            let payments = (0u32..).zip(&seat.payments).zip(&result.settled);
            payments.filter_map(move |((place, payment), share)| {
                let payee = self.institution(payment.payee.0)?;
                let (leaf, share) = (payment.leaf, share.clone());
                Some(SettledBit { payer, payee, place, leaf, share })
            })
        });
        bits.collect()
    }

    fn institution(&self, place: u16) -> Option<InstitutionId> {
        self.start.roster.seats().get(usize::from(place)).map(|seat| seat.institution)
    }
}

/// What one bank is told apart from what all are told.
struct Taken {
    settled: Vec<Share>,
    received: Vec<ReceivedShare>,
    inflow: Share,
    net: CommittedShare,
    published: CommittedOutput,
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

    /// This party's signed shares of the bits of all payments by and to `bank`, to be given to that
    /// bank only, when `settlement` is final and is one of this attempt of the round.
    pub fn receipts(
        &self,
        bank: &InstitutionId,
        settlement: TransactionId,
        party: PartyId,
        key: &SigningKey,
    ) -> Vec<ReceiptShare> {
        let of_bank = |bit: &&SettledBit| bit.payer == *bank || bit.payee == *bank;
        let sign = |bit: &SettledBit| {
            let (round, share) = (self.start.round, bit.share.clone());
            let &SettledBit { payer, payee, place, leaf, .. } = bit;
            let subject = Subject { round, settlement, payer, payee, place, leaf };
            ReceiptShare::sign(subject, party, share, key)
        };
        self.bits.iter().filter(of_bank).map(sign).collect()
    }
}
