//! Coordinator and participants at one table: every message goes through bytes, and a test may
//! change any of them on its way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quittance_crypto::commitment::{Blinding, Commitment};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Writer};
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_ledger::transaction::Transaction;
use quittance_round::coordinator::{
    Coordinator, Effect, Ending, Failure, ReportError, Timing, Turn,
};
use quittance_round::dealing::{Acknowledgement, PublishedPart};
use quittance_round::message::{Attempt, Instruction, Report};
use quittance_round::participant::{Answer, BeginError, Deviation, Keys, Participant};
use quittance_round::start::Start;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::world::{COORDINATOR, PARTIES, World, bank, id, net_commitment, signing};

pub struct Table {
    pub world: World,
    pub round: RoundId,
    pub coordinator: Coordinator,
    pub participants: BTreeMap<InstitutionId, Participant>,
    pub nets: Vec<i64>,
    pub blindings: Vec<Blinding>,
    pub now_ms: u64,
    /// All that the coordinator has been told.
    pub view: Vec<u8>,
    pub refused: Vec<(InstitutionId, ReportError)>,
    pub deviations: Vec<(InstitutionId, Deviation)>,
    pub submitted: Vec<Transaction>,
    pub ending: Option<Ending>,
    /// How attempts have failed that were followed by another one.
    pub failed: Vec<Failure>,
    /// What has been started, attempt by attempt.
    pub starts: Vec<Start>,
    pub rng: ChaCha20Rng,
    mail: VecDeque<Mail>,
}

enum Mail {
    Up(InstitutionId, Box<Report>),
    Down(InstitutionId, Box<Instruction>),
}

/// What happens to messages on their way.
pub trait Tamper {
    fn report(&mut self, _from: InstitutionId, report: Report) -> Vec<Report> {
        vec![report]
    }

    fn instruction(&mut self, _to: InstitutionId, instruction: Instruction) -> Vec<Instruction> {
        vec![instruction]
    }
}

pub struct Honest;

impl Tamper for Honest {}

/// Changes the reports of one bank.
pub struct Reports<F>(pub InstitutionId, pub F);

impl<F: FnMut(Report) -> Vec<Report>> Tamper for Reports<F> {
    fn report(&mut self, from: InstitutionId, report: Report) -> Vec<Report> {
        if from == self.0 { self.1(report) } else { vec![report] }
    }
}

/// Changes the instructions to all banks.
pub struct Instructions<F>(pub F);

impl<F: FnMut(InstitutionId, Instruction) -> Vec<Instruction>> Tamper for Instructions<F> {
    fn instruction(&mut self, to: InstitutionId, instruction: Instruction) -> Vec<Instruction> {
        self.0(to, instruction)
    }
}

pub fn acknowledgement(
    round: RoundId,
    dealer: InstitutionId,
    party: InstitutionId,
    dealing: Digest,
) -> Acknowledgement {
    acknowledgement_of(round, dealer, party, dealing, &[])
}

/// The same with published parts.
pub fn acknowledgement_of(
    round: RoundId,
    dealer: InstitutionId,
    party: InstitutionId,
    dealing: Digest,
    published: &[PublishedPart],
) -> Acknowledgement {
    let mut out = Writer::new();
    round.encode(&mut out);
    dealer.encode(&mut out);
    party.encode(&mut out);
    dealing.encode(&mut out);
    out.list(published);
    let signed = Digest::of("quittance/v1/dealing-acknowledgement", &[&out.into_bytes()]);
    let signature = signing(party, Purpose::Round).sign(Purpose::Round, &signed);
    let published = published.to_vec();
    Acknowledgement { round, dealer, party, dealing, published, signature }
}

pub fn dealing(bank: InstitutionId) -> Digest {
    Digest::of("test dealing", &[bank.as_str().as_bytes()])
}

pub fn dealt(round: RoundId, bank: InstitutionId) -> Report {
    dealt_to(&PARTIES.map(id), round, bank)
}

pub fn dealt_to(parties: &[InstitutionId], round: RoundId, bank: InstitutionId) -> Report {
    let word = |party: &InstitutionId| acknowledgement(round, bank, *party, dealing(bank));
    let acknowledgements = parties.iter().map(word).collect();
    Report::Dealt { round, acknowledgements, complaints: vec![] }
}

pub struct BankKeys(SigningKey, SigningKey);

impl BankKeys {
    pub fn of(bank: InstitutionId) -> Self {
        Self(signing(bank, Purpose::Round), signing(bank, Purpose::Transaction))
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys { round: &self.0, transaction: &self.1 }
    }
}

impl Table {
    /// As many banks as nets have joined a round; nobody has reported anything.
    pub fn new(nets: &[i64]) -> Self {
        Self::with_spare(nets, 0, 1)
    }

    /// The same with so many parties more than compute together, and so many attempts.
    pub fn with_spare(nets: &[i64], spare: usize, attempts: u8) -> Self {
        assert_eq!(nets.iter().sum::<i64>(), 0);
        let mut world = World::with_spare(nets.len(), spare);
        let (opening, round) = world.opening_of(1, attempts);
        world.include(vec![opening]);
        let joins = (1..=nets.len()).map(|number| world.joining(round, bank(number))).collect();
        world.include(joins);
        let blindings = world.blindings(nets.len());
        Self {
            world,
            round,
            coordinator: Coordinator::new(round, id(COORDINATOR), Timing::default(), 0),
            participants: BTreeMap::new(),
            nets: nets.to_vec(),
            blindings,
            now_ms: 0,
            view: vec![],
            refused: vec![],
            deviations: vec![],
            submitted: vec![],
            ending: None,
            failed: vec![],
            starts: vec![],
            rng: ChaCha20Rng::seed_from_u64(5),
            mail: VecDeque::new(),
        }
    }

    pub fn banks(&self) -> Vec<InstitutionId> {
        (1..=self.nets.len()).map(bank).collect()
    }

    pub fn attempt(&self) -> Attempt {
        Attempt { round: self.round, number: self.starts.last().map_or(0, |start| start.attempt) }
    }

    /// Whose dealings are computed with, and who computes, as last started.
    pub fn started(&self) -> (Vec<InstitutionId>, Vec<u8>) {
        let start = self.starts.last().unwrap();
        (start.roster.institutions().collect(), start.active.numbers())
    }

    pub fn net_commitments(&self) -> Vec<Commitment> {
        let nets = self.nets.iter().zip(&self.blindings);
        nets.map(|(net, blinding)| net_commitment(*net, blinding)).collect()
    }

    pub fn everybody(&self) -> BTreeSet<InstitutionId> {
        self.banks().into_iter().chain(self.world.parties.clone()).collect()
    }

    /// Lets the coordinator act, and keeps what it wants.
    pub fn with_coordinator<T>(
        &mut self,
        act: impl FnOnce(&mut Coordinator, Turn<'_>, &mut ChaCha20Rng) -> (Vec<Effect>, T),
    ) -> T {
        let key = signing(id(COORDINATOR), Purpose::Round);
        let turn = Turn { book: &self.world.book, key: &key, now_ms: self.now_ms };
        let (effects, result) = act(&mut self.coordinator, turn, &mut self.rng);
        for effect in effects {
            match effect {
                Effect::Send { to, instruction } => {
                    if let Instruction::Start(start) = &instruction
                        && self.starts.last() != Some(start.unverified())
                    {
                        self.starts.push(start.unverified().clone());
                    }
                    let mail =
                        to.into_iter().map(|to| Mail::Down(to, Box::new(instruction.clone())));
                    self.mail.extend(mail);
                }
                Effect::Again(failure) => self.failed.push(failure),
                Effect::Submit(transaction) => self.submitted.push(transaction),
                Effect::Ended(ending) => self.ending = Some(ending),
            }
        }
        result
    }

    pub fn attend(&mut self, present: BTreeSet<InstitutionId>) {
        self.with_coordinator(|it, turn, rng| (it.attend(turn, present, rng), ()));
    }

    pub fn advance(&mut self, milliseconds: u64) {
        self.now_ms += milliseconds;
        self.with_coordinator(|it, turn, rng| (it.advance(turn, rng), ()));
    }

    /// Reports, and notes what is refused.
    pub fn report(&mut self, from: InstitutionId, report: Report) -> Result<(), ReportError> {
        let bytes = report.to_bytes();
        self.view.extend_from_slice(&bytes);
        let report = Report::from_bytes(&bytes).unwrap();
        let result =
            self.with_coordinator(|it, turn, rng| match it.report(turn, from, report, rng) {
                Ok(effects) => (effects, Ok(())),
                Err(error) => (vec![], Err(error)),
            });
        self.refused.extend(result.clone().err().map(|error| (from, error)));
        result
    }

    pub fn put(&mut self, from: InstitutionId, report: Report) {
        self.mail.push_back(Mail::Up(from, Box::new(report)));
    }

    /// All attend, and all banks have dealt.
    pub fn gather(&mut self) {
        self.attend(self.everybody());
        for bank in self.banks() {
            self.put(bank, dealt_to(&self.world.parties, self.round, bank));
        }
    }

    /// Carries all messages, as long as there are any.
    pub fn carry(&mut self, tamper: &mut impl Tamper) {
        while let Some(mail) = self.mail.pop_front() {
            match mail {
                Mail::Up(from, report) => {
                    for report in tamper.report(from, *report) {
                        let _ = self.report(from, report);
                    }
                }
                Mail::Down(to, instruction) => {
                    for instruction in tamper.instruction(to, *instruction) {
                        let bytes = instruction.to_bytes();
                        self.instruct(to, Instruction::from_bytes(&bytes).unwrap());
                    }
                }
            }
        }
    }

    fn instruct(&mut self, to: InstitutionId, instruction: Instruction) {
        if let Some(place) = self.world.parties.iter().position(|party| *party == to) {
            if let Instruction::Start(start) = instruction
                && start.unverified().active.id(place as u8 + 1).is_some()
            {
                self.compute(to);
            }
            return;
        }
        let known = self.participants.get(&to).map(|participant| participant.attempt().number);
        if let Instruction::Start(start) = &instruction
            && known.is_none_or(|known| known < start.unverified().attempt)
        {
            let begun = Participant::new(&self.world.book, to, &dealing(to), start);
            let mut participant = match begun {
                Err(BeginError::NotInRoster) => return,
                begun => begun.unwrap(),
            };
            let answer = self.post(to, &mut participant, BankKeys::of(to).keys());
            self.participants.insert(to, participant);
            return self.answered(to, answer);
        }
        let keys = BankKeys::of(to);
        let Some(participant) = self.participants.get_mut(&to) else { return };
        let book = &self.world.book;
        let answer = participant.receive(book, keys.keys(), instruction, &mut self.rng);
        self.answered(to, answer);
    }

    fn post(&mut self, to: InstitutionId, participant: &mut Participant, keys: Keys<'_>) -> Answer {
        let place = self.banks().iter().position(|bank| *bank == to).unwrap();
        let draft = self.world.settle(place, self.nets[place], &self.blindings[place]);
        participant.post(draft, &self.net_commitments(), keys)
    }

    pub fn answered(&mut self, bank: InstitutionId, answer: Answer) {
        match answer {
            Answer::Report(report) => self.put(bank, report),
            Answer::Refused { report, deviation } => {
                self.deviations.push((bank, deviation));
                self.put(bank, report);
            }
            Answer::Ignored(deviation) => self.deviations.push((bank, deviation)),
            Answer::Submit(transaction) => self.submitted.push(*transaction),
            Answer::Nothing | Answer::Abandoned(_) => {}
        }
    }

    pub fn computed(&self, nets: Vec<Commitment>) -> Report {
        Report::Computed { attempt: self.attempt(), session: Digest([1; 32]), steps: 2, nets }
    }

    fn compute(&mut self, party: InstitutionId) {
        let report = self.computed(self.net_commitments());
        self.put(party, report);
    }

    /// The whole stage; then the settlement goes onto the ledger.
    pub fn run(&mut self, tamper: &mut impl Tamper) {
        self.gather();
        self.carry(tamper);
    }

    pub fn failure(&self) -> &Failure {
        match self.ending.as_ref().unwrap() {
            Ending::Failed(failure) => failure,
            Ending::Settled(_) => panic!("the round has settled"),
        }
    }
}
