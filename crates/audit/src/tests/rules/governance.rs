//! Decisions and rotations: the ledger and the auditor agree on what is valid, and on every root.

use quittance_crypto::seal::SealingKey;
use quittance_ledger::build::NewKey;
use quittance_ledger::execute::{BlockContext, Executor};
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::{Asset, Committee, PublicKey, Role, SettlementRule};
use quittance_ledger::transaction::{Approval, Change, Governance};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;

const VALIDATOR: &str = "VALDZZ01";
const OTHERS: [&str; 6] = [ONE, TWO, THREE, CENTRAL, COORDINATOR, "MPCAZZ01"];

fn decision(chain: &Chain, effective: Height, changes: Vec<Change>) -> Governance {
    let key_fingerprint = chain.fingerprint(VALIDATOR);
    let approvals = vec![Approval { institution: id(VALIDATOR), key_fingerprint }];
    Governance { number: chain.state.last_decision() + 1, effective, changes, approvals }
}

fn decides(chain: &mut Chain, changes: Vec<Change>) {
    let decision = decision(chain, chain.height().plus(2), changes);
    chain.act(Action::Governance(decision));
    chain.close();
}

fn key_named(name: u32) -> SigningKey {
    SigningKey::from_seed(Suite::MlDsa65MlKem768, &Digest::of("new key", &[&name.to_be_bytes()]).0)
}

fn below(rng: &mut ChaCha20Rng, count: u32) -> u32 {
    rng.next_u32() % count
}

fn purpose(rng: &mut ChaCha20Rng) -> Purpose {
    Purpose::ALL[below(rng, 5) as usize]
}

fn change(rng: &mut ChaCha20Rng) -> Change {
    let institution: InstitutionId = id(OTHERS[below(rng, 6) as usize]);
    let code = asset(["EUR", "USD", "GBP"][below(rng, 3) as usize]);
    let number = CommitteeId(below(rng, 2) + 1);
    let all = [Role::Participant, Role::Coordinator, Role::MpcParty, Role::Validator];
    let roles = all.into_iter().filter(|_| below(rng, 3) > 0).collect();
    match below(rng, 13) {
        0 => Change::PutValidator { institution, power: u64::from(below(rng, 3)) + 1 },
        1 => Change::RemoveValidator { institution },
        2 => {
            let name = below(rng, 5);
            let public =
                |name| PublicKey::Signing(Purpose::Transaction, key_named(name).verifying_key());
            let institution = format!("NEWAZZ0{name}").parse().unwrap();
            Change::Admit { institution, roles: [].into(), keys: vec![public(name)] }
        }
        3 => Change::Suspend { institution },
        4 => Change::Readmit { institution },
        5 => Change::SetRoles { institution, roles },
        6 => {
            let key = key_named(below(rng, 20)).verifying_key();
            Change::ReplaceKey { institution, key: PublicKey::Signing(purpose(rng), key) }
        }
        7 => {
            let terms = Asset { issuer: id(CENTRAL), decimals: 2 };
            Change::ListAsset { asset: code, terms }
        }
        8 => Change::RetireAsset { asset: code },
        9 => {
            let parties = ["MPCAZZ01", "MPCBZZ01", "MPCCZZ01"].map(id).to_vec();
            Change::PutCommittee { id: number, committee: Committee { parties, threshold: 1 } }
        }
        10 => Change::RemoveCommittee { id: number },
        11 => {
            let attachment = below(rng, 2) == 0;
            Change::SetSettlementRule(SettlementRule { programs: vec![], attachment })
        }
        _ => Change::Withdraw { number: u64::from(below(rng, 20)) },
    }
}

fn attempt(chain: &Chain, rng: &mut ChaCha20Rng) -> Transaction {
    let effective = chain.height().plus(u64::from(below(rng, 5)) + 1);
    if below(rng, 4) == 0 {
        let who = OTHERS[below(rng, 6) as usize];
        let (new, purpose) = (key_named(below(rng, 20)), purpose(rng));
        let new = NewKey::Signing(purpose, &new);
        let body = chain.terms().rotation(id(who), chain.fingerprint(who), &new, effective);
        return signed(body.unwrap(), &[who]);
    }
    let changes = (0..=below(rng, 2)).map(|_| change(rng)).collect();
    let mut decision = decision(chain, effective, changes);
    if below(rng, 10) == 0 {
        decision.number += 1;
    }
    signed(body(chain, Action::Governance(decision)), &[VALIDATOR])
}

#[test]
fn random_decisions_are_judged_alike() {
    let (mut chain, mut rng) = (base(), ChaCha20Rng::seed_from_u64(5));
    decides(&mut chain, vec![Change::PutValidator { institution: id(VALIDATOR), power: 100 }]);
    chain.close();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..120 {
        let transaction = attempt(&chain, &mut rng);
        let height = chain.height().next();
        let context = BlockContext { height, time: Timestamp(1_000_000 + height.0) };
        let verified = transaction.clone().verify(&chain.state).ok();
        let verified =
            verified.filter(|it| Executor::new(&chain.state, context).execute(it).is_ok());
        // Roots are compared by the audit of the chain that follows; this one is of the next block.
        let fault = audit(&chain, vec![transaction]).unwrap_err();
        let fits = ["state root", "next validators"].contains(&fault.rule);
        assert_eq!(verified.is_some(), fits, "at height {height}: {fault}");
        match verified {
            Some(transaction) => {
                accepted += 1;
                chain.waiting.push(transaction);
                chain.close();
            }
            None => refused += 1,
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 20 && refused > 20, "{accepted} accepted, {refused} refused");
}

/// Two validators, of which the first is just enough to decide.
fn two_validators() -> Chain {
    let mut chain = base();
    let roles = [Role::Participant, Role::Validator].into();
    let changes = vec![
        Change::PutValidator { institution: id(VALIDATOR), power: 101 },
        Change::SetRoles { institution: id(ONE), roles },
        Change::PutValidator { institution: id(ONE), power: 50 },
    ];
    decides(&mut chain, changes);
    chain.close();
    chain
}

#[test]
fn more_than_two_thirds_of_the_power_decide() {
    let chain = two_validators();
    let change = Change::RetireAsset { asset: asset("USD") };
    let by = |names: &[&str]| {
        let mut decision = decision(&chain, chain.height().plus(2), vec![change.clone()]);
        let approval =
            |who: &&str| Approval { institution: id(who), key_fingerprint: chain.fingerprint(who) };
        decision.approvals = names.iter().map(approval).collect();
        broken(&chain, vec![signed(body(&chain, Action::Governance(decision)), names)])
    };
    assert_eq!(by(&[ONE, VALIDATOR]), None);
    assert_eq!(by(&[VALIDATOR]), None);
    assert_eq!(by(&[ONE]), Some("quorum of the decision"));
    assert_eq!(by(&[TWO]), Some("validators approve"));
}

#[test]
fn three_times_the_power_of_all_fits_64_bits() {
    let chain = base();
    let heavy = |power| {
        let change = Change::PutValidator { institution: id(VALIDATOR), power };
        let decision = decision(&chain, chain.height().plus(3), vec![change]);
        broken(&chain, vec![signed(body(&chain, Action::Governance(decision)), &[VALIDATOR])])
    };
    assert_eq!(heavy(u64::MAX / 3), None);
    assert_eq!(heavy(u64::MAX / 3 + 1), Some("total power"));
    assert_eq!(heavy(u64::MAX), Some("total power"));
}

#[test]
fn what_was_decided_binds_the_auditor() {
    let mut chain = base();
    decides(&mut chain, vec![Change::Suspend { institution: id(THREE) }]);
    chain.close();
    assert_eq!(breaks(chain, |chain| chain.pay(ONE, "EUR", &[(THREE, 1)])), Some("not suspended"));
    let mut chain = base();
    decides(&mut chain, vec![Change::RetireAsset { asset: asset("EUR") }]);
    chain.close();
    assert_eq!(waiting(&mut chain), None);
    assert_eq!(breaks(chain, |chain| chain.pay(CENTRAL, "EUR", &[(ONE, 1)])), Some("not retired"));
}

#[test]
fn a_new_key_is_signed_by_the_old_one_and_by_itself() {
    let chain = base();
    let new = key_named(1);
    let new = NewKey::Signing(Purpose::Round, &new);
    let effective = chain.height().plus(2);
    let good = chain.terms().rotation(id(ONE), chain.fingerprint(ONE), &new, effective).unwrap();
    assert_eq!(broken(&chain, vec![signed(good.clone(), &[ONE])]), None);
    let unsigned = signed(good.clone(), &[]);
    assert_eq!(broken(&chain, vec![unsigned]), Some("everyone signs who must"));
    let mut later = good;
    let Action::KeyRotation(rotation) = &mut later.action else { panic!("a rotation") };
    rotation.effective = rotation.effective.next();
    assert_eq!(broken(&chain, vec![signed(later.clone(), &[ONE])]), Some("proof of possession"));
    let Action::KeyRotation(rotation) = &mut later.action else { panic!("a rotation") };
    rotation.key = PublicKey::Sealing(SealingKey::generate(chain::SUITE).public_key().clone());
    assert_eq!(broken(&chain, vec![signed(later, &[ONE])]), Some("proof of possession"));
}
