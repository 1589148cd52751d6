//! What is not well with a network, and what to do about it: for somebody who was woken up.

mod validators;

use std::collections::BTreeSet;
use std::time::Duration;

use quittance_rpc::identity::{Process, ProcessName};

use self::validators::Validators;
use super::probe::{Asked, State};
use super::subject::{Broken, Home};

/// Something that is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// With which process; none if that is not known.
    pub process: Option<ProcessName>,
    /// What it is called in lists: a process with its address, or a file.
    pub place: String,
    /// What is not well.
    pub what: String,
    /// What that means for the others, and what to do.
    pub advice: Vec<String>,
}

/// Everything that is not well: what is dangerous first, then in the order of the processes.
pub fn findings(asked: &[Asked], broken: &[Broken], late: Duration) -> Vec<Finding> {
    let validators = Validators::of(asked);
    let together = validators.as_ref().and_then(|validators| validators.finding(late));
    // One of several that has fewer blocks than others have seen fetches them.
    let older = if validators.is_none() { older_copy(asked) } else { None };
    let configurations = broken.iter().map(configuration);
    let several = validators.as_ref();
    let processes = asked.iter().filter_map(|asked| of_process(asked, several, late));
    let all = older.into_iter().chain(together).chain(configurations).chain(processes);
    all.chain(two_versions(asked)).collect()
}

/// A node that has fewer blocks than others have seen certified by it.
fn older_copy(asked: &[Asked]) -> Option<Finding> {
    let node = asked.iter().find(|it| it.is_node())?;
    let beyond = |it: &Asked| {
        let at = it.node.filter(|_| !it.is_node())?;
        it.facts.height.filter(|height| *height > at.height).map(|height| (height, at.height))
    };
    let (last, end) = asked.iter().filter_map(beyond).max()?;
    let count = asked.iter().filter_map(beyond).count();
    let others = if count == 1 { "another process has" } else { "other processes have" };
    let what = format!(
        "it runs on an older copy of its chain: it ends at block {end}, and {others} block {last}"
    );
    let advice = "STOP THE NODE AT ONCE, before it certifies other blocks in place of those. Then: \
                  docs/runbook.md, The node runs on an older copy of its chain.";
    Some(of(node, what, vec![advice.to_owned()]))
}

fn of(asked: &Asked, what: String, advice: Vec<String>) -> Finding {
    let name = asked.subject.name;
    let place = format!("{} at {}", title(&name), asked.subject.address);
    Finding { process: Some(name), place, what, advice }
}

fn configuration(broken: &Broken) -> Finding {
    Finding {
        process: None,
        place: broken.config.display().to_string(),
        what: broken.reason.clone(),
        advice: vec!["Its process cannot start with it, and could not be asked by it.".to_owned()],
    }
}

/// The first thing that is not well with a process: the rest follows from it more often than not.
fn of_process(asked: &Asked, several: Option<&Validators<'_>>, late: Duration) -> Option<Finding> {
    let alone = || if several.is_none() { standing_still(asked, late) } else { None };
    let among = || several.filter(|_| asked.is_node())?.remark(asked, late);
    let (what, advice) = unwell(asked, several.is_some())
        .or_else(alone)
        .or_else(among)
        .or_else(|| asked.metrics.clone().err().map(no_metrics))
        .or_else(|| behind(asked, late))?;
    Some(of(asked, what, advice))
}

/// What a process is called.
pub fn title(name: &ProcessName) -> String {
    format!("{} {}", kind(name.process), name.institution)
}

/// What its kind is called.
pub fn kind(process: Process) -> &'static str {
    match process {
        Process::Node => "node",
        Process::Coordinator => "coordinator",
        Process::Party => "MPC party",
        Process::Agent => "agent",
    }
}

type Remark = (String, Vec<String>);

fn unwell(asked: &Asked, several: bool) -> Option<Remark> {
    if asked.state.is_well() {
        return None;
    }
    let what = match asked.state {
        State::NotListening => {
            let reason = asked.reason.trim_start_matches("cannot be reached: ");
            format!("nothing listens there: {reason}")
        }
        _ => asked.reason.clone(),
    };
    let mut advice = vec![meanwhile(asked.subject.name.process, several).to_owned()];
    advice.extend(remedy(asked));
    Some((what, advice))
}

/// What the others do without such a process.
fn meanwhile(process: Process, several: bool) -> &'static str {
    match process {
        Process::Node if several => {
            "The others decide without it while more than two thirds of the voting power are up. \
             Those who use it go over to another."
        }
        Process::Node => {
            "Until it is back nothing becomes final. Agents keep what they have accepted, and go on \
             by themselves."
        }
        Process::Coordinator => {
            "Until it is back there are no rounds. Transfers and exchanges go on."
        }
        Process::Party => {
            "Until it is back no round settles. Transfers and exchanges go on, and queued payments \
             wait."
        }
        Process::Agent => {
            "Until it is back its bank can neither pay nor see what it was paid, and takes part in \
             no round. The others go on."
        }
    }
}

fn remedy(asked: &Asked) -> Vec<String> {
    let home = asked.subject.home.as_ref();
    let process = asked.subject.name.process;
    match asked.state {
        State::NotListening | State::NotReached => match home {
            Some(home) => start(process, home),
            None => {
                vec!["Is it running, and is the address right? Ask whoever runs it.".to_owned()]
            }
        },
        State::NotReady => {
            let mut advice = vec![
                "After a start it reads the chain first. If that does not end: does it reach the \
                 node? Its log says."
                    .to_owned(),
            ];
            advice.extend(home.and_then(log));
            advice
        }
        State::Silent => {
            let mut advice = vec![
                "Its machine is overloaded or away, or a firewall is in between; or the process \
                 hangs."
                    .to_owned(),
            ];
            advice.extend(home.and_then(log));
            advice
        }
        State::Another => vec![
            "The address leads to another process: look at the addresses in the directory and in \
             the configuration."
                .to_owned(),
        ],
        State::NotTrusted => vec![
            "Look at its certificate: docs/operations.md, Certificates. It is read at the start: \
             after a change restart the process."
                .to_owned(),
        ],
        State::Refused => vec!["Look at its log: it says whom it refuses, and why.".to_owned()],
        State::Ready | State::Listens => vec![],
    }
}

fn start(process: Process, home: &Home) -> Vec<String> {
    let subcommand = crate::demo::network::subcommand(process);
    let config = home.config.display();
    let words = format!("Start it: quittance {subcommand} --config {config}");
    log(home).into_iter().chain([words]).collect()
}

fn log(home: &Home) -> Option<String> {
    home.log.as_ref().map(|log| format!("Its log: {}", log.display()))
}

/// A node that makes no blocks.
fn standing_still(asked: &Asked, late: Duration) -> Option<Remark> {
    let block = asked.facts.block_ms.filter(|_| asked.is_node())?;
    let age = Duration::from_millis(asked.at_ms.saturating_sub(block));
    (age > late).then(|| {
        let what = format!(
            "its last block is {} old, longer than the {} allowed here",
            super::show::duration(age),
            super::show::duration(late)
        );
        let advice = "Nothing becomes final. Is its heartbeat_ms longer than that (see --late)? Is \
                      its clock right? Else restart it.";
        (what, vec![advice.to_owned()])
    })
}

fn no_metrics(reason: String) -> Remark {
    let what = format!("it answers, but its metrics do not: {reason}");
    (what, vec!["Is `metrics.listen` what the process was started with?".to_owned()])
}

/// A process that does not have what the node has. If it has more, that is the node's trouble.
fn behind(asked: &Asked, late: Duration) -> Option<Remark> {
    let node = asked.node.filter(|_| !asked.is_node())?;
    let height = asked.facts.height.filter(|height| *height <= node.height)?;
    if asked.facts.connected == Some(false) {
        let what = "it gets no blocks from the node".to_owned();
        let advice = "Does it reach the node, by the address in its directory? Its log says.";
        let log = asked.subject.home.as_ref().and_then(log);
        return Some((what, [advice.to_owned()].into_iter().chain(log).collect()));
    }
    let lag = Duration::from_millis(node.block_ms.saturating_sub(asked.facts.block_ms?));
    (lag > late && height < node.height).then(|| {
        let what = format!(
            "it is {} blocks behind the node, by {}",
            node.height - height,
            super::show::duration(lag)
        );
        (what, vec!["It catches up by itself; look again in a minute.".to_owned()])
    })
}

/// Programs of two versions, where that is known.
fn two_versions(asked: &[Asked]) -> Option<Finding> {
    let versions: BTreeSet<&String> =
        asked.iter().filter_map(|it| it.facts.version.as_ref()).collect();
    (versions.len() > 1).then(|| Finding {
        process: None,
        place: "the network".to_owned(),
        what: format!("programs of {} versions run at the same time", versions.len()),
        advice: vec![
            "In the midst of an update that is so; else restart the older ones.".to_owned(),
        ],
    })
}

#[cfg(test)]
mod tests;
