//! Amounts at the edge of 64 bits.

use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::range_proof;
use quittance_ledger::build::{Absorbed, BuildError, Poster};
use quittance_ledger::execute::ExecutionError;
use quittance_ledger::ids::CreditId;
use quittance_ledger::transaction::{Action, Side, Transaction};
use quittance_ledger::verify::VerificationError;

use quittance_crypto::note::NoteKey;

use crate::world::{BANKS, ISSUER, Net, Secret, account, id, key, post};

const A: &str = BANKS[0];
const B: &str = BANKS[1];
const C: &str = BANKS[2];

/// The issuer owes all that 64 bits hold: 5 of it to B, the rest to A.
fn rich() -> Net {
    let mut net = Net::fresh();
    let credits = net.pay("EUR", post(ISSUER).gives(A, u64::MAX - 5).gives(B, 5));
    net.pay("EUR", post(A).takes(&credits[..1]));
    net.pay("EUR", post(B).takes(&credits[1..]));
    net.close();
    net
}

#[test]
fn an_issuer_cannot_owe_more_than_64_bits() {
    let mut net = rich();
    let draft = net.draft("EUR", &[post(ISSUER).gives(C, 0)]);
    assert_eq!(draft.balances[0].value, -i128::from(u64::MAX));
    // One more and no opening of the liability can be proven; see below for what a forger gets.
    net.submit_with("EUR", &[post(ISSUER).gives(C, 0)], |_| {}).unwrap();
}

/// All accounts and credits of an asset together hold what its issuer owes, so an honest total
/// fits 64 bits. Whoever claims more fails when building already.
#[test]
fn absorbing_beyond_64_bits_fails_when_building() {
    let net = rich();
    let held = net.balance(&account(A, "EUR"));
    let balance = Opening::new(u64::MAX - 5, Blinding::from_scalar(held.blinding));
    let note_key = NoteKey::from_bytes(&[1; 32]);
    let poster = Poster {
        chain: net.state.chain().id,
        account: account(A, "EUR"),
        side: Side::Holder,
        key_fingerprint: key(A, "transaction"),
        sequence: 1,
        balance: &balance,
        note_key: &note_key,
    };
    let absorbed = |value: u64| Absorbed {
        id: CreditId(quittance_crypto::digest::Digest([1; 32])),
        opening: Opening::random(value, &mut net.rng.clone()),
    };
    assert!(poster.absorb(&[absorbed(5)], &mut net.rng.clone()).is_ok());
    let error = poster.absorb(&[absorbed(6)], &mut net.rng.clone()).err();
    let (account, over) = (account(A, "EUR"), u128::from(u64::MAX) + 1);
    assert_eq!(error, Some(BuildError::BalanceTooLarge { account, balance: over }));
}

/// A posting of `new` whose proof claims `claimed`, signed by its owner.
fn forged(net: &mut Net, who: &str, new: Secret, claimed: u64) -> Transaction {
    let mut draft = net.draft("EUR", &[post(who)]);
    draft.entry.postings[0].new_balance = new.commit();
    let body = net.body(Action::Entries(vec![draft.entry]));
    let context = body.proof_context(&body.digest(), 0);
    let opening = Opening::new(claimed, Blinding::from_scalar(new.blinding));
    let proof = range_proof::prove(&context, &[opening], &mut net.rng).unwrap();
    let signed = quittance_ledger::transaction::signing_digest(&body, std::slice::from_ref(&proof));
    let signing = net.sign(key(who, "transaction"), &signed);
    let signature = quittance_ledger::transaction::InstitutionSignature {
        institution: id(who),
        key_fingerprint: key(who, "transaction"),
        signature: signing,
    };
    Transaction::new(body, vec![proof], vec![signature])
}

#[test]
fn neither_negative_nor_overlarge_balances_can_be_proven() {
    let mut net = rich();
    let blinding = net.balance(&account(B, "EUR")).blinding;
    let beyond = i128::from(u64::MAX) + 1;
    for (value, claimed) in [(-1, u64::MAX), (-1, 1), (beyond, 0), (beyond + 7, 7)] {
        let forged = forged(&mut net, B, Secret { value, blinding }, claimed);
        let error = forged.verify(&*net.keyring).unwrap_err();
        assert!(matches!(error, VerificationError::RangeProof { entry: 0, .. }), "{error}");
    }
    // What can be proven, the wrapped balance, does not balance.
    let wrapped = forged(&mut net, B, Secret { value: 4, blinding }, 4);
    let wrapped = wrapped.verify(&*net.keyring).unwrap();
    let result = net.try_raw(&wrapped);
    assert_eq!(result, Err(ExecutionError::Imbalanced { entry: 0 }));
}

#[test]
fn a_bank_cannot_post_as_if_it_were_the_issuer() {
    // The issuer's balance is proven negated. The same commitment on a bank's account is refused,
    // and a positive balance is refused on the issuer's.
    let mut net = rich();
    let negative = Secret { value: -7, blinding: net.balance(&account(B, "EUR")).blinding };
    let error = forged(&mut net, B, negative, 7).verify(&*net.keyring).unwrap_err();
    assert!(matches!(error, VerificationError::RangeProof { entry: 0, .. }), "{error}");
    let positive = Secret { value: 7, ..negative };
    let error = forged(&mut net, ISSUER, positive, 7).verify(&*net.keyring).unwrap_err();
    assert!(matches!(error, VerificationError::RangeProof { entry: 0, .. }), "{error}");
}

#[test]
fn everything_there_is_can_move_at_once() {
    let mut net = rich();
    let credits = net.pay("EUR", post(B).gives(A, 5));
    net.pay("EUR", post(A).takes(&credits));
    net.close();
    assert_eq!(net.balance(&account(A, "EUR")).value, u64::MAX.into());
    let credits = net.pay("EUR", post(A).gives(ISSUER, u64::MAX));
    net.pay("EUR", post(ISSUER).takes(&credits));
    net.close();
    assert_eq!(net.balance(&account(ISSUER, "EUR")).value, 0);
}
