//! Banks that transact on a small chain: their keys, what they know of their accounts, and the
//! genesis that names them.
#![allow(dead_code, missing_docs, clippy::unwrap_used, reason = "each test uses its own part")]

use std::collections::BTreeSet;

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::build::{Absorbed, EntryDraft, Poster, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{AccountId, AssetId, ChainId, Height, InstitutionId, Timestamp, Uetr};
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::state::{Asset, Limits, PublicKey, Role};
use quittance_ledger::transaction::{Body, Side, Transaction};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;
pub const VALIDATOR: &str = "VALDZZ01";
pub const ISSUER: &str = "CBNKZZ01";
pub const BANKS: [&str; 2] = ["AAAADEFF", "BBBBFRPP"];

pub fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

pub fn eur() -> AssetId {
    "EUR".parse().unwrap()
}

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A bank with its account in EUR as it knows it.
pub struct Bank {
    pub id: InstitutionId,
    pub signing: SigningKey,
    pub sealing: SealingKey,
    pub note: NoteKey,
    pub sequence: u64,
    pub balance: Opening,
    rng: ChaCha20Rng,
}

impl Bank {
    pub fn new(text: &str) -> Self {
        let seed = Digest::of("test bank", &[text.as_bytes()]).0;
        Self {
            id: id(text),
            signing: SigningKey::from_seed(SUITE, &seed),
            sealing: SealingKey::generate(SUITE),
            note: NoteKey::from_bytes(&seed),
            sequence: 0,
            balance: Opening::zero(),
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    fn registered(&self) -> GenesisInstitution {
        let round =
            SigningKey::from_seed(SUITE, &Digest::of("round", &[self.id.as_str().as_bytes()]).0);
        GenesisInstitution {
            roles: BTreeSet::from([Role::Participant]),
            keys: vec![
                PublicKey::Signing(Purpose::Transaction, self.signing.verifying_key()),
                PublicKey::Signing(Purpose::Round, round.verifying_key()),
                PublicKey::Sealing(self.sealing.public_key().clone()),
            ],
        }
    }

    pub fn account(&self) -> AccountId {
        AccountId { institution: self.id, asset: eur() }
    }

    fn draft(&mut self, chain: ChainId, absorbed: &[Absorbed], to: &[(&Bank, u64)]) -> EntryDraft {
        let particulars = || Particulars::new(Uetr([9; 16]), "INVOICE-1", "rent").unwrap();
        let receivers: Vec<_> = to
            .iter()
            .map(|(bank, amount)| Receiver {
                institution: bank.id,
                sealing_key: bank.sealing.public_key(),
                amount: *amount,
                particulars: particulars(),
            })
            .collect();
        let poster = Poster {
            chain,
            account: self.account(),
            side: Side::of(self.id, id(ISSUER)),
            key_fingerprint: self.signing.verifying_key().fingerprint(),
            sequence: self.sequence,
            balance: &self.balance,
            note_key: &self.note,
        };
        match receivers.is_empty() {
            true => poster.absorb(absorbed, &mut self.rng).unwrap(),
            false => poster.transfer(absorbed, &receivers, Uetr([1; 16]), &mut self.rng).unwrap(),
        }
    }

    /// A candidate for the next sequence number, after which the account stays as it was.
    pub fn candidate(
        &mut self,
        terms: Terms,
        absorbed: &[Absorbed],
        to: &[(&Bank, u64)],
    ) -> (Transaction, Opening) {
        let draft = self.draft(terms.chain, absorbed, to);
        let body = terms.entries(vec![draft.entry().clone()]).unwrap();
        let proven = draft.prove(&body, &mut self.rng).unwrap();
        let unsigned = Unsigned::new(body, vec![proven.proof]).unwrap();
        let signature = unsigned.sign(self.id, &self.signing).unwrap();
        (unsigned.assemble(vec![signature]).unwrap(), proven.new_balance)
    }

    /// A transfer; the account goes on from there.
    pub fn pays(&mut self, terms: Terms, to: &[(&Bank, u64)]) -> Transaction {
        self.posts(terms, &[], to)
    }

    /// A transfer, or an absorption, that absorbs; the account goes on from there.
    pub fn posts(
        &mut self,
        terms: Terms,
        absorbed: &[Absorbed],
        to: &[(&Bank, u64)],
    ) -> Transaction {
        let (transaction, balance) = self.candidate(terms, absorbed, to);
        self.balance = balance;
        self.sequence += 1;
        transaction
    }

    /// The credit number `index` of a transaction with one entry, opened by its receiver.
    pub fn opens(&self, chain: ChainId, transaction: &Transaction, index: u32) -> Absorbed {
        let entry = &transaction.body().entries()[0];
        let credit = &entry.credits[index as usize];
        let payload = CreditPayload::open(chain, entry.asset, credit, &self.sealing).unwrap();
        Absorbed { id: transaction.credit_id(0, index), opening: payload.opening }
    }

    /// The same body under other proofs, or another body under the same, signed anew.
    pub fn resigns(&self, body: Body, like: &Transaction) -> Transaction {
        let proofs = like.proofs().to_vec();
        let bare = Transaction::new(body.clone(), proofs.clone(), vec![]);
        let mut signature = like.signatures()[0].clone();
        signature.signature = self.signing.sign(Purpose::Transaction, &bare.signing_digest());
        Transaction::new(body, proofs, vec![signature])
    }
}

/// The issuer and two banks.
pub struct Banks {
    pub issuer: Bank,
    pub a: Bank,
    pub b: Bank,
}

impl Banks {
    pub fn new() -> Self {
        let [a, b] = BANKS.map(Bank::new);
        Self { issuer: Bank::new(ISSUER), a, b }
    }

    /// The genesis of a chain whose one validator votes with `vote`.
    pub fn genesis(&self, vote: &SigningKey) -> Genesis {
        let key = vote.verifying_key();
        let validator = GenesisInstitution {
            roles: BTreeSet::from([Role::Validator]),
            keys: vec![PublicKey::Signing(Purpose::Vote, key.clone())],
        };
        let banks = [&self.issuer, &self.a, &self.b].map(|bank| (bank.id, bank.registered()));
        let institutions = banks.into_iter().chain([(id(VALIDATOR), validator)]).collect();
        let set = vec![Validator { institution: id(VALIDATOR), key, power: 1 }];
        Genesis {
            name: "test".into(),
            time: Timestamp(0),
            suite: SUITE,
            institutions,
            assets: [(eur(), Asset { issuer: id(ISSUER), decimals: 2 })].into(),
            validators: ValidatorSet::new(set).unwrap(),
            committees: Default::default(),
            // Tests send many credits before anybody absorbs one.
            limits: Limits { pending_per_sender: 10_000, ..Limits::default() },
        }
    }
}

pub fn terms(chain: ChainId, expiry: u64) -> Terms {
    Terms { suite: SUITE, chain, expiry: Height(expiry) }
}
