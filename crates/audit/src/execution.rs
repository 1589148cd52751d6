//! The chapter "Execution rules", for one transaction at a time.
//!
//! The auditor stops at the first fault, so what a faulty transaction has already written does not
//! matter: rules may be checked and effects applied in one pass.

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::{Encode, Writer};
use quittance_crypto::group::Point;
use quittance_crypto::planted;
use quittance_ledger::ids::{AccountId, CreditId, Height, InstitutionId, RoundId};
use quittance_ledger::state::Role;
use quittance_ledger::transaction::{Action, Body, Credit, CreditReturn, Entry, ReturnReason};

use crate::books::{Account, Books, Pending};
use crate::digests::TransactionDigests;
use crate::fault::{Fault, require};
use crate::{governance, rounds};

/// Where a transaction is executed.
pub(crate) struct Context<'a> {
    pub(crate) height: Height,
    pub(crate) digests: &'a TransactionDigests,
}

/// The events of an account's log, by tag.
pub(crate) enum Event<'a> {
    Posted(u32),
    Arrived(&'a CreditId),
    WentBack(&'a CreditId),
    CameBack(&'a CreditId),
    Joined(&'a RoundId),
}

pub(crate) fn execute(books: &mut Books, body: &Body, context: &Context<'_>) -> Result<(), Fault> {
    check_frame(books, body, context.height)?;
    match &body.action {
        Action::Entries(entries) => {
            for (index, entry) in (0u32..).zip(entries) {
                execute_entry(books, index, entry, None, context)
                    .map_err(|fault| fault.in_entry(index))?;
            }
            Ok(())
        }
        Action::Return(back) => execute_return(books, back, context),
        Action::RoundOpen(open) => rounds::open(books, open, context),
        Action::RoundJoin(join) => rounds::join(books, join, context),
        Action::Settlement(settlement) => rounds::settle(books, settlement, context),
        Action::Governance(decision) => governance::decide(books, decision, context.height),
        Action::KeyRotation(rotation) => governance::rotate(books, rotation, context.height),
    }
}

fn check_frame(books: &Books, body: &Body, height: Height) -> Result<(), Fault> {
    require(body.chain == books.chain, "chain", || body.chain.to_string())?;
    require(body.suite == books.suite, "suite", || body.suite.to_string())?;
    require(height <= body.expiry, "expiry", || format!("expired at {}", body.expiry))?;
    let latest = height.0.saturating_add(books.governed.limits.max_expiry);
    require(body.expiry.0 <= latest, "expiry", || format!("{} is too far", body.expiry))?;
    for (institution, key) in signers(body) {
        let register = books.governed.institutions.get(&institution);
        let register = register.ok_or_else(|| Fault::new("known institution", institution))?;
        check_not_suspended(books, institution)?;
        let current = register.transaction_key(height).map(|current| current.fingerprint());
        require(current == Some(key), "current key", || format!("{institution}: {key}"))?;
    }
    Ok(())
}

fn signers(body: &Body) -> Vec<(InstitutionId, Digest)> {
    let postings = body.entries().iter().flat_map(|entry| &entry.postings);
    let mut all: Vec<_> =
        postings.map(|posting| (posting.institution, posting.key_fingerprint)).collect();
    match &body.action {
        Action::Return(back) => all.push((back.by, back.key_fingerprint)),
        Action::RoundOpen(open) => all.push((open.opener, open.key_fingerprint)),
        Action::RoundJoin(join) => all.push((join.institution, join.key_fingerprint)),
        Action::Governance(decision) => {
            all.extend(decision.approvals.iter().map(|by| (by.institution, by.key_fingerprint)));
        }
        Action::KeyRotation(by) => all.push((by.institution, by.key_fingerprint)),
        Action::Entries(_) | Action::Settlement(_) => {}
    }
    all
}

/// Of a retired asset the issuer only takes back: it posts alone, and gives nothing.
fn check_retired(books: &Books, entry: &Entry) -> Result<(), Fault> {
    let issuer = books.governed.assets.get(&entry.asset).map(|asset| asset.issuer);
    let by_issuer = entry.postings.iter().any(|posting| Some(posting.institution) == issuer);
    let more = entry.postings.len() + entry.credits.len() > 1;
    let retired = books.governed.retired.contains_key(&entry.asset);
    require(!(retired && by_issuer && more), "not retired", || entry.asset.to_string())
}

/// Executes one entry; `round` is the round that it settles, if it is a settlement's.
pub(crate) fn execute_entry(
    books: &mut Books,
    index: u32,
    entry: &Entry,
    round: Option<RoundId>,
    context: &Context<'_>,
) -> Result<(), Fault> {
    require(books.governed.assets.contains_key(&entry.asset), "known asset", || {
        entry.asset.to_string()
    })?;
    check_retired(books, entry)?;
    let mut sum: Point = entry.credits.iter().map(|credit| credit.commitment.point()).sum();
    for posting in &entry.postings {
        let id = AccountId { institution: posting.institution, asset: entry.asset };
        check_holder(books, id)?;
        let account = books.account_mut(id);
        check_unlocked(id, account, round, context.height)?;
        check_sequence(id, account, posting.sequence)?;
        let mut absorbed = Point::identity();
        for credit in &posting.absorbed {
            let number = account.number_of(credit);
            let taken = number.and_then(|number| account.pending.remove(&number));
            let taken = taken.ok_or_else(|| {
                Fault::new("absorbed credits are pending", format!("{credit} on {id}"))
            })?;
            absorbed += taken.commitment.point();
        }
        let delta = posting.new_balance.point() - account.balance.point() - absorbed;
        let own = entry.credits.iter().filter(|credit| credit.sender == posting.institution);
        let given: Point = own.map(|credit| credit.commitment.point()).sum();
        account.balance = posting.new_balance;
        account.sequence = posting.sequence;
        account.lock = None;
        account.outflow += given;
        account.net_settled = account.net_settled + delta + given;
        log(account, &Event::Posted(index), context);
        sum += delta;
    }
    require(sum.is_identity(), "the entry sums to zero", || entry.asset.to_string())?;
    for (number, credit) in (0u32..).zip(&entry.credits) {
        let id = context.digests.credit_id(index, number);
        arrive(books, entry, credit, id, context)?;
    }
    Ok(())
}

/// A fresh credit arrives at its receiver.
fn arrive(
    books: &mut Books,
    entry: &Entry,
    credit: &Credit,
    id: CreditId,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let account_id = AccountId { institution: credit.institution, asset: entry.asset };
    check_holder(books, account_id)?;
    let quota = books.governed.limits.pending_per_sender as usize;
    let account = books.account_mut(account_id);
    let same_sender = |pending: &&Pending| !pending.returned && pending.sender == credit.sender;
    let waiting = account.pending.values().filter(same_sender).count();
    require(waiting < quota, "quota", || format!("{} on {account_id}", credit.sender))?;
    let pending = Pending {
        number: account.arrivals,
        id,
        sender: credit.sender,
        commitment: credit.commitment,
        details: credit.details,
        condition: credit.condition,
        arrived: context.height,
        returned: false,
    };
    take_in(account, pending);
    log(account, &Event::Arrived(&id), context);
    Ok(())
}

fn take_in(account: &mut Account, credit: Pending) {
    account.arrivals += 1;
    account.inflow += credit.commitment.point();
    account.pending.insert(credit.number, credit);
}

fn execute_return(
    books: &mut Books,
    back: &CreditReturn,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let asset = back.holder.asset;
    require(books.governed.assets.contains_key(&asset), "known asset", || asset.to_string())?;
    let refund_after = books.governed.limits.refund_after;
    let holder = books.account_mut(back.holder);
    let number = holder.number_of(&back.credit);
    let credit = number.and_then(|number| holder.pending.remove(&number)).ok_or_else(|| {
        Fault::new("returned credits are pending", format!("{} on {}", back.credit, back.holder))
    })?;
    require(!credit.returned, "a credit returns once", || credit.id.to_string())?;
    if back.reason == ReturnReason::Refunded {
        require(back.by == credit.sender, "the sender is refunded", || back.by.to_string())?;
        let earliest = credit.arrived.0.saturating_add(refund_after);
        require(context.height.0 >= earliest, "time of refund", || {
            format!("not before {earliest}")
        })?;
    }
    holder.outflow += credit.commitment.point();
    log(holder, &Event::WentBack(&credit.id), context);
    let id = credit.id;
    let sender = books.account_mut(AccountId { institution: credit.sender, asset });
    let again =
        Pending { number: sender.arrivals, arrived: context.height, returned: true, ..credit };
    take_in(sender, again);
    log(sender, &Event::CameBack(&id), context);
    Ok(())
}

fn check_not_suspended(books: &Books, institution: InstitutionId) -> Result<(), Fault> {
    let suspended = books.governed.suspended.contains_key(&institution);
    require(planted!("auditor-ignores-suspensions", true, !suspended), "not suspended", || {
        institution.to_string()
    })
}

pub(crate) fn check_holder(books: &Books, id: AccountId) -> Result<(), Fault> {
    check_not_suspended(books, id.institution)?;
    let issues =
        books.governed.assets.get(&id.asset).is_some_and(|asset| asset.issuer == id.institution);
    let register = books.governed.institutions.get(&id.institution);
    let takes_part = register.is_some_and(|register| register.roles.contains(&Role::Participant));
    require(register.is_some() && (issues || takes_part), "may hold the account", || id.to_string())
}

pub(crate) fn check_unlocked(
    id: AccountId,
    account: &Account,
    round: Option<RoundId>,
    height: Height,
) -> Result<(), Fault> {
    let locked = |lock: (RoundId, Height)| height <= lock.1 && round != Some(lock.0);
    require(!account.lock.is_some_and(locked), "account not locked", || id.to_string())
}

pub(crate) fn check_sequence(id: AccountId, account: &Account, found: u64) -> Result<(), Fault> {
    require(account.sequence.checked_add(1) == Some(found), "sequence", || {
        format!("{id}: {found} does not follow {}", account.sequence)
    })
}

pub(crate) fn log(account: &mut Account, event: &Event<'_>, context: &Context<'_>) {
    let mut out = Writer::new();
    context.height.encode(&mut out);
    context.digests.id.encode(&mut out);
    match event {
        Event::Posted(entry) => {
            out.u8(0);
            out.u32(*entry);
        }
        Event::Arrived(credit) => tagged(&mut out, 1, *credit),
        Event::WentBack(credit) => tagged(&mut out, 2, *credit),
        Event::CameBack(credit) => tagged(&mut out, 3, *credit),
        Event::Joined(round) => tagged(&mut out, 4, *round),
    }
    let parts = [&account.log.0[..], &out.into_bytes()];
    account.log = Digest::of("quittance/v1/account-log", &parts);
}

fn tagged(out: &mut Writer, tag: u8, id: &impl Encode) {
    out.u8(tag);
    id.encode(out);
}
