//! A chain with three agents that know only what a key file and the chain tell them.

use std::collections::BTreeMap;

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::note::NoteKey;
use quittance_crypto::seal::{SealingKey, SealingPublicKey};
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::build::{Absorbed, Poster, Proven, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{Validator, ValidatorSet};
use quittance_ledger::execute::{BlockContext, Executor, apply};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{
    AccountId, AssetId, CommitteeId, CreditId, InstitutionId, Timestamp, Uetr,
};
use quittance_ledger::payload::{CreditPayload, Particulars, SelfNote};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, State};
use quittance_ledger::transaction::{Action, Entry, Side, Transaction};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

pub const SUITE: Suite = Suite::MlDsa65MlKem768;
pub const CENTRAL: &str = "CENTXX2A";
pub const A: &str = "BANKDEFF";
pub const B: &str = "BANKFRPP";
pub const PARTIES: [&str; 3] = ["PARTXX2A", "PARTXX2B", "PARTXX2C"];

pub struct Agent {
    pub id: InstitutionId,
    sealing: SealingKey,
    pub note: NoteKey,
    /// What its accounts hold, as far as it remembers.
    balances: BTreeMap<AssetId, Opening>,
}

pub fn signing(name: &str, purpose: Purpose) -> SigningKey {
    let seed = Digest::of("test key", &[name.as_bytes(), purpose.label().as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

pub fn agent(name: &str) -> Agent {
    Agent {
        id: name.parse().unwrap(),
        sealing: SealingKey::generate(SUITE),
        note: NoteKey::from_bytes(&[7; 32]),
        balances: BTreeMap::new(),
    }
}

impl Agent {
    pub fn public(&self) -> SealingPublicKey {
        SealingPublicKey::from_bytes(&self.sealing.public_key().to_bytes()).unwrap()
    }

    pub fn key(&self) -> SigningKey {
        signing(self.id.as_str(), Purpose::Transaction)
    }
}

pub struct Network {
    pub genesis: Genesis,
    pub state: State,
    pub tip: Tip,
    pub agents: BTreeMap<InstitutionId, Agent>,
    pub rng: ChaCha20Rng,
}

pub fn id(name: &str) -> InstitutionId {
    name.parse().unwrap()
}

pub fn code(text: &str) -> AssetId {
    text.parse().unwrap()
}

pub fn network() -> Network {
    let agents: BTreeMap<_, _> =
        [CENTRAL, A, B].map(agent).into_iter().map(|agent| (agent.id, agent)).collect();
    let registered = |name: &str, role, sealing: Option<SealingPublicKey>| {
        let verifying = |purpose: &Purpose| signing(name, *purpose).verifying_key();
        let keys =
            Purpose::ALL.iter().map(|purpose| PublicKey::Signing(*purpose, verifying(purpose)));
        let keys = keys.chain(sealing.map(PublicKey::Sealing)).collect();
        (id(name), GenesisInstitution { roles: [role].into(), keys })
    };
    let mut institutions: BTreeMap<_, _> = agents
        .values()
        .map(|agent| registered(agent.id.as_str(), Role::Participant, Some(agent.public())))
        .collect();
    institutions.extend(PARTIES.map(|name| registered(name, Role::MpcParty, None)));
    institutions.extend([registered("COORXX2A", Role::Coordinator, None)]);
    institutions.extend([registered("NODEXX2A", Role::Validator, None)]);
    let key = signing("NODEXX2A", Purpose::Vote).verifying_key();
    let validators = vec![Validator { institution: id("NODEXX2A"), key, power: 1 }];
    let issued = Asset { issuer: id(CENTRAL), decimals: 2 };
    let committee = Committee { parties: PARTIES.map(id).to_vec(), threshold: 1 };
    let genesis = Genesis {
        name: "Lifecycle".to_owned(),
        time: Timestamp(1),
        suite: SUITE,
        institutions,
        assets: [(code("EUR"), issued), (code("USD"), issued)].into(),
        validators: ValidatorSet::new(validators).unwrap(),
        committees: [(CommitteeId(1), committee)].into(),
        limits: Limits::default(),
    };
    let state = State::genesis(&genesis).unwrap();
    let (tip, rng) = (Tip::genesis(&genesis), ChaCha20Rng::seed_from_u64(1));
    Network { genesis, state, tip, agents, rng }
}

impl Network {
    pub fn terms(&self) -> Terms {
        let chain = self.genesis.chain_id();
        Terms { suite: SUITE, chain, expiry: self.tip.height().plus(10) }
    }

    /// One transaction through a proposer's executor and a validator's verification.
    pub fn include(&mut self, transaction: Transaction) {
        let height = self.tip.height().next();
        let context = BlockContext { height, time: Timestamp(self.tip.time().0 + 1) };
        let verified = transaction.clone().verify(&self.state).unwrap();
        let mut executor = Executor::new(&self.state, context);
        executor.execute(&verified).unwrap();
        let header = Header {
            suite: SUITE,
            chain: self.genesis.chain_id(),
            height,
            parent: self.tip.block(),
            transactions_root: transactions_root(&[verified]),
            state_root: executor.finish().unwrap().root(),
            time: context.time,
            validators: self.tip.validators(),
            next_validators: self.tip.validators(),
        };
        let block = Block { header, transactions: vec![transaction] };
        let block = Block::from_bytes(&block.to_bytes()).unwrap();
        self.tip.check(&block.header).unwrap();
        self.tip = Tip::after(&block.header);
        let block = block.verify(&self.state, |_| None, &mut self.rng).unwrap();
        self.state = apply(&self.state, &block).unwrap().state;
    }

    pub fn sequence(&self, account: &AccountId) -> u64 {
        self.state.account(account).map_or(0, |account| account.sequence)
    }

    pub fn with_poster<T>(
        &mut self,
        name: &str,
        asset: &str,
        act: impl FnOnce(&Poster<'_>, &Self, &mut ChaCha20Rng) -> T,
    ) -> T {
        let mut rng = self.rng.clone();
        let agent = &self.agents[&id(name)];
        let account = AccountId { institution: agent.id, asset: code(asset) };
        let nothing = Opening::zero();
        let poster = Poster {
            chain: self.genesis.chain_id(),
            account,
            side: Side::of(agent.id, id(CENTRAL)),
            key_fingerprint: agent.key().verifying_key().fingerprint(),
            sequence: self.sequence(&account),
            balance: agent.balances.get(&code(asset)).unwrap_or(&nothing),
            note_key: &agent.note,
        };
        let result = act(&poster, self, &mut rng);
        self.rng = rng;
        result
    }

    /// Pays from one account, and includes it.
    pub fn transfer(&mut self, from: &str, asset: &str, to: &[(&str, u64)]) -> Transaction {
        let draft = self.with_poster(from, asset, |poster, network, rng| {
            let keys: Vec<_> =
                to.iter().map(|(name, _)| network.agents[&id(name)].public()).collect();
            let receivers: Vec<_> = to
                .iter()
                .zip(&keys)
                .map(|((name, amount), sealing_key)| Receiver {
                    institution: id(name),
                    sealing_key,
                    amount: *amount,
                    particulars: Particulars::new(Uetr([1; 16]), "E2E", "text").unwrap(),
                })
                .collect();
            poster.transfer(&[], &receivers, Uetr([1; 16]), rng).unwrap()
        });
        let body = self.terms().entries(vec![draft.entry().clone()]).unwrap();
        let Proven { proof, new_balance } = draft.prove(&body, &mut self.rng).unwrap();
        let transaction = self.sign(Unsigned::new(body, vec![proof]).unwrap());
        self.include(transaction.clone());
        self.remember(from, asset, new_balance);
        transaction
    }

    /// Absorbs all that is pending: what others sent by its payload, what came back by own notes.
    pub fn absorb(&mut self, name: &str, asset: &str, log: &[Transaction]) {
        let account = AccountId { institution: id(name), asset: code(asset) };
        let pending = self.state.pending(&account).cloned().unwrap_or_default();
        let absorbed: Vec<_> = pending
            .iter()
            .map(|credit| Absorbed {
                id: credit.id,
                opening: self.opening_of(name, asset, credit.id, log),
            })
            .collect();
        let draft =
            self.with_poster(name, asset, |poster, _, rng| poster.absorb(&absorbed, rng).unwrap());
        let body = self.terms().entries(vec![draft.entry().clone()]).unwrap();
        let Proven { proof, new_balance } = draft.prove(&body, &mut self.rng).unwrap();
        let transaction = self.sign(Unsigned::new(body, vec![proof]).unwrap());
        self.include(transaction);
        self.remember(name, asset, new_balance);
    }

    /// What an agent that has only its key file and the chain finds out about a credit.
    pub fn opening_of(
        &self,
        name: &str,
        asset: &str,
        wanted: CreditId,
        log: &[Transaction],
    ) -> Opening {
        let (agent, chain) = (&self.agents[&id(name)], self.genesis.chain_id());
        for transaction in log {
            let entries = (0u32..).zip(transaction.body().entries());
            for (entry, Entry { asset: in_asset, postings, credits }) in entries {
                for (index, credit) in (0u32..).zip(credits) {
                    if transaction.credit_id(entry, index) != wanted {
                        continue;
                    }
                    assert_eq!(*in_asset, code(asset));
                    if credit.institution == agent.id {
                        let payload = CreditPayload::open(chain, *in_asset, credit, &agent.sealing);
                        return payload.map(|payload| payload.opening).unwrap();
                    }
                    let own = postings.iter().find(|posting| posting.institution == agent.id);
                    let side = Side::of(agent.id, id(CENTRAL));
                    let note = SelfNote::open(chain, *in_asset, own.unwrap(), side, &agent.note);
                    let opening = note.unwrap().credit_opening(index).unwrap();
                    assert!(opening.opens(&credit.commitment));
                    return opening;
                }
            }
        }
        panic!("no transaction has made credit {wanted}");
    }

    pub fn sign(&self, unsigned: Unsigned) -> Transaction {
        let signers: Vec<_> = unsigned.signers().keys().copied().collect();
        let sign = |id| unsigned.sign(id, &signing(id.as_str(), Purpose::Transaction)).unwrap();
        let signatures = signers.into_iter().map(sign).collect();
        unsigned.assemble(signatures).unwrap()
    }

    pub fn act(&mut self, action: Action) -> Transaction {
        let body = self.terms().act(action).unwrap();
        let transaction = self.sign(Unsigned::new(body, vec![]).unwrap());
        self.include(transaction.clone());
        transaction
    }

    pub fn remember(&mut self, name: &str, asset: &str, balance: Opening) {
        self.agents.get_mut(&id(name)).unwrap().balances.insert(code(asset), balance);
        self.check(name, asset);
    }

    /// What the agent remembers is what the ledger has.
    pub fn check(&self, name: &str, asset: &str) {
        let account = AccountId { institution: id(name), asset: code(asset) };
        let balance = self.state.account(&account).unwrap().balance;
        let side = Side::of(id(name), id(CENTRAL));
        assert!(self.agents[&id(name)].balances[&code(asset)].opens(&side.proven(balance)));
    }

    pub fn holds(&self, name: &str, asset: &str) -> u64 {
        self.agents[&id(name)].balances[&code(asset)].value
    }
}

impl Network {
    /// A block that changes nothing but the height.
    pub fn act_of_nobody(&mut self) {
        self.absorb(CENTRAL, "USD", &[]);
    }
}
