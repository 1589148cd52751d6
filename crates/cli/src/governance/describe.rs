//! What a proposal changes, in words: beside what holds now.

use std::fmt::Write;

use quittance_crypto::digest::Digest;
use quittance_ledger::ids::{CommitteeId, Height, InstitutionId};
use quittance_ledger::state::{Committee, Limits, PublicKey, SettlementRule, State};
use quittance_ledger::transaction::{Action, Body, Change, Governance, KeyRotation};

use super::chain::Register;
use super::file::Proposal;

/// Names, separated by commas.
pub fn names<'a>(ids: impl Iterator<Item = &'a InstitutionId>) -> String {
    listed(ids)
}

fn listed(items: impl Iterator<Item = impl ToString>) -> String {
    let items: Vec<_> = items.map(|item| item.to_string()).collect();
    match items.is_empty() {
        true => "nobody".to_owned(),
        false => items.join(", "),
    }
}

/// The name of a change in JSON.
pub fn kind(change: &Change) -> &'static str {
    match change {
        Change::PutValidator { .. } => "put-validator",
        Change::RemoveValidator { .. } => "remove-validator",
        Change::Admit { .. } => "admit",
        Change::Suspend { .. } => "suspend",
        Change::Readmit { .. } => "readmit",
        Change::SetRoles { .. } => "set-roles",
        Change::ReplaceKey { .. } => "replace-key",
        Change::ListAsset { .. } => "list-asset",
        Change::RetireAsset { .. } => "retire-asset",
        Change::PutCommittee { .. } => "put-committee",
        Change::RemoveCommittee { .. } => "remove-committee",
        Change::SetLimits(_) => "set-limits",
        Change::SetSettlementRule(_) => "set-settlement-rule",
        Change::Withdraw { .. } => "withdraw",
    }
}

/// From which height on an action holds; 0 for one that takes no height.
pub fn effective(action: &Action) -> Height {
    match action {
        Action::Governance(Governance { effective, .. })
        | Action::KeyRotation(KeyRotation { effective, .. }) => *effective,
        _ => Height::GENESIS,
    }
}

/// The first and the last height at which a body may be included.
pub fn window(body: &Body, register: &State) -> (Height, Height) {
    let first = body.expiry.0.saturating_sub(register.limits().max_expiry);
    (Height(first.max(1)), body.expiry)
}

/// Everything about a proposal.
pub fn proposal(proposal: &Proposal, register: &Register) -> String {
    let (body, state) = (proposal.body(), &register.state);
    let mut text = String::new();
    let title = match &body.action {
        Action::Governance(decision) => format!("Decision {}", decision.number),
        Action::KeyRotation(rotation) => format!("A new key of {}", rotation.institution),
        _ => "Nothing".to_owned(),
    };
    let (first, last) = window(body, state);
    let lines = [
        ("chain", body.chain.to_string()),
        ("digest", proposal.digest().to_string()),
        (
            "holds",
            format!("from height {}; the chain is at {}", effective(&body.action), register.height),
        ),
        ("included", format!("at a height from {first} to {last}, or never")),
    ];
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{title}\n");
    for (name, value) in lines {
        let _ = writeln!(text, "  {name:<9} {value}");
    }
    let _ = writeln!(text, "\nIt changes:\n");
    for (number, change) in (1..).zip(changes(&body.action, state)) {
        let _ = writeln!(text, "  {number}. {change}");
    }
    let _ = writeln!(text, "\nIt is signed by:\n");
    for id in proposal.signers().keys() {
        let signed = match proposal.signatures().contains_key(id) {
            true => "has signed",
            false => "has not signed yet",
        };
        let validators = state.validators();
        let power = validators.get(*id).filter(|_| matches!(body.action, Action::Governance(_)));
        let power = power.map(|validator| {
            format!(" (voting power {} of {})", validator.power, validators.total_power())
        });
        let _ = writeln!(text, "  {id}{}: {signed}", power.unwrap_or_default());
    }
    text
}

fn changes(action: &Action, register: &State) -> Vec<String> {
    match action {
        Action::Governance(decision) => {
            decision.changes.iter().map(|change| in_words(change, register)).collect()
        }
        Action::KeyRotation(rotation) => {
            vec![new_key(rotation.institution, &rotation.key, register)]
        }
        _ => Vec::new(),
    }
}

/// One change, as seen from the register before all of them.
fn in_words(change: &Change, register: &State) -> String {
    match change {
        Change::PutValidator { institution, power } => {
            match register.validators().get(*institution) {
                Some(now) => {
                    format!(
                        "validator {institution} has voting power {power} instead of {}",
                        now.power
                    )
                }
                None => format!("{institution} becomes a validator with voting power {power}"),
            }
        }
        Change::RemoveValidator { institution } => {
            format!("{institution} is a validator no more")
        }
        Change::Admit { institution, roles, keys } => {
            let keys =
                listed(keys.iter().map(|key| format!("{} {}", key.use_name(), key.fingerprint())));
            format!(
                "{institution} is admitted; roles: {}; keys: {keys}",
                listed(roles.iter().map(role))
            )
        }
        Change::Suspend { institution } => {
            format!("{institution} is suspended: it signs nothing and is credited nothing")
        }
        Change::Readmit { institution } => format!("{institution} is suspended no more"),
        Change::SetRoles { institution, roles } => {
            let now = register.institution(institution);
            let now = now.map(|now| listed(now.roles.iter().map(role))).unwrap_or_default();
            let roles = listed(roles.iter().map(role));
            format!("{institution} has the roles: {roles}; instead of: {now}")
        }
        Change::ReplaceKey { institution, key } => {
            format!("{}. No account changes", new_key(*institution, key, register))
        }
        Change::ListAsset { asset, terms } => match register.asset(asset) {
            Some(_) => format!("{asset} is retired no more"),
            None => format!(
                "{asset} is listed: issued by {}, with {} decimals",
                terms.issuer, terms.decimals
            ),
        },
        Change::RetireAsset { asset } => {
            format!("{asset} is retired: it is neither issued nor netted any more")
        }
        Change::PutCommittee { id, committee } => put_committee(*id, committee, register),
        Change::RemoveCommittee { id } => format!("committee {id} computes no new rounds"),
        Change::SetLimits(limits) => set_limits(limits, register.limits()),
        Change::SetSettlementRule(rule) => set_rule(rule),
        Change::Withdraw { number } => {
            format!("decision {number}, which waits for its height, never takes effect")
        }
    }
}

fn role(role: &quittance_ledger::state::Role) -> &'static str {
    use quittance_ledger::state::Role;
    match role {
        Role::Participant => "participant",
        Role::Coordinator => "coordinator",
        Role::MpcParty => "mpc-party",
        Role::Validator => "validator",
    }
}

/// A key in place of the one that would hold then.
fn new_key(institution: InstitutionId, key: &PublicKey, register: &State) -> String {
    let keys = register.institution(&institution).map(|it| it.keys.as_slice()).unwrap_or_default();
    let before = keys.iter().rev().find(|one| one.key().same_use(key));
    let before: Option<Digest> = before.map(quittance_ledger::state::RegisteredKey::fingerprint);
    let (used_for, new) = (key.use_name(), key.fingerprint());
    match before {
        Some(before) => format!("the {used_for} key of {institution} is {new} instead of {before}"),
        None => format!("{institution} has the {used_for} key {new}"),
    }
}

fn put_committee(id: CommitteeId, committee: &Committee, register: &State) -> String {
    let words = |committee: &Committee| {
        format!("{} with threshold {}", names(committee.parties.iter()), committee.threshold)
    };
    match register.committee(id) {
        Some(now) => format!("committee {id} is {}; instead of {}", words(committee), words(now)),
        None => format!("committee {id} is {}", words(committee)),
    }
}

fn set_limits(limits: &Limits, now: &Limits) -> String {
    let fields = |limits: &Limits| {
        let Limits {
            pending_per_sender,
            refund_after,
            max_expiry,
            max_round,
            block_transactions,
            block_bytes,
        } = *limits;
        [
            ("pending_per_sender", u64::from(pending_per_sender)),
            ("refund_after", refund_after),
            ("max_expiry", max_expiry),
            ("max_round", max_round),
            ("block_transactions", block_transactions.into()),
            ("block_bytes", block_bytes.into()),
        ]
    };
    let pairs = fields(limits).into_iter().zip(fields(now));
    let changed: Vec<_> = pairs
        .filter(|((_, new), (_, old))| new != old)
        .map(|((name, new), (_, old))| format!("{name} is {new} instead of {old}"))
        .collect();
    match changed.is_empty() {
        true => "the limits stay as they are".to_owned(),
        false => format!("limits: {}", changed.join(", ")),
    }
}

fn set_rule(SettlementRule { programs, attachment }: &SettlementRule) -> String {
    let programs = match programs.is_empty() {
        true => "rounds may name any program".to_owned(),
        false => format!("rounds may name the programs {}", listed(programs.iter())),
    };
    let attachment = match attachment {
        true => "settlements must have an attachment",
        false => "settlements need no attachment",
    };
    format!("{programs}; {attachment}")
}
