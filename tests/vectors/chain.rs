//! A chain of two blocks: the issuer credits a bank, which absorbs the credit and pays another.

use quittance_crypto::commitment::Opening;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, Suite};
use quittance_ledger::block::{Block, Header, Tip, transactions_root};
use quittance_ledger::build::{Absorbed, Poster, Receiver, Terms, Unsigned};
use quittance_ledger::certificate::{Certificate, ValidatorSignature};
use quittance_ledger::execute::{BlockContext, Executor, apply};
use quittance_ledger::ids::{AccountId, AssetId, Height, Timestamp, Uetr};
use quittance_ledger::payload::{CreditPayload, Particulars, SelfNote};
use quittance_ledger::state::{Key, State};
use quittance_ledger::transaction::{Side, Transaction};
use rand_core::OsRng;
use serde_json::{Map, Value, json};

use super::world::{Institution, World};
use super::{Kept, canonical};

/// Who pays whom how much in a block, by place among the banks.
struct Payment {
    payer: usize,
    payees: &'static [(usize, u64)],
}

/// The second is of two receivers, one of them a decoy: three values are proven.
const PAYMENTS: [Payment; 2] = [
    Payment { payer: 0, payees: &[(1, 100_000)] },
    Payment { payer: 1, payees: &[(2, 30_050), (0, 0)] },
];

fn euro() -> AssetId {
    "EUR".parse().expect("an id")
}

/// What the world's secrets show of a transaction.
struct Opened {
    new_balance: Opening,
    credits: Vec<CreditPayload>,
    note: SelfNote,
}

impl World {
    fn open(&self, transaction: &Transaction, payment: &Payment) -> Option<Opened> {
        let [entry] = transaction.body().entries() else { return None };
        let [posting] = &entry.postings[..] else { return None };
        let payer = &self.banks[payment.payer];
        let (chain, side) = (self.genesis.chain_id(), Side::of(payer.id, self.banks[0].id));
        let note = SelfNote::open(chain, euro(), posting, side, &payer.note).ok()?;
        let credits: Option<Vec<CreditPayload>> = entry
            .credits
            .iter()
            .zip(payment.payees)
            .map(|(credit, (payee, amount))| {
                let payee = &self.banks[*payee];
                let opened = CreditPayload::open(chain, euro(), credit, payee.sealing()).ok()?;
                let right = opened.opening.value == *amount && credit.institution == payee.id;
                right.then_some(opened)
            })
            .collect();
        let credits = credits.filter(|credits| credits.len() == payment.payees.len())?;
        Some(Opened { new_balance: note.opening.clone(), credits, note })
    }

    /// The transaction of a payment from an account with this balance and these pending credits.
    fn pay(&self, payment: &Payment, balance: &Opening, absorbed: &[Absorbed]) -> Transaction {
        let payer = &self.banks[payment.payer];
        let key = payer.signing(Purpose::Transaction);
        let poster = Poster {
            chain: self.genesis.chain_id(),
            account: AccountId { institution: payer.id, asset: euro() },
            side: Side::of(payer.id, self.banks[0].id),
            key_fingerprint: key.verifying_key().fingerprint(),
            sequence: 0,
            balance,
            note_key: &payer.note,
        };
        let receivers: Vec<Receiver<'_>> = payment
            .payees
            .iter()
            .map(|(payee, amount)| Receiver {
                institution: self.banks[*payee].id,
                sealing_key: self.banks[*payee].sealing().public_key(),
                amount: *amount,
                particulars: Particulars::new(Uetr([8; 16]), "INVOICE-1", "für Ware")
                    .expect("within bounds"),
            })
            .collect();
        let draft = poster.transfer(absorbed, &receivers, Uetr([8; 16]), &mut OsRng);
        let draft = draft.expect("enough money");
        let terms = Terms {
            suite: self.genesis.suite,
            chain: self.genesis.chain_id(),
            expiry: Height(100),
        };
        let body = terms.entries(vec![draft.entry().clone()]).expect("a body");
        let proof = draft.prove(&body, &mut OsRng).expect("a proof").proof;
        let unsigned = Unsigned::new(body, vec![proof]).expect("one proof");
        let signature = unsigned.sign(payer.id, &key).expect("its key");
        unsigned.assemble(vec![signature]).expect("all signatures")
    }

    fn certify(&self, header: &Header, place: usize, kept: &Kept) -> Certificate {
        let (chain, set) = (self.genesis.chain_id(), &self.genesis.validators);
        let (height, block) = (header.height, header.id());
        let mut certificate = Certificate { height, round: 0, block, signatures: vec![] };
        let holds = |bytes: &[u8]| {
            Certificate::from_bytes(bytes)
                .is_ok_and(|it| it.block == block && it.verify(chain, set).is_ok())
        };
        let fresh = || {
            let institution = self.validator.id;
            let vote = certificate.vote(chain);
            let signature = vote.sign(&self.validator.signing(Purpose::Vote));
            certificate.signatures.push(ValidatorSignature { institution, signature });
            certificate.to_bytes()
        };
        let bytes = kept.bytes(&format!("/blocks/{place}/certificate"), holds, fresh);
        Certificate::from_bytes(&bytes).expect("it holds")
    }

    fn secrets(&self) -> Value {
        let secrets = |bank: &Institution| {
            let seeds: Map<String, Value> = [Purpose::Transaction, Purpose::Round]
                .iter()
                .map(|it| (it.label().to_owned(), json!(bank.seed(*it).to_string())))
                .collect();
            json!({
                "seeds": seeds,
                "note key": hex::encode(bank.note.as_bytes().as_slice()),
                "sealing key": hex::encode(bank.sealing().to_secret_bytes()),
            })
        };
        self.banks.iter().map(|bank| (bank.id.to_string(), secrets(bank))).collect()
    }
}

/// `chain.json` and `chain-suite-2.json`.
pub fn chain(suite: Suite, kept: &Kept) -> Value {
    let world = World::new(suite, kept);
    let mut state = State::genesis(&world.genesis).expect("a state");
    let mut tip = Tip::genesis(&world.genesis);
    let mut blocks = vec![];
    // What the next payer owns: its balance, and the credits that it absorbs.
    let mut balance = Opening::zero();
    let mut absorbed: Vec<Absorbed> = vec![];
    for (place, payment) in PAYMENTS.iter().enumerate() {
        let ids: Vec<_> = absorbed.iter().map(|credit| credit.id).collect();
        let holds = |bytes: &[u8]| {
            let Ok(transaction) = Transaction::from_bytes(bytes) else { return false };
            let postings = transaction.body().entries().iter().flat_map(|entry| &entry.postings);
            let right = postings.clone().all(|posting| posting.absorbed == ids);
            let opened = world.open(&transaction, payment).is_some();
            right && opened && transaction.verify(&state).is_ok()
        };
        let bytes = kept.bytes(&format!("/blocks/{place}/transaction/bytes"), holds, || {
            world.pay(payment, &balance, &absorbed).to_bytes()
        });
        let transaction = Transaction::from_bytes(&bytes).expect("it holds");
        let opened = world.open(&transaction, payment).expect("it holds");
        let shown = show(&transaction, &opened);
        let next_state = {
            let verified = transaction.clone().verify(&state).expect("it holds");
            let header = header(&world, &tip, &state, std::slice::from_ref(&verified));
            let context = BlockContext { height: header.height, time: header.time };
            let mut executor = Executor::new(&state, context);
            executor.execute(&verified).expect("it is valid");
            let state_root = executor.finish().expect("a state").root();
            let header = Header { state_root, ..header };
            let block = Block { header, transactions: vec![verified] };
            let outcome = apply(&state, &block).expect("a block");
            tip.check(&block.header).expect("the next block");
            let certificate = world.certify(&block.header, place, kept);
            tip = Tip::after(&block.header);
            let vote = certificate.vote(world.genesis.chain_id());
            blocks.push(json!({
                "transaction": shown,
                "header": canonical(&block.header),
                "id": canonical(&block.id()),
                "vote": canonical(&vote),
                "vote digest": vote.digest().to_string(),
                "certificate": canonical(&certificate),
                "changes": changes(&outcome.changes),
            }));
            outcome.state
        };
        state = next_state;
        // The first receiver is the next payer.
        let credit = opened.credits.first().expect("a credit");
        absorbed =
            vec![Absorbed { id: transaction.credit_id(0, 0), opening: credit.opening.clone() }];
        balance = Opening::zero();
        assert_eq!(opened.new_balance.value, [100_000, 69_950][place]);
    }
    json!({
        "suite": suite.name(),
        "genesis": canonical(&world.genesis),
        "chain id": canonical(&world.genesis.chain_id()),
        "secrets": world.secrets(),
        "blocks": blocks,
        "proofs": proofs(&world, &state),
        "refused": refused(&blocks[1]),
    })
}

fn header(
    world: &World,
    tip: &Tip,
    state: &State,
    transactions: &[Transaction<quittance_ledger::transaction::Verified>],
) -> Header {
    let set = state.validators().digest();
    Header {
        suite: world.genesis.suite,
        chain: world.genesis.chain_id(),
        height: tip.height().next(),
        parent: tip.block(),
        transactions_root: transactions_root(transactions),
        state_root: quittance_crypto::digest::Digest::ZERO,
        time: Timestamp(tip.time().0 + 1_000),
        validators: set,
        next_validators: set,
    }
}

fn changes(changes: &quittance_ledger::state::Changes) -> Vec<Value> {
    let shown = changes.iter().map(|(key, record)| {
        let record = record.map(canonical);
        json!({"key": canonical(key), "value": record})
    });
    shown.collect()
}

fn show(transaction: &Transaction, opened: &Opened) -> Value {
    let entry = &transaction.body().entries()[0];
    let credits: Vec<Value> = (0u32..)
        .zip(&opened.credits)
        .map(|(place, payload)| {
            json!({
                "id": canonical(&transaction.credit_id(0, place)),
                "receiver": entry.credits[place as usize].institution.as_str(),
                "amount": payload.opening.value.to_string(),
                "payload": canonical(payload),
                "UETR": payload.particulars.uetr().to_string(),
                "EndToEndId": payload.particulars.end_to_end_id(),
                "remittance": payload.particulars.remittance(),
            })
        })
        .collect();
    json!({
        "bytes": canonical(transaction),
        "body digest": transaction.body_digest().to_string(),
        "proof context": transaction.proof_context(0).to_string(),
        "signing digest": transaction.signing_digest().to_string(),
        "message": Purpose::Transaction.message(&transaction.signing_digest()).to_string(),
        "id": canonical(&transaction.id()),
        "payer": entry.postings[0].institution.as_str(),
        "new balance": opened.new_balance.value.to_string(),
        "self note": canonical(&opened.note),
        "credits": credits,
    })
}

/// Proofs about the state after the last block.
fn proofs(world: &World, state: &State) -> Vec<Value> {
    let account = |bank: usize| AccountId { institution: world.banks[bank].id, asset: euro() };
    let nobody = AccountId { institution: world.validator.id, asset: euro() };
    let keys = [
        Key::Account(account(0)),
        Key::Account(account(1)),
        Key::Account(account(2)),
        Key::Account(nobody),
        Key::Limits,
    ];
    let mut shown: Vec<Value> = keys
        .iter()
        .map(|key| {
            let record = state.record(key).map(canonical);
            let proof = state.prove(key).expect("a record with a leaf");
            let text = record.as_ref().map(|text| hex::decode(text).expect("hexadecimal digits"));
            key.verify(&state.root(), text.as_deref(), &proof).expect("it holds");
            json!({
                "key": canonical(key),
                "leaf key": key.leaf().map(|leaf| leaf.to_string()),
                "value": record,
                "proof": canonical(&proof),
            })
        })
        .collect();
    for bank in [0, 2] {
        let pending = state.pending(&account(bank)).expect("pending credits");
        let credit = pending.iter().next().expect("a credit");
        let proof = pending.prove(&credit.id).expect("it is there");
        shown.push(json!({
            "key": canonical(&Key::Credit(account(bank), credit.number)),
            "value": canonical(credit),
            "pending root": pending.root().to_string(),
            "proof": canonical(&proof),
        }));
    }
    shown
}

/// Places of a transaction's bytes, and what stands there instead so that decoding refuses it.
fn refused(block: &Value) -> Vec<Value> {
    let text = block["transaction"]["bytes"].as_str().expect("a text");
    let bytes = hex::decode(text).expect("hexadecimal digits");
    // version 0, suite 1, chain 2, expiry 34, action 42, entries 43, asset 47, postings 59,
    // institution 63
    let cases: [(&str, usize, &str); 12] = [
        ("version 2", 0, "02"),
        ("suite 3", 1, "03"),
        ("suite 0", 1, "00"),
        ("governance", 42, "05"),
        ("an action that does not exist", 42, "06"),
        ("nine entries", 43, "00000009"),
        ("more entries than bytes", 43, "00000008"),
        ("an asset in small letters", 47, "657572"),
        ("an asset with a gap", 47, "45005200"),
        ("129 postings", 59, "00000081"),
        ("an institution in small letters", 63, "61"),
        ("a byte left over", bytes.len(), "00"),
    ];
    let shown = cases.iter().map(|(why, at, put)| {
        let put_bytes = hex::decode(put).expect("hexadecimal digits");
        let mut changed = bytes.clone();
        changed.resize(bytes.len().max(at + put_bytes.len()), 0);
        changed[*at..at + put_bytes.len()].copy_from_slice(&put_bytes);
        assert!(Transaction::from_bytes(&changed).is_err(), "{why} is read");
        json!({"why": why, "at": at, "put": put})
    });
    shown.collect()
}
