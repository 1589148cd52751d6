//! Parts of dealings that are published in answer to complaints.
//!
//! A dealer tells all parties. The complainant gets its part from the dealer, or, when a computation
//! begins that needs it, from a party that has acknowledged it: at least one honest one has.

use std::sync::Arc;
use std::time::Duration;

use quittance_crypto::encoding::Encode;
use quittance_crypto::signature::{Purpose, VerifyingKey};
use quittance_ledger::ids::{InstitutionId, RoundId};
use quittance_round::book::Member;
use quittance_round::dealing::{Publication, PublicationError, Settled};
use quittance_round::start::Start;
use quittance_rpc::convert::decode;
use quittance_rpc::proto::party::v1::PublishedRequest;
use rand_core::OsRng;
use tokio::time::timeout;
use tonic::{Code, Status};
use zeroize::Zeroizing;

use crate::core::{Core, Seat, State};
use crate::deal::{JOIN_WAIT, joined, over};

/// How long another party may take to say what was published.
const FETCH_WAIT: Duration = Duration::from_secs(10);

/// Takes what `caller` publishes, and gives the signed acknowledgement of all that it has published;
/// nothing as long as this party has complained itself and waits for its own part.
pub(crate) async fn publish(
    core: &Arc<Core>,
    caller: InstitutionId,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, Status> {
    let publication: Publication = decode("publication", &bytes)?;
    let (round, dealer) = (publication.common.round, publication.common.dealer);
    if dealer != caller {
        let reason = format!("{caller} cannot publish for {dealer}");
        tracing::warn!(%round, %caller, %dealer, "a publication in another's name is refused");
        return Err(Status::permission_denied(reason));
    }
    // The dealing itself may still be on its way, or being checked.
    let answered = |state: &State| state.desks.get(&round)?.answered(&dealer).map(drop);
    let answered = core.when(JOIN_WAIT, answered).await;
    answered.ok_or_else(|| Status::unavailable(format!("{dealer} has dealt nothing yet")))?;
    let takes = core.state().desks.get(&round).is_some_and(|desk| desk.takes_dealings());
    if !takes {
        let reason = format!("the computation of the round {round} has begun, or never will");
        return Err(Status::failed_precondition(reason));
    }
    take(core, publication, bytes).await
}

/// Checks a publication, whoever has sent it, and keeps it.
async fn take(
    core: &Arc<Core>,
    publication: Publication,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, Status> {
    let (round, dealer) = (publication.common.round, publication.common.dealer);
    let (member, seat) = joined(core, &core.state(), round, dealer)
        .unwrap_or_else(|| Err(Status::failed_precondition(format!("{dealer} has not joined"))))?;
    let complainant = publication.complaint.signer();
    let key = expected(core, &core.state(), &publication, &seat)?;
    let permit = core.checks.acquire().await;
    let _permit = permit.map_err(|_| Status::unavailable("this party is stopping"))?;
    let of_seat = seat.clone();
    let check = move || check(publication, &member, &of_seat, &key);
    let checked = tokio::task::spawn_blocking(check).await;
    let checked = checked.map_err(|_| Status::internal("the check has panicked"))?;
    let Settled { published, inputs, .. } = checked.map_err(|error| {
        tracing::warn!(%round, %dealer, %complainant, %error, "a publication is refused");
        Status::invalid_argument(error.to_string())
    })?;
    let own = (published.party == seat.me.number()).then_some(inputs);
    let key = core.key(Purpose::Round);
    core.change(|state| {
        let height = state.book.height();
        let open = state.book.round(&round).is_some_and(|facts| !facts.is_over(height));
        let desk = state.desks.get_mut(&round).filter(|_| open);
        let desk = desk.ok_or_else(|| over(round, height))?;
        if !desk.may_publish(&dealer, published.party, seat.parties.threshold()) {
            return Err(too_many(dealer));
        }
        tracing::info!(%round, %dealer, %complainant, "a complaint is settled by publication");
        let all = desk.publish(&dealer, published, bytes, own);
        let word = all.map(|(parts, inputs)| inputs.acknowledge(&parts, core.institution, key));
        Ok(word.map(|word| word.to_bytes()).unwrap_or_default())
    })
}

/// The complainant's key, if the publication is about the dealing that was answered.
fn expected(
    core: &Core,
    state: &State,
    publication: &Publication,
    seat: &Seat,
) -> Result<VerifyingKey, Status> {
    let (round, dealer) = (publication.common.round, publication.common.dealer);
    let complainant = publication.complaint.signer();
    let answered = state.desks.get(&round).and_then(|desk| Some((desk, desk.answered(&dealer)?)));
    let Some((desk, (dealing, _))) = answered else {
        let reason = format!("{dealer} has dealt nothing to {}", core.institution);
        return Err(Status::failed_precondition(reason));
    };
    if *dealing != publication.common.digest() {
        let reason = format!("{dealer} has dealt otherwise in the round {round} before");
        return Err(Status::already_exists(reason));
    }
    let position = seat.members.iter().position(|member| *member == complainant);
    let number = position.and_then(|position| u8::try_from(position + 1).ok()).unwrap_or(0);
    if !desk.may_publish(&dealer, number, seat.parties.threshold()) {
        return Err(too_many(dealer));
    }
    let key = state.book.key(&complainant, Purpose::Round).cloned();
    key.ok_or_else(|| Status::invalid_argument(format!("{complainant} has no round key")))
}

fn too_many(dealer: InstitutionId) -> Status {
    let reason = format!("{dealer} has published as many parts as parties can be corrupt");
    Status::failed_precondition(reason)
}

/// As its complainant should have; heavy.
fn check(
    publication: Publication,
    member: &Member,
    seat: &Seat,
    key: &VerifyingKey,
) -> Result<Settled, PublicationError> {
    let committee = (seat.parties, &seat.members[..]);
    let (joined, balance, payees) = (&member.joined, &member.balance, &*seat.payees);
    publication.accept(joined, balance, payees, committee, |_| Some(key), &mut OsRng)
}

/// What was published for `caller`, another party of the round's committee.
pub(crate) fn published(
    core: &Core,
    caller: InstitutionId,
    round: RoundId,
    dealer: InstitutionId,
) -> Result<Zeroizing<Vec<u8>>, Status> {
    let state = core.state();
    let facts = state.book.round(&round).filter(|facts| !facts.is_over(state.book.height()));
    let seat = facts.and_then(|facts| core.seat(facts));
    let members = seat.map(|seat| seat.members).unwrap_or_default();
    let Some(position) = members.iter().position(|member| *member == caller) else {
        let reason = format!("{caller} and this party compute no open round {round}");
        return Err(Status::permission_denied(reason));
    };
    let number = u8::try_from(position + 1).unwrap_or(0);
    let desk = state.desks.get(&round);
    let found = desk.and_then(|desk| desk.published(&dealer, number));
    found.ok_or_else(|| Status::not_found(format!("{dealer} has published nothing for {caller}")))
}

/// Before a computation: asks the other parties for what banks of the roster owe to this one, since
/// it has complained, and have published to others only.
pub(crate) async fn collect(core: &Arc<Core>, start: &Start) {
    let round = start.round;
    let (seat, owed) = {
        let state = core.state();
        let seat = state.book.round(&round).and_then(|facts| core.seat(facts));
        let Some(seat) = seat.filter(|seat| start.active.contains(seat.me)) else { return };
        let owed = state.desks.get(&round).map(|desk| desk.owed(start)).unwrap_or_default();
        (seat, owed)
    };
    for dealer in owed {
        for party in seat.members.iter().filter(|party| **party != core.institution) {
            match fetch(core, *party, round, dealer).await {
                Ok(()) => break,
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => {
                    let reason = status.message();
                    tracing::warn!(%round, %dealer, %party, reason, "no published part from a party");
                }
            }
        }
    }
}

async fn fetch(
    core: &Arc<Core>,
    party: InstitutionId,
    round: RoundId,
    dealer: InstitutionId,
) -> Result<(), Status> {
    let target = core.others.get(&party);
    let target = target.ok_or_else(|| Status::not_found("it is not known where the party is"))?;
    let client = core.dialer.party(target);
    let mut client = client.map_err(|error| Status::unavailable(error.to_string()))?;
    let request = PublishedRequest { round_id: round.to_bytes(), dealer: dealer.to_string() };
    let answer = timeout(FETCH_WAIT, client.published(request)).await;
    let answer = answer.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
    let bytes = Zeroizing::new(answer.into_inner().publication);
    let publication: Publication = decode("publication", &bytes)?;
    let about = (publication.common.round, publication.common.dealer);
    if about != (round, dealer) || publication.complaint.signer() != core.institution {
        return Err(Status::invalid_argument("it is the publication of something else"));
    }
    take(core, publication, bytes).await.map(drop)
}
