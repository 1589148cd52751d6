//! Taking dealings.

use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::digest::Digest;
use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::Purpose;
use quittance_ledger::ids::{Height, InstitutionId, RoundId};
use quittance_round::book::Member;
use quittance_round::dealing::{Complaint, Dealing, DealtInputs};
use quittance_round::envelope::Signed;
use quittance_round::message::Reason;
use quittance_rpc::convert::decode;
use rand_core::OsRng;
use tonic::Status;
use zeroize::Zeroizing;

use crate::core::{Core, Seat, State};
use crate::desk::Word;

/// How long a dealing waits for the block in which its dealer joins.
pub(crate) const JOIN_WAIT: Duration = Duration::from_secs(10);

/// Takes the dealing of `caller`, and gives the signed answer.
pub(crate) async fn deal(
    core: &Arc<Core>,
    caller: InstitutionId,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Word, Status> {
    let dealing: Dealing = decode("dealing", &bytes)?;
    drop(bytes);
    let (round, dealer) = (dealing.common.round, dealing.common.dealer);
    if dealer != caller {
        let reason = format!("{caller} cannot deal for {dealer}");
        tracing::warn!(%round, %caller, %dealer, "a dealing in another's name is refused");
        return Err(Status::permission_denied(reason));
    }
    let joined = core.when(JOIN_WAIT, |state| joined(core, state, round, dealer)).await;
    let (member, seat) = joined.unwrap_or_else(|| Err(not_joined(core, round, dealer)))?;
    let digest = dealing.common.digest();
    if let Some(answer) = earlier(&core.state(), round, dealer, &digest)? {
        return Ok(answer);
    }

    let permit = core.checks.acquire().await;
    let _permit = permit.map_err(|_| Status::unavailable("this party is stopping"))?;
    let of_core = core.clone();
    let checked = tokio::task::spawn_blocking(move || check(&of_core, dealing, &member, &seat));
    let checked = checked.await.map_err(|_| Status::internal("the check has panicked"))?;
    core.change(|state| {
        // The same dealer may have called twice at once.
        if let Some(answer) = earlier(state, round, dealer, &digest)? {
            return Ok(answer);
        }
        let (word, inputs) = match checked {
            Ok((inputs, acknowledgement)) => {
                tracing::info!(%round, %dealer, "dealing accepted");
                (Word::Acknowledged(acknowledgement), Some(inputs))
            }
            Err((complaint, reason)) => {
                tracing::warn!(%round, %dealer, reason, "a dealing is wrong; a complaint is signed");
                (Word::Complained(complaint), None)
            }
        };
        let desk = state.desks.entry(round).or_default();
        desk.answer(dealer, digest, word.clone(), inputs);
        Ok(word)
    })
}

/// What the ledger says of a dealer; nothing as long as it may still say it.
pub(crate) fn joined(
    core: &Core,
    state: &State,
    round: RoundId,
    dealer: InstitutionId,
) -> Option<Result<(Member, Seat), Status>> {
    let facts = state.book.round(&round)?;
    let height = state.book.height();
    if facts.is_over(height) {
        return Some(Err(over(round, height)));
    }
    let Some(seat) = core.seat(facts) else {
        let reason = format!("{} does not compute the round {round}", core.institution);
        return Some(Err(Status::failed_precondition(reason)));
    };
    let member = *facts.members.get(&dealer)?;
    Some(Ok((member, seat)))
}

pub(crate) fn over(round: RoundId, height: Height) -> Status {
    Status::failed_precondition(format!("the round {round} is over (height {height})"))
}

fn not_joined(core: &Core, round: RoundId, dealer: InstitutionId) -> Status {
    let height = core.state().book.height();
    let reason = format!("{dealer} has not joined the round {round} as far as height {height}");
    Status::failed_precondition(reason)
}

/// The answer to a dealing that is the same as an earlier one; refuses any other after it, and any
/// after the computation has begun.
fn earlier(
    state: &State,
    round: RoundId,
    dealer: InstitutionId,
    digest: &Digest,
) -> Result<Option<Word>, Status> {
    let height = state.book.height();
    if state.book.round(&round).is_none_or(|facts| facts.is_over(height)) {
        return Err(over(round, height));
    }
    let Some(desk) = state.desks.get(&round) else { return Ok(None) };
    match desk.answered(&dealer) {
        Some((first, answer)) if first == digest => Ok(Some(answer.clone())),
        Some(_) => {
            tracing::warn!(%round, %dealer, "a second, different dealing is refused");
            let reason = format!("{dealer} has dealt otherwise in the round {round} before");
            Err(Status::already_exists(reason))
        }
        None if desk.takes_dealings() => Ok(None),
        None => {
            let reason = format!("the computation of the round {round} has begun, or never will");
            Err(Status::failed_precondition(reason))
        }
    }
}

/// Inputs with the acknowledgement, or a complaint and its reason.
type Checked = Result<(DealtInputs, Vec<u8>), (Vec<u8>, String)>;

/// Checks all shares; heavy.
fn check(core: &Core, dealing: Dealing, member: &Member, seat: &Seat) -> Checked {
    let (joined, balance) = (&member.joined, &member.balance);
    let committee = (seat.parties, seat.me);
    let digest = dealing.common.digest();
    let key = core.key(Purpose::Round);
    match dealing.accept(joined, balance, &seat.payees, committee, &mut OsRng) {
        Ok(inputs) => {
            let acknowledgement = inputs.acknowledge(&[], core.institution, key).to_bytes();
            Ok((inputs, acknowledgement))
        }
        Err(error) => {
            let (round, dealer) = (joined.round, joined.institution);
            let reason = Reason::new(&error);
            let complaint = Complaint { round, dealer, dealing: digest, reason };
            let complaint = Signed::sign(complaint, core.institution, key);
            Err((complaint.to_bytes(), error.to_string()))
        }
    }
}
