//! How many files and connections a process may have open: as many as the system lets it.

use std::fmt;

use quittance_rpc::identity::Process;
use quittance_rpc::limits::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files beside the connections that others make: those of the store, which RocksDB keeps open
/// all the time, about 64 MiB each; logs; and our own connections to others.
pub const RESERVE: u64 = 1_024;

/// A process that may have fewer files and connections open than it may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFew {
    /// How many it may have.
    pub allowed: u64,
    /// How many it may need.
    pub needed: u64,
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { allowed, needed } = self;
        write!(
            f,
            "the system allows {allowed} open files, and {needed} may be needed: {RESERVE} files \
             and the most connections; raise the hard limit with LimitNOFILE={needed} in the \
             systemd unit, or with ulimit -n {needed} before the start"
        )
    }
}

/// Raises the soft limit of open files to the hard one. Says so if that is less than a process of
/// this kind may need. Linux gives 1,024 unless a process asks for more.
pub fn raise(kind: Process) -> Result<(), TooFew> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    // Never refused by Linux; if it is elsewhere, the soft limit counts.
    let allowed = if raised.is_ok() { maximum } else { current };
    judge(allowed, needed(kind, &Limits::default()))
}

/// Whether as many as needed are allowed; `None` allows any number.
fn judge(allowed: Option<u64>, needed: u64) -> Result<(), TooFew> {
    match allowed {
        Some(allowed) if allowed < needed => Err(TooFew { allowed, needed }),
        _ => Ok(()),
    }
}

/// Connections and handshakes of all listeners, and [`RESERVE`].
fn needed(kind: Process, limits: &Limits) -> u64 {
    let listeners = match kind {
        // For its bank, and for other agents.
        Process::Agent => 2,
        Process::Node | Process::Party | Process::Coordinator => 1,
    };
    listeners * (limits.connections + limits.handshakes) + RESERVE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_needs_more_than_a_node_and_the_bound_is_exact() {
        let of = |kind| needed(kind, &Limits::default());
        assert_eq!((of(Process::Node), of(Process::Agent)), (2_304, 3_584));
        assert_eq!(judge(Some(2_303), 2_304), Err(TooFew { allowed: 2_303, needed: 2_304 }));
        assert_eq!((judge(Some(2_304), 2_304), judge(None, 2_304)), (Ok(()), Ok(())));
    }
}
