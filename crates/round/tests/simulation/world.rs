//! Four banks that block one another, a committee, and the messages between them.

use quittance_crypto::commitment::Commitment;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Decode;
use quittance_crypto::signature::{SigningKey, Suite};
use quittance_mpc::memory::Network;
use quittance_mpc::{Parties, PartyId};
use quittance_round::committee::Outcome;
use quittance_round::dealing::{Dealings, deal};
use quittance_round::envelope::Signed;
use quittance_round::result::{BankResult, Expected, ResultShare, combine};
use quittance_round::start::{Roster, Seat, Start};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::bank::{Bank, id, payees, round};
use crate::party::{Party, Task};

pub struct World {
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
        Self { parties, banks, committee, seed, rng: ChaCha20Rng::seed_from_u64(seed) }
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

    /// Each bank deals to each party and verifies its acknowledgement; the coordinator starts.
    pub fn deal(&mut self, attending: &[u32]) -> (Start, Vec<Dealings>) {
        let mut all = vec![];
        let banks = self.banks.iter().filter(|bank| attending.contains(&bank.number));
        for bank in banks {
            let (queue, ranges) = (&bank.queue, bank.ranges(&mut self.rng));
            let (joined, balance, rng) = (bank.joined(), &bank.balance, &mut self.rng);
            let parties = self.parties;
            let dealings = deal(&joined, balance, queue, ranges, &payees(), parties, rng);
            let (dealings, balance) = (dealings.ok().unwrap(), bank.balance.commit());
            for party in &mut self.committee {
                let message = dealings.message(party.me.number()).unwrap();
                let acknowledgement = party.receive(&joined, &balance, &message);
                assert_eq!(acknowledgement.verify(&party.round_key.verifying_key()), Ok(()));
                assert_eq!(acknowledgement.dealing, dealings.digest());
                assert_eq!((acknowledgement.dealer, acknowledgement.round), (bank.id(), round()));
                assert_eq!(acknowledgement.party, party.id());
            }
            all.push((id(bank.number), dealings));
        }
        let seat = |(institution, dealings): &(_, Dealings)| Seat {
            institution: *institution,
            dealing: dealings.digest(),
        };
        let roster = Roster::new(all.iter().map(seat).collect()).unwrap();
        let active = self.parties.first_active();
        let start = Start { round: round(), attempt: 0, active, roster };
        (sign(start), all.into_iter().map(|(_, dealings)| dealings).collect())
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
        let mut tasks: Vec<_> =
            self.committee.iter_mut().map(|party| party.assign(start)).collect();
        let binding = tasks[0].binding(keys.clone(), threshold);
        assert!(tasks.iter().all(|task| task.binding(keys.clone(), threshold) == binding));
        let parties = self.committee.iter().zip(&tasks);
        let machines = parties.map(|(party, task)| party.machine(task, &binding)).collect();
        let ended = Network::new(machines, self.seed).recording().run();
        assert!(ended.refusals.is_empty());
        for (party, frames) in self.committee.iter_mut().zip(ended.views) {
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
                let shares = result_shares(self.parties, outcomes, bank);
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
    parties: Parties,
    outcomes: &[Outcome],
    bank: &Bank,
) -> Vec<(PartyId, ResultShare)> {
    let told = parties.ids().zip(outcomes).map(|(party, outcome)| {
        let bytes = outcome.result(&bank.id()).unwrap();
        (party, ResultShare::from_bytes(&bytes).ok().unwrap())
    });
    told.collect()
}

/// `C_i + N_i`.
pub fn balance_after(bank: &Bank, net: &Commitment) -> Commitment {
    Commitment::from(bank.balance.commit().point() + net.point())
}
