//! What the chain says of this validator and of the others, as it goes on: who may connect, and
//! what an operator has to know when that changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use metrics::gauge;
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::ids::{Height, InstitutionId};
use quittance_ledger::state::{PublicKey, State};
use quittance_ledger::transaction::Change;
use quittance_rpc::metrics::{NODE_POWER, NODE_VALIDATORS};
use quittance_rpc::peers::Validators;
use quittance_rpc::server::Health;
use tokio::sync::watch;

use crate::core::{Core, View};

/// What is said of this validator's part in the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Its voting power; 0 if it is no validator.
    power: u64,
    /// That of all.
    total: u64,
    /// How many there are.
    validators: usize,
}

impl Part {
    fn of(state: &State, institution: InstitutionId) -> Self {
        let set = state.validators();
        let power = set.get(institution).map_or(0, |own| own.power);
        Self { power, total: set.total_power(), validators: set.validators().len() }
    }

    fn count(&self) {
        gauge!(NODE_VALIDATORS).set(self.validators as f64);
        gauge!(NODE_POWER).set(self.power as f64 / self.total as f64);
    }

    /// Tells the operator from which height on it is so.
    fn say(&self, before: Option<Self>, institution: InstitutionId, from: Height) {
        let Self { power, total, validators } = *self;
        match (before.map(|before| before.power), power) {
            (None, 0) => tracing::warn!(
                %institution,
                validators,
                "is no validator yet: it follows once a decision that makes it one is on the chain"
            ),
            (Some(1..), 0) => tracing::error!(
                %institution,
                %from,
                validators,
                "is no validator any more: it decides nothing, and the others send it no blocks; \
                 have its clients use another node, and stop it"
            ),
            (_, 1..) => {
                tracing::info!(%institution, %from, power, total, validators, "is a validator");
            }
            (Some(0), 0) => {}
        }
    }
}

/// Follows the chain, says what changes for this validator, and lets it be ready only as long as it
/// gets blocks. The receiver tells who may connect.
pub(crate) fn follow(
    core: &Arc<Core>,
    institution: InstitutionId,
    health: Health,
) -> watch::Receiver<Validators> {
    let mut views = core.follow();
    let (sender, receiver) = watch::channel(admitted(&views.borrow_and_update()));
    tokio::spawn(async move {
        let mut known = None;
        loop {
            let view = views.borrow_and_update().clone();
            let part = Part::of(&view.state, institution);
            if known != Some(part) {
                part.count();
                part.say(known, institution, view.tip.height().next());
                if known.is_some_and(|before| (before.power == 0) != (part.power == 0)) {
                    health.set(part.power > 0).await;
                }
                known = Some(part);
            }
            let validators = admitted(&view);
            drop(view);
            sender.send_if_modified(|known| {
                let changed = *known != validators;
                *known = validators;
                changed
            });
            if views.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Who may connect: the validators of the next block, and those that a decision on the chain makes
/// validators later, so that they have the chain by then; each with the vote keys that it has or is
/// going to have.
fn admitted(view: &View) -> Validators {
    let (state, next) = (&view.state, view.tip.height().next());
    let mut admitted = Validators::of([state.validators()]);
    let present = state.validators().validators().iter().map(|validator| validator.institution);
    let mut names: BTreeSet<InstitutionId> = present.collect();
    let changes = || state.scheduled().flat_map(|(_, _, decision)| &decision.changes);
    names.extend(changes().filter_map(|change| match change {
        Change::PutValidator { institution, .. } => Some(*institution),
        _ => None,
    }));
    for change in changes() {
        let (institution, keys) = match change {
            Change::Admit { institution, keys, .. } => (institution, &keys[..]),
            Change::ReplaceKey { institution, key } => (institution, std::slice::from_ref(key)),
            _ => continue,
        };
        if names.contains(institution) {
            keys.iter().filter_map(vote_key).for_each(|key| admitted.admit(*institution, key));
        }
    }
    for institution in names {
        let Some(register) = state.institution(&institution) else { continue };
        let now = register.signing_key(Purpose::Vote, next);
        let later = register.keys.iter().filter(|key| key.active_from() > next);
        let keys = now.into_iter().chain(later).filter_map(|key| vote_key(key.key()));
        keys.for_each(|key| admitted.admit(institution, key));
    }
    admitted
}

fn vote_key(key: &PublicKey) -> Option<&VerifyingKey> {
    match key {
        PublicKey::Signing(Purpose::Vote, key) => Some(key),
        _ => None,
    }
}
