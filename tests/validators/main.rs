//! Several validators, each a process of its own, of which one is Byzantine, has a twin, a wrong clock
//! or a damaged disk, which do not hear each other, or which come and go. The harness is that of the
//! node's own tests.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test stops where its assumption fails")]

mod byzantine;
mod clocks;
#[path = "../../crates/node/tests/common/mod.rs"]
mod common;
mod damage;
mod delay;
mod partitions;
#[path = "../../crates/node/tests/kill/process.rs"]
mod process;
mod receipts;
#[path = "../../crates/node/tests/validators/town.rs"]
mod town;
mod twins;

use quittance_ledger::ids::Height;
use town::Town;

/// What a node logs when it has evidence against a validator.
const EVIDENCE: &str = "a validator contradicts itself";

/// The validators that evidence was found against, by what this one has logged.
fn convicted(town: &mut Town, at: usize) -> Vec<String> {
    let said = town.process(at).said();
    let lines = said.lines().filter(|line| line.contains(EVIDENCE));
    // The name comes first among the fields, with or without colours and quotes.
    let of = |line: &str| (0..9).map(town::name).find(|name| line.contains(name.as_str()));
    lines.map(|line| of(line).unwrap_or_default()).collect()
}

/// The greatest height of those that run.
async fn top(town: &Town) -> Height {
    let mut top = Height(0);
    for at in town.all_running() {
        top = top.max(town.view(at).await.map_or(Height(0), |(height, _)| height));
    }
    top
}
