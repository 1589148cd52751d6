//! A chain with banks that hold money, a coordinator, and three parties or more.

use std::collections::BTreeMap;

use quittance_crypto::commitment::{Blinding, Commitment, Opening, commit_scalar};
use quittance_crypto::digest::Digest;
use quittance_crypto::field::Scalar;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::build::{Absorbed, Poster, PostingDraft, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::execute::{BlockContext, Executor, apply};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{
    AccountId, AssetId, CommitteeId, Height, InstitutionId, RoundId, Timestamp, Uetr,
};
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, State};
use quittance_ledger::transaction::{Action, RoundJoin, RoundOpen, Side, Transaction};
use quittance_round::book::Book;
use quittance_round::program;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;
pub const CENTRAL: &str = "CENTZZ01";
pub const COORDINATOR: &str = "COORZZ01";
pub const PARTIES: [&str; 3] = ["PARTZZ01", "PARTZZ02", "PARTZZ03"];

pub struct Bank {
    pub id: InstitutionId,
    sealing: SealingKey,
    note: NoteKey,
    pub balance: Opening,
}

/// Two more, for committees with parties to spare.
pub const SPARE: [&str; 2] = ["PARTZZ04", "PARTZZ05"];

pub struct World {
    /// The committee, in order.
    pub parties: Vec<InstitutionId>,
    pub state: State,
    pub tip: Tip,
    pub book: Book,
    /// The banks in order, the central bank last.
    pub banks: Vec<Bank>,
    pub rng: ChaCha20Rng,
}

pub fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

pub fn bank(number: usize) -> InstitutionId {
    id(&format!("BANKZZ{number:02}"))
}

pub fn euro() -> AssetId {
    "EUR".parse().unwrap()
}

pub fn account(institution: InstitutionId) -> AccountId {
    AccountId { institution, asset: euro() }
}

pub fn signing(who: InstitutionId, purpose: Purpose) -> SigningKey {
    let parts = [who.as_str().as_bytes(), purpose.label().as_bytes()];
    SigningKey::from_seed(SUITE, &Digest::of("test key", &parts).0)
}

pub fn fingerprint(who: InstitutionId) -> Digest {
    signing(who, Purpose::Transaction).verifying_key().fingerprint()
}

fn new_bank(id: InstitutionId) -> Bank {
    let (sealing, note) = (SealingKey::generate(SUITE), NoteKey::from_bytes(&[7; 32]));
    Bank { id, sealing, note, balance: Opening::zero() }
}

fn genesis(banks: &[Bank], parties: &[InstitutionId]) -> Genesis {
    let registered = |who: InstitutionId, role, sealing: Option<&SealingKey>| {
        let keys = Purpose::ALL
            .iter()
            .map(|purpose| PublicKey::Signing(*purpose, signing(who, *purpose).verifying_key()));
        let keys = keys.chain(sealing.map(|key| PublicKey::Sealing(key.public_key().clone())));
        (who, GenesisInstitution { roles: [role].into(), keys: keys.collect() })
    };
    let mut institutions: BTreeMap<_, _> = banks
        .iter()
        .map(|bank| registered(bank.id, Role::Participant, Some(&bank.sealing)))
        .collect();
    institutions.extend(parties.iter().map(|party| registered(*party, Role::MpcParty, None)));
    institutions.extend([registered(id(COORDINATOR), Role::Coordinator, None)]);
    let validator = id("NODEZZ01");
    institutions.extend([registered(validator, Role::Validator, None)]);
    let key = signing(validator, Purpose::Vote).verifying_key();
    let validators = vec![Validator { institution: validator, key, power: 1 }];
    let committee = Committee { parties: parties.to_vec(), threshold: 1 };
    Genesis {
        name: "Rounds".to_owned(),
        time: Timestamp(1),
        suite: SUITE,
        institutions,
        assets: [(euro(), Asset { issuer: id(CENTRAL), decimals: 2 })].into(),
        validators: ValidatorSet::new(validators).unwrap(),
        committees: [(CommitteeId(1), committee)].into(),
        limits: Limits { max_expiry: 20, ..Limits::default() },
    }
}

impl World {
    /// So many banks with 1,000 each, and one that issues.
    pub fn new(count: usize) -> Self {
        Self::with_spare(count, 0)
    }

    /// The same with so many parties more than compute together.
    pub fn with_spare(count: usize, spare: usize) -> Self {
        let parties = PARTIES.into_iter().chain(SPARE.into_iter().take(spare));
        let parties: Vec<_> = parties.map(id).collect();
        let mut banks: Vec<_> = (1..=count).map(|number| new_bank(bank(number))).collect();
        banks.push(new_bank(id(CENTRAL)));
        let genesis = genesis(&banks, &parties);
        let state = State::genesis(&genesis).unwrap();
        let (tip, book) = (Tip::genesis(&genesis), Book::new(&genesis).unwrap());
        let rng = ChaCha20Rng::seed_from_u64(1);
        let mut world = Self { parties, state, tip, book, banks, rng };
        (0..count).step_by(32).for_each(|from| world.fund(from..count.min(from + 32)));
        world
    }

    fn fund(&mut self, range: std::ops::Range<usize>) {
        let particulars = Particulars::new(Uetr([1; 16]), "E2E", "text").unwrap();
        let receivers: Vec<_> = self.banks[range.clone()]
            .iter()
            .map(|bank| Receiver {
                institution: bank.id,
                sealing_key: bank.sealing.public_key(),
                amount: 1_000,
                particulars: particulars.clone(),
            })
            .collect();
        let central = self.banks.len() - 1;
        let rng = &mut self.rng.clone();
        let draft = self.poster(central).transfer(&[], &receivers, Uetr([1; 16]), rng).unwrap();
        let body = self.terms().entries(vec![draft.entry().clone()]).unwrap();
        let proven = draft.prove(&body, &mut self.rng).unwrap();
        self.banks[central].balance = proven.new_balance;
        let issue = sign(Unsigned::new(body, vec![proven.proof]).unwrap());
        self.include(vec![issue.clone()]);
        let absorptions = (0..).zip(range).map(|(index, place)| self.absorb(place, &issue, index));
        let absorptions = absorptions.collect();
        self.include(absorptions);
    }

    fn absorb(&mut self, place: usize, issue: &Transaction, index: u32) -> Transaction {
        let bank = &self.banks[place];
        let credit = &issue.body().entries()[0].credits[index as usize];
        let payload = CreditPayload::open(self.book.chain(), euro(), credit, &bank.sealing);
        let opening = payload.map(|payload| payload.opening).unwrap();
        let absorbed = [Absorbed { id: issue.credit_id(0, index), opening }];
        let rng = &mut self.rng.clone();
        let draft = self.poster(place).absorb(&absorbed, rng).unwrap();
        let body = self.terms().entries(vec![draft.entry().clone()]).unwrap();
        let proven = draft.prove(&body, &mut self.rng).unwrap();
        self.banks[place].balance = proven.new_balance;
        sign(Unsigned::new(body, vec![proven.proof]).unwrap())
    }

    fn poster(&self, place: usize) -> Poster<'_> {
        let bank = &self.banks[place];
        let account = account(bank.id);
        Poster {
            chain: self.book.chain(),
            account,
            side: Side::of(bank.id, id(CENTRAL)),
            key_fingerprint: fingerprint(bank.id),
            sequence: self.state.account(&account).map_or(0, |account| account.sequence),
            balance: &bank.balance,
            note_key: &bank.note,
        }
    }

    pub fn terms(&self) -> Terms {
        let chain = self.book.chain();
        Terms { suite: SUITE, chain, expiry: self.tip.height().plus(10) }
    }

    /// The next block with these transactions, as the ledger accepts it.
    pub fn block(&mut self, transactions: Vec<Transaction>) -> Block {
        let height = self.tip.height().next();
        let context = BlockContext { height, time: Timestamp(self.tip.time().0 + 1) };
        let mut executor = Executor::new(&self.state, context);
        for transaction in &transactions {
            let verified = transaction.clone().verify(&self.state).unwrap();
            executor.execute(&verified).unwrap();
        }
        let header = Header {
            suite: SUITE,
            chain: self.book.chain(),
            height,
            parent: self.tip.block(),
            transactions_root: transactions_root(&transactions),
            state_root: executor.finish().unwrap().root(),
            time: context.time,
            validators: self.tip.validators(),
            next_validators: self.tip.validators(),
        };
        Block { header, transactions }
    }

    /// Adds a block to the chain: the book then says what the ledger's state says.
    pub fn include(&mut self, transactions: Vec<Transaction>) {
        let block = self.block(transactions);
        self.book.apply(&block).unwrap();
        self.tip = Tip::after(&block.header);
        let block = block.verify(&self.state, |_| None, &mut self.rng).unwrap();
        self.state = apply(&self.state, &block).unwrap().state;
        self.compare();
    }

    pub fn advance_to(&mut self, height: Height) {
        while self.tip.height() < height {
            self.include(vec![]);
        }
    }

    fn compare(&self) {
        assert_eq!(self.book.height(), self.tip.height());
        for (id, account, _) in self.state.accounts() {
            assert_eq!(self.book.balance(&id), account.balance);
        }
        let mut rounds = self.book.rounds();
        for (id, round) in self.state.rounds().collect::<BTreeMap<_, _>>() {
            let (found, facts) = rounds.next().unwrap();
            assert_eq!(
                (found, &facts.terms, facts.opened, facts.settled),
                (id, &round.terms, round.opened, round.settled)
            );
            assert!(facts.members.keys().eq(round.members.keys()));
            for (member, has) in &facts.members {
                let (joined, expected) = (has.joined, &round.members[member]);
                assert_eq!(
                    (joined.queue_root, joined.bucket),
                    (expected.queue_root, expected.bucket)
                );
                assert_eq!((joined.institution, joined.round), (*member, id));
                assert_eq!(joined.number, self.state.institution(member).unwrap().number);
                if !facts.is_over(self.book.height()) {
                    assert_eq!(has.balance, self.book.balance(&account(*member)));
                }
            }
        }
        assert!(rounds.next().is_none());
    }

    pub fn act(&self, action: Action) -> Transaction {
        sign(Unsigned::new(self.terms().act(action).unwrap(), vec![]).unwrap())
    }

    /// Opens a round that can be joined for 5 blocks and settled for 10.
    pub fn opening(&self, salt: u8) -> (Transaction, RoundId) {
        self.opening_of(salt, 1)
    }

    /// The same with so many attempts.
    pub fn opening_of(&self, salt: u8, attempts: u8) -> (Transaction, RoundId) {
        let coordinator = id(COORDINATOR);
        let transaction = self.act(Action::RoundOpen(RoundOpen {
            salt: [salt; 16],
            opener: coordinator,
            key_fingerprint: fingerprint(coordinator),
            asset: euro(),
            program: program::digest(program::NETTING),
            committee: CommitteeId(1),
            minimum_roster: 2,
            attempts,
            join_until: self.tip.height().plus(5),
            deadline: self.tip.height().plus(10),
        }));
        let round = RoundId::of(self.book.chain(), &transaction.body_digest());
        (transaction, round)
    }

    pub fn joining(&self, round: RoundId, institution: InstitutionId) -> Transaction {
        let account = self.state.account(&account(institution));
        self.act(Action::RoundJoin(RoundJoin {
            round,
            institution,
            key_fingerprint: fingerprint(institution),
            sequence: account.map_or(0, |account| account.sequence) + 1,
            queue_root: Digest::of("test queue", &[institution.as_str().as_bytes()]),
            bucket: 8,
            note: vec![],
        }))
    }

    /// What the bank at `place` posts when it receives and pays so much, with what opens it.
    pub fn settle(&self, place: usize, net: i64, blinding: &Blinding) -> PostingDraft {
        let (receives, pays) = (net.max(0) as u128, u128::from((-net).max(0) as u64));
        let mut rng = ChaCha20Rng::seed_from_u64(place as u64);
        self.poster(place).settle(receives, pays, blinding, 1, &mut rng).unwrap()
    }

    /// Blindings that sum to zero, for so many banks.
    pub fn blindings(&mut self, count: usize) -> Vec<Blinding> {
        let mut blindings: Vec<_> = (1..count).map(|_| Blinding::random(&mut self.rng)).collect();
        blindings.push(-&blindings.iter().sum::<Blinding>());
        blindings
    }
}

/// `Com(net; blinding)`, as the parties publish it.
pub fn net_commitment(net: i64, blinding: &Blinding) -> Commitment {
    let magnitude = Scalar::from(net.unsigned_abs());
    let value = if net < 0 { -magnitude } else { magnitude };
    commit_scalar(&value, blinding.as_scalar())
}

/// Signs for everybody who has to.
pub fn sign(unsigned: Unsigned) -> Transaction {
    let signers: Vec<_> = unsigned.signers().keys().copied().collect();
    let sign = |who| unsigned.sign(who, &signing(who, Purpose::Transaction)).unwrap();
    let signatures = signers.into_iter().map(sign).collect();
    unsigned.assemble(signatures).unwrap()
}
