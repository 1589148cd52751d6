//! Four banks that block one another, a committee, and the messages between them.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::signature::{SigningKey, Suite, VerifyingKey};
use quittance_ledger::ids::InstitutionId;
use quittance_mpc::memory::Network;
use quittance_mpc::{ActiveSet, Parties, PartyId};
use quittance_round::committee::Outcome;
use quittance_round::dealing::{Answer, Answers, Dealings, Standing, deal};
use quittance_round::envelope::Signed;
use quittance_round::message::Report;
use quittance_round::result::{BankResult, Expected, ResultShare, combine};
use quittance_round::start::{Roster, Seat, Start};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::bank::{Bank, id, payees, round};
use crate::party::{Party, Task};

/// Who does not do as it should while banks deal.
#[derive(Default)]
pub struct Misconduct {
    /// The number of a party that is down.
    pub down: Option<u8>,
    /// The number of a party that complains of good shares.
    pub complains: Option<u8>,
    /// The number of a bank that deals this party a bad share.
    pub bad_share: Option<(u32, u8)>,
    /// The number of a bank that answers no complaint.
    pub unanswered: Option<u32>,
    /// The number of a bank that does not tell the complainant what it publishes: another party does.
    pub untold: Option<u32>,
}

pub struct World {
    pub misconduct: Misconduct,
    /// Whose dealings are not settled.
    pub left_out: Vec<InstitutionId>,
    pub parties: Parties,
    pub banks: Vec<Bank>,
    pub committee: Vec<Party>,
    seed: u64,
    rng: ChaCha20Rng,
}

/// All that a round gives.
pub struct Settled {
    pub start: Start,
    pub dealings: Vec<Dealings>,
    pub task: Task,
    /// By party.
    pub outcomes: Vec<Outcome>,
    /// By place in the roster.
    pub results: Vec<BankResult>,
}

impl World {
    /// Nobody can pay its first payment alone. Bank 3 also owes bank 5, which is in no round.
    /// Balances and queues are always the same; all other randomness is drawn from `seed`.
    pub fn new(count: usize, threshold: u8, seed: u64) -> Self {
        let mut fixed = ChaCha20Rng::seed_from_u64(1);
        let banks = vec![
            Bank::new(1, 10, &[(2, 100), (3, 50), (4, 1000)], &mut fixed),
            Bank::new(2, 5, &[(3, 90), (4, 30)], &mut fixed),
            Bank::new(3, 40, &[(1, 120), (5, 1), (1, 3)], &mut fixed),
            Bank::new(4, 15, &[(1, 41), (2, 7)], &mut fixed),
        ];
        let parties = Parties::new(count, threshold).unwrap();
        let committee = parties.ids().map(|me| Party::new(parties, me, seed)).collect();
        let (misconduct, left_out) = (Misconduct::default(), vec![]);
        let rng = ChaCha20Rng::seed_from_u64(seed);
        Self { misconduct, left_out, parties, banks, committee, seed, rng }
    }

    /// The whole round, with the banks of these numbers.
    pub fn run(&mut self, attending: &[u32]) -> Settled {
        self.announce();
        let (start, dealings) = self.deal(attending);
        let (task, outcomes) = self.compute(&start);
        let results = self.combine(&start, &outcomes);
        Settled { start, dealings, task, outcomes, results }
    }

    fn announce(&mut self) {
        for payer in 0..self.banks.len() {
            let joined = self.banks[payer].joined();
            for announcement in self.banks[payer].announcements().collect::<Vec<_>>() {
                self.banks.iter_mut().for_each(|bank| bank.hear(&joined, &announcement));
            }
        }
    }

    /// Each bank deals to each party and takes its answers; the coordinator starts with the banks
    /// whose dealings are settled, and parties that hold them all.
    pub fn deal(&mut self, attending: &[u32]) -> (Start, Vec<Dealings>) {
        let (mut all, mut seats, mut holders) = (vec![], vec![], self.members());
        for place in 0..self.banks.len() {
            let (number, institution) = (self.banks[place].number, self.banks[place].id());
            if !attending.contains(&number) {
                continue;
            }
            let answers = self.deal_of(place);
            let (Standing::Complete(report) | Standing::Enough(report)) = answers.standing() else {
                self.left_out.push(institution);
                continue;
            };
            let Report::Dealt { acknowledgements, complaints, .. } = report else { panic!() };
            let words = acknowledgements.iter().map(|word| word.party);
            let settled: Vec<_> = words.chain(complaints.iter().map(Signed::signer)).collect();
            holders.retain(|party| settled.contains(party));
            seats.push(Seat { institution, dealing: answers.dealings().digest() });
            all.push(answers.into_dealings());
        }
        let members = self.members();
        let holds = |id: PartyId| holders.contains(&members[id.position()]);
        let active = self.parties.choices().find(|active| active.ids().all(holds)).unwrap();
        let roster = Roster::new(seats).unwrap();
        (sign(Start { round: round(), attempt: 0, active, roster }), all)
    }

    fn deal_of(&mut self, place: usize) -> Answers {
        let (members, keys) = (self.members(), self.public_keys());
        let Self { banks, committee, misconduct, rng, parties, .. } = self;
        let bank = &banks[place];
        let (joined, balance) = (bank.joined(), bank.balance.commit());
        let (queue, ranges) = (&bank.queue, bank.ranges(rng));
        let dealings = deal(&joined, &bank.balance, queue, ranges, &payees(), *parties, rng);
        let mut answers = Answers::new(dealings.ok().unwrap(), *parties, members.clone());
        let mut published = vec![];
        for (party, key) in committee.iter_mut().zip(&keys) {
            let number = party.me.number();
            if misconduct.down == Some(number) {
                continue;
            }
            let mut message = answers.dealings().message(number).unwrap();
            if misconduct.bad_share == Some((bank.number, number)) {
                // The last byte but some is of the vectors or the seed.
                let last = message.len() - 20;
                message[last] ^= 1;
            }
            let answer = match misconduct.complains == Some(number) {
                true => {
                    let digest = answers.dealings().digest();
                    Answer::Complained(party.complain(&joined, digest, "a lie"))
                }
                false => party.receive(&joined, &balance, &message),
            };
            let publication = answers.take(party.id(), answer, key).unwrap();
            published.extend(publication.map(|publication| (number, publication)));
        }
        published.retain(|_| misconduct.unanswered != Some(bank.number));
        for (complainant, publication) in published {
            for (party, key) in committee.iter_mut().zip(&keys) {
                let number = party.me.number();
                let silent = [misconduct.down, misconduct.complains].contains(&Some(number));
                let untold = misconduct.untold == Some(bank.number) && number == complainant;
                if !silent && !untold {
                    let word = party.read(&joined, &balance, (&members, &keys), &publication);
                    let word = Answer::Acknowledged(word.unwrap());
                    assert_eq!(answers.take(party.id(), word, key), Ok(None));
                }
            }
            // What the complainant gets from another party, or a liar might as well.
            let late = committee.iter_mut().find(|party| party.me.number() == complainant).unwrap();
            if !late.dealt.contains_key(&bank.id()) {
                let read = late.read(&joined, &balance, (&members, &keys), &publication);
                assert!(read.is_ok());
            }
        }
        answers
    }

    pub fn members(&self) -> Vec<InstitutionId> {
        self.committee.iter().map(Party::id).collect()
    }

    fn public_keys(&self) -> Vec<VerifyingKey> {
        self.committee.iter().map(|party| party.round_key.verifying_key()).collect()
    }

    /// A second attempt on what has been dealt for the first, without some of the banks.
    pub fn again(&mut self, first: &Start, without: u32) -> Settled {
        let seats = first.roster.seats().iter().filter(|seat| seat.institution != id(without));
        let roster = Roster::new(seats.copied().collect()).unwrap();
        let start = sign(Start { attempt: first.attempt + 1, roster, ..first.clone() });
        let (task, outcomes) = self.compute(&start);
        let results = self.combine(&start, &outcomes);
        Settled { start, dealings: vec![], task, outcomes, results }
    }

    /// The session of all parties, in memory. What they receive is added to their views.
    fn compute(&mut self, start: &Start) -> (Task, Vec<Outcome>) {
        let keys = self.keys();
        let threshold = self.parties.threshold() as u8;
        let active = |party: &&mut Party| start.active.contains(party.me);
        let mut tasks: Vec<_> =
            self.committee.iter_mut().filter(active).map(|party| party.assign(start)).collect();
        let binding = tasks[0].binding(keys.clone(), threshold);
        assert!(tasks.iter().all(|task| task.binding(keys.clone(), threshold) == binding));
        let parties = self.committee.iter().filter(|party| start.active.contains(party.me));
        let machines = parties.zip(&tasks).map(|(party, task)| party.machine(task, &binding));
        let ended = Network::new(machines.collect(), self.seed).recording().run();
        assert!(ended.refusals.is_empty());
        let parties = self.committee.iter_mut().filter(active);
        for (party, frames) in parties.zip(ended.views) {
            party.view.extend(frames.into_iter().map(|frame| frame.payload.to_vec()));
        }
        let runs = tasks.iter().zip(ended.results);
        let outcomes = runs.map(|(task, run)| task.conclude(binding.session(), run.unwrap()));
        let outcomes = outcomes.collect();
        (tasks.swap_remove(0), outcomes)
    }

    /// The fingerprints of the parties' round keys.
    pub fn keys(&self) -> Vec<Digest> {
        let keys = self.committee.iter().map(|party| party.round_key.verifying_key());
        keys.map(|key| key.fingerprint()).collect()
    }

    /// Each bank fetches its shares from all parties, combines and checks them.
    fn combine(&self, start: &Start, outcomes: &[Outcome]) -> Vec<BankResult> {
        let banks = self.banks.iter().filter(|bank| start.roster.place(&bank.id()).is_some());
        banks
            .map(|bank| {
                let expected = Expected::new(start, &bank.queue).unwrap();
                let shares = result_shares(start.active, outcomes, bank);
                let combined = combine(&expected, &shares).ok().unwrap();
                combined.check(&bank.queue, bank.announced.clone()).ok().unwrap()
            })
            .collect()
    }
}

/// As the parties get it from the coordinator.
fn sign(start: Start) -> Start {
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[77; 32]);
    let signed = Signed::sign(start, "CORDZZ01".parse().unwrap(), &key);
    signed.verify(&key.verifying_key()).unwrap().clone()
}

/// What the parties tell a bank.
pub fn result_shares(
    active: ActiveSet,
    outcomes: &[Outcome],
    bank: &Bank,
) -> Vec<(PartyId, ResultShare)> {
    let told = active.ids().zip(outcomes).map(|(party, outcome)| {
        let bytes = outcome.result(&bank.id()).unwrap();
        (party, ResultShare::from_bytes(&bytes).ok().unwrap())
    });
    told.collect()
}

/// `C_i + N_i`.
pub fn balance_after(bank: &Bank, net: &Commitment) -> Commitment {
    Commitment::from(bank.balance.commit().point() + net.point())
}
