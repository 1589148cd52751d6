//! The execution rules of rounds.

use quittance_ledger::ids::{AccountId, AssetId, Height, RoundId};
use quittance_ledger::state::Role;
use quittance_ledger::transaction::{RoundJoin, RoundOpen, Settlement};

use crate::books::{Books, Round};
use crate::execution::{
    Context, Event, check_holder, check_sequence, check_unlocked, execute_entry, log,
};
use crate::fault::{Fault, require};

/// Members of a round, at most.
const MAX_MEMBERS: usize = 128;

/// What happens before the first transaction of a block.
pub(crate) fn forget(books: &mut Books, height: Height) {
    let kept = books.governed.limits.max_expiry;
    let stale = |round: &Round| round.terms.deadline.0.saturating_add(kept) < height.0;
    let stale: Vec<_> =
        books.rounds.iter().filter(|(_, round)| stale(round)).map(|(id, _)| *id).collect();
    for id in stale {
        books.rounds.remove(&id);
        books.touched_rounds.insert(id);
    }
}

pub(crate) fn open(
    books: &mut Books,
    open: &RoundOpen,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let register = books.governed.institutions.get(&open.opener);
    let coordinates = register.is_some_and(|register| register.roles.contains(&Role::Coordinator));
    require(coordinates, "a coordinator opens", || open.opener.to_string())?;
    require(books.governed.assets.contains_key(&open.asset), "known asset", || {
        open.asset.to_string()
    })?;
    check_live(books, &open.asset)?;
    check_program(books, open)?;
    require(books.governed.committees.contains_key(&open.committee), "known committee", || {
        open.committee.to_string()
    })?;
    require(context.height <= open.join_until, "joining ahead", || open.join_until.to_string())?;
    let latest = context.height.0.saturating_add(books.governed.limits.max_round);
    require(open.deadline.0 <= latest, "length of a round", || open.deadline.to_string())?;
    let id = RoundId(context.digests.round_id(books.chain));
    require(!books.rounds.contains_key(&id), "a round opens once", || id.to_string())?;
    let round = Round {
        terms: open.clone(),
        opened: context.height,
        members: Default::default(),
        settled: None,
    };
    books.rounds.insert(id, round);
    books.touched_rounds.insert(id);
    Ok(())
}

fn check_live(books: &Books, asset: &AssetId) -> Result<(), Fault> {
    require(!books.governed.retired.contains_key(asset), "not retired", || asset.to_string())
}

/// Settlements of this program are allowed: any, if the rule names none.
fn check_program(books: &Books, terms: &RoundOpen) -> Result<(), Fault> {
    let allowed = &books.governed.rule.programs;
    let fits = allowed.is_empty() || allowed.contains(&terms.program);
    require(fits, "allowed program", || terms.program.to_string())
}

pub(crate) fn join(
    books: &mut Books,
    join: &RoundJoin,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let round = books.rounds.get(&join.round);
    let round = round.ok_or_else(|| Fault::new("known round", join.round))?;
    let terms = round.terms.clone();
    require(round.settled.is_none(), "round not settled", || join.round.to_string())?;
    require(context.height <= terms.join_until, "time to join", || terms.join_until.to_string())?;
    let id = AccountId { institution: join.institution, asset: terms.asset };
    check_holder(books, id)?;
    let issues =
        books.governed.assets.get(&terms.asset).is_some_and(|a| a.issuer == join.institution);
    require(!issues, "an issuer does not join", || join.institution.to_string())?;
    check_live(books, &terms.asset)?;
    let account = books.account_mut(id);
    check_unlocked(id, account, None, context.height)?;
    check_sequence(id, account, join.sequence)?;
    account.sequence = join.sequence;
    account.lock = Some((join.round, terms.deadline));
    log(account, &Event::Joined(&join.round), context);
    if let Some(round) = books.round_mut(join.round) {
        let room = round.members.len() < MAX_MEMBERS;
        let fresh = room && !round.members.contains_key(&join.institution);
        require(fresh, "joins once, while there is room", || join.institution.to_string())?;
        round.members.insert(join.institution, (join.queue_root, join.bucket));
    }
    Ok(())
}

pub(crate) fn settle(
    books: &mut Books,
    settlement: &Settlement,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let Settlement { round: id, attempt, entry, .. } = settlement;
    let round = books.rounds.get(id).ok_or_else(|| Fault::new("known round", id))?;
    let terms = &round.terms;
    require(round.settled.is_none(), "round not settled", || id.to_string())?;
    require(context.height <= terms.deadline, "deadline", || terms.deadline.to_string())?;
    require(entry.asset == terms.asset, "asset of the round", || entry.asset.to_string())?;
    require(*attempt < terms.attempts, "attempts", || attempt.to_string())?;
    for posting in &entry.postings {
        let institution = posting.institution;
        require(round.members.contains_key(&institution), "members settle", || {
            institution.to_string()
        })?;
    }
    let roster = entry.postings.len();
    require(roster >= terms.minimum_roster.into(), "minimum roster", || roster.to_string())?;
    check_program(books, terms)?;
    let carries = settlement.attachment.is_some() || !books.governed.rule.attachment;
    require(carries, "attachment", || id.to_string())?;
    let members: Vec<_> = round.members.keys().copied().collect();
    execute_entry(books, 0, entry, Some(*id), context).map_err(|fault| fault.in_entry(0))?;
    for institution in members {
        let account = books.account_mut(AccountId { institution, asset: entry.asset });
        account.lock = account.lock.filter(|(round, _)| round != id);
    }
    if let Some(round) = books.round_mut(*id) {
        round.settled = Some((context.height, context.digests.id, *attempt));
    }
    Ok(())
}
