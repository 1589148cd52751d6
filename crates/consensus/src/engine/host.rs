//! The thread that drives the application: what the engine asks, and when the next height begins.

mod blocks;
mod idle;

use std::time::{Duration, Instant};

use malachite_app_channel::app::consensus::VoteExtensionError;
use malachite_app_channel::app::types::core::{HeightParams, LinearTimeouts, Round};
use malachite_app_channel::app::types::{LocallyProposedValue, MisbehaviorEvidence};
use malachite_app_channel::{AppMsg, Channels, NetworkMsg};
use quittance_crypto::planted;
use quittance_crypto::signature::VerifyingKey;
use quittance_ledger::certificate::ValidatorSet;
use quittance_ledger::evidence::Evidence;
use quittance_ledger::ids::{Height, InstitutionId};
use tokio::runtime::Handle;

pub use self::blocks::Blocks;
use self::idle::Idle;
use super::context::{At, Members, Quittance, Value, Whole};
use super::convert::{decided, double_proposal, double_vote, number};
use super::hub::{Hub, message};
use super::{Role, RunError};
use crate::store::ProposalStore;
use crate::wire::Frame;
use crate::{Application, Bell, Clock, Pace};

/// Everything but the application and the engine's messages.
pub struct Host<'a, A> {
    application: &'a mut A,
    own: Own,
    blocks: Blocks,
    hub: std::sync::Arc<Hub>,
    network: tokio::sync::mpsc::Sender<NetworkMsg<Quittance>>,
    timeouts: LinearTimeouts,
    pace: Pace,
    idle: Option<Idle>,
    /// When the present height began, here.
    started: Instant,
}

type Result<T, A> = std::result::Result<T, RunError<<A as Application>::Error>>;

/// Who this validator is.
pub struct Own {
    pub institution: InstitutionId,
    /// The key that it votes with.
    pub key: VerifyingKey,
    pub role: Role,
}

/// What is needed to host an application.
pub struct Parts<'a, A> {
    pub application: &'a mut A,
    pub own: Own,
    pub store: Box<dyn ProposalStore>,
    pub hub: std::sync::Arc<Hub>,
    pub timeouts: LinearTimeouts,
    pub pace: Pace,
    pub clock: Clock,
}

/// Answers the engine until the bell is stopped, the engine ends or the application fails.
pub fn run<A: Application>(
    parts: Parts<'_, A>,
    channels: &mut Channels<Quittance>,
    runtime: &Handle,
    bell: &Bell,
) -> Result<(), A> {
    let Parts { application, own, store, hub, timeouts, pace, clock } = parts;
    let mut begun = hub.follow();
    let mut host = Host {
        application,
        own,
        blocks: Blocks::new(store, clock),
        hub,
        network: channels.network.clone(),
        timeouts,
        pace,
        idle: None,
        started: Instant::now(),
    };
    while !bell.is_stopped() {
        let wake = host.wake_at(*begun.borrow());
        let message = runtime.block_on(async {
            tokio::select! {
                message = channels.consensus.recv() => Some(message),
                () = bell.heard() => None,
                _ = begun.changed() => None,
                () = tokio::time::sleep_until(wake.into()) => None,
            }
        });
        match message {
            Some(Some(message)) => host.answer(message)?,
            Some(None) => return Err(RunError::Ended),
            None => {}
        }
        host.go_on(*begun.borrow_and_update());
    }
    Ok(())
}

impl Own {
    /// Whether the role still fits the key that the chain has for this validator.
    fn check<E: std::error::Error>(
        &self,
        height: Height,
        validators: &ValidatorSet,
    ) -> std::result::Result<(), RunError<E>> {
        let institution = self.institution;
        let registered = validators.get(institution).map(|own| own.key == self.key);
        match (self.role, registered) {
            (Role::Voter, Some(false)) => Err(RunError::OtherKey { height, institution }),
            (Role::Waiting, Some(true)) => Err(RunError::Registered { height, institution }),
            _ => Ok(()),
        }
    }
}

impl<A: Application> Host<'_, A> {
    fn answer(&mut self, message: AppMsg<Quittance>) -> Result<(), A> {
        match message {
            AppMsg::ConsensusReady { reply } => {
                let (height, params) = self.next()?;
                self.begin(height);
                let _ = reply.send((height, params));
            }
            AppMsg::StartedRound { height, round, reply_value, .. } => {
                self.hub.guard().enter(number(round));
                let seen = self.blocks.started(self.application, height.height(), number(round))?;
                let _ = reply_value.send(seen);
            }
            AppMsg::GetValue { height, round, reply, .. } => {
                if let Some(whole) = self.propose(height, round)? {
                    let value = Value(whole.block);
                    let _ = reply.send(LocallyProposedValue::new(height, round, value));
                    self.publish(whole)?;
                }
            }
            AppMsg::ReceivedProposalPart { part, reply, .. } => {
                let whole = part.content.into_data();
                let value = match whole {
                    Some(whole) => self.blocks.received(self.application, whole)?,
                    None => None,
                };
                let _ = reply.send(value);
            }
            AppMsg::RestreamProposal { height, round, value_id, .. } => {
                let again = (height.height(), number(round), value_id.0);
                if let Some(whole) = self.blocks.again(again, self.own.institution)? {
                    self.publish(whole)?;
                }
            }
            AppMsg::Decided { certificate, reply, .. } => {
                let certificate = decided(certificate);
                self.blocks.decided(self.application, certificate)?;
                let _ = reply.send(());
            }
            AppMsg::Finalized { certificate, evidence, reply, .. } => {
                self.convict(&evidence)?;
                let fetched = self.blocks.finalized(certificate.height.height())?;
                let (height, params) = self.next()?;
                self.idle = Some(Idle { reply, height, params, since: Instant::now(), fetched });
            }
            AppMsg::GetHistoryMinHeight { reply } => {
                let _ = reply.send(At::from(Height(1)));
            }
            AppMsg::GetDecidedValues { range, reply } => {
                let (first, last) = (range.start().height(), range.end().height());
                let found = self.blocks.committed(self.application, first, last);
                let _ = reply.send(found);
            }
            AppMsg::ProcessSyncedValue { height, round, proposer, value_bytes, reply } => {
                let place = (height.height(), number(round), proposer.0);
                let outcome = self.blocks.synced(self.application, place, value_bytes)?;
                let _ = reply.send(outcome);
            }
            AppMsg::ExtendVote { reply, .. } => {
                let _ = reply.send(None);
            }
            // No height's parameters ask for extensions, so that each is one too many.
            AppMsg::VerifyVoteExtensions { extensions, reply, .. } => {
                let refuse = |(who, ())| (who, Err(VoteExtensionError::InvalidVoteExtension));
                let _ = reply.send(extensions.into_iter().map(refuse).collect());
            }
        }
        Ok(())
    }

    /// The next height with its validators: the guard knows them before the engine does.
    fn next(&self) -> Result<(At, HeightParams<Quittance>), A> {
        let height = self.application.tip().next();
        let validators: ValidatorSet = self.application.validators();
        self.own.check(height, &validators)?;
        let members = Members::from(&validators);
        self.hub.guard().begin(height, validators);
        Ok((height.into(), HeightParams::new(members, self.timeouts, None)))
    }

    /// A block for this height and round: the one that was proposed before, if there is one.
    fn propose(&mut self, height: At, round: Round) -> Result<Option<Whole>, A> {
        let place = (height.height(), number(round), self.own.institution);
        self.blocks.propose(self.application, place)
    }

    fn publish(&self, whole: Whole) -> Result<(), A> {
        let sent = self.network.blocking_send(NetworkMsg::PublishProposalPart(message(whole)));
        sent.map_err(|_| RunError::Ended)
    }

    /// Hands over the evidence that holds, of the height that is over.
    fn convict(&mut self, found: &MisbehaviorEvidence<Quittance>) -> Result<(), A> {
        let votes = found.votes.iter().flat_map(|(_, pairs)| pairs);
        let votes = votes.map(|(one, other)| double_vote(one, other));
        let proposals = found.proposals.iter().flat_map(|(_, pairs)| pairs);
        let proposals = proposals.map(|(one, other)| double_proposal(one, other));
        let all: Vec<std::result::Result<Evidence, _>> = votes.chain(proposals).collect();
        for evidence in all {
            let holds =
                |evidence: Evidence| self.hub.guard().convicts(&evidence).map(|()| evidence);
            match evidence.and_then(holds) {
                Ok(evidence) => {
                    let reported = planted!(
                        "evidence-not-reported",
                        Ok(()),
                        self.application.report(evidence)
                    );
                    reported.map_err(RunError::Application)?;
                }
                Err(error) => tracing::warn!(%error, "what the engine calls evidence is none"),
            }
        }
        Ok(())
    }

    /// A height begins here; the others hear of it.
    fn begin(&mut self, height: At) {
        self.started = Instant::now();
        self.hub.publish_frame(&Frame::Begun(height.height()));
    }

    /// When there is something to do without anybody asking.
    fn wake_at(&self, begun: Height) -> Instant {
        const FOREVER: Duration = Duration::from_secs(3600);
        match &self.idle {
            Some(idle) => idle.over_at(self.started, &self.pace, self.is_wanted(idle, begun)),
            None => Instant::now() + FOREVER,
        }
    }

    /// Whether the next height is to begin before the heartbeat.
    fn is_wanted(&self, idle: &Idle, begun: Height) -> bool {
        begun >= idle.height.height() || self.application.has_work()
    }

    /// Begins the next height if it is time.
    fn go_on(&mut self, begun: Height) {
        let Some(idle) = self.idle.take() else { return };
        let over = idle.over_at(self.started, &self.pace, self.is_wanted(&idle, begun));
        match over <= Instant::now() {
            true => {
                self.begin(idle.height);
                idle.end();
            }
            false => self.idle = Some(idle),
        }
    }
}
