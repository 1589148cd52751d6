//! What a transaction is by itself.

use super::*;

#[test]
fn the_frame_of_a_transaction_is_checked() {
    let chain = base();
    let frame = |change: fn(&mut Body)| {
        let mut body = body(&chain, Action::Return(rejection(&chain)));
        change(&mut body);
        broken(&chain, vec![signed(body, &[TWO])])
    };
    let (height, furthest) = (chain.height().next(), Limits::default().max_expiry);
    assert_eq!((height, furthest), (Height(3), 1_000));
    assert_eq!(frame(|_| {}), None);
    assert_eq!(frame(|body| body.expiry = Height(3)), None);
    assert_eq!(frame(|body| body.expiry = Height(1_003)), None);
    assert_eq!(frame(|body| body.expiry = Height(2)), Some("expiry"));
    assert_eq!(frame(|body| body.expiry = Height(1_004)), Some("expiry"));
    assert_eq!(frame(|body| body.chain = ChainId(Digest::ZERO)), Some("chain"));
    assert_eq!(frame(|body| body.suite = Suite::MlDsa87MlKem1024), Some("suite of the key"));
}

fn entries(body: &mut Body) -> &mut Vec<Entry> {
    let Action::Entries(entries) = &mut body.action else { panic!("entries") };
    entries
}

#[test]
fn the_form_of_entries_is_checked() {
    let (chain, honest) = exchange();
    let form = |change: fn(&mut Vec<Entry>)| {
        let mut body = honest.body().clone();
        change(entries(&mut body));
        let (proofs, by) = (honest.proofs().to_vec(), honest.signatures().to_vec());
        broken(chain, vec![Transaction::new(body, proofs, by)])
    };
    assert_eq!(form(|_| {}), None);
    assert_eq!(form(|entries| entries.clear()), Some("at least one entry"));
    assert_eq!(form(|entries| entries.swap(0, 1)), Some("order of entries"));
    assert_eq!(form(|entries| entries[1] = entries[0].clone()), Some("order of entries"));
    assert_eq!(form(|entries| entries[0].postings.clear()), Some("at least one posting"));
    let twice = form(|entries| {
        let posting = entries[0].postings[0].clone();
        entries[0].postings.push(posting);
    });
    assert_eq!(twice, Some("order of postings"));
    let absorbed = form(|entries| {
        let absorbed = &mut entries[1].postings[0].absorbed;
        absorbed.push(absorbed[0]);
    });
    assert_eq!(absorbed, Some("order of absorbed credits"));
    let other_key = form(|entries| {
        let posting = entries[0].postings[0].clone();
        let other = chain::key(ONE, Purpose::Vote).verifying_key().fingerprint();
        entries[1].postings[0] = posting;
        entries[1].postings[0].key_fingerprint = other;
    });
    assert_eq!(other_key, Some("one key"));
    let stranger = form(|entries| entries[0].credits[0].sender = id(THREE));
    assert_eq!(stranger, Some("the sender posts"));
    let oneself = form(|entries| entries[0].credits[0].institution = id(ONE));
    assert_eq!(oneself, Some("no credit to oneself"));
    // One posting and 127 credits are as many as may be, but that is not what was signed.
    let full = form(|entries| {
        let credit = entries[0].credits[0].clone();
        entries[0].credits = vec![credit; 127];
    });
    assert_eq!(full, Some("signature"));
    let over = form(|entries| {
        let credit = entries[0].credits[0].clone();
        entries[0].credits = vec![credit; 128];
    });
    assert_eq!(over, Some("postings and credits"));
}

#[test]
fn proofs_and_signatures_are_checked() {
    let (chain, honest) = exchange();
    let (proofs, by) = (honest.proofs(), honest.signatures());
    let with = |proofs: &[_], by: &[InstitutionSignature]| {
        let transaction = Transaction::new(honest.body().clone(), proofs.to_vec(), by.to_vec());
        broken(chain, vec![transaction])
    };
    assert_eq!(with(proofs, by), None);
    assert_eq!(with(&proofs[..1], by), Some("one range proof for each entry"));
    assert_eq!(with(proofs, &[by[1].clone(), by[0].clone()]), Some("order of signatures"));
    assert_eq!(with(proofs, &[by[0].clone(), by[0].clone()]), Some("order of signatures"));
    assert_eq!(with(proofs, &by[..1]), Some("everyone signs who must"));
    let stranger = InstitutionSignature { institution: id(THREE), ..by[1].clone() };
    let three = [by[0].clone(), by[1].clone(), stranger];
    assert_eq!(with(proofs, &three), Some("only those sign who must"));
    let other = key(ONE, Purpose::Vote).verifying_key().fingerprint();
    let renamed = InstitutionSignature { key_fingerprint: other, ..by[0].clone() };
    assert_eq!(with(proofs, &[renamed, by[1].clone()]), Some("key named by the body"));
    let of_other = InstitutionSignature { signature: by[1].signature.clone(), ..by[0].clone() };
    assert_eq!(with(proofs, &[of_other, by[1].clone()]), Some("signature"));
    // More than a megabyte of signatures.
    let stuffed = vec![by[0].clone(); 330];
    assert_eq!(with(proofs, &stuffed), Some("transaction size"));

    // Another key of the bank, also where the body names it.
    let vote = key(TWO, Purpose::Vote);
    let mut body = body(chain, Action::Return(rejection(chain)));
    let Action::Return(back) = &mut body.action else { panic!("a return") };
    back.key_fingerprint = vote.verifying_key().fingerprint();
    let signature = |key: &SigningKey, body: &Body| InstitutionSignature {
        institution: id(TWO),
        key_fingerprint: key.verifying_key().fingerprint(),
        signature: key.sign(
            Purpose::Transaction,
            &Transaction::new(body.clone(), vec![], vec![]).signing_digest(),
        ),
    };
    let by = signature(&vote, &body);
    assert_eq!(
        broken(chain, vec![Transaction::new(body, vec![], vec![by])]),
        Some("registered key")
    );
}
