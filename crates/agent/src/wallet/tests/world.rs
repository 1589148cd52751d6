//! A small chain in memory, with everybody's wallets.

use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::{SealingKey, SealingPublicKey};
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::build::{Receiver, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::execute::{BlockContext, Executor};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{BlockId, CommitteeId, Timestamp};
use quittance_ledger::payload::Particulars;
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, State};
use quittance_ledger::transaction::{Action, CreditReturn, ReturnReason, Verified};
use quittance_ledger::transaction::{RoundOpen, Transaction};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::*;

pub(crate) const SUITE: Suite = Suite::MlDsa65MlKem768;
pub(crate) const CENTRAL: &str = "CBNKZZ01";
pub(crate) const ONE: &str = "AAAABE01";
pub(crate) const TWO: &str = "BBBBDE01";
const COORDINATOR: &str = "CORDZZ01";
const VALIDATOR: &str = "VALDZZ01";
const PARTIES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];

pub(crate) fn id(text: &str) -> InstitutionId {
    text.parse().unwrap()
}

pub(crate) fn eur() -> AssetId {
    "EUR".parse().unwrap()
}

pub(crate) fn usd() -> AssetId {
    "USD".parse().unwrap()
}

pub(crate) fn uetr(number: u8) -> Uetr {
    Uetr([number; 16])
}

pub(crate) fn key(who: &str, purpose: Purpose) -> SigningKey {
    let seed = Digest::of("test key", &[who.as_bytes(), purpose.label().as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) blocks: Vec<Block<Verified>>,
    pub(crate) rng: ChaCha20Rng,
    sealing: BTreeMap<InstitutionId, SealingKey>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut roles = vec![(COORDINATOR, Role::Coordinator), (VALIDATOR, Role::Validator)];
        roles.extend([CENTRAL, ONE, TWO].map(|bank| (bank, Role::Participant)));
        roles.extend(PARTIES.map(|party| (party, Role::MpcParty)));
        let (mut sealing, mut institutions) = (BTreeMap::new(), BTreeMap::new());
        for (who, role) in roles {
            let own = SealingKey::generate(SUITE);
            let public = |purpose: &Purpose| {
                PublicKey::Signing(*purpose, key(who, *purpose).verifying_key())
            };
            let mut keys: Vec<_> = Purpose::ALL.iter().map(public).collect();
            keys.push(PublicKey::Sealing(own.public_key().clone()));
            institutions.insert(id(who), GenesisInstitution { roles: [role].into(), keys });
            sealing.insert(id(who), own);
        }
        let vote = key(VALIDATOR, Purpose::Vote).verifying_key();
        let validator = Validator { institution: id(VALIDATOR), key: vote, power: 1 };
        let issued = Asset { issuer: id(CENTRAL), decimals: 2 };
        let committee = Committee { parties: PARTIES.map(id).to_vec(), threshold: 1 };
        let genesis = Genesis {
            name: "Test".to_owned(),
            time: Timestamp(1_000),
            suite: SUITE,
            institutions,
            assets: [(eur(), issued), (usd(), issued)].into(),
            validators: ValidatorSet::new(vec![validator]).unwrap(),
            committees: [(CommitteeId(1), committee)].into(),
            limits: Limits { refund_after: 1, pending_per_sender: 512, ..Limits::default() },
        };
        let state = State::genesis(&genesis).unwrap();
        Self { state, blocks: Vec::new(), rng: ChaCha20Rng::seed_from_u64(seed), sealing }
    }

    /// A wallet made from keys and brought up to date from the chain alone.
    pub(crate) fn restore(&self, who: &str) -> Wallet {
        let keys = WalletKeys {
            transaction_key: key(who, Purpose::Transaction).verifying_key().fingerprint(),
            sealing: vec![
                SealingKey::from_secret_bytes(SUITE, &self.sealing[&id(who)].to_secret_bytes())
                    .unwrap(),
            ],
            note: NoteKey::from_bytes(&Digest::of("test note", &[who.as_bytes()]).0),
        };
        let issuers = [(eur(), id(CENTRAL)), (usd(), id(CENTRAL))].into();
        let facts = ChainFacts { chain: self.state.chain().id, suite: SUITE, issuers };
        let mut wallet = Wallet::new(id(who), facts, keys);
        for block in &self.blocks {
            wallet.apply_block(block).unwrap();
        }
        wallet
    }

    pub(crate) fn sealing_key(&self, who: &str) -> SealingPublicKey {
        self.sealing[&id(who)].public_key().clone()
    }

    pub(crate) fn height(&self) -> Height {
        Height(self.blocks.len() as u64)
    }

    pub(crate) fn sign(&self, who: &str, unsigned: Unsigned) -> Transaction<Verified> {
        self.sign_all(&[who], unsigned)
    }

    pub(crate) fn sign_all(&self, who: &[&str], unsigned: Unsigned) -> Transaction<Verified> {
        let sign = |who: &&str| unsigned.sign(id(who), &key(who, Purpose::Transaction)).unwrap();
        let signatures = who.iter().map(sign).collect();
        unsigned.assemble(signatures).unwrap().verify(&self.state).unwrap()
    }

    /// A payment under way and submitted.
    pub(crate) fn pay(
        &mut self,
        wallet: &mut Wallet,
        to: &[(&str, u64)],
        number: u8,
    ) -> Result<Transaction<Verified>, WalletError> {
        let keys: Vec<_> = to.iter().map(|(who, _)| self.sealing_key(who)).collect();
        let particulars = Particulars::new(uetr(number), "E2E", "rent").unwrap();
        let receivers: Vec<_> = to
            .iter()
            .zip(&keys)
            .map(|((who, amount), sealing_key)| Receiver {
                institution: id(who),
                sealing_key,
                amount: *amount,
                particulars: particulars.clone(),
            })
            .collect();
        let expiry = self.height().plus(6);
        let draft =
            wallet.draft_transfer(eur(), &receivers, uetr(number), expiry, &mut self.rng)?;
        Ok(self.submit(wallet, draft))
    }

    pub(crate) fn absorb(
        &mut self,
        wallet: &mut Wallet,
    ) -> Result<Transaction<Verified>, WalletError> {
        let expiry = self.height().plus(6);
        let draft = wallet.draft_absorption(eur(), expiry, &mut self.rng)?;
        Ok(self.submit(wallet, draft))
    }

    fn submit(&mut self, wallet: &mut Wallet, draft: Draft) -> Transaction<Verified> {
        let candidate = draft.id();
        let unsigned = draft.complete(&mut self.rng).unwrap();
        let transaction = self.sign(wallet.institution().as_str(), unsigned);
        wallet.submitted(candidate, &transaction).unwrap();
        transaction
    }

    pub(crate) fn act(&self, who: &str, action: Action) -> Transaction<Verified> {
        let terms =
            Terms { suite: SUITE, chain: self.state.chain().id, expiry: self.height().plus(6) };
        self.sign(who, Unsigned::new(terms.act(action).unwrap(), Vec::new()).unwrap())
    }

    pub(crate) fn give_back(
        &self,
        holder: &str,
        by: &str,
        credit: CreditId,
    ) -> Transaction<Verified> {
        let reason = match holder == by {
            true => ReturnReason::Rejected,
            false => ReturnReason::Refunded,
        };
        let holder = AccountId { institution: id(holder), asset: eur() };
        let key_fingerprint = key(by, Purpose::Transaction).verifying_key().fingerprint();
        let by_id = id(by);
        let back = CreditReturn { credit, holder, by: by_id, key_fingerprint, reason };
        self.act(by, Action::Return(back))
    }

    pub(crate) fn open_round(&self, deadline: u64) -> (RoundId, Transaction<Verified>) {
        let fingerprint = key(COORDINATOR, Purpose::Transaction).verifying_key().fingerprint();
        let open = RoundOpen {
            salt: [5; 16],
            opener: id(COORDINATOR),
            key_fingerprint: fingerprint,
            asset: eur(),
            program: Digest::of("test program", &[]),
            committee: CommitteeId(1),
            minimum_roster: 2,
            attempts: 1,
            join_until: self.height().plus(2),
            deadline: self.height().plus(deadline),
        };
        let transaction = self.act(COORDINATOR, Action::RoundOpen(open));
        (RoundId::of(self.state.chain().id, &transaction.body_digest()), transaction)
    }

    /// A block of those transactions that are valid in this order; says which.
    pub(crate) fn block(&mut self, transactions: &[Transaction<Verified>]) -> Vec<bool> {
        let height = self.height().next();
        let time = Timestamp(1_000 + height.0);
        let mut executor = Executor::new(&self.state, BlockContext { height, time });
        let valid: Vec<bool> =
            transactions.iter().map(|one| executor.execute(one).is_ok()).collect();
        let outcome = executor.finish().unwrap();
        let included = transactions.iter().zip(&valid).filter(|(_, valid)| **valid);
        let transactions: Vec<_> = included.map(|(one, _)| one.clone()).collect();
        let header = Header {
            suite: SUITE,
            chain: self.state.chain().id,
            height,
            parent: self.blocks.last().map_or(BlockId(Digest::ZERO), Block::id),
            transactions_root: transactions_root(&transactions),
            state_root: outcome.root(),
            time,
            validators: self.state.validators().digest(),
            next_validators: outcome.state.validators().digest(),
        };
        self.blocks.push(Block { header, transactions });
        self.state = outcome.state;
        valid
    }

    pub(crate) fn last(&self) -> &Block<Verified> {
        self.blocks.last().unwrap()
    }

    /// What the wallet says it holds is what the chain has a commitment to.
    pub(crate) fn check(&self, wallet: &Wallet) {
        for (asset, account) in &wallet.accounts {
            let on_chain = self.state.account(&wallet.account_id(*asset)).cloned();
            let on_chain = on_chain.unwrap_or_default();
            let opening = account.opening.as_ref().unwrap();
            assert!(opening.opens(&account.side.proven(on_chain.balance)));
            assert_eq!(wallet.commitment(*asset), Ok(on_chain.balance));
            assert_eq!(account.sequence, on_chain.sequence);
            let pending = self.state.pending(&wallet.account_id(*asset));
            let ids: Vec<_> = pending.into_iter().flat_map(|p| p.iter()).map(|p| p.id).collect();
            let known: Vec<_> = account.pending.iter().map(|waiting| waiting.id).collect();
            assert_eq!(known, ids, "in the order of arrival");
        }
        let given = self.state.accounts().map(|(account, _, pending)| {
            let count = pending.from_sender(&wallet.institution);
            (account, count)
        });
        let given: BTreeMap<_, _> = given.filter(|(_, count)| *count > 0).collect();
        assert_eq!(wallet.outstanding(), given);
    }
}
