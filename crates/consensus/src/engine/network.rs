//! The engine's network actor: ours in the place of libp2p's.

use std::sync::Arc;

use malachite_app_channel::NetworkMsg;
use malachite_app_channel::app::consensus::LivenessMsg;
use malachite_app_channel::app::engine::network::{Msg, NetworkRef, Status as EngineStatus};
use malachite_app_channel::app::types::SignedConsensusMsg;
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, async_trait};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::codec::{request_out, response_out};
use super::context::Quittance;
use super::convert::{polka_out, proposal_out, round_out, vote_out};
use super::hub::Hub;
use super::listener::listen;
use super::record::{Record, Said};
use crate::transport::Arrivals;
use crate::wire::{Frame, Status};

/// Messages of the application that wait for the actor.
const QUEUE: usize = 16;

/// The network of one engine. Its tasks end when this is dropped.
pub struct Network {
    pub actor: NetworkRef<Quittance>,
    pub sender: mpsc::Sender<NetworkMsg<Quittance>>,
    /// Nobody waits for them: they are ended with the set.
    pub tasks: JoinSet<()>,
}

struct Outward(Arc<Hub>);

/// Starts the actor, which keeps the record of what is said, and listens to peers.
pub async fn start(hub: Arc<Hub>, arrivals: Arrivals, record: Record) -> Result<Network, SpawnErr> {
    let (actor, _) = Actor::spawn(None, Outward(hub.clone()), record).await?;
    let (sender, mut messages) = mpsc::channel(QUEUE);
    let mut tasks = JoinSet::new();
    tasks.spawn(receive(hub, arrivals));
    let network = actor.clone();
    tasks.spawn(async move {
        while let Some(message) = messages.recv().await {
            if network.cast(Msg::from(message)).is_err() {
                break;
            }
        }
    });
    Ok(Network { actor, sender, tasks })
}

async fn receive(hub: Arc<Hub>, mut arrivals: Arrivals) {
    let mut listeners = JoinSet::new();
    loop {
        tokio::select! {
            arrival = arrivals.0.recv() => match arrival {
                Some(arrival) => drop(listeners.spawn(listen(hub.clone(), arrival))),
                None => break,
            },
            Some(ended) = listeners.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a peer's listener has failed");
                }
            }
        }
    }
    // The transport announces nobody any more; who is connected may go on.
    while listeners.join_next().await.is_some() {}
}

#[async_trait]
impl Actor for Outward {
    type Msg = Msg<Quittance>;
    type State = Record;
    type Arguments = Record;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        record: Record,
    ) -> Result<Record, ActorProcessingErr> {
        Ok(record)
    }

    async fn handle(
        &self,
        _: ActorRef<Self::Msg>,
        message: Self::Msg,
        record: &mut Record,
    ) -> Result<(), ActorProcessingErr> {
        self.act(message, record);
        Ok(())
    }
}

impl Outward {
    /// Says what cannot be taken back, once it is noted. What cannot be noted is not said.
    fn say(&self, frame: &Frame, said: Said, record: &mut Record) {
        match record.note(said) {
            Ok(()) => self.0.publish_frame(frame),
            Err(error) => tracing::error!(%error, "a vote cannot be noted, and is not sent"),
        }
    }

    fn act(&self, message: Msg<Quittance>, record: &mut Record) {
        let Self(hub) = self;
        match message {
            Msg::Subscribe(subscriber) => hub.subscribe(subscriber),
            Msg::PublishConsensusMsg(SignedConsensusMsg::Vote(vote)) => {
                let vote = vote_out(&vote);
                let said = Said::vote(&vote);
                self.say(&Frame::Vote(vote), said, record);
            }
            Msg::PublishConsensusMsg(SignedConsensusMsg::Proposal(proposal)) => {
                let proposal = proposal_out(&proposal);
                let said = Said::proposal(&proposal);
                self.say(&Frame::Proposal(proposal), said, record);
            }
            Msg::PublishLivenessMsg(LivenessMsg::Vote(vote)) => {
                hub.publish_frame(&Frame::VoteAgain(vote_out(&vote)));
            }
            Msg::PublishLivenessMsg(LivenessMsg::PolkaCertificate(polka)) => {
                hub.publish_frame(&Frame::Polka(polka_out(&polka)));
            }
            Msg::PublishLivenessMsg(LivenessMsg::SkipRoundCertificate(certificate)) => {
                hub.publish_frame(&Frame::RoundChange(round_out(&certificate)));
            }
            Msg::PublishProposalPart(message) => {
                if let Some(whole) = message.content.into_data() {
                    hub.publish(&whole);
                }
            }
            Msg::BroadcastStatus(EngineStatus { tip_height, history_min_height }) => {
                let (tip, first) = (tip_height.height(), history_min_height.height());
                hub.publish_frame(&Frame::Status(Status { tip, first }));
            }
            Msg::OutgoingRequest(peer, request, reply) => {
                // A reply that is dropped tells the engine that the peer cannot be asked.
                if let Some(id) = hub.ask(peer, |number| request_out(number, &request)) {
                    let _ = reply.send(id);
                }
            }
            Msg::CancelRequest(id) => hub.forget(&id),
            Msg::OutgoingResponse(id, response) => {
                hub.answer(&id, |number| response_out(number, &response));
            }
            Msg::CancelInboundRequest(id) => hub.ignore(&id),
            Msg::DumpState(reply) => {
                let _ = reply.send(None);
            }
            // About libp2p's peers and proofs, which there are none of. The validators are told to
            // the guard by the thread that drives the application.
            Msg::UpdatePersistentPeers(..)
            | Msg::UpdateValidatorSet(_)
            | Msg::ValidatorProofVerified { .. }
            | Msg::NewEvent(_) => {}
        }
    }
}
