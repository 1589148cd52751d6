//! Several validators: who is behind, who is cut off, and whether there are enough.

use std::time::Duration;

use super::{Finding, Remark};
use crate::status::probe::{Asked, Facts};
use crate::status::show::duration;

/// What is known of the validators of a network that has several.
pub struct Validators<'a> {
    nodes: Vec<&'a Asked>,
}

impl<'a> Validators<'a> {
    /// `None` if there is one at most.
    pub fn of(asked: &'a [Asked]) -> Option<Self> {
        let nodes: Vec<&Asked> = asked.iter().filter(|it| it.is_node()).collect();
        (nodes.len() > 1).then_some(Self { nodes })
    }

    /// The last block that any of them has, and the time in it.
    fn top(&self) -> Option<(u64, u64)> {
        let of = |it: &&Asked| it.facts.height.zip(it.facts.block_ms);
        self.nodes.iter().filter_map(of).max()
    }

    /// Fewer than it takes are up, or the chain stands still: said once, whoever is asked.
    pub fn finding(&self, late: Duration) -> Option<Finding> {
        let up = self.nodes.iter().filter(|it| it.state.is_well());
        let shares = up.clone().map(|it| self.share(it)).sum::<f64>();
        let (up, all) = (up.count(), self.nodes.len());
        let still = self.nodes.iter().find_map(|it| {
            let (_, block_ms) = self.top()?;
            let age = Duration::from_millis(it.at_ms.saturating_sub(block_ms));
            (age > late).then_some(age)
        });
        // A little more than two thirds is enough, and shares are rounded.
        let (what, advice) = match (shares * 3.0 > 2.0 + 1e-9, still) {
            (false, _) => (
                format!("only {up} of {all} are up: not more than two thirds of the voting power"),
                "Nothing becomes final until enough are back: start the others. Nothing is lost.",
            ),
            (true, Some(age)) => (
                format!("enough are up, and their last block is {} old", duration(age)),
                "Nothing becomes final. Are they connected, and are their clocks right? Else: \
                 docs/validators.md, Nothing becomes final.",
            ),
            (true, None) => return None,
        };
        let place = "the validators".to_owned();
        Some(Finding { process: None, place, what, advice: vec![advice.to_owned()] })
    }

    /// Its share of the voting power; taken to be that of everybody if it is not known.
    fn share(&self, asked: &Asked) -> f64 {
        asked.facts.power.unwrap_or(1.0 / self.nodes.len() as f64)
    }

    /// What is not well with one of them that is up.
    pub fn remark(&self, asked: &Asked, late: Duration) -> Option<Remark> {
        let Facts { height, block_ms, peers, validators, power, .. } = &asked.facts;
        if *power == Some(0.0) {
            let what = "it is no validator: the chain has decided so, or has not decided yet";
            let advice = "The others send it no blocks. docs/validators.md, Join or Leave.";
            return Some((what.to_owned(), vec![advice.to_owned()]));
        }
        if let Some((peers, others)) = peers.zip(validators.map(|all| all.saturating_sub(1)))
            && peers < others
        {
            let quorum = 3 * (peers + 1) > 2 * (others + 1);
            let then = if quorum { "still a quorum" } else { "no quorum: it decides nothing" };
            let what = format!("it is connected with {peers} of {others} others: {then}");
            let advice = "Are they up? Its log says whom it does not reach, or who refuses it.";
            return Some((what, vec![advice.to_owned()]));
        }
        let (top, top_ms) = self.top()?;
        let lag = Duration::from_millis(top_ms.saturating_sub((*block_ms)?));
        let missing = top.checked_sub((*height)?)?;
        (lag > late && missing > 0).then(|| {
            let what = format!("it is {missing} blocks behind the others, by {}", duration(lag));
            (what, vec!["It fetches them by itself; look again in a minute.".to_owned()])
        })
    }
}
