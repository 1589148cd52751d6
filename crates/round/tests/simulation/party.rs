//! A party's side: accept, acknowledge, compute, conclude.

use std::collections::BTreeMap;

use quittance_circuit::{Program, Run};
use quittance_circuit_library::netting::hidden::{Hidden, HiddenBankResult};
use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{SigningKey, Suite, VerifyingKey};
use quittance_ledger::ids::{ChainId, InstitutionId};
use quittance_mpc::session::{Binding, Machine};
use quittance_mpc::{Engine, Output, Parties, PartyId};
use quittance_round::Joined;
use quittance_round::committee::{Assignment, BankOutputs, Computed, Outcome};
use quittance_round::dealing::{
    Acknowledgement, Answer, Complaint, Dealing, DealtInputs, Publication, PublicationError,
};
use quittance_round::envelope::Signed;
use quittance_round::message::Reason;
use quittance_round::start::Start;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::bank::payees;

pub struct Party {
    pub parties: Parties,
    pub me: PartyId,
    pub round_key: SigningKey,
    pub receipt_key: SigningKey,
    pub dealt: BTreeMap<InstitutionId, DealtInputs>,
    /// Every message that it has received.
    pub view: Vec<Vec<u8>>,
    entropy: ChaCha20Rng,
}

impl Party {
    pub fn new(parties: Parties, me: PartyId, seed: u64) -> Self {
        let key = |purpose| {
            let seed = Digest::of("test party", &[&[me.number(), purpose]]);
            SigningKey::from_seed(Suite::MlDsa65MlKem768, &seed.0)
        };
        let mut entropy = ChaCha20Rng::seed_from_u64(seed);
        entropy.set_stream(100 + u64::from(me.number()));
        let (round_key, receipt_key) = (key(0), key(1));
        let (dealt, view) = (BTreeMap::new(), vec![]);
        Self { parties, me, round_key, receipt_key, dealt, view, entropy }
    }

    pub fn id(&self) -> InstitutionId {
        format!("MPC{}ZZ01", char::from(b'A' + self.me.position() as u8)).parse().unwrap()
    }

    /// Checks a dealing against the ledger, and acknowledges it or complains. The first answer stays.
    pub fn receive(&mut self, dealer: &Joined, balance: &Commitment, message: &[u8]) -> Answer {
        self.view.push(message.to_vec());
        let dealing = Dealing::from_bytes(message).ok().unwrap();
        let digest = dealing.common.digest();
        let committee = (self.parties, self.me);
        match dealing.accept(dealer, balance, &payees(), committee, &mut self.entropy) {
            Ok(inputs) => {
                let word = inputs.acknowledge(&[], self.id(), &self.round_key);
                self.dealt.insert(dealer.institution, inputs);
                Answer::Acknowledged(word)
            }
            Err(error) => {
                assert_eq!(error.dealer, dealer.institution);
                Answer::Complained(self.complain(dealer, digest, &error.to_string()))
            }
        }
    }

    /// As it does when a share is bad; a liar does so when none is.
    pub fn complain(&self, dealer: &Joined, dealing: Digest, why: &str) -> Signed<Complaint> {
        let (round, reason) = (dealer.round, Reason::new(why));
        let complaint = Complaint { round, dealer: dealer.institution, dealing, reason };
        Signed::sign(complaint, self.id(), &self.round_key)
    }

    /// Checks what a dealer has published, and acknowledges it. Its own part is what it computes with.
    pub fn read(
        &mut self,
        dealer: &Joined,
        balance: &Commitment,
        (members, keys): (&[InstitutionId], &[VerifyingKey]),
        message: &[u8],
    ) -> Result<Acknowledgement, PublicationError> {
        let publication = Publication::from_bytes(message).ok().unwrap();
        let key = |who: &InstitutionId| {
            members.iter().zip(keys).find(|(member, _)| *member == who).map(|(_, key)| key)
        };
        let committee = (self.parties, members);
        let settled =
            publication.accept(dealer, balance, &payees(), committee, key, &mut self.entropy)?;
        if settled.complainant == self.me {
            self.dealt.insert(dealer.institution, settled.inputs);
        }
        let inputs = &self.dealt[&dealer.institution];
        Ok(inputs.acknowledge(&[settled.published], self.id(), &self.round_key))
    }

    /// What it has to compute, and the program for it.
    pub fn assign(&mut self, start: &Start) -> Task {
        self.view.push(start.to_bytes());
        let assignment = Assignment::new(start, &self.dealt).ok().unwrap();
        let netting = Hidden::new(assignment.places()).unwrap();
        let program = netting.until_settled().unwrap();
        Task { assignment, netting, program }
    }

    /// Its end of the session.
    pub fn machine(&self, task: &Task, binding: &Binding) -> Machine<Run<Output>> {
        let (inputs, program) = (task.assignment.inputs(), task.program.clone());
        let entropy = self.entropy.clone();
        let protocol = |session| async move {
            let mut shared = inputs.check(Engine::start(session, entropy).await?).await?;
            shared.prepare(&program, 2).await?;
            shared.run(&program).await
        };
        Machine::new(binding, self.me.number(), protocol).unwrap()
    }
}

/// One party's computation.
pub struct Task {
    pub assignment: Assignment,
    pub netting: Hidden,
    pub program: Program,
}

impl Task {
    pub fn binding(&self, keys: Vec<Digest>, threshold: u8) -> Binding {
        let chain = ChainId(Digest([1; 32]));
        self.assignment.binding(chain, self.program.fingerprint(), keys, threshold)
    }

    /// Sorts what the session has given.
    pub fn conclude(&self, session: Digest, run: Run<Output>) -> Outcome {
        let steps = run.steps;
        let banks = self.netting.results(run.outputs).unwrap().banks;
        let outputs = banks.into_iter().map(|bank| {
            let HiddenBankResult { notices, inflow, net } = bank;
            BankOutputs { notices, inflow, net }
        });
        let computed = Computed { session, steps, bytes_sent: 1, milliseconds: 1 };
        self.assignment.conclude(&computed, outputs.collect()).ok().unwrap()
    }
}
