//! A bank's side of a round: freeze, announce, deal, combine, check.

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Writer};
use quittance_crypto::range_proof::RangeProof;
use quittance_ledger::ids::{AssetId, ChainId, InstitutionId, RoundId, Uetr};
use quittance_ledger::payload::Particulars;
use quittance_round::Joined;
use quittance_round::announcement::Announcement;
use quittance_round::payees::Payees;
use quittance_round::queue::{FrozenQueue, QueueSeed, QueuedPayment};
use quittance_round::result::Announced;
use rand_chacha::ChaCha20Rng;

/// Amounts are small multiples of this, so that their bytes occur nowhere by chance.
pub const UNIT: u64 = 0x0003_1d2f_9b57_e6a1;

pub fn id(number: u32) -> InstitutionId {
    format!("BANKZZ{number:02}").parse().unwrap()
}

fn number(bank: &InstitutionId) -> Option<u32> {
    bank.as_str().get(6..)?.parse().ok()
}

pub fn round() -> RoundId {
    RoundId(Digest([2; 32]))
}

pub fn chain() -> ChainId {
    ChainId(Digest([1; 32]))
}

fn asset() -> AssetId {
    "EUR".parse().unwrap()
}

/// The participants of the register: banks 1 to 5.
pub fn payees() -> Payees {
    let mut out = Writer::new();
    out.u32(5);
    (1..=5).for_each(|number| out.u32(number));
    Payees::from_bytes(&out.into_bytes()).unwrap()
}

pub struct Bank {
    pub number: u32,
    pub balance: Opening,
    pub queue: FrozenQueue,
    /// What was announced to this bank.
    pub announced: Vec<Announced>,
}

impl Bank {
    /// With so many units of liquidity, and a queue of (payee's number, units).
    pub fn new(number: u32, liquidity: u64, queue: &[(u32, u64)], rng: &mut ChaCha20Rng) -> Self {
        let payment = |(place, &(payee, units)): (usize, &(u32, u64))| {
            let mut uetr = [number as u8; 16];
            uetr[0] = place as u8;
            let particulars = Particulars::new(Uetr(uetr), "E2E", "netted").unwrap();
            QueuedPayment { payee: id(payee), amount: units * UNIT, particulars }
        };
        let payments = queue.iter().enumerate().map(payment).collect();
        let seed = QueueSeed::random(rng);
        let queue = FrozenQueue::freeze(id(number), payments, self::number, seed).ok().unwrap();
        let balance = Opening::random(liquidity * UNIT, rng);
        Self { number, balance, queue, announced: vec![] }
    }

    pub fn id(&self) -> InstitutionId {
        id(self.number)
    }

    /// What the ledger says when this bank has joined.
    pub fn joined(&self) -> Joined {
        Joined {
            round: round(),
            chain: chain(),
            asset: asset(),
            institution: self.id(),
            number: self.number,
            queue_root: self.queue.root(),
            bucket: self.queue.bucket(),
        }
    }

    /// That its amounts are in range.
    pub fn ranges(&self, rng: &mut ChaCha20Rng) -> Vec<RangeProof> {
        let account = self.joined().account();
        self.queue.prove_amounts(chain(), &account, rng).unwrap()
    }

    /// Tells each payee of its payments.
    pub fn announcements(&self) -> impl Iterator<Item = Announcement> + '_ {
        let count = self.queue.payments().len() as u32;
        (0..count).filter_map(|place| Announcement::new(round(), &self.queue, place))
    }

    /// Takes an announcement in, if it is for this bank.
    pub fn hear(&mut self, payer: &Joined, announcement: &Announcement) {
        if announcement.payee.value == u64::from(self.number) {
            assert_eq!(announcement.check(payer, self.number), Ok(()));
            self.announced.push(Announced::from(announcement));
        }
    }
}
