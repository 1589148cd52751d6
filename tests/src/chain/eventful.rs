//! A chain with everything in it.

use std::collections::BTreeSet;

use quittance_crypto::digest::Digest;
use quittance_crypto::signature::{Purpose, SigningKey};
use quittance_ledger::build::NewKey;
use quittance_ledger::ids::CommitteeId;
use quittance_ledger::state::{Asset, Committee, Limits, PublicKey, Role, SettlementRule};
use quittance_ledger::transaction::{Action, Approval, Change, Governance, ReturnReason};

use super::{BANKS, CENTRAL, Chain, PARTIES, SUITE, VALIDATOR, asset, id};

impl Chain {
    /// A chain with every kind of transaction in it.
    pub fn eventful() -> Self {
        let [one, two, three] = BANKS;
        let mut chain = Self::new();
        chain.pay(CENTRAL, "EUR", &[(one, 1_000), (two, 500), (three, 0)]);
        chain.pay(CENTRAL, "USD", &[(two, 700)]);
        chain.close();
        chain.pay(one, "EUR", &[(two, 100), (three, 0)]);
        chain.pay(one, "EUR", &[(three, 50)]);
        chain.pay(two, "USD", &[]);
        chain.close();
        chain.exchange(one, 20, two, 30);
        chain.close();
        chain.give_back(three, "EUR", CENTRAL, ReturnReason::Rejected);
        chain.give_back(three, "EUR", one, ReturnReason::Refunded);
        chain.close();
        chain.pay(one, "EUR", &[]);
        chain.pay(two, "EUR", &[]);
        chain.pay(three, "EUR", &[]);
        chain.close();
        chain.round("EUR", &[(one, -40), (two, 70), (three, -30)]);
        chain.pay(two, "EUR", &[(CENTRAL, 10)]);
        chain.close();
        chain.pay(CENTRAL, "EUR", &[]);
        chain.close();
        govern(&mut chain);
        chain
    }
}

/// An institution that the chain admits.
const NEW: &str = "NEWBZZ01";
/// Decided on in the last block, and still waiting.
const LATER: u64 = 1_000;

/// A key that is not in the genesis.
fn new_key(name: &str) -> SigningKey {
    SigningKey::from_seed(SUITE, &Digest::of("test new key", &[name.as_bytes()]).0)
}

fn signing(purpose: Purpose, name: &str) -> PublicKey {
    PublicKey::Signing(purpose, new_key(name).verifying_key())
}

/// Decisions with every kind of change: of institutions, of what there is, and one that waits and is
/// withdrawn; and a key that a bank replaces itself.
fn govern(chain: &mut Chain) {
    let [one, two, _] = BANKS;
    let (institution, parties) = (id(NEW), PARTIES.map(id).to_vec());
    let keys = vec![signing(Purpose::Transaction, "t"), signing(Purpose::Vote, "v")];
    let committee = Committee { parties, threshold: 1 };
    let terms = Asset { issuer: id(CENTRAL), decimals: 0 };
    let roles = BTreeSet::from([Role::Participant, Role::Coordinator]);
    let limits = Limits { refund_after: 2, ..Limits::default() };
    let program = Digest::of("test program", &[]);
    decide(
        chain,
        1,
        vec![
            Change::Admit { institution, roles: [Role::Validator].into(), keys },
            Change::PutValidator { institution, power: 1 },
            Change::PutValidator { institution: id(VALIDATOR), power: 5 },
            Change::SetRoles { institution: id(one), roles },
            Change::ReplaceKey { institution: id(two), key: signing(Purpose::Round, "lost") },
        ],
    );
    decide(
        chain,
        1,
        vec![
            Change::Suspend { institution: id(one) },
            Change::ListAsset { asset: asset("GBP"), terms },
            Change::RetireAsset { asset: asset("USD") },
            Change::PutCommittee { id: CommitteeId(2), committee },
            Change::RemoveCommittee { id: CommitteeId(1) },
            Change::SetLimits(limits),
            Change::SetSettlementRule(SettlementRule {
                programs: vec![program],
                attachment: false,
            }),
        ],
    );
    chain.close();
    let key = new_key("next");
    let key = NewKey::Signing(Purpose::Transaction, &key);
    let effective = chain.height().plus(LATER);
    let rotation = chain.terms().rotation(id(two), chain.fingerprint(two), &key, effective);
    chain.sign(rotation.expect("a well-formed body"), vec![]);
    decide(chain, LATER, vec![Change::RemoveValidator { institution }]);
    let number = decide(chain, LATER, vec![Change::Readmit { institution: id(one) }]);
    decide(chain, 1, vec![Change::Withdraw { number }]);
    chain.close();
}

/// The first validator decides; it takes effect so many blocks after the one at work. The number of
/// the decision.
fn decide(chain: &mut Chain, blocks: u64, changes: Vec<Change>) -> u64 {
    let decisions = chain.waiting.iter().map(|waiting| &waiting.body().action);
    let waiting = decisions.filter(|action| matches!(action, Action::Governance(_))).count();
    let number = chain.state.last_decision() + 1 + waiting as u64;
    let key_fingerprint = chain.fingerprint(VALIDATOR);
    let approvals = vec![Approval { institution: id(VALIDATOR), key_fingerprint }];
    let effective = chain.height().next().plus(blocks);
    let decision = Governance { number, effective, changes, approvals };
    chain.act(Action::Governance(decision));
    number
}
