//! Certified blocks with round transactions. Nobody executes them: whoever follows a chain believes
//! its certificates, so balances can be posted here as the test needs them.

use std::collections::BTreeMap;

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::range_proof;
use quittance_crypto::signature::{Purpose, SigningKey, Suite, VerifyingKey};
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::build::{Terms, Unsigned};
use quittance_ledger::certificate::{Certificate, Validator, ValidatorSet, ValidatorSignature};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{AssetId, CommitteeId, InstitutionId, RoundId, Timestamp};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role};
use quittance_ledger::transaction::{
    Action, Body, Entry, MAX_ATTEMPTS, Posting, RoundJoin, RoundOpen, Transaction,
};
use quittance_round::Joined;
use quittance_round::book::Book;
use quittance_round::program;
use quittance_rpc::convert::FinalBlock;
use rand_chacha::ChaCha20Rng;

use super::{Bank, CENTRAL, COORDINATOR, NODE, id};

pub const SUITE: Suite = Suite::MlDsa65MlKem768;

pub type Rings = BTreeMap<InstitutionId, KeyRing>;

pub struct Chain {
    pub genesis: Genesis,
    pub tip: Tip,
    pub book: Book,
}

pub fn euro() -> AssetId {
    "EUR".parse().unwrap()
}

pub fn genesis(banks: &[InstitutionId], parties: &[&str]) -> (Genesis, Rings) {
    let roles = banks.iter().map(|bank| (*bank, Role::Participant));
    let roles = roles.chain([
        (id(CENTRAL), Role::Participant),
        (id(COORDINATOR), Role::Coordinator),
        (id(NODE), Role::Validator),
    ]);
    let roles: BTreeMap<_, _> =
        roles.chain(parties.iter().map(|party| (id(party), Role::MpcParty))).collect();
    let ring = |who: &InstitutionId| KeyRing::generate(who.as_str(), SUITE).unwrap();
    let rings: Rings = roles.keys().map(|who| (*who, ring(who))).collect();
    let registered = |(who, role): (&InstitutionId, &Role)| {
        let ring = &rings[who];
        let keys = Purpose::ALL
            .iter()
            .map(|purpose| PublicKey::Signing(*purpose, ring.signing(*purpose).verifying_key()));
        let sealing = PublicKey::Sealing(ring.sealing().public_key().clone());
        let keys = keys.chain([sealing]).collect();
        (*who, GenesisInstitution { roles: [*role].into(), keys })
    };
    let key = rings[&id(NODE)].signing(Purpose::Vote).verifying_key();
    let validator = Validator { institution: id(NODE), key, power: 1 };
    let parties = parties.iter().map(|party| id(party)).collect();
    let committee = Committee { parties, threshold: 1 };
    let genesis = Genesis {
        name: "parties".to_owned(),
        time: Timestamp(1),
        suite: SUITE,
        institutions: roles.iter().map(registered).collect(),
        assets: [(euro(), Asset { issuer: id(CENTRAL), decimals: 2 })].into(),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        committees: [(CommitteeId(1), committee)].into(),
        limits: Limits::default(),
    };
    (genesis, rings)
}

/// Signs for everybody who has to.
fn sign(body: Body, openings: &[Opening], rings: &Rings, rng: &mut ChaCha20Rng) -> Transaction {
    let proofs = body.entries().iter().map(|_| {
        // As nobody verifies it, its context does not matter.
        range_proof::prove(&Digest::ZERO, openings, rng).unwrap()
    });
    let proofs = proofs.collect();
    let unsigned = Unsigned::new(body, proofs).unwrap();
    let signers: Vec<_> = unsigned.signers().keys().copied().collect();
    let sign =
        |who: InstitutionId| unsigned.sign(who, rings[&who].signing(Purpose::Transaction)).unwrap();
    let signatures = signers.into_iter().map(sign).collect();
    unsigned.assemble(signatures).unwrap()
}

fn fingerprint(rings: &Rings, who: InstitutionId) -> Digest {
    rings[&who].signing(Purpose::Transaction).verifying_key().fingerprint()
}

impl Chain {
    pub fn new(genesis: Genesis) -> Self {
        let (tip, book) = (Tip::genesis(&genesis), Book::new(&genesis).unwrap());
        Self { genesis, tip, book }
    }

    /// The next block, certified.
    pub fn next(&mut self, transactions: Vec<Transaction>, vote: &SigningKey) -> FinalBlock {
        let header = Header {
            suite: SUITE,
            chain: self.genesis.chain_id(),
            height: self.tip.height().next(),
            parent: self.tip.block(),
            transactions_root: transactions_root(&transactions),
            state_root: Digest::ZERO,
            time: Timestamp(self.tip.time().0 + 1),
            validators: self.tip.validators(),
            next_validators: self.tip.validators(),
        };
        let block = Block { header, transactions };
        self.book.apply(&block).unwrap();
        self.tip = Tip::after(&block.header);
        let (height, id_of_block) = (block.header.height, block.id());
        let mut certificate =
            Certificate { height, round: 0, block: id_of_block, signatures: vec![] };
        let signature = certificate.vote(self.genesis.chain_id()).sign(vote);
        certificate.signatures.push(ValidatorSignature { institution: id(NODE), signature });
        FinalBlock { block, certificate, next_validators: None }
    }

    pub fn round_key(&self, who: InstitutionId) -> VerifyingKey {
        self.book.key(&who, Purpose::Round).unwrap().clone()
    }

    pub fn receipt_keys(&self) -> Vec<VerifyingKey> {
        let parties = &self.genesis.committees[&CommitteeId(1)].parties;
        parties.iter().map(|it| self.book.key(it, Purpose::Receipt).unwrap().clone()).collect()
    }

    fn terms(&self) -> Terms {
        let chain = self.genesis.chain_id();
        Terms { suite: SUITE, chain, expiry: self.tip.height().plus(10) }
    }

    fn posting(&self, who: InstitutionId, balance: &Opening, rings: &Rings) -> Posting {
        Posting {
            institution: who,
            key_fingerprint: fingerprint(rings, who),
            sequence: 1,
            absorbed: vec![],
            new_balance: balance.commit(),
            self_note: vec![],
        }
    }

    /// Everybody has the balance that the test says it has.
    pub fn funding(&self, banks: &[Bank], rings: &Rings, rng: &mut ChaCha20Rng) -> Transaction {
        let postings = banks.iter().map(|bank| self.posting(bank.id, &bank.balance, rings));
        let entry = Entry { asset: euro(), postings: postings.collect(), credits: vec![] };
        let body = self.terms().entries(vec![entry]).unwrap();
        let openings: Vec<_> = banks.iter().map(|bank| bank.balance.clone()).collect();
        sign(body, &openings, rings, rng)
    }

    /// One more than the committee has parties to spare, as far as there may be so many.
    fn attempts(&self) -> u8 {
        let spare = self.genesis.committees[&CommitteeId(1)].parties.len() as u8 - 3;
        MAX_ATTEMPTS.min(spare + 1)
    }

    pub fn opening(&self, rings: &Rings, salt: u8) -> (Transaction, RoundId) {
        let opener = id(COORDINATOR);
        let body = self.terms().act(Action::RoundOpen(RoundOpen {
            salt: [salt; 16],
            opener,
            key_fingerprint: fingerprint(rings, opener),
            asset: euro(),
            program: program::digest(program::NETTING),
            committee: CommitteeId(1),
            minimum_roster: 2,
            attempts: self.attempts(),
            join_until: self.tip.height().plus(10),
            deadline: self.tip.height().plus(20),
        }));
        let body = body.unwrap();
        let round = RoundId::of(self.genesis.chain_id(), &body.digest());
        let mut rng = <ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(0);
        (sign(body, &[], rings, &mut rng), round)
    }

    pub fn joining(&self, round: RoundId, bank: &Bank, rings: &Rings) -> Transaction {
        let body = self.terms().act(Action::RoundJoin(RoundJoin {
            round,
            institution: bank.id,
            key_fingerprint: fingerprint(rings, bank.id),
            sequence: 2,
            queue_root: bank.queue.root(),
            bucket: bank.queue.bucket(),
            note: vec![],
        }));
        let mut rng = <ChaCha20Rng as rand_chacha::rand_core::SeedableRng>::seed_from_u64(0);
        sign(body.unwrap(), &[], rings, &mut rng)
    }

    /// What the ledger says of a bank, as soon as it has joined.
    pub fn joined(&self, round: RoundId, bank: &Bank) -> Joined {
        Joined {
            round,
            chain: self.genesis.chain_id(),
            asset: euro(),
            institution: bank.id,
            number: self.book.registry().institution(&bank.id).unwrap().number,
            queue_root: bank.queue.root(),
            bucket: bank.queue.bucket(),
        }
    }

    /// The settlement with these new balances, in the order of the banks.
    pub fn settlement(
        &self,
        round: RoundId,
        balances: &[(InstitutionId, Opening)],
        rings: &Rings,
        rng: &mut ChaCha20Rng,
    ) -> Transaction {
        let postings = balances.iter().map(|(who, balance)| self.posting(*who, balance, rings));
        let body = self.terms().settlement(round, 0, euro(), postings.collect(), None).unwrap();
        let openings: Vec<_> = balances.iter().map(|(_, balance)| balance.clone()).collect();
        sign(body, &openings, rings, rng)
    }
}
