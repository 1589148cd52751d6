//! Each rule broken by itself, in a block that a corrupt validator adds to an honest chain: the
//! auditor names the rule. What the transaction is otherwise, it is rightly proven and signed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../tests/src/chain.rs"]
#[allow(dead_code, reason = "the chain of the tests across crates, of which these use a part")]
mod chain;

use std::sync::LazyLock;

use chain::{BANKS, CENTRAL, COORDINATOR, Chain, account, asset, certify, id, key};
use quittance_audit::{Audit, Fault};
use quittance_crypto::commitment::Opening;
use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Decode, Encode};
use quittance_crypto::signature::{Purpose, SigningKey, Suite};
use quittance_ledger::block::{Block, Header, transactions_root};
use quittance_ledger::build::Absorbed;
use quittance_ledger::ids::{BlockId, ChainId, CommitteeId, Height, RoundId, Timestamp};
use quittance_ledger::state::Limits;
use quittance_ledger::transaction::{
    Action, Body, CreditReturn, Entry, InstitutionSignature, ReturnReason, RoundJoin, RoundOpen,
    Settlement, Transaction,
};

const ONE: &str = BANKS[0];
const TWO: &str = BANKS[1];
const THREE: &str = BANKS[2];

/// What the auditor says of a chain with one more block of these transactions.
fn audit(chain: &Chain, transactions: Vec<Transaction>) -> Result<(), Fault> {
    let mut audit = Audit::begin(&chain.genesis).unwrap();
    for (block, certificate) in &chain.blocks {
        audit.block(&Block::from_bytes(&block.to_bytes()).unwrap(), certificate).unwrap();
    }
    let height = Height(audit.height() + 1);
    let last = chain.blocks.last().map(|(block, _)| block);
    let header = Header {
        suite: chain::SUITE,
        chain: chain.state.chain().id,
        height,
        parent: last.map_or(BlockId(Digest::ZERO), Block::id),
        transactions_root: transactions_root(&transactions),
        state_root: Digest::ZERO,
        time: Timestamp(1_000_000 + height.0),
        validators: chain.state.validators().digest(),
        next_validators: chain.state.validators().digest(),
    };
    let certificate = certify(&header);
    audit.block(&Block { header, transactions }, &certificate)
}

/// The rule that a block of these transactions breaks. The one of its state root is not meant: it
/// is broken if all others hold.
fn broken(chain: &Chain, transactions: Vec<Transaction>) -> Option<&'static str> {
    let fault = audit(chain, transactions).expect_err("its state root is wrong at least");
    (fault.rule != "state root").then_some(fault.rule)
}

/// The rule that what waits for the next block breaks.
fn waiting(chain: &mut Chain) -> Option<&'static str> {
    let waiting = std::mem::take(&mut chain.waiting);
    let transactions = waiting.iter().map(|it| Transaction::from_bytes(&it.to_bytes()).unwrap());
    let transactions = transactions.collect();
    broken(chain, transactions)
}

/// The rule that one transaction breaks which `make` adds to the block at work.
fn breaks(mut chain: Chain, make: impl FnOnce(&mut Chain)) -> Option<&'static str> {
    make(&mut chain);
    waiting(&mut chain)
}

/// Bank 1 has 1,000 euros less 15 that wait for banks 2 and 3; 500 wait for bank 2 besides.
fn base() -> Chain {
    let limits = Limits { refund_after: 2, pending_per_sender: 2, ..Limits::default() };
    let mut chain = Chain::with_limits(limits);
    chain.pay(CENTRAL, "EUR", &[(ONE, 1_000), (TWO, 500)]);
    chain.close();
    chain.pay(ONE, "EUR", &[(TWO, 10), (THREE, 5)]);
    chain.close();
    chain
}

/// A body signed by these, whatever it says.
fn signed(body: Body, by: &[&str]) -> Transaction {
    let blank = Transaction::new(body.clone(), vec![], vec![]);
    let sign = |who: &&str| {
        let key = key(who, Purpose::Transaction);
        let institution = id(who);
        let key_fingerprint = key.verifying_key().fingerprint();
        let signature = key.sign(Purpose::Transaction, &blank.signing_digest());
        InstitutionSignature { institution, key_fingerprint, signature }
    };
    Transaction::new(body, vec![], by.iter().map(sign).collect())
}

fn body(chain: &Chain, action: Action) -> Body {
    chain.terms().act(action).unwrap()
}

/// Bank 2 rejects what bank 1 has sent it.
fn rejection(chain: &Chain) -> CreditReturn {
    let pending = &chain.pending[&account(TWO, "EUR")];
    CreditReturn {
        credit: pending[1].id,
        holder: account(TWO, "EUR"),
        by: id(TWO),
        key_fingerprint: chain.fingerprint(TWO),
        reason: ReturnReason::Rejected,
    }
}

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

/// A payment against payment of two banks.
fn exchange() -> &'static (Chain, Transaction) {
    static EXCHANGE: LazyLock<(Chain, Transaction)> = LazyLock::new(|| {
        let mut chain = base();
        chain.pay(CENTRAL, "USD", &[(TWO, 100)]);
        chain.close();
        chain.exchange(ONE, 20, TWO, 30);
        let transaction = Transaction::from_bytes(&chain.waiting[0].to_bytes()).unwrap();
        chain.waiting.clear();
        (chain, transaction)
    });
    &EXCHANGE
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

#[test]
fn entries_are_executed_by_the_rules() {
    assert_eq!(breaks(base(), |chain| chain.pay(ONE, "EUR", &[(TWO, 1)])), None);
    let sequence = |chain: &mut Chain| {
        chain.balances.get_mut(&account(ONE, "EUR")).unwrap().1 += 1;
        chain.pay(ONE, "EUR", &[(TWO, 1)]);
    };
    assert_eq!(breaks(base(), sequence), Some("sequence"));
    let richer = |chain: &mut Chain| {
        let balance = &mut chain.balances.get_mut(&account(ONE, "EUR")).unwrap().0;
        *balance = Opening::new(balance.value + 1, balance.blinding.clone());
        chain.pay(ONE, "EUR", &[(TWO, 1)]);
    };
    assert_eq!(breaks(base(), richer), Some("the entry sums to zero"));
    let twice = |chain: &mut Chain| {
        let pending = &chain.pending[&account(TWO, "EUR")];
        let copy = |credit: &Absorbed| Absorbed { id: credit.id, opening: credit.opening.clone() };
        let pending = pending.iter().map(copy).collect();
        chain.pay(TWO, "EUR", &[]);
        chain.pending.insert(account(TWO, "EUR"), pending);
        chain.pay(TWO, "EUR", &[]);
    };
    assert_eq!(breaks(base(), twice), Some("absorbed credits are pending"));
    let to_nobody = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(COORDINATOR, 1)]);
    assert_eq!(breaks(base(), to_nobody), Some("may hold the account"));
}

/// Two credits of one sender may wait on one account. Others do not count, and neither does what
/// has come back.
#[test]
fn quotas_are_per_account_and_sender() {
    let mut chain = base();
    chain.give_back(THREE, "EUR", ONE, ReturnReason::Rejected);
    chain.close();
    chain.pay(TWO, "EUR", &[(ONE, 1), (THREE, 1)]);
    chain.pay(TWO, "EUR", &[(ONE, 1)]);
    chain.close();
    chain.pay(CENTRAL, "EUR", &[(ONE, 1), (THREE, 1)]);
    chain.pay(ONE, "EUR", &[(THREE, 1)]);
    chain.pay(ONE, "EUR", &[(THREE, 1)]);
    chain.close();
    let third = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(THREE, 1)]);
    assert_eq!(breaks(chain, third), Some("quota"));
    // Without anybody else's.
    let second = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(THREE, 1)]);
    assert_eq!(breaks(base(), second), None);
    let both = |chain: &mut Chain| (0..2).for_each(|_| second(chain));
    assert_eq!(breaks(base(), both), Some("quota"));
}

#[test]
fn returns_follow_the_rules() {
    let chain = base();
    let back = |by: &str, change: &dyn Fn(&mut CreditReturn)| {
        let mut body = body(&chain, Action::Return(rejection(&chain)));
        let Action::Return(back) = &mut body.action else { panic!("a return") };
        change(back);
        back.by = id(by);
        back.key_fingerprint = chain.fingerprint(by);
        broken(&chain, vec![signed(body, &[by])])
    };
    let refund = |back: &mut CreditReturn| back.reason = ReturnReason::Refunded;
    assert_eq!(back(TWO, &|_| {}), None);
    assert_eq!(back(ONE, &|_| {}), Some("who returns"));
    assert_eq!(back(TWO, &refund), Some("who returns"));
    assert_eq!(back(THREE, &refund), Some("the sender is refunded"));
    assert_eq!(back(TWO, &|back| back.holder.asset = asset("GBP")), Some("known asset"));
    let other = chain.pending[&account(THREE, "EUR")][0].id;
    assert_eq!(back(TWO, &|back| back.credit = other), Some("returned credits are pending"));
    // It arrived at height 2, and may be taken back from height 4.
    assert_eq!(back(ONE, &refund), Some("time of refund"));

    let mut later = base();
    later.close();
    later.give_back(TWO, "EUR", CENTRAL, ReturnReason::Refunded);
    assert_eq!(waiting(&mut later), None);

    // What came back is not sent back again.
    let mut chain = base();
    chain.give_back(THREE, "EUR", ONE, ReturnReason::Rejected);
    chain.close();
    let again = CreditReturn {
        credit: chain.pending[&account(ONE, "EUR")][0].id,
        holder: account(ONE, "EUR"),
        by: id(ONE),
        key_fingerprint: chain.fingerprint(ONE),
        reason: ReturnReason::Rejected,
    };
    let again = signed(body(&chain, Action::Return(again)), &[ONE]);
    assert_eq!(broken(&chain, vec![again]), Some("a credit returns once"));
}

#[test]
fn rounds_open_by_the_rules() {
    let chain = base();
    let open = |change: &dyn Fn(&mut Body)| {
        let mut body = body(&chain, Action::RoundOpen(chain.opening_of("EUR")));
        change(&mut body);
        let Action::RoundOpen(open) = &body.action else { panic!("an opening") };
        let by = if open.opener == id(ONE) { ONE } else { COORDINATOR };
        signed(body, &[by])
    };
    let rule = |change: fn(&mut RoundOpen)| {
        let change = |body: &mut Body| {
            let Action::RoundOpen(open) = &mut body.action else { panic!("an opening") };
            change(open);
            if open.opener == id(ONE) {
                open.key_fingerprint = key(ONE, Purpose::Transaction).verifying_key().fingerprint();
            }
        };
        broken(&chain, vec![open(&change)])
    };
    // Opened at height 3; joining until 4, at most until 3 + 10,000.
    assert_eq!(Limits::default().max_round, 10_000);
    assert_eq!(rule(|_| {}), None);
    assert_eq!(rule(|open| open.minimum_roster = 1), Some("minimum roster"));
    assert_eq!(rule(|open| open.minimum_roster = 129), Some("minimum roster"));
    assert_eq!(rule(|open| open.minimum_roster = 128), None);
    assert_eq!(rule(|open| open.attempts = 0), Some("attempts"));
    assert_eq!(rule(|open| open.deadline = open.join_until), Some("deadline after joining"));
    assert_eq!(rule(|open| open.opener = id(ONE)), Some("a coordinator opens"));
    assert_eq!(rule(|open| open.asset = asset("GBP")), Some("known asset"));
    assert_eq!(rule(|open| open.committee = CommitteeId(2)), Some("known committee"));
    assert_eq!(rule(|open| open.join_until = Height(2)), Some("joining ahead"));
    assert_eq!(rule(|open| open.join_until = Height(3)), None);
    assert_eq!(rule(|open| open.deadline = Height(10_003)), None);
    assert_eq!(rule(|open| open.deadline = Height(10_004)), Some("length of a round"));
    let twice = vec![open(&|_| {}), open(&|_| {})];
    assert_eq!(broken(&chain, twice), Some("a round opens once"));
}

/// With a round opened at height 3, joined by banks 1 and 2 at height 4, until height 4; its
/// deadline is height 7.
fn joined() -> (Chain, RoundId) {
    let mut chain = base();
    let mut open = chain.opening_of("EUR");
    open.deadline = Height(7);
    let round = chain.open_round(open);
    chain.close();
    chain.join(round, ONE, "EUR");
    chain.join(round, TWO, "EUR");
    chain.close();
    (chain, round)
}

#[test]
fn rounds_are_joined_by_the_rules() {
    let mut chain = base();
    let round = chain.open_round(chain.opening_of("EUR"));
    chain.close();
    let join = |chain: &Chain, who: &str, round, sequence| {
        let join = RoundJoin {
            round,
            institution: id(who),
            key_fingerprint: chain.fingerprint(who),
            sequence,
            queue_root: Digest::ZERO,
            bucket: 8,
            note: vec![],
        };
        signed(body(chain, Action::RoundJoin(join)), &[who])
    };
    let rule = |chain: &Chain, joins: Vec<_>| broken(chain, joins);
    let once = |who, round, sequence| vec![join(&chain, who, round, sequence)];
    assert_eq!(rule(&chain, once(THREE, round, 1)), None);
    assert_eq!(rule(&chain, once(THREE, round, 2)), Some("sequence"));
    assert_eq!(rule(&chain, once(THREE, RoundId(Digest::ZERO), 1)), Some("known round"));
    assert_eq!(rule(&chain, once(CENTRAL, round, 2)), Some("an issuer does not join"));
    assert_eq!(rule(&chain, once(COORDINATOR, round, 1)), Some("may hold the account"));
    let twice = vec![join(&chain, THREE, round, 1), join(&chain, THREE, round, 2)];
    assert_eq!(rule(&chain, twice), Some("account not locked"));

    let (late, round) = joined();
    assert_eq!(rule(&late, vec![join(&late, THREE, round, 1)]), Some("time to join"));
    let (mut settled, round) = joined();
    settled.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    settled.close();
    assert_eq!(rule(&settled, vec![join(&settled, THREE, round, 1)]), Some("round not settled"));
}

#[test]
fn accounts_are_locked_until_the_deadline_or_the_settlement() {
    let pays = |chain: &mut Chain| chain.pay(ONE, "EUR", &[(THREE, 1)]);
    let (mut chain, _) = joined();
    assert_eq!(breaks(joined().0, pays), Some("account not locked"));
    chain.close();
    chain.close();
    assert_eq!(chain.height(), Height(6));
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), Some("account not locked"));
    chain.balances = joined().0.balances;
    chain.close();
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), None);

    let (mut chain, round) = joined();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    chain.close();
    pays(&mut chain);
    assert_eq!(waiting(&mut chain), None);
}

/// Also of a member that the settlement leaves out.
#[test]
fn a_settlement_frees_all_members_of_its_round() {
    let mut chain = base();
    let round = chain.open_round(chain.opening_of("EUR"));
    chain.close();
    [ONE, TWO, THREE].map(|who| chain.join(round, who, "EUR"));
    chain.close();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    chain.close();
    assert_eq!(breaks(chain, |chain| chain.pay(THREE, "EUR", &[(ONE, 1)])), None);
}

#[test]
fn rounds_settle_by_the_rules() {
    let settle = |nets: &[(&str, i64)], change: fn(&mut Settlement)| {
        let (mut chain, round) = joined();
        chain.settle(round, "EUR", nets, change);
        waiting(&mut chain)
    };
    let nets = [(ONE, -5), (TWO, 5)];
    assert_eq!(settle(&nets, |_| {}), None);
    let unknown = settle(&nets, |settlement| settlement.round = RoundId(Digest::ZERO));
    assert_eq!(unknown, Some("known round"));
    assert_eq!(settle(&nets, |settlement| settlement.attempt = 1), Some("attempts"));
    let members = settle(&[(ONE, -5), (TWO, 4), (THREE, 1)], |_| {});
    assert_eq!(members, Some("members settle"));
    assert_eq!(settle(&[(ONE, 0)], |_| {}), Some("minimum roster"));

    let (mut chain, round) = joined();
    chain.settle(round, "USD", &[(ONE, 0), (TWO, 0)], |_| {});
    assert_eq!(waiting(&mut chain), Some("asset of the round"));

    for (blocks, rule) in [(2, None), (3, Some("deadline"))] {
        let (mut chain, round) = joined();
        (0..blocks).for_each(|_| chain.close());
        chain.settle(round, "EUR", &nets, |_| {});
        assert_eq!(waiting(&mut chain), rule);
    }
}

#[test]
fn a_settlement_gives_and_takes_no_credits() {
    let (mut chain, round) = joined();
    chain.settle(round, "EUR", &[(ONE, -5), (TWO, 5)], |_| {});
    let honest = chain.waiting[0].body().clone();
    let rule = |change: &dyn Fn(&mut Entry)| {
        let mut body = honest.clone();
        let Action::Settlement(settlement) = &mut body.action else { panic!("a settlement") };
        change(&mut settlement.entry);
        broken(&chain, vec![Transaction::new(body, vec![], vec![])])
    };
    assert_eq!(rule(&|_| {}), Some("one range proof for each entry"));
    let credit = exchange().1.body().entries()[0].credits[0].clone();
    assert_eq!(rule(&|entry| entry.credits.push(credit.clone())), Some("a settlement only posts"));
    let id = chain.pending[&account(TWO, "EUR")][0].id;
    let absorbs = rule(&|entry| entry.postings[1].absorbed.push(id));
    assert_eq!(absorbs, Some("a settlement only posts"));
}

/// A round is forgotten when no transaction can name it any more: at the first height that lies more
/// than the longest expiry behind its deadline. The state root says whether it is there.
#[test]
fn rounds_are_forgotten_when_the_ledger_forgets_them() {
    let mut chain = Chain::with_limits(Limits { max_expiry: 10, ..Limits::default() });
    let mut open = chain.opening_of("EUR");
    open.deadline = Height(3);
    let round = chain.open_round(open);
    for height in 1..=15 {
        chain.close();
        assert_eq!(chain.state.round(&round).is_some(), height <= 13, "{height}");
    }
    assert_eq!(broken(&chain, vec![]), None);
}
