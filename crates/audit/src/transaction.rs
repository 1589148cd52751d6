//! A transaction by itself: the tables of the chapter "Transaction" and the chapter "Verification".

use std::collections::BTreeMap;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::group::{Commitment, Point};
use quittance_crypto::planted;
use quittance_crypto::range_proof::reference;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::InstitutionId;
use quittance_ledger::state::{PublicKey, Role};
use quittance_ledger::transaction::{
    Action, Body, Change, Entry, KeyRotation, ReturnReason, Transaction,
};

use crate::books::Books;
use crate::digests::TransactionDigests;
use crate::fault::{Fault, require};

type Signers = BTreeMap<InstitutionId, Digest>;

/// Verifies everything that does not depend on earlier transactions.
pub(crate) fn verify(
    books: &Books,
    transaction: &Transaction,
    digests: &TransactionDigests,
) -> Result<(), Fault> {
    let body = transaction.body();
    let signers = check_body(body)?;
    let size = transaction.to_bytes().len();
    require(size <= 1 << 20, "transaction size", || format!("{size} bytes"))?;
    let (proofs, entries) = (transaction.proofs().len(), body.entries().len());
    require(proofs == entries, "one range proof for each entry", || {
        format!("{proofs} range proofs for {entries} entries")
    })?;
    verify_signatures(books, transaction, digests, signers)?;
    if let Action::KeyRotation(rotation) = &body.action {
        verify_possession(body, rotation)?;
    }
    for ((index, entry), proof) in (0u32..).zip(body.entries()).zip(transaction.proofs()) {
        let statement = statement(books, entry).map_err(|fault| fault.in_entry(index))?;
        let context = digests.proof_context(body, index);
        reference::verify(&context, &statement, proof)
            .map_err(|error| Fault::new("range proof", error).in_entry(index))?;
    }
    Ok(())
}

fn verify_signatures(
    books: &Books,
    transaction: &Transaction,
    digests: &TransactionDigests,
    mut due: Signers,
) -> Result<(), Fault> {
    let found: Vec<_> = transaction.signatures().iter().map(|by| by.institution).collect();
    require(strictly_ordered(&found), "order of signatures", || format!("{found:?}"))?;
    for entry in transaction.signatures() {
        let institution = entry.institution;
        let named = due.remove(&institution).ok_or_else(|| {
            Fault::new("only those sign who must", format!("{institution} signs without cause"))
        })?;
        require(named == entry.key_fingerprint, "key named by the body", || {
            format!("{institution} signs with {}, not {named}", entry.key_fingerprint)
        })?;
        let keys = books.governed.institutions.get(&institution).map(|register| &register.keys[..]);
        let mut keys = keys.unwrap_or_default().iter().filter_map(|(key, _)| match key {
            PublicKey::Signing(Purpose::Transaction, key) => Some(key),
            _ => None,
        });
        let key = keys.find(|key| fingerprint(*key) == named).ok_or_else(|| {
            Fault::new("registered key", format!("{institution} has no key {named}"))
        })?;
        require(key.suite() == transaction.body().suite, "suite of the key", || {
            format!("{institution} signs by {}", key.suite())
        })?;
        key.verify_independently(Purpose::Transaction, &digests.signing, &entry.signature)
            .map_err(|error| Fault::new("signature", format!("{institution}: {error}")))?;
    }
    require(due.is_empty(), "everyone signs who must", || {
        format!("no signature of {:?}", due.keys().collect::<Vec<_>>())
    })
}

fn fingerprint(key: &impl Encode) -> Digest {
    Digest::of("quittance/v1/key", &[&key.to_bytes()])
}

/// The commitments that the entry's range proof is about.
fn statement(books: &Books, entry: &Entry) -> Result<Vec<Commitment>, Fault> {
    let asset = books.governed.assets.get(&entry.asset);
    let asset = asset.ok_or_else(|| Fault::new("known asset", entry.asset))?;
    let mut statement = Vec::new();
    for posting in &entry.postings {
        let balance: Point = posting.new_balance.point();
        let proven = if posting.institution == asset.issuer { -balance } else { balance };
        statement.push(Commitment::from(proven));
    }
    statement.extend(entry.credits.iter().map(|credit| credit.commitment));
    Ok(statement)
}

/// The rules of the tables. Returns who must sign, with which key.
fn check_body(body: &Body) -> Result<Signers, Fault> {
    let mut signers = Signers::new();
    match &body.action {
        Action::Entries(entries) => {
            require(!entries.is_empty(), "at least one entry", String::new)?;
            let assets: Vec<_> = entries.iter().map(|entry| entry.asset).collect();
            require(strictly_ordered(&assets), "order of entries", || format!("{assets:?}"))?;
        }
        Action::Settlement(settlement) => {
            let entry = &settlement.entry;
            let absorbs = entry.postings.iter().any(|posting| !posting.absorbed.is_empty());
            require(entry.credits.is_empty() && !absorbs, "a settlement only posts", || {
                "it credits or absorbs".to_owned()
            })?;
        }
        Action::Return(back) => {
            let by_holder = back.by == back.holder.institution;
            require(by_holder == (back.reason == ReturnReason::Rejected), "who returns", || {
                format!("{} returns by reason {:?}", back.by, back.reason)
            })?;
            signers.insert(back.by, back.key_fingerprint);
        }
        Action::RoundOpen(open) => {
            require((2..=128).contains(&open.minimum_roster), "minimum roster", || {
                open.minimum_roster.to_string()
            })?;
            require(open.attempts >= 1, "attempts", || "none".to_owned())?;
            require(open.deadline > open.join_until, "deadline after joining", || {
                format!("{} is not after {}", open.deadline, open.join_until)
            })?;
            signers.insert(open.opener, open.key_fingerprint);
        }
        Action::RoundJoin(join) => {
            signers.insert(join.institution, join.key_fingerprint);
        }
        Action::Governance(decision) => {
            let approving: Vec<_> = decision.approvals.iter().map(|by| by.institution).collect();
            require(!approving.is_empty(), "approvals", String::new)?;
            require(strictly_ordered(&approving), "order of approvals", || {
                format!("{approving:?}")
            })?;
            require(!decision.changes.is_empty(), "changes", String::new)?;
            for change in &decision.changes {
                check_change(change, body)?;
            }
            let approvals = decision.approvals.iter();
            signers.extend(approvals.map(|by| (by.institution, by.key_fingerprint)));
        }
        Action::KeyRotation(rotation) => {
            check_key_suite(&rotation.key, body)?;
            let signs = matches!(rotation.key, PublicKey::Signing(..));
            require(signs == rotation.possession.is_some(), "proof of possession", || {
                rotation.institution.to_string()
            })?;
            signers.insert(rotation.institution, rotation.key_fingerprint);
        }
    }
    for (index, entry) in (0u32..).zip(body.entries()) {
        check_entry(entry, &mut signers).map_err(|fault| fault.in_entry(index))?;
    }
    Ok(signers)
}

/// The rules for changes that hold whatever the state.
fn check_change(change: &Change, body: &Body) -> Result<(), Fault> {
    match change {
        Change::PutValidator { institution, power } => {
            require(*power > 0, "voting power", || institution.to_string())
        }
        Change::Admit { institution, roles, keys } => {
            let uses: Vec<u8> =
                keys.iter().filter_map(|key| key.to_bytes().first().copied()).collect();
            require(uses.is_sorted_by(|one, two| one < two), "order of keys", || {
                institution.to_string()
            })?;
            keys.iter().try_for_each(|key| check_key_suite(key, body))?;
            let needed = |role: &Role| -> &[u8] {
                match role {
                    Role::Participant => &[0, 2, 255],
                    Role::Coordinator => &[0, 2],
                    Role::MpcParty => &[2, 3],
                    Role::Validator => &[1],
                }
            };
            let fits = roles.iter().all(|role| needed(role).iter().all(|use_| uses.contains(use_)));
            require(fits, "keys of a role", || institution.to_string())
        }
        Change::ReplaceKey { key, .. } => check_key_suite(key, body),
        Change::PutCommittee { id, committee } => {
            let (parties, threshold) = (committee.parties.len(), usize::from(committee.threshold));
            let fits = threshold >= 1 && (2 * threshold + 1..=31).contains(&parties);
            require(fits, "size of a committee", || id.to_string())
        }
        Change::SetLimits(limits) => {
            let positive = limits.pending_per_sender > 0
                && limits.max_expiry > 0
                && limits.max_round > 0
                && limits.block_transactions > 0
                && limits.block_bytes > 0;
            let fits = limits.block_transactions <= 16_384 && limits.block_bytes <= 33_554_432;
            require(positive && fits, "limits", || format!("{limits:?}"))
        }
        _ => Ok(()),
    }
}

fn check_key_suite(key: &PublicKey, body: &Body) -> Result<(), Fault> {
    let suite = match key {
        PublicKey::Signing(_, key) => key.suite(),
        PublicKey::Sealing(key) => key.suite(),
    };
    require(suite == body.suite, "suite of a new key", || suite.to_string())
}

/// The new key's own signature.
fn verify_possession(body: &Body, rotation: &KeyRotation) -> Result<(), Fault> {
    let (PublicKey::Signing(purpose, key), Some(signature)) = (&rotation.key, &rotation.possession)
    else {
        return Ok(());
    };
    let statement =
        [rotation.institution.to_bytes(), rotation.key.to_bytes(), rotation.effective.to_bytes()];
    let parts = [&body.chain.0.0[..], &statement.concat()];
    let digest = Digest::of("quittance/v1/key-possession", &parts);
    let verdict = key.verify_independently(*purpose, &digest, signature);
    planted!("auditor-asks-for-no-possession", Ok(()), verdict)
        .map_err(|error| Fault::new("proof of possession", error))
}

fn check_entry(entry: &Entry, signers: &mut Signers) -> Result<(), Fault> {
    let posters: Vec<_> = entry.postings.iter().map(|posting| posting.institution).collect();
    require(!posters.is_empty(), "at least one posting", String::new)?;
    require(strictly_ordered(&posters), "order of postings", || format!("{posters:?}"))?;
    let size = entry.postings.len() + entry.credits.len();
    require(size <= 128, "postings and credits", || format!("{size} together"))?;
    for posting in &entry.postings {
        let institution = posting.institution;
        require(strictly_ordered(&posting.absorbed), "order of absorbed credits", || {
            format!("of {institution}")
        })?;
        let earlier = signers.insert(institution, posting.key_fingerprint);
        require(earlier.is_none_or(|key| key == posting.key_fingerprint), "one key", || {
            format!("{institution} posts under two keys")
        })?;
    }
    for credit in &entry.credits {
        require(posters.contains(&credit.sender), "the sender posts", || {
            format!("{} does not", credit.sender)
        })?;
        require(credit.sender != credit.institution, "no credit to oneself", || {
            format!("{} credits itself", credit.sender)
        })?;
    }
    Ok(())
}

fn strictly_ordered<T: Encode>(items: &[T]) -> bool {
    let bytes: Vec<Vec<u8>> = items.iter().map(Encode::to_bytes).collect();
    bytes.is_sorted_by(|one, two| one < two)
}
