//! Keys that institutions replace themselves, and keys that a quorum replaces for them.

use quittance_crypto::digest::Digest;
use quittance_crypto::seal::SealingKey;
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::build::{NewKey, Terms};
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::{ChainId, Height};
use quittance_ledger::state::{MAX_KEYS, PublicKey, RESERVED_KEYS};
use quittance_ledger::transaction::{
    Action, Body, Change, ChangeError, KeyRotation, MAX_LEAD, Malformed, Transaction,
};
use quittance_ledger::verify::VerificationError;

use crate::decisions::decide;
use crate::world::{BANKS, Candidate, Net, SUITE, account, id, key, post, signing_key};

const A: &str = BANKS[0];
const B: &str = BANKS[1];

fn terms(net: &Net) -> Terms {
    Terms { suite: SUITE, chain: net.state.chain().id, expiry: net.height.plus(5) }
}

/// A's new key of this name, for transactions.
fn rotation(net: &Net, name: &str, effective: Height) -> Body {
    let new = signing_key(id(A), name);
    let new = NewKey::Signing(Purpose::Transaction, &new);
    terms(net).rotation(id(A), key(A, "transaction"), &new, effective).unwrap()
}

fn candidate(net: &mut Net, body: Body) -> Candidate {
    net.candidate(body.action, vec![], |_| {})
}

fn rotate(net: &mut Net, name: &str, effective: Height) -> Result<(), ExecutionError> {
    let body = rotation(net, name, effective);
    let candidate = candidate(net, body);
    net.submit(&candidate)
}

/// A posting of A that changes nothing, by the key of this name.
fn post_with(net: &Net, name: &str) -> Result<(), ExecutionError> {
    net.clone().submit_with("EUR", &[post(A)], |entries| {
        entries[0].postings[0].key_fingerprint = key(A, name);
    })
}

fn not_current(name: &str) -> Result<(), ExecutionError> {
    let (institution, fingerprint) = (id(A), key(A, name));
    Err(ExecutionError::KeyNotCurrent { institution, fingerprint })
}

#[test]
fn a_new_key_counts_from_its_height_on_and_the_old_one_until_then() {
    let mut net = Net::funded();
    rotate(&mut net, "next", Height(6)).unwrap();
    // In the same block the register has not changed for those who post.
    assert_eq!(post_with(&net, "transaction"), Ok(()));
    net.close();
    for height in 4..6 {
        net.advance_to(Height(height));
        assert_eq!(post_with(&net, "transaction"), Ok(()));
        assert_eq!(post_with(&net, "next"), not_current("next"));
    }
    net.advance_to(Height(6));
    assert_eq!(post_with(&net, "transaction"), not_current("transaction"));
    assert_eq!(post_with(&net, "next"), Ok(()));
    // What the old one has signed still verifies.
    use quittance_ledger::verify::Directory;
    assert!(net.state.transaction_key(id(A), &key(A, "transaction")).is_some());
}

#[test]
fn the_key_of_before_signs_and_no_other() {
    let mut net = Net::funded();
    let body = rotation(&net, "next", Height(6));
    let Action::KeyRotation(good) = body.action.clone() else { unreachable!() };
    let by = |name: &str, net: &mut Net| {
        let rotation = KeyRotation { key_fingerprint: key(A, name), ..good.clone() };
        net.act(Action::KeyRotation(rotation)).map(drop)
    };
    let (institution, fingerprint) = (id(A), key(A, "next"));
    assert_eq!(by("next", &mut net), Err(ExecutionError::UnknownKey { institution, fingerprint }));
    let fingerprint = key(A, "vote");
    let error = ExecutionError::KeyOfOtherPurpose { institution, fingerprint };
    assert_eq!(by("vote", &mut net), Err(error));
    // Not signed at all, or by another institution.
    let signed = candidate(&mut net, body.clone()).transaction;
    let verify = |signatures| Transaction::new(body.clone(), vec![], signatures).verify(&net.state);
    assert_eq!(verify(vec![]).err(), Some(VerificationError::MissingSignature(id(A))));
    let mut other = signed.signatures().to_vec();
    other[0].institution = id(B);
    assert_eq!(verify(other).err(), Some(VerificationError::UnexpectedSignature(id(B))));
    assert!(verify(signed.signatures().to_vec()).is_ok());
}

#[test]
fn the_new_key_shows_that_its_owner_has_it() {
    let mut net = Net::funded();
    let body = rotation(&net, "next", Height(6));
    let signed = |net: &mut Net, body: &Body| {
        let digest = Transaction::new(body.clone(), vec![], vec![]).signing_digest();
        let (institution, key_fingerprint) = (id(A), key(A, "transaction"));
        let signature = net.sign(key_fingerprint, &digest);
        let by = quittance_ledger::transaction::InstitutionSignature {
            institution,
            key_fingerprint,
            signature,
        };
        Transaction::new(body.clone(), vec![], vec![by]).verify(&net.state)
    };
    assert!(signed(&mut net, &body).is_ok());
    let mut refused = |change: &dyn Fn(&mut KeyRotation)| {
        let mut body = body.clone();
        let Action::KeyRotation(rotation) = &mut body.action else { unreachable!() };
        change(rotation);
        signed(&mut net, &body).unwrap_err()
    };
    let mut not_shown = |change: &dyn Fn(&mut KeyRotation)| {
        let error = refused(change);
        assert!(matches!(error, VerificationError::Possession { .. }), "{error}");
    };
    // Signed anew by the old key each time: the new key has signed something else.
    not_shown(&|it| it.effective = it.effective.next());
    let stranger = signing_key(id(A), "stranger").verifying_key();
    not_shown(&|it| it.key = PublicKey::Signing(Purpose::Transaction, stranger.clone()));
    let next = signing_key(id(A), "next").verifying_key();
    not_shown(&|it| it.key = PublicKey::Signing(Purpose::Vote, next.clone()));
    let statement = |it: &KeyRotation| it.possession_digest(ChainId(Digest([9; 32])));
    let elsewhere = signing_key(id(A), "next");
    not_shown(&|it| {
        it.possession = Some(elsewhere.sign(Purpose::Transaction, &statement(it)));
    });
    let institution = id(A);
    let malformed = VerificationError::Malformed(Malformed::Possession { institution });
    assert_eq!(refused(&|it| it.possession = None), malformed);
    let sealing = SealingKey::generate(SUITE);
    let sealing = PublicKey::Sealing(sealing.public_key().clone());
    assert_eq!(refused(&|it| it.key = sealing.clone()), malformed);
    let other = SealingKey::generate(Suite::MlDsa87MlKem1024);
    let other = PublicKey::Sealing(other.public_key().clone());
    let malformed = VerificationError::Malformed(Malformed::KeySuite { institution });
    assert_eq!(refused(&|it| (it.key, it.possession) = (other.clone(), None)), malformed);
}

#[test]
fn every_use_of_a_key_can_be_replaced() {
    let mut net = Net::funded();
    let sealing = SealingKey::generate(SUITE);
    let (round, binding) = (signing_key(id(A), "r"), signing_key(id(A), "b"));
    let new = [
        NewKey::Signing(Purpose::Round, &round),
        // One that it has not had before.
        NewKey::Signing(Purpose::KeyBinding, &binding),
        NewKey::Sealing(sealing.public_key()),
    ];
    for new in new {
        let body = terms(&net).rotation(id(A), key(A, "transaction"), &new, Height(6)).unwrap();
        let candidate = candidate(&mut net, body);
        net.submit(&candidate).unwrap();
    }
    net.close();
    let register = net.state.institution(&id(A)).unwrap();
    let current = |purpose, height| {
        register.signing_key(purpose, Height(height)).map(|key| key.fingerprint())
    };
    assert_eq!(current(Purpose::Round, 5), Some(key(A, "round")));
    assert_eq!(current(Purpose::Round, 6), Some(key(A, "r")));
    assert_eq!(current(Purpose::KeyBinding, 5), None);
    assert_eq!(current(Purpose::KeyBinding, 6), Some(key(A, "b")));
    assert_ne!(register.sealing_key(Height(5)), Some(sealing.public_key()));
    assert_eq!(register.sealing_key(Height(6)), Some(sealing.public_key()));
    assert_eq!(current(Purpose::Transaction, 6), Some(key(A, "transaction")));
}

#[test]
fn a_key_is_registered_once_and_one_waits_at_a_time() {
    let mut net = Net::funded();
    rotate(&mut net, "next", Height(6)).unwrap();
    let (institution, from) = (id(A), Height(6));
    let pending = Err(ExecutionError::RotationPending { institution, from });
    assert_eq!(rotate(&mut net, "stranger", Height(9)), pending, "in the same block");
    net.close();
    assert_eq!(rotate(&mut net, "stranger", Height(9)), pending);
    net.advance_to(Height(6));
    let back = |net: &Net, name| {
        let own = signing_key(id(A), name);
        let own = NewKey::Signing(Purpose::Round, &own);
        terms(net).rotation(id(A), key(A, "next"), &own, Height(9)).unwrap()
    };
    // One of its own, and one that another has: it could not sign for that one.
    for name in ["transaction", "next", "round"] {
        let body = back(&net, name);
        let candidate = candidate(&mut net, body);
        let fingerprint = key(A, name);
        assert_eq!(net.submit(&candidate), Err(ExecutionError::KeyTaken { fingerprint }), "{name}");
    }
    let body = back(&net, "stranger");
    let candidate = candidate(&mut net, body);
    assert_eq!(net.submit(&candidate), Ok(()));
}

#[test]
fn a_new_key_becomes_current_after_its_block() {
    let mut net = Net::funded();
    let height = net.height;
    let effective = height;
    let error = ExecutionError::EffectiveInThePast { effective, height };
    assert_eq!(rotate(&mut net, "next", effective), Err(error));
    let latest = height.plus(MAX_LEAD);
    let effective = latest.next();
    let error = ExecutionError::EffectiveTooFar { effective, latest };
    assert_eq!(rotate(&mut net, "next", effective), Err(error));
    assert_eq!(rotate(&mut net, "next", latest), Ok(()));
}

fn replace(who: &str, name: &str) -> Vec<Change> {
    let key = signing_key(id(who), name).verifying_key();
    let key = PublicKey::Signing(Purpose::Transaction, key);
    vec![Change::ReplaceKey { institution: id(who), key }]
}

#[test]
fn a_quorum_replaces_a_lost_key_and_moves_no_money() {
    let mut net = Net::funded();
    let before = net.state.account(&account(A, "EUR")).cloned();
    decide(&mut net, Height(6), replace(A, "next")).unwrap();
    net.advance_to(Height(5));
    assert_eq!(post_with(&net, "transaction"), Ok(()));
    assert!(post_with(&net, "next").is_err());
    net.advance_to(Height(6));
    assert_eq!(post_with(&net, "transaction"), not_current("transaction"));
    assert_eq!(post_with(&net, "next"), Ok(()));
    assert_eq!(net.state.account(&account(A, "EUR")).cloned(), before);
}

/// A thief has registered a key of its own for later: the quorum's key is current all the same.
#[test]
fn a_quorums_key_outlives_what_a_thief_has_registered() {
    let mut net = Net::funded();
    rotate(&mut net, "stranger", Height(8)).unwrap();
    decide(&mut net, Height(6), replace(A, "next")).unwrap();
    for height in 6..10 {
        net.advance_to(Height(height));
        assert_eq!(post_with(&net, "next"), Ok(()), "at {height}");
        assert_eq!(post_with(&net, "stranger"), not_current("stranger"));
    }
    let source = ChangeError::KeyTaken { fingerprint: key(A, "next") };
    let error = ExecutionError::ChangeRefused { index: 0, source };
    assert_eq!(decide(&mut net, Height(12), replace(A, "next")), Err(error));
}

/// An institution cannot spoil a decision by registering what the decision registers.
#[test]
fn a_rotation_spoils_no_decision_that_waits() {
    let mut net = Net::funded();
    decide(&mut net, Height(9), replace(A, "next")).unwrap();
    net.close();
    let fingerprint = key(A, "next");
    let source = ChangeError::KeyTaken { fingerprint };
    let error = ExecutionError::DecisionConflict { number: 1, index: 0, source };
    assert_eq!(rotate(&mut net, "next", Height(6)), Err(error));
}

/// Whoever has a key can register so many others, and a quorum still has room for more.
#[test]
fn the_last_places_of_the_register_are_the_quorums() {
    let mut net = Net::funded();
    let register = net.state.institution(&id(A)).unwrap().clone();
    let limit = MAX_KEYS - RESERVED_KEYS;
    let mut full = register.clone();
    for number in register.keys.len()..limit {
        let key = signing_key(id(A), &format!("many {number}")).verifying_key();
        let key = PublicKey::Signing(Purpose::Receipt, key);
        full.keys.push(quittance_ledger::state::RegisteredKey::new(key, Height(1)));
    }
    let mut changes = quittance_ledger::state::Changes::new();
    changes.put(quittance_ledger::state::Record::Institution(id(A), full));
    net.state = net.state.replay(&changes).unwrap();
    let error = ExecutionError::TooManyKeys { institution: id(A), limit };
    assert_eq!(rotate(&mut net, "next", Height(6)), Err(error));
    assert_eq!(decide(&mut net, Height(6), replace(A, "next")), Ok(()));
}
