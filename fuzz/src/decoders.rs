//! Every decoder, with what must hold of whatever it accepts. The tests of the workspace run
//! this list, and it is laid out for fuzzers: see [`TARGETS`].

#[path = "decoders/replicated.rs"]
mod replicated;

use std::io::Read;

use age::secrecy::SecretString;
use prost::Message;
use quittance_audit::archive;
use quittance_circuit::{Circuit, Program};
use quittance_crypto::commitment::{Blinding, Commitment, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode, Reader};
use quittance_crypto::field::{Fr, Scalar};
use quittance_crypto::group::Point;
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::range_proof::joint::{BitMessage, PolynomialMessage, ShareMessage};
use quittance_crypto::range_proof::{self, RangeProof};
use quittance_crypto::seal::{Sealed, SealingPublicKey};
use quittance_crypto::signature::{Purpose, Signature, Suite, VerifyingKey};
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::{Certificate, Validator, ValidatorSet, Vote};
use quittance_ledger::genesis::{Genesis, GenesisInstitution};
use quittance_ledger::ids::{AccountId, AssetId, InstitutionId};
use quittance_ledger::payload::{CreditPayload, Particulars, SelfNote};
use quittance_ledger::proposal::Proposal;
use quittance_ledger::receipt::{self as ledger_receipt, Checkpoint, Claim, SetChange};
use quittance_ledger::state::{Account, Changes, Event, Key, PendingCredit, Record, Round, State};
use quittance_ledger::transaction::{
    Approval, Body, Change, Credit, Entry, Governance, InstitutionSignature, KeyRotation, Posting,
    Transaction,
};
use quittance_ledger::verify::Directory;
use quittance_ledger::{merkle, tree};
use quittance_mpc::output::{CommittedOutput, CommittedShare};
use quittance_mpc::session::{Evidence, Frame};
use quittance_mpc::stock::{Holdings, Material};
use quittance_mpc::vss;
use quittance_round::announcement::Announcement;
use quittance_round::dealing::{
    Acknowledgement, CommonPart, Complaint, Dealing, PrivatePart, Publication, PublishedPart,
};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Refusal, Report};
use quittance_round::payees::Payees;
use quittance_round::queue::{Details, Leaf, Pad};
use quittance_round::receipt::{Attestation, Disclosure, Notice, Receipt, Subject};
use quittance_round::result::{BankResult, Notices, ResultShare};
use quittance_round::start::{Roster, Start};
use quittance_rpc::convert::{AccountView, ChainView, FinalBlock, RoundView, TransactionStatus};
use quittance_rpc::decimal;
use quittance_rpc::proto::node::v1 as node;

/// A name, and a function that says whether it accepts the bytes. It panics if it accepts bytes
/// that are not the encoding of what it has read.
pub type Decoder = (&'static str, fn(&[u8]) -> bool);

/// The decoders of each fuzz target. The first byte of an input is a place in its target's list,
/// so new ones go to the end.
pub const TARGETS: &[(&str, &[Decoder])] = &[
    (
        "transaction",
        &[
            ("transaction", transaction),
            ("body", canonical::<Body>),
            ("entry", canonical::<Entry>),
            ("posting", canonical::<Posting>),
            ("credit", canonical::<Credit>),
            ("institution-signature", canonical::<InstitutionSignature>),
            ("governance", canonical::<Governance>),
            ("change", canonical::<Change>),
            ("approval", canonical::<Approval>),
            ("key-rotation", canonical::<KeyRotation>),
        ],
    ),
    (
        "receipt",
        &[
            ("ledger-receipt", canonical::<ledger_receipt::Receipt>),
            ("rooted-receipt", replicated::rooted_receipt),
            ("receipt-file", replicated::receipt_file),
            ("receipt-claim", canonical::<Claim>),
            ("set-change", canonical::<SetChange>),
            ("checkpoint", canonical::<Checkpoint>),
        ],
    ),
    (
        "consensus",
        &[
            ("consensus-frame", replicated::consensus_frame),
            ("proposal", canonical::<Proposal>),
            ("equivocation", replicated::equivocation),
        ],
    ),
    (
        "block",
        &[
            ("block", block),
            ("header", canonical::<Header>),
            ("certificate", canonical::<Certificate>),
            ("vote", canonical::<Vote>),
            ("validator", canonical::<Validator>),
            ("validator-set", canonical::<ValidatorSet>),
        ],
    ),
    (
        "genesis",
        &[
            ("genesis", genesis),
            ("genesis-json", genesis_json),
            ("genesis-institution", canonical::<GenesisInstitution>),
        ],
    ),
    (
        "state",
        &[
            ("record", record),
            ("account", canonical::<Account>),
            ("round-record", canonical::<Round>),
            ("pending-credit", canonical::<PendingCredit>),
            ("event", canonical::<Event>),
            ("changes", canonical::<Changes>),
            ("tree-proof", canonical::<tree::Proof>),
            ("merkle-proof", canonical::<merkle::Proof>),
            ("account-id", canonical::<AccountId>),
        ],
    ),
    (
        "keys",
        &[
            ("key-ring", key_ring),
            ("verifying-key", canonical::<VerifyingKey>),
            ("sealing-key", canonical::<SealingPublicKey>),
            ("signature", canonical::<Signature>),
            ("suite", canonical::<Suite>),
            ("purpose", canonical::<Purpose>),
            ("point", canonical::<Point>),
            ("commitment", canonical::<Commitment>),
            ("scalar", canonical::<Scalar>),
            ("field", canonical::<Fr>),
            ("blinding", canonical::<Blinding>),
            ("opening", canonical::<Opening>),
        ],
    ),
    (
        "payload",
        &[
            ("self-note", canonical::<SelfNote>),
            ("particulars", canonical::<Particulars>),
            ("credit-payload", canonical::<CreditPayload>),
            ("sealed", canonical::<Sealed>),
            ("result-share", canonical::<ResultShare>),
            ("bank-result", canonical::<BankResult>),
            ("attestation", canonical::<Attestation>),
            ("receipt", canonical::<Receipt>),
            ("subject", canonical::<Subject>),
            ("committed-output", canonical::<CommittedOutput>),
            ("committed-share", canonical::<CommittedShare>),
            ("bit-message", canonical::<BitMessage>),
            ("polynomial-message", canonical::<PolynomialMessage>),
            ("share-message", canonical::<ShareMessage>),
            ("notices", canonical::<Notices>),
            ("notice", canonical::<Notice>),
            ("disclosure", canonical::<Disclosure>),
            ("pad", canonical::<Pad>),
        ],
    ),
    (
        "round",
        &[
            ("announcement", canonical::<Announcement>),
            ("dealing", canonical::<Dealing>),
            ("common-part", canonical::<CommonPart>),
            ("private-part", canonical::<PrivatePart>),
            ("acknowledgement", canonical::<Acknowledgement>),
            ("start", canonical::<Start>),
            ("signed-start", canonical::<Signed<Start>>),
            ("roster", canonical::<Roster>),
            ("leaf", canonical::<Leaf>),
            ("details", canonical::<Details>),
            ("attempt", canonical::<Attempt>),
            ("reason", canonical::<Reason>),
            ("instruction", canonical::<Instruction>),
            ("report", canonical::<Report>),
            ("refusal", canonical::<Signed<Refusal>>),
            ("payees", canonical::<Payees>),
            ("complaint", canonical::<Signed<Complaint>>),
            ("published-part", canonical::<PublishedPart>),
            ("publication", canonical::<Publication>),
        ],
    ),
    (
        "session",
        &[
            ("frame", canonical::<Frame>),
            ("evidence", canonical::<Evidence>),
            ("vss-dealing", canonical::<vss::Dealing>),
            ("dealt-share", canonical::<vss::DealtShare>),
            ("circuit", canonical::<Circuit>),
            ("program", canonical::<Program>),
            ("compressed-shares", canonical::<vss::CompressedShares>),
            ("compressed-dealing", canonical::<vss::CompressedDealing>),
            ("holdings", canonical::<Holdings>),
            ("material", canonical::<Material>),
        ],
    ),
    (
        "range_proof",
        &[("range-proof", range_proof), ("range-proof-bytes", canonical::<RangeProof>)],
    ),
    (
        "archive",
        &[
            ("archive", archive),
            ("account-view", wire::<node::AccountResponse, AccountView>),
            ("final-block", wire::<node::BlocksResponse, FinalBlock>),
            ("round-view", wire::<node::RoundResponse, RoundView>),
            ("chain-view", wire::<node::ChainStatusResponse, ChainView>),
            ("status", status),
            ("amount", amount),
        ],
    ),
];

/// What is accepted encodes to the same bytes.
fn canonical<T: Decode + Encode>(bytes: &[u8]) -> bool {
    let Ok(value) = T::from_bytes(bytes) else { return false };
    assert_eq!(value.to_bytes(), bytes, "accepted, and encoded to other bytes");
    true
}

/// Verification, too, takes whatever can be decoded.
fn transaction(bytes: &[u8]) -> bool {
    let Ok(transaction) = Transaction::from_bytes(bytes) else { return false };
    assert_eq!(remade(&transaction).bytes(), bytes, "accepted, and encoded to other bytes");
    assert_eq!(transaction.bytes(), bytes);
    assert!(transaction.verify(&Nobody).is_err(), "verified without any known key");
    true
}

/// A transaction keeps the bytes that it was read from; this one is encoded from its parts.
fn remade(transaction: &Transaction) -> Transaction {
    let (proofs, signatures) = (transaction.proofs().to_vec(), transaction.signatures().to_vec());
    Transaction::new(transaction.body().clone(), proofs, signatures)
}

/// What is accepted encodes to the same bytes, its transactions from their parts.
fn block(bytes: &[u8]) -> bool {
    let Ok(mut block) = Block::from_bytes(bytes) else { return false };
    block.transactions = block.transactions.iter().map(remade).collect();
    assert_eq!(block.to_bytes(), bytes, "accepted, and encoded to other bytes");
    true
}

/// Knows nobody's keys; every asset is somebody's.
struct Nobody;

impl Directory for Nobody {
    fn transaction_key(&self, _: InstitutionId, _: &Digest) -> Option<&VerifyingKey> {
        None
    }

    fn issuer(&self, _: AssetId) -> Option<InstitutionId> {
        "CENTXX2A".parse().ok()
    }
}

/// A genesis that is sound makes a state; one that is not is refused without a panic.
fn genesis(bytes: &[u8]) -> bool {
    let Ok(genesis) = Genesis::from_bytes(bytes) else { return false };
    assert_eq!(genesis.to_bytes(), bytes, "accepted, and encoded to other bytes");
    drop(State::genesis(&genesis));
    true
}

/// What JSON says can also be said in bytes, and in JSON again.
fn genesis_json(bytes: &[u8]) -> bool {
    let Ok(genesis) = serde_json::from_slice::<Genesis>(bytes) else { return false };
    let text = serde_json::to_vec(&genesis).expect("what was read can be written");
    let again: Genesis = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, genesis);
    true
}

/// A key, and the record that is kept under it.
fn record(bytes: &[u8]) -> bool {
    let mut input = Reader::new(bytes);
    let Ok(key) = Key::decode(&mut input) else { return false };
    let Ok(record) = Record::decode(&key, &mut input) else { return false };
    if input.finish().is_err() {
        return false;
    }
    assert_eq!(record.key(), key, "kept under another key");
    assert_eq!([key.to_bytes(), record.to_bytes()].concat(), bytes);
    true
}

/// The contents of a key file, by way of a file: they are encrypted here, so that the fuzzer
/// reaches what comes after decryption.
fn key_ring(contents: &[u8]) -> bool {
    const LOG_N: u8 = 1;
    let passphrase = || SecretString::from("fuzz".to_owned());
    let mut recipient = age::scrypt::Recipient::new(passphrase());
    recipient.set_work_factor(LOG_N);
    let file = age::encrypt(&recipient, contents).expect("memory takes it");
    let Ok(ring) = KeyRing::from_encrypted("fuzz", &file) else { return false };
    let again = ring.to_encrypted("fuzz", LOG_N).expect("what was read can be written");
    let identity = age::scrypt::Identity::new(passphrase());
    let decryptor = age::Decryptor::new_buffered(&again[..]).expect("a file of ours");
    let mut reader =
        decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).expect("our own");
    let mut written = Vec::new();
    reader.read_to_end(&mut written).expect("memory gives it");
    // A file of version 1, which has one key for each use, is written as one of version 2.
    if contents.first() != Some(&1) {
        assert_eq!(written, contents, "accepted, and encoded to other bytes");
    }
    true
}

/// A count, as many commitments, and a proof: our verifier, its batches and the verifier of the
/// crate `bulletproofs` come to one verdict.
fn range_proof(bytes: &[u8]) -> bool {
    let mut input = Reader::new(bytes);
    let Ok(count @ 1..=8) = input.u8("count") else { return false };
    let commitments: Result<Vec<_>, _> =
        (0..count).map(|_| Commitment::decode(&mut input)).collect();
    let (Ok(commitments), Ok(proof)) = (commitments, RangeProof::decode(&mut input)) else {
        return false;
    };
    if input.finish().is_err() {
        return false;
    }
    let context = Digest::ZERO;
    let ours = range_proof::verify(&context, &commitments, &proof).is_ok();
    let theirs = range_proof::reference::verify(&context, &commitments, &proof).is_ok();
    assert_eq!(ours, theirs, "the two verifiers disagree");
    ours
}

/// An exported chain that can be read is written back byte by byte.
fn archive(bytes: &[u8]) -> bool {
    let Ok((mut reader, genesis)) = archive::Reader::begin(bytes) else { return false };
    let mut writer = archive::Writer::begin(Vec::new(), &genesis).expect("memory takes it");
    loop {
        match reader.block() {
            Err(_) => return false,
            Ok(None) => break,
            Ok(Some((block, certificate))) => {
                writer.block(&block, &certificate).expect("memory takes it");
            }
        }
    }
    assert_eq!(writer.finish().expect("memory takes it"), bytes);
    true
}

/// What a message says is what the message made of it says.
fn wire<M, T>(bytes: &[u8]) -> bool
where
    M: Message + Default + PartialEq + for<'a> From<&'a T>,
    T: for<'a> TryFrom<&'a M>,
{
    let Ok(message) = M::decode(bytes) else { return false };
    let Ok(value) = T::try_from(&message) else { return false };
    assert!(M::from(&value) == message, "accepted, and said differently");
    true
}

fn status(bytes: &[u8]) -> bool {
    let Ok(message) = node::Status::decode(bytes) else { return false };
    let Ok(status) = TransactionStatus::try_from(Some(message.clone())) else { return false };
    assert_eq!(node::Status::from(status), message);
    true
}

/// The number of decimals, and a text: an amount is the same after it is written and read again.
fn amount(bytes: &[u8]) -> bool {
    let Some((decimals, text)) = bytes.split_first() else { return false };
    let decimals = decimals % 20;
    let Some(text) = std::str::from_utf8(text).ok() else { return false };
    let Ok(amount) = decimal::parse(text, decimals) else { return false };
    let again = decimal::parse(&decimal::format(amount, decimals), decimals);
    assert_eq!(again, Ok(amount));
    true
}
