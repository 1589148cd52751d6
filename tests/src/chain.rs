//! A small chain in memory with everything that this version of the ledger executes: a central
//! bank, three banks, a coordinator and a committee, each with real keys.

#[path = "chain/eventful.rs"]
mod eventful;
#[path = "chain/rounds.rs"]
mod rounds;

use std::collections::BTreeMap;

use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::note::NoteKey;
use quittance_crypto::range_proof;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::build::{Absorbed, EntryDraft, Poster, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{
    Certificate, Validator, ValidatorSet, ValidatorSignature, Vote, VoteKind,
};
use quittance_ledger::execute::{BlockContext, Executor};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{
    AccountId, AssetId, BlockId, CommitteeId, CreditId, Height, InstitutionId, Timestamp, Uetr,
};
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, State};
use quittance_ledger::transaction::{
    Action, Body, CreditReturn, ReturnReason, Side, Transaction, Verified,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// The suite of the chain.
pub const SUITE: Suite = Suite::MlDsa65MlKem768;
/// Issues EUR and USD.
pub const CENTRAL: &str = "CBNKZZ01";
/// Banks.
pub const BANKS: [&str; 3] = ["AAAABE01", "BBBBDE01", "CCCCFR01"];
/// Opens rounds.
pub const COORDINATOR: &str = "CORDZZ01";
const PARTIES: [&str; 3] = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"];
/// Decides.
pub const VALIDATOR: &str = "VALDZZ01";

struct Member {
    signing: SigningKey,
    sealing: SealingKey,
    note: NoteKey,
}

/// The chain with what each of its institutions knows.
pub struct Chain {
    /// What it began with.
    pub genesis: Genesis,
    /// The state after the last block.
    pub state: State,
    /// All blocks.
    pub blocks: Vec<(Block<Verified>, Certificate)>,
    members: BTreeMap<InstitutionId, Member>,
    /// What each account's owner believes its balance and sequence number to be.
    pub balances: BTreeMap<AccountId, (Opening, u64)>,
    /// What each account's owner can absorb.
    pub pending: BTreeMap<AccountId, Vec<Absorbed>>,
    /// The transactions of the block at work.
    pub waiting: Vec<Transaction<Verified>>,
    rng: ChaCha20Rng,
}

/// An id.
pub fn id(text: &str) -> InstitutionId {
    text.parse().expect("the tests use valid ids")
}

/// An asset.
pub fn asset(text: &str) -> AssetId {
    text.parse().expect("the tests use valid assets")
}

/// An account.
pub fn account(who: &str, code: &str) -> AccountId {
    AccountId { institution: id(who), asset: asset(code) }
}

/// A member's key.
pub fn key(who: &str, purpose: Purpose) -> SigningKey {
    let seed = Digest::of("test key", &[who.as_bytes(), purpose.label().as_bytes()]);
    SigningKey::from_seed(SUITE, &seed.0)
}

fn roles() -> Vec<(&'static str, Role)> {
    let mut roles = vec![(CENTRAL, Role::Participant), (COORDINATOR, Role::Coordinator)];
    roles.extend(BANKS.map(|bank| (bank, Role::Participant)));
    roles.extend(PARTIES.map(|party| (party, Role::MpcParty)));
    roles.push((VALIDATOR, Role::Validator));
    roles
}

impl Chain {
    /// At height 0.
    pub fn new() -> Self {
        Self::with_limits(Limits { refund_after: 1, ..Limits::default() })
    }

    /// The same under other limits.
    pub fn with_limits(limits: Limits) -> Self {
        let (mut members, mut institutions) = (BTreeMap::new(), BTreeMap::new());
        for (who, role) in roles() {
            let sealing = SealingKey::generate(SUITE);
            let public = |purpose: &Purpose| {
                PublicKey::Signing(*purpose, key(who, *purpose).verifying_key())
            };
            let mut keys: Vec<_> = Purpose::ALL.iter().map(public).collect();
            keys.push(PublicKey::Sealing(sealing.public_key().clone()));
            institutions.insert(id(who), GenesisInstitution { roles: [role].into(), keys });
            let note = NoteKey::from_bytes(&Digest::of("test note", &[who.as_bytes()]).0);
            let signing = key(who, Purpose::Transaction);
            members.insert(id(who), Member { signing, sealing, note });
        }
        let vote = key(VALIDATOR, Purpose::Vote).verifying_key();
        let validator = Validator { institution: id(VALIDATOR), key: vote, power: 1 };
        let committee = Committee { parties: PARTIES.map(id).to_vec(), threshold: 1 };
        let issued = Asset { issuer: id(CENTRAL), decimals: 2 };
        let genesis = Genesis {
            name: "Test".to_owned(),
            time: Timestamp(1_000_000),
            suite: SUITE,
            institutions,
            assets: [(asset("EUR"), issued), (asset("USD"), issued)].into(),
            validators: ValidatorSet::new(vec![validator]).expect("one validator is a set"),
            committees: [(CommitteeId(1), committee)].into(),
            limits,
        };
        Self {
            state: State::genesis(&genesis).expect("the genesis is sound"),
            genesis,
            blocks: Vec::new(),
            members,
            balances: BTreeMap::new(),
            pending: BTreeMap::new(),
            waiting: Vec::new(),
            rng: ChaCha20Rng::seed_from_u64(1),
        }
    }

    fn member(&self, who: &str) -> &Member {
        self.members.get(&id(who)).expect("only members act")
    }

    /// The fingerprint of a member's key for transactions.
    pub fn fingerprint(&self, who: &str) -> Digest {
        self.member(who).signing.verifying_key().fingerprint()
    }

    /// The height of the last block.
    pub fn height(&self) -> Height {
        Height(self.blocks.len() as u64)
    }

    /// Terms of a transaction made now.
    pub fn terms(&self) -> Terms {
        Terms { suite: SUITE, chain: self.state.chain().id, expiry: self.height().plus(10) }
    }

    fn poster<'a>(&'a self, who: &str, code: &str, balance: &'a Opening) -> Poster<'a> {
        let account = account(who, code);
        Poster {
            chain: self.state.chain().id,
            account,
            side: Side::of(account.institution, id(CENTRAL)),
            key_fingerprint: self.fingerprint(who),
            sequence: self.sequence(&account),
            balance,
            note_key: &self.member(who).note,
        }
    }

    fn sequence(&self, account: &AccountId) -> u64 {
        self.balances.get(account).map_or(0, |(_, sequence)| *sequence)
    }

    fn opening(&self, account: &AccountId) -> Opening {
        self.balances.get(account).map_or_else(Opening::zero, |(opening, _)| opening.clone())
    }

    /// An entry in which `from` absorbs all that is pending and pays the receivers, if any.
    fn entry(&mut self, from: &str, code: &str, to: &[(&str, u64)]) -> EntryDraft {
        let balance = self.opening(&account(from, code));
        let absorbed = self.pending.remove(&account(from, code)).unwrap_or_default();
        let mut rng = self.rng.clone();
        let poster = self.poster(from, code, &balance);
        let particulars =
            Particulars::new(Uetr([3; 16]), "E2E", "rent").expect("valid particulars");
        let receivers: Vec<_> = to
            .iter()
            .map(|(who, amount)| Receiver {
                institution: id(who),
                sealing_key: self.member(who).sealing.public_key(),
                amount: *amount,
                particulars: particulars.clone(),
            })
            .collect();
        let draft = match to {
            [] => poster.absorb(&absorbed, &mut rng),
            _ => poster.transfer(&absorbed, &receivers, Uetr([9; 16]), &mut rng),
        };
        self.rng = rng;
        draft.expect("the tests spend what they have")
    }

    /// One transaction of these entries, each of one bank, at the end of the block at work.
    fn submit(&mut self, drafts: Vec<(&str, EntryDraft)>) {
        let entries = drafts.iter().map(|(_, draft)| draft.entry().clone()).collect();
        let body = self.terms().entries(entries).expect("a well-formed body");
        let mut proofs = BTreeMap::new();
        for (who, draft) in drafts {
            let account = AccountId { institution: id(who), asset: draft.entry().asset };
            let proven = draft.prove(&body, &mut self.rng).expect("provable");
            let sequence = self.sequence(&account) + 1;
            self.balances.insert(account, (proven.new_balance, sequence));
            proofs.insert(account.asset, proven.proof);
        }
        self.sign(body, proofs.into_values().collect());
    }

    fn sign(&mut self, body: Body, proofs: Vec<range_proof::RangeProof>) -> Transaction<Verified> {
        let unsigned = Unsigned::new(body, proofs).expect("one proof for each entry");
        let signers: Vec<_> = unsigned.signers().keys().copied().collect();
        let sign = |who: InstitutionId| unsigned.sign(who, &self.members[&who].signing);
        let signatures = signers.into_iter().map(sign).collect::<Result<_, _>>();
        let transaction = unsigned.assemble(signatures.expect("signers have their keys"));
        let transaction = transaction.expect("all have signed").verify(&self.state);
        let transaction = transaction.expect("what honest banks make verifies");
        self.waiting.push(transaction.clone());
        transaction
    }

    /// Absorbs all that is pending and pays the receivers, if any.
    pub fn pay(&mut self, from: &str, code: &str, to: &[(&str, u64)]) {
        let draft = self.entry(from, code, to);
        self.submit(vec![(from, draft)]);
    }

    /// Payment against payment: `one` gives EUR, `other` gives USD.
    pub fn exchange(&mut self, one: &str, eur: u64, other: &str, usd: u64) {
        let first = self.entry(one, "EUR", &[(other, eur)]);
        let second = self.entry(other, "USD", &[(one, usd)]);
        self.submit(vec![(one, first), (other, second)]);
    }

    /// The first credit pending on an account goes back to its sender.
    pub fn give_back(&mut self, holder: &str, code: &str, sender: &str, reason: ReturnReason) {
        let holder_account = account(holder, code);
        let credit = self.pending.get_mut(&holder_account).map(|pending| pending.remove(0));
        let credit = credit.expect("something is pending");
        let by = if reason == ReturnReason::Rejected { holder } else { sender };
        let back = CreditReturn {
            credit: credit.id,
            holder: holder_account,
            by: id(by),
            key_fingerprint: self.fingerprint(by),
            reason,
        };
        self.act(Action::Return(back));
        self.pending.entry(account(sender, code)).or_default().push(credit);
    }

    /// One transaction of this action, signed by who must.
    pub fn act(&mut self, action: Action) -> Transaction<Verified> {
        let body = self.terms().act(action).expect("a well-formed body");
        self.sign(body, Vec::new())
    }

    /// Ends the block at work; the receivers of its credits open them.
    pub fn close(&mut self) {
        let height = self.height().next();
        let time = Timestamp(1_000_000 + height.0);
        let mut executor = Executor::new(&self.state, BlockContext { height, time });
        for transaction in &self.waiting {
            executor.execute(transaction).expect("what honest banks make executes");
        }
        let outcome = executor.finish().expect("the state stays sound");
        let header = Header {
            suite: SUITE,
            chain: self.state.chain().id,
            height,
            parent: self.blocks.last().map_or(BlockId(Digest::ZERO), |(block, _)| block.id()),
            transactions_root: transactions_root(&self.waiting),
            state_root: outcome.root(),
            time,
            validators: self.state.validators().digest(),
            next_validators: outcome.state.validators().digest(),
        };
        let block = Block { header, transactions: std::mem::take(&mut self.waiting) };
        block.transactions.iter().for_each(|transaction| self.receive(transaction));
        let certificate = certify(&block.header);
        self.blocks.push((block, certificate));
        self.state = outcome.state;
    }

    fn receive(&mut self, transaction: &Transaction<Verified>) {
        let chain = self.state.chain().id;
        for (entry, contents) in (0u32..).zip(transaction.body().entries()) {
            for (index, credit) in (0u32..).zip(&contents.credits) {
                let key = &self.members[&credit.institution].sealing;
                let payload = CreditPayload::open(chain, contents.asset, credit, key);
                let opening = payload.expect("sealed to its receiver").opening.clone();
                let id: CreditId = transaction.credit_id(entry, index);
                let account = AccountId { institution: credit.institution, asset: contents.asset };
                self.pending.entry(account).or_default().push(Absorbed { id, opening });
            }
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// The certificate that the only validator gives.
pub fn certify(header: &Header) -> Certificate {
    let (block, height) = (header.id(), header.height);
    let kind = VoteKind::Precommit;
    let vote = Vote { chain: header.chain, height, round: 0, kind, block: Some(block) };
    let signature = vote.sign(&key(VALIDATOR, Purpose::Vote));
    let signatures = vec![ValidatorSignature { institution: id(VALIDATOR), signature }];
    Certificate { height, round: 0, block, signatures }
}
