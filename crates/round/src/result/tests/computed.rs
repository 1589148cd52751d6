//! What a committee tells bank 1, honestly or not.

use crate::queue::{FrozenQueue, QueueSeed};
use crate::result::*;
use crate::start::{Roster, Seat, Start};
use crate::testing::{bank, number, payment, place, rng};
use quittance_circuit::Fr;
use quittance_crypto::commitment::commit_scalar;
use quittance_crypto::field::{random_field, to_scalar};
use quittance_mpc::{ActiveSet, Parties, PartyId, split};
use rand_chacha::ChaCha20Rng;

pub fn parties() -> ActiveSet {
    Parties::new(3, 1).unwrap().first_active()
}

pub fn party(number: u8) -> PartyId {
    Parties::new(9, 4).unwrap().id(number).unwrap()
}

/// Bank 1 pays 500 and 7 to bank 2, then something to bank 9, which is not in the roster.
pub fn queue() -> FrozenQueue {
    let payments = vec![payment(2, 500, 1), payment(2, 7, 2), payment(9, 1, 3), payment(3, 2, 4)];
    FrozenQueue::freeze(bank(1), payments, number, QueueSeed::random(&mut rng(1))).ok().unwrap()
}

pub fn start() -> Start {
    let seat = |number| Seat { institution: bank(number), dealing: Digest([number as u8; 32]) };
    let roster = Roster::new([1, 2, 3].map(seat).to_vec()).unwrap();
    Start { round: place().round, attempt: 1, active: parties(), roster }
}

pub fn expected(active: ActiveSet) -> Expected {
    Expected::new(&Start { active, ..start() }, &queue()).unwrap()
}

/// The queue of another bank, and what it announces of it to bank 1.
pub fn queue_of(payer: u32) -> FrozenQueue {
    let payments = match payer {
        2 => vec![payment(1, 300, 5), payment(3, 1, 6)],
        3 => vec![payment(2, 4, 7), payment(1, 1000, 8), payment(1, 9, 9)],
        _ => vec![payment(1, 77, 10)],
    };
    let seed = QueueSeed::random(&mut rng(100 + u64::from(payer)));
    FrozenQueue::freeze(bank(payer), payments, number, seed).ok().unwrap()
}

/// What bank 1 has been told of: 300 from bank 2, and 1000 and then 9 from bank 3. Also a payment of
/// bank 4, which is not in the roster.
pub fn announced() -> Vec<Announced> {
    let told = |(payer, place): (u32, usize)| {
        let queue = queue_of(payer);
        let (amount, pads) = (queue.amount(place).value, queue.pads(place));
        Announced { payer: bank(payer), place: place as u32, amount, pads }
    };
    [(3, 2), (2, 0), (4, 0), (3, 1)].map(told).to_vec()
}

/// What a committee has computed for bank 1, honestly or not.
#[derive(Clone)]
pub struct Computed {
    /// By place in the roster and in the queue: what the notice says.
    pub says: Vec<Vec<Fr>>,
    pub inflow: Fr,
    pub nets: Vec<Fr>,
    /// The sum of all blindings of the nets.
    pub excess: Fr,
}

pub fn fr(value: u64) -> Fr {
    Fr::from(value)
}

/// 500 goes out, 300 and 1000 come in.
pub fn computed() -> Computed {
    let bits = |ones: usize| (0..8).map(|place| fr(u64::from(place < ones))).collect();
    Computed {
        says: vec![bits(1), bits(2), bits(2)],
        inflow: fr(1300),
        nets: vec![fr(800), fr(200), -fr(1000)],
        excess: fr(0),
    }
}

pub type Shares = Vec<(PartyId, ResultShare)>;

impl Computed {
    /// The shares of the active parties for the bank at `place` of the roster.
    pub fn shares_for(&self, place: usize, active: ActiveSet, rng: &mut ChaCha20Rng) -> Shares {
        let parties = Parties::new(9, active.threshold() as u8).unwrap();
        let queues = [queue(), queue_of(2), queue_of(3)];
        let told = queues.iter().zip(&self.says).map(|(queue, says)| {
            let notice = |(place, says): (usize, &Fr)| {
                queue.pads(place)[usize::from(start().attempt)].secret().0 + says
            };
            Notices(says.iter().enumerate().map(notice).collect())
        });
        let notices: Vec<_> = told.collect();
        let inflow = split(self.inflow, parties, rng);
        let mut blindings: Vec<_> = self.nets.iter().map(|_| random_field(rng)).collect();
        let sum: Fr = blindings[1..].iter().sum();
        blindings[0] = self.excess - sum;
        let nets: Vec<_> = self
            .nets
            .iter()
            .zip(&blindings)
            .map(|(net, blinding)| {
                let (values, blindings) =
                    (split(*net, parties, rng), split(*blinding, parties, rng));
                values
                    .iter()
                    .zip(&blindings)
                    .map(|(w, s)| [w.to_bytes(), s.to_bytes()].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
        let commit = |share: &Vec<u8>| {
            let half = |half: &[u8]| to_scalar(&Fr::from_bytes(half).unwrap());
            commit_scalar(&half(&share[..32]), &half(&share[32..]))
        };
        let public = nets.iter().map(|net| {
            let published = active.ids().map(|id| commit(&net[id.position()])).collect();
            CommittedOutput::new(active, published).unwrap()
        });
        let public: Vec<_> = public.collect();
        let share = |id: PartyId| ResultShare {
            round: start().round,
            attempt: start().attempt,
            session: Digest([7; 32]),
            steps: 3,
            bytes_sent: 1000 + u64::from(id.number()),
            milliseconds: 40 + u64::from(id.number()),
            notices: notices.clone(),
            inflow: inflow[id.position()].clone(),
            net: CommittedShare::from_bytes(&nets[place][id.position()]).ok().unwrap(),
            nets: public.clone(),
        };
        active.ids().map(|id| (id, share(id))).collect()
    }

    pub fn shares(&self) -> Shares {
        self.shares_for(0, parties(), &mut rng(3))
    }

    /// What bank 1 makes of it, all parties telling the same.
    pub fn combined(&self) -> Result<Unchecked, ResultError> {
        combine(&expected(parties()), &self.shares())
    }

    pub fn refused(&self) -> ResultError {
        self.combined().err().unwrap()
    }

    pub fn check(&self) -> Result<BankResult, CheckError> {
        self.combined().ok().unwrap().check(&queue(), announced())
    }
}

/// The error when party `liar` changes its share in this way.
pub fn refused_from(liar: u8, change: impl Fn(&mut ResultShare)) -> ResultError {
    let mut shares = computed().shares();
    change(&mut shares[usize::from(liar) - 1].1);
    combine(&expected(parties()), &shares).err().unwrap()
}
