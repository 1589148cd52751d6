//! What the banks' agents tell their banks, heard by all banks at once, whatever becomes of the
//! connections: events are numbered, and none may be missing or be told twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quittance_cli::demo::bank::Bank;
use quittance_ledger::ids::InstitutionId;
use quittance_rpc::proto::agent::v1::event::Event;
use quittance_rpc::proto::agent::v1::round_event::Stage;
use quittance_rpc::proto::agent::v1::{RoundEvent, WatchRequest};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How soon a step of a round is seen after an agent has told it.
const GLANCE: Duration = Duration::from_millis(2);

/// The pause before an agent that is away is called again.
const PAUSE: Duration = Duration::from_millis(30);

/// The events of rounds of each bank, by position.
type Heard = BTreeMap<InstitutionId, Vec<RoundEvent>>;

/// Listens until it is dropped.
pub struct Ears {
    heard: Arc<Mutex<Heard>>,
    tasks: JoinSet<()>,
}

impl Ears {
    /// Listens to the agents of these banks.
    pub fn open(banks: &[Bank]) -> Self {
        let heard = Arc::new(Mutex::new(Heard::new()));
        let mut tasks = JoinSet::new();
        for bank in banks {
            tasks.spawn(listen(bank.clone(), heard.clone()));
        }
        Self { heard, tasks }
    }

    /// The stages of a round that the agent of `bank` has told, in order, with reasons.
    pub fn stages(&self, bank: InstitutionId, round: &str) -> Vec<(Stage, String)> {
        let heard = self.heard.lock().expect("no panic while locked");
        let events = heard.get(&bank).into_iter().flatten();
        let events = events.filter(|event| event.round_id == round);
        events.map(|event| (event.stage(), event.reason.clone())).collect()
    }

    /// Waits until one of `banks` tells `stage` of a round; an error says what happened instead.
    pub async fn wait_for(
        &mut self,
        banks: &[InstitutionId],
        round: &str,
        stage: Stage,
        patience: Duration,
    ) -> Result<(), String> {
        let deadline = Instant::now() + patience;
        loop {
            let told: BTreeSet<_> =
                banks.iter().flat_map(|bank| self.stages(*bank, round)).collect();
            if told.iter().any(|(told, _)| *told == stage) {
                return Ok(());
            }
            if let Some(Err(failure)) = self.tasks.try_join_next() {
                return Err(format!("an agent's events are wrong: {failure}"));
            }
            let over =
                told.iter().any(|(told, _)| matches!(told, Stage::Settled | Stage::Abandoned));
            if over || Instant::now() > deadline {
                return Err(format!("no {} in {patience:?}: {told:?}", stage.as_str_name()));
            }
            sleep(GLANCE).await;
        }
    }
}

async fn listen(bank: Bank, heard: Arc<Mutex<Heard>>) {
    let mut after = 0;
    loop {
        let stream = bank.client().watch(WatchRequest { after }).await;
        if let Ok(stream) = stream {
            let mut events = stream.into_inner();
            while let Ok(Some(next)) = events.message().await {
                assert_eq!(next.position, after + 1, "events of {}", bank.id);
                after = next.position;
                if let Some(Event::Round(event)) = next.event {
                    let mut heard = heard.lock().expect("no panic while locked");
                    heard.entry(bank.id).or_default().push(event);
                }
            }
        }
        sleep(PAUSE).await;
    }
}
