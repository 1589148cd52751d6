//! Real objects of every kind, from a small chain and from a whole round: for `make corpus`.

use age::secrecy::SecretString;
use prost::Message;
use quittance_audit::archive;
use quittance_circuit::{Builder, Destination, Owner, Program, Repetition};
use quittance_crypto::commitment::{Blinding, Opening};
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::field::{Fr, Scalar};
use quittance_crypto::keyfile::KeyRing;
use quittance_crypto::range_proof;
use quittance_crypto::range_proof::joint::{Aggregator, Prover};
use quittance_crypto::seal::seal;
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header};
use quittance_ledger::certificate::Certificate;
use quittance_ledger::ids::{AccountId, CreditId, Height, TransactionId, Uetr};
use quittance_ledger::merkle;
use quittance_ledger::payload::{CreditPayload, Particulars};
use quittance_ledger::state::{Event, EventKind, Key};
use quittance_ledger::transaction::Unverified;
use quittance_mpc::memory::Network;
use quittance_mpc::session::{Binding, Evidence, Frame, Kind};
use quittance_mpc::stock::{Amount, BatchId, Holdings};
use quittance_mpc::{Parties, vss};
use quittance_round::dealing::{Complaint, Publication, PublishedPart};
use quittance_round::envelope::Signed;
use quittance_round::message::{Attempt, Instruction, Reason, Refusal, Report};
use quittance_round::queue::Details;
use quittance_round::receipt::{Disclosure, Queue, Receipt, Statement};
use quittance_rpc::convert::{AccountView, ChainView, FinalBlock, RoundView, TransactionStatus};
use quittance_tests::chain::{self, Chain};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::io::Read;
use zeroize::Zeroizing;

use crate::bank::{payees, round};
use crate::world::{World, result_shares};

/// The name of a decoder, and what it has to accept.
type Sample = (&'static str, Vec<u8>);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

/// All of them.
pub fn all() -> Vec<Sample> {
    let chain = chain::eventful();
    let mut samples = Vec::new();
    samples.extend(transactions(&chain));
    samples.extend(blocks(&chain));
    samples.extend(state(&chain));
    samples.extend(wire(&chain));
    samples.extend(keys());
    samples.extend(payloads());
    samples.extend(proofs());
    samples.extend(rounds());
    samples.extend(messages());
    samples.extend(circuits());
    samples.extend(stocks());
    samples
}

/// One of each kind.
fn transactions(chain: &Chain) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let all = chain.blocks.iter().flat_map(|(block, _)| &block.transactions);
    for transaction in all {
        let body = transaction.body();
        samples.push(("transaction", transaction.to_bytes()));
        samples.push(("body", body.to_bytes()));
        for entry in body.entries() {
            samples.push(("entry", entry.to_bytes()));
            samples.extend(entry.postings.iter().map(|posting| ("posting", posting.to_bytes())));
            samples.extend(entry.credits.iter().map(|credit| ("credit", credit.to_bytes())));
        }
        let signatures = transaction.signatures().iter();
        samples.extend(signatures.map(|signed| ("institution-signature", signed.to_bytes())));
    }
    // A few of each kind that differ most: by their lengths.
    samples.sort_by_key(|(name, bytes)| (*name, bytes.len()));
    samples.dedup_by_key(|(name, bytes)| (*name, bytes.len() / 64));
    samples
}

fn smallest(chain: &Chain) -> (Block<Unverified>, &Certificate) {
    let small = chain.blocks.iter().min_by_key(|(block, _)| block.to_bytes().len()).unwrap();
    (Block::from_bytes(&small.0.to_bytes()).unwrap(), &small.1)
}

fn last(chain: &Chain) -> (&Header, &Certificate) {
    let (block, certificate) = chain.blocks.last().unwrap();
    (&block.header, certificate)
}

fn blocks(chain: &Chain) -> Vec<Sample> {
    let (block, certificate) = smallest(chain);
    let with_one = chain.blocks.iter().find(|(block, _)| block.transactions.len() == 1).unwrap();
    let genesis = &chain.genesis;
    let kind = quittance_ledger::certificate::VoteKind::Precommit;
    let vote = |block| quittance_ledger::certificate::Vote {
        chain: genesis.chain_id(),
        height: Height(3),
        round: 1,
        kind,
        block,
    };
    let mut writer = archive::Writer::begin(Vec::new(), genesis).unwrap();
    writer.block(&block, certificate).unwrap();
    vec![
        ("block", block.to_bytes()),
        ("block", with_one.0.to_bytes()),
        ("header", block.header.to_bytes()),
        ("certificate", certificate.to_bytes()),
        ("vote", vote(None).to_bytes()),
        ("vote", vote(Some(block.id())).to_bytes()),
        ("validator-set", genesis.validators.to_bytes()),
        ("validator", genesis.validators.validators().first().unwrap().to_bytes()),
        ("genesis", genesis.to_bytes()),
        ("genesis-json", serde_json::to_vec(genesis).unwrap()),
        ("genesis-institution", genesis.institutions.values().next().unwrap().to_bytes()),
        ("archive", writer.finish().unwrap()),
    ]
}

fn bank_account() -> AccountId {
    AccountId { institution: chain::id(chain::BANKS[0]), asset: chain::asset("EUR") }
}

fn state(chain: &Chain) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    let changes = chain.state.to_changes();
    for (key, record) in changes.iter() {
        let value = record.unwrap().to_bytes();
        samples.push(("record", [key.to_bytes(), value].concat()));
    }
    samples.sort_by_key(|(_, bytes)| (bytes[0], bytes.len()));
    samples.dedup_by_key(|(_, bytes)| bytes[0]);
    let (id, account, _) = chain.state.accounts().next().unwrap();
    // Credits that were pending on the way.
    let mut young = Chain::new();
    young.pay(chain::CENTRAL, "EUR", &[(chain::BANKS[0], 5), (chain::BANKS[1], 7)]);
    young.close();
    let (to, _, pending) = young.state.accounts().find(|(_, _, held)| !held.is_empty()).unwrap();
    let credit = pending.iter().next().unwrap();
    let key = Key::Credit(to, credit.number);
    samples.push(("record", [key.to_bytes(), credit.to_bytes()].concat()));
    let mut few = quittance_ledger::state::Changes::new();
    few.put(chain.state.record(&Key::Account(id)).unwrap().clone());
    few.remove(key);
    let (_, record) = chain.state.rounds().next().unwrap();
    let leaves = [Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    samples.extend([
        ("account", account.to_bytes()),
        ("round-record", record.to_bytes()),
        ("pending-credit", credit.to_bytes()),
        ("changes", few.to_bytes()),
        ("tree-proof", chain.state.prove(&Key::Account(id)).unwrap().to_bytes()),
        ("tree-proof", chain.state.prove(&Key::Account(bank_account())).unwrap().to_bytes()),
        ("merkle-proof", merkle::Proof::new(&leaves, 1).unwrap().to_bytes()),
        ("account-id", id.to_bytes()),
    ]);
    samples.extend(events());
    samples
}

fn events() -> Vec<Sample> {
    let transaction = TransactionId(Digest([7; 32]));
    let event = |kind| ("event", Event { height: Height(3), transaction, kind }.to_bytes());
    let credit = CreditId(Digest([8; 32]));
    vec![
        event(EventKind::Posted { entry: 1 }),
        event(EventKind::Arrived { credit }),
        event(EventKind::WentBack { credit }),
        event(EventKind::CameBack { credit }),
        event(EventKind::Joined { round: round() }),
    ]
}

fn wire(chain: &Chain) -> Vec<Sample> {
    use quittance_rpc::proto::node::v1 as node;
    let (header, certificate) = last(chain);
    let (header, certificate) = (header.clone(), certificate.clone());
    let id = bank_account();
    let view = AccountView {
        header: header.clone(),
        certificate: certificate.clone(),
        account: chain.state.account(&id).cloned(),
        proof: chain.state.prove(&Key::Account(id)).unwrap(),
        pending: Vec::new(),
    };
    let (block, of_block) = smallest(chain);
    let block = FinalBlock { block, certificate: of_block.clone(), next_validators: None };
    let round = chain.state.rounds().next().map(|(_, round)| round.clone());
    let round = RoundView { round, height: header.height };
    let status = ChainView {
        chain: chain.genesis.chain_id(),
        height: header.height,
        state_root: header.state_root,
        time: header.time,
        mempool: 3,
    };
    let of = |status: TransactionStatus| ("status", node::Status::from(status).encode_to_vec());
    let (code, reason) = ("STALE".to_owned(), "too late".to_owned());
    vec![
        ("account-view", node::AccountResponse::from(&view).encode_to_vec()),
        ("final-block", node::BlocksResponse::from(&block).encode_to_vec()),
        ("round-view", node::RoundResponse::from(&round).encode_to_vec()),
        ("chain-view", node::ChainStatusResponse::from(&status).encode_to_vec()),
        of(TransactionStatus::Unknown),
        of(TransactionStatus::Pending { expiry: Height(3) }),
        of(TransactionStatus::Final { height: Height(3), index: 1 }),
        of(TransactionStatus::Rejected { code, reason }),
        ("amount", b"\x021234.56".to_vec()),
        ("amount", b"\x00007".to_vec()),
        ("amount", b"\x0018446744073709551615".to_vec()),
    ]
}

/// What stands in a key file, decrypted.
fn contents(ring: &KeyRing) -> Vec<u8> {
    let file = ring.to_encrypted("fuzz", 1).unwrap();
    let identity = age::scrypt::Identity::new(SecretString::from("fuzz".to_owned()));
    let decryptor = age::Decryptor::new_buffered(&file[..]).unwrap();
    let identities = std::iter::once(&identity as &dyn age::Identity);
    let mut bytes = Vec::new();
    decryptor.decrypt(identities).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn keys() -> Vec<Sample> {
    let mut samples = Vec::new();
    for suite in [Suite::MlDsa65MlKem768, Suite::MlDsa87MlKem1024] {
        let ring = KeyRing::generate("BANKDEFF", suite).unwrap();
        let signing = ring.signing(Purpose::Vote);
        let sealed = seal(ring.sealing().public_key(), b"place", b"text").unwrap();
        samples.extend([
            ("key-ring", contents(&ring)),
            ("verifying-key", signing.verifying_key().to_bytes()),
            ("sealing-key", ring.sealing().public_key().to_bytes()),
            ("signature", signing.sign(Purpose::Vote, &Digest::ZERO).to_bytes()),
            ("suite", suite.to_bytes()),
            ("sealed", sealed.to_bytes()),
        ]);
    }
    let opening = Opening::random(5, &mut rng());
    samples.extend([
        ("purpose", Purpose::Receipt.to_bytes()),
        ("point", opening.commit().point().to_bytes()),
        ("commitment", opening.commit().to_bytes()),
        ("scalar", Encode::to_bytes(&Scalar::from(7u64))),
        ("field", Fr::from(7u64).to_bytes()),
        ("blinding", opening.blinding.to_bytes()),
        ("opening", opening.to_bytes()),
    ]);
    samples
}

fn particulars() -> Particulars {
    Particulars::new(Uetr([9; 16]), "INVOICE-1", "für Ware").unwrap()
}

fn payloads() -> Vec<Sample> {
    let opening = Opening::new(30, Blinding::from_scalar(Scalar::from(31u64)));
    let credit =
        CreditPayload { opening: opening.clone(), salt: [5; 16], particulars: particulars() };
    // A version, an opening, and what the posting was for; see the formats of the ledger.
    let head = [&[1][..], &opening.to_bytes()].concat();
    let amounts = [&2u32.to_be_bytes()[..], &12u64.to_be_bytes(), &13u64.to_be_bytes()].concat();
    let entry = [&head, &[0, 1][..], &[0xee; 16], &[0x5e; 32], &amounts].concat();
    let settled = [&head, &[1][..], &5u32.to_be_bytes()].concat();
    vec![
        ("self-note", entry),
        ("self-note", settled),
        ("particulars", particulars().to_bytes()),
        ("credit-payload", credit.to_bytes()),
    ]
}

fn proofs() -> Vec<Sample> {
    let mut samples = Vec::new();
    for count in [1u8, 2, 3] {
        let openings: Vec<_> =
            (0..u64::from(count)).map(|value| Opening::random(value, &mut rng())).collect();
        let proof = range_proof::prove(&Digest::ZERO, &openings, &mut rng()).unwrap();
        let statement: Vec<u8> =
            openings.iter().flat_map(|opening| opening.commit().to_bytes()).collect();
        samples.push(("range-proof-bytes", proof.to_bytes()));
        samples.push(("range-proof", [&[count][..], &statement, &proof.to_bytes()].concat()));
    }
    samples
}

/// From frozen queues to results and receipts.
fn rounds() -> Vec<Sample> {
    let mut world = World::new(3, 1, 9);
    let mut samples: Vec<Sample> = Vec::new();
    let announcement = world.banks[0].announcements().next().unwrap();
    samples.push(("announcement", announcement.to_bytes()));
    let leaf = world.banks[0].queue.leaves()[0];
    samples.push(("leaf", leaf.to_bytes()));
    let details = Details { salt: [1; 16], particulars: particulars() };
    samples.push(("details", details.to_bytes()));
    let settled = world.run(&[1, 2]);
    let dealing = settled.dealings[0].message(1).unwrap();
    samples.push(("dealing", dealing.to_vec()));
    let dealing = quittance_round::dealing::Dealing::from_bytes(&dealing).ok().unwrap();
    samples.push(("common-part", dealing.common.to_bytes()));
    samples.push(("private-part", dealing.private.to_bytes()));
    let (round, dealer, reason) = (round(), dealing.common.dealer, Reason::new("a bad share"));
    let complaint = Complaint { round, dealer, dealing: dealing.common.digest(), reason };
    let complaint = Signed::sign(complaint, world.committee[0].id(), &world.committee[0].round_key);
    samples.push(("complaint", complaint.to_bytes()));
    let (common, private) = (dealing.common, dealing.private);
    let part = PublishedPart { party: private.party, part: private.digest() };
    samples.push(("published-part", part.to_bytes()));
    let publication = Publication { common, complaint: complaint.clone(), private };
    samples.push(("publication", publication.to_bytes()));
    let party = &world.committee[0];
    let acknowledgement = party.dealt.values().next().unwrap();
    let acknowledgement = acknowledgement.acknowledge(&[], party.id(), &party.round_key);
    samples.push(("acknowledgement", acknowledgement.to_bytes()));
    samples.push(("start", settled.start.to_bytes()));
    samples.push(("roster", settled.start.roster.to_bytes()));

    let bank = &world.banks[0];
    let shares = result_shares(settled.start.active, &settled.outcomes, bank);
    samples.push(("result-share", shares[0].1.to_bytes()));
    samples.push(("committed-share", shares[0].1.net.to_bytes()));
    samples.push(("committed-output", shares[0].1.nets[0].to_bytes()));
    samples.push(("bank-result", settled.results[0].to_bytes()));
    samples.push(("notices", shares[0].1.notices[0].to_bytes()));
    let parties = settled.outcomes.iter().zip(&world.committee);
    let words = parties.map(|(outcome, party)| {
        outcome.attest(TransactionId(Digest([3; 32])), party.me, &party.receipt_key)
    });
    let words: Vec<_> = words.collect();
    samples.push(("attestation", words[0].to_bytes()));
    samples.push(("subject", words[0].subject.to_bytes()));
    let banks = world.banks.iter().zip(&shares[0].1.notices);
    let queues =
        banks.map(|(bank, notices)| Queue { payer: bank.id(), root: bank.queue.root(), notices });
    let found = Statement::new(queues).find(&bank.id(), 0).unwrap();
    samples.push(("notice", found.0.to_bytes()));
    let disclosure = Disclosure {
        leaf,
        inclusion: bank.queue.inclusion(0).unwrap(),
        payee: bank.queue.payee(0),
        pad: bank.queue.pads(0)[0].clone(),
    };
    samples.push(("disclosure", disclosure.to_bytes()));
    samples.push(("pad", disclosure.pad.to_bytes()));
    samples.push(("payees", payees().to_bytes()));
    samples.push(("receipt", Receipt::new(&words, found, disclosure).ok().unwrap().to_bytes()));
    let signed =
        Signed::sign(settled.start, "CORDZZ01".parse().unwrap(), &world.committee[0].round_key);
    samples.push(("signed-start", signed.to_bytes()));
    samples.push(("instruction", Instruction::Start(signed).to_bytes()));
    let (acknowledgements, complaints) = (vec![acknowledgement], vec![complaint]);
    let dealt = Report::Dealt { round, acknowledgements, complaints };
    samples.push(("report", dealt.to_bytes()));
    samples
}

/// The talk between coordinator and banks.
fn messages() -> Vec<Sample> {
    let attempt = Attempt { round: round(), number: 0 };
    let reason = Reason::new("nothing to settle");
    let bank = "BANKZZ01".parse().unwrap();
    let key = SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32]);
    let refusal = Refusal { attempt, reason: reason.clone() };
    let refusal = Signed::sign(refusal, "BANKZZ01".parse().unwrap(), &key);

    let opening = Opening::random(5, &mut rng());
    let statement = [opening.commit()];
    let (context, mut rng) = (Digest::ZERO, rng());
    let (prover, bits) = Prover::start(&context, &statement, 0, &opening, &mut rng).unwrap();
    let aggregator = Aggregator::new(&context, &statement, &mut rng).unwrap();
    let (aggregator, all_bits) = aggregator.receive(vec![bits], &mut rng).unwrap();
    let (prover, polynomials) = prover.receive(&all_bits, &mut rng).unwrap();
    let (_, all_polynomials) = aggregator.receive(vec![polynomials]).unwrap();
    let share = prover.receive(&all_polynomials).unwrap();
    vec![
        ("bit-message", bits.to_bytes()),
        ("polynomial-message", polynomials.to_bytes()),
        ("share-message", share.to_bytes()),
        ("attempt", attempt.to_bytes()),
        ("reason", reason.to_bytes()),
        ("refusal", refusal.to_bytes()),
        ("report", Report::Refused(refusal).to_bytes()),
        ("report", Report::Bits { attempt, message: bits }.to_bytes()),
        ("report", Report::Polynomials { attempt, message: polynomials }.to_bytes()),
        ("report", Report::Share { attempt, message: share }.to_bytes()),
        (
            "report",
            Report::Failed {
                attempt,
                exchange: 7,
                named: vec![bank],
                evidence: Some(evidence(&key)),
                reason: reason.clone(),
            }
            .to_bytes(),
        ),
        (
            "report",
            Report::NoResult { attempt, parties: vec![bank], reason: reason.clone() }.to_bytes(),
        ),
        ("report", Report::Declined { round: round(), reason: reason.clone() }.to_bytes()),
        ("instruction", Instruction::AllBits { attempt, messages: all_bits }.to_bytes()),
        (
            "instruction",
            Instruction::AllPolynomials { attempt, messages: all_polynomials }.to_bytes(),
        ),
        ("instruction", Instruction::Abandoned { attempt, reason }.to_bytes()),
    ]
}

/// Two statements of party 2 in one place of a session.
fn evidence(key: &SigningKey) -> Evidence {
    let place = [&[8; 32][..], &[0, 0, 0, 5], &[Kind::Publish as u8], &[2]].concat();
    let said = [[1; 32], [2; 32]].map(|content| {
        let signature = key.sign(Purpose::Round, &Digest(content));
        [content.to_vec(), signature.to_bytes()].concat()
    });
    Evidence::from_bytes(&[place, said.concat()].concat()).unwrap()
}

fn circuits() -> Vec<Sample> {
    let circuit = Builder::build("sample", 2, |b| {
        let a = b.private(Owner(0)).uint(8);
        let c = b.committed(Owner(1)).uint(64);
        let less = a.less_than(c);
        let product = b.inner_product([(a, c), (a, a)]);
        b.reveal(less);
        let chosen = less.select(product, b.uint(5));
        b.output(chosen, Destination::Owner(Owner(1)));
    });
    let circuit = circuit.unwrap();
    let start = Builder::build("start", 1, |b| b.carry(b.private(Owner(0)).bit())).unwrap();
    let step = Builder::build("step", 1, |b| {
        b.reveal(b.carried().bit());
        b.carry(b.bit(true));
    });
    let finish = Builder::build("finish", 1, |b| {
        b.output(b.carried().bit(), Destination::Public);
    });
    let (step, finish) = (step.unwrap(), finish.unwrap());
    let program = Program::new(start, step, finish, Repetition::UntilFlag { at_most: 3 }).unwrap();
    let frame = Frame {
        session: Digest([8; 32]),
        from: 1,
        to: 2,
        exchange: 3,
        kind: Kind::Open,
        part: 0,
        last: true,
        payload: Zeroizing::new(vec![1; 64]),
    };
    let secrets = [(Fr::from(4u64), Blinding::from_scalar(Scalar::from(31u64)))];
    let parties = Parties::new(3, 1).unwrap();
    let (dealing, shares) = vss::deal(parties, &secrets, &mut rng());
    let vector = [Fr::from(1u64); 2];
    let (published, compressed) = vss::deal_compressed(parties, Owner(0), &vector, &mut rng());
    vec![
        // One that is a seed, and one that is shares.
        ("compressed-shares", compressed[0].to_bytes()),
        ("compressed-shares", compressed[1].to_bytes()),
        ("compressed-dealing", published.to_bytes()),
        ("circuit", circuit.to_bytes()),
        ("program", program.to_bytes()),
        ("frame", frame.to_bytes()),
        ("evidence", evidence(&SigningKey::from_seed(Suite::MlDsa65MlKem768, &[4; 32])).to_bytes()),
        ("vss-dealing", dealing.to_bytes()),
        ("dealt-share", shares[0][0].to_bytes()),
    ]
}

/// One party's side of a batch that was made, and what is said of it.
fn stocks() -> Vec<Sample> {
    let [chain, round, circuit, roster, dealings] = [Digest([7; 32]); 5];
    let committee = vec![Digest([1; 32]), Digest([2; 32]), Digest([3; 32])];
    let active = Parties::new(3, 1).unwrap().first_active();
    let binding = Binding {
        chain,
        round,
        attempt: 0,
        circuit,
        roster,
        dealings,
        committee,
        threshold: 1,
        active,
    };
    let amount = Amount { comparisons: 1, bits: 2 };
    let network = Network::of_engines(&binding, 1, move |engine| engine.into_material(5, amount));
    let material = network.unwrap().run().results.swap_remove(0).unwrap();
    let next = BatchId { number: 6, maker: Digest([6; 32]) };
    vec![
        ("holdings", Holdings { agreed: 4, ready: vec![*material.id(), next] }.to_bytes()),
        ("material", material.to_bytes()),
    ]
}
