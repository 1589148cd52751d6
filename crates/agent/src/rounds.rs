//! The bank's side of netting rounds.
//!
//! ```text
//! payments wait           --> their amounts are proven to be in range     (ranges)
//! open round on the chain --policy--> absorb, freeze the queue, join      (joining)
//! own join is final       --> deal to the parties, announce to payees     (dealing)
//! parties have answered    --> coordinator                                 (attending)
//! Start                   --> results of the parties, checked; settlement (settling)
//! the chain               --> what has become of the payments             (payments)
//! ```
//!
//! Nothing of a round survives a restart but what the chain says: whether the account is locked,
//! which queue it is locked with (the join's note to oneself), and how it ends. An agent that finds
//! itself in a round after a restart says that it takes no part any more. A settlement that it has
//! signed before may still land; the chain decides.

mod attending;
mod dealing;
mod joining;
mod payments;
mod policy;
mod ranges;
mod receipts;
mod settling;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use quittance_crypto::digest::Digest;
use quittance_crypto::range_proof::RangeProof;
use quittance_crypto::signature::Purpose;
use quittance_ledger::block::Block;
use quittance_ledger::ids::{AssetId, Height, InstitutionId, RoundId};
use quittance_mpc::{Parties, PartyId};
use quittance_round::book::Book;
use quittance_round::dealing::Answers;
use quittance_round::envelope::Signed;
use quittance_round::message::{Reason, Report};
use quittance_round::participant::{Keys, Participant};
use quittance_round::payees::Payees;
use quittance_round::queue::FrozenQueue;
use quittance_round::result::{Notices, ResultShare};
use quittance_round::start::Start;
use quittance_rpc::proto::agent::v1 as api;
use quittance_rpc::proto::agent::v1::event::Event;
use quittance_rpc::proto::agent::v1::round_event::Stage as Shown;
use quittance_rpc::proto::coordinator::v1::AttendRequest;
use quittance_rpc::proto::party::v1::party_client::PartyClient;
use quittance_storage::StorageError;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::transport::Channel;

use crate::core::{Changes, Core, Failure, Setting};
use crate::peers::Peers;
use crate::store::Store;
use crate::wallet::{Unlocked, WalletEvent};

pub(crate) use policy::Policy;
pub use policy::RoundsSection;
use ranges::Preparation;

/// All rounds that concern the bank.
pub(crate) struct Rounds {
    book: Book,
    /// Who can be paid in a round that is opened in the next block.
    payees: Payees,
    peers: Arc<Peers>,
    parties: BTreeMap<InstitutionId, PartyClient<Channel>>,
    /// To the coordinator, while it is connected.
    outbox: Option<mpsc::Sender<AttendRequest>>,
    /// The coordinator has been said to be away.
    complained: bool,
    seats: BTreeMap<RoundId, Seat>,
    /// The queues with which the bank's accounts are locked, from the chain.
    queues: BTreeMap<RoundId, Arc<FrozenQueue>>,
    /// What is ready for the next queue of each asset.
    prepared: BTreeMap<AssetId, Preparation>,
    /// Up to which block payments and seats have been looked through.
    swept: Height,
    /// When rounds were joined, for the limit of the policy.
    joined: VecDeque<Instant>,
}

/// How far the bank is in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It will join as soon as nothing is under way on the account.
    Waiting,
    /// Its join is under way.
    Joining,
    /// It deals to the parties.
    Dealing,
    /// All parties have acknowledged, or enough of them.
    Dealt,
    /// The parties compute, or the settlement is made.
    Started,
    /// It takes no part (any more).
    Left,
}

/// The bank's place in a round.
struct Seat {
    asset: AssetId,
    stage: Stage,
    queue: Option<Arc<FrozenQueue>>,
    /// Proofs of the queue's amounts, by group, until it is dealt.
    ranges: Option<BTreeMap<usize, RangeProof>>,
    /// What was dealt.
    dealing: Option<Digest>,
    /// What parties answer, until the computation begins. With what was dealt to each.
    answers: Option<Box<Answers>>,
    /// Enough have answered, and the others have some time left for it.
    waits_for_rest: bool,
    /// They have had their time.
    rest_is_over: bool,
    /// A start that names banks which have not been seen to join yet.
    held: Option<Signed<Start>>,
    participant: Option<Box<Participant>>,
    /// The bank has signed a settlement, or may have in an earlier life of its agent: from then on
    /// only the chain says how the round ends.
    may_settle: bool,
    results: Results,
    /// What the coordinator has been told last.
    last: Option<Report>,
    /// How often joining was tried.
    tries: u8,
    /// Credits that waited have been absorbed.
    absorbed: bool,
}

/// The parties' answers.
#[derive(Default)]
struct Results {
    shares: BTreeMap<PartyId, Arc<ResultShare>>,
    /// Why there is none from these.
    failed: BTreeMap<PartyId, String>,
    steps: u32,
    bytes: Vec<u64>,
    milliseconds: u64,
    /// By place in the roster: what all were told, for the receipts.
    notices: Vec<Notices>,
}

impl Seat {
    fn new(asset: AssetId, stage: Stage) -> Self {
        Self {
            asset,
            stage,
            queue: None,
            ranges: None,
            dealing: None,
            answers: None,
            waits_for_rest: false,
            rest_is_over: false,
            held: None,
            participant: None,
            may_settle: false,
            results: Results::default(),
            last: None,
            tries: 0,
            absorbed: false,
        }
    }
}

impl Rounds {
    /// No round is known before the chain has been read, only what was prepared for the next one.
    pub(crate) fn open(setting: &Setting, store: &Store) -> Result<Self, StorageError> {
        let prepared = store.prepared()?.into_iter();
        let prepared = prepared.map(|(asset, queue)| (asset, Preparation::new(queue))).collect();
        Ok(Self {
            book: Book::from_registry(setting.registry()),
            payees: Payees::of(&setting.registry()),
            peers: Arc::new(Peers::new(setting)),
            parties: BTreeMap::new(),
            outbox: None,
            complained: false,
            seats: BTreeMap::new(),
            queues: BTreeMap::new(),
            prepared,
            swept: Height::GENESIS,
            joined: VecDeque::new(),
        })
    }

    /// Whether nothing new is to be drafted on an account, since it is about to join a round.
    pub(crate) fn holds(&self, asset: AssetId) -> bool {
        let waiting = |seat: &Seat| seat.asset == asset && seat.stage == Stage::Waiting;
        self.seats.values().any(waiting)
    }

    /// Whether the bank takes part in a round, or is about to.
    fn is_busy(&self) -> bool {
        self.seats.values().any(|seat| seat.stage != Stage::Left)
    }

    /// The committee of a round: its parties in order, as shares are dealt.
    fn committee(&self, round: &RoundId) -> Option<(Vec<InstitutionId>, Parties)> {
        let committee = &self.book.round(round)?.committee;
        let parties = Parties::new(committee.parties.len(), committee.threshold).ok()?;
        Some((committee.parties.clone(), parties))
    }
}

/// The keys that a round takes.
fn keys(setting: &Setting) -> Keys<'_> {
    Keys {
        round: setting.signing(Purpose::Round),
        transaction: setting.signing(Purpose::Transaction),
    }
}

/// A round has moved on.
fn event(round: RoundId, asset: AssetId, stage: Shown, reason: &str, results: &Results) -> Event {
    Event::Round(api::RoundEvent {
        round_id: round.to_string(),
        asset: asset.to_string(),
        stage: stage.into(),
        reason: reason.to_owned(),
        iterations: results.steps,
        bytes_sent_per_party: results.bytes.clone(),
        computation_ms: results.milliseconds,
    })
}

impl Core {
    /// Tells those who watch that a round has moved on.
    fn tell(&mut self, round: RoundId, stage: Shown, reason: &str) -> Result<(), Failure> {
        let Some(seat) = self.parts.rounds.seats.get(&round) else { return Ok(()) };
        let mut changes = Changes::now();
        changes.event(event(round, seat.asset, stage, reason, &seat.results));
        Ok(self.commit(changes)?)
    }

    /// Takes in what a block says about rounds.
    pub(crate) fn rounds_on_block(
        &mut self,
        block: &Block,
        events: &[WalletEvent],
        fresh: bool,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        let rounds = &mut self.parts.rounds;
        let before = rounds.book.registry().clone();
        let applied = rounds.book.apply(block);
        applied.map_err(|error| Status::internal(error.to_string()))?;
        if *rounds.book.registry() != before {
            rounds.payees = Payees::of(rounds.book.registry());
        }
        self.find_queues(block, fresh, changes);
        for event in events {
            match *event {
                WalletEvent::Locked { asset, round, .. } => {
                    if fresh {
                        self.hold_payments(asset, round, block.header.height, changes)?;
                    }
                    changes.afterwards(move |core| core.has_joined(round, fresh));
                }
                WalletEvent::Unlocked { asset, round, by } => {
                    self.unlocked(asset, round, by, fresh, block.header.height, changes)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The lock of an account has ended: the round is over for this bank.
    fn unlocked(
        &mut self,
        asset: AssetId,
        round: RoundId,
        by: Unlocked,
        fresh: bool,
        height: Height,
        changes: &mut Changes,
    ) -> Result<(), Failure> {
        if fresh {
            self.free_payments(asset, round, by, height, changes)?;
            let (stage, reason) = match by {
                Unlocked::Settled(_) => (Shown::Settled, ""),
                Unlocked::LeftOut => (Shown::Abandoned, "the round has settled without this bank"),
                Unlocked::Deadline => (Shown::Abandoned, "the round has passed its deadline"),
            };
            let none = Results::default();
            let seat = self.parts.rounds.seats.get(&round);
            let results = seat.map_or(&none, |seat| &seat.results);
            let told = seat.is_some_and(|seat| seat.stage == Stage::Left && !seat.may_settle);
            if stage == Shown::Settled || !told {
                changes.event(event(round, asset, stage, reason, results));
            }
            changes.batch.delete(crate::store::ROUNDS, &round.0.0);
        }
        // Which payments have settled is not known: they are held until a person has looked.
        let queue = match by {
            Unlocked::Settled(None) => None,
            _ => self.parts.rounds.queues.remove(&round),
        };
        let seat = self.parts.rounds.seats.remove(&round).filter(|_| fresh);
        if let (Unlocked::Settled(_), Some(queue), Some(seat)) = (by, queue, seat) {
            // Announcements are erased with the round.
            let source = self.receipts_of(round, queue, &seat);
            changes
                .afterwards(move |core| source.into_iter().for_each(|it| core.fetch_receipts(it)));
        }
        Ok(())
    }

    /// Does what can be done about rounds now: after each block, and whenever something has
    /// changed that joining waits for.
    pub(crate) fn pump_rounds(&mut self) -> Result<(), Failure> {
        let height = self.parts.rounds.book.height();
        if std::mem::replace(&mut self.parts.rounds.swept, height) != height {
            self.release_payments()?;
            self.give_up_seats(height);
        }
        let assets: Vec<AssetId> = self.book.registry().assets().collect();
        for asset in assets {
            self.consider(asset)?;
        }
        self.prepare_queues()?;
        self.try_held_starts()
    }

    /// A seat goes with its round, unless a lock has still to end.
    fn give_up_seats(&mut self, height: Height) {
        let (rounds, us) = (&mut self.parts.rounds, self.setting.institution);
        let book = &rounds.book;
        rounds.seats.retain(|round, _| {
            let facts = book.round(round);
            facts.is_some_and(|facts| !facts.is_over(height) || facts.members.contains_key(&us))
        });
    }

    /// The bank takes no part in a round (any more): those who wait for it are told.
    fn leave(&mut self, round: RoundId, reason: &str) -> Result<(), Failure> {
        let Some(seat) = self.parts.rounds.seats.get_mut(&round) else { return Ok(()) };
        if seat.stage == Stage::Left {
            return Ok(());
        }
        tracing::info!(%round, reason, "taking no part in the round");
        seat.stage = Stage::Left;
        (seat.held, seat.answers) = (None, None);
        match seat.may_settle {
            true => Ok(()),
            false => self.tell(round, Shown::Abandoned, reason),
        }
    }

    /// As [`Core::leave`], and the coordinator need not wait.
    fn decline(&mut self, round: RoundId, reason: &str) -> Result<(), Failure> {
        self.leave(round, reason)?;
        self.report(round, Report::Declined { round, reason: Reason::new(reason) });
        Ok(())
    }
}
