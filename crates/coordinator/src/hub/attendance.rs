//! Who attends, and what waits to be sent to each.

use std::collections::{BTreeMap, BTreeSet};

use quittance_ledger::ids::InstitutionId;
use quittance_rpc::identity::{Process, ProcessName};
use quittance_rpc::proto::coordinator::v1::AttendResponse;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Instructions that may wait for one attendee; the whole of a round is fewer than ten.
pub(crate) const QUEUE: usize = 32;

type Item = Result<AttendResponse, Status>;

/// One process's stream.
#[derive(Debug)]
pub(crate) struct Attendee {
    stream: u64,
    outbox: mpsc::Sender<Item>,
    /// Keeps a place for the last word.
    last: Option<mpsc::OwnedPermit<Item>>,
    replaced: CancellationToken,
}

impl Attendee {
    /// A stream with this number and room for `queue` instructions, and where they come out.
    pub(crate) fn new(stream: u64, queue: usize) -> (Self, mpsc::Receiver<Item>) {
        let (outbox, out) = mpsc::channel(queue.saturating_add(1));
        let last = outbox.clone().try_reserve_owned().ok();
        (Self { stream, outbox, last, replaced: CancellationToken::new() }, out)
    }

    /// Fires when the stream is cut from this side.
    pub(crate) fn replaced(&self) -> CancellationToken {
        self.replaced.clone()
    }

    /// Ends the stream with a last word.
    fn cut(mut self, status: Status) {
        if let Some(last) = self.last.take() {
            last.send(Err(status));
        }
        self.replaced.cancel();
    }
}

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct Attendance(BTreeMap<ProcessName, Attendee>);

impl Attendance {
    /// Adds a stream; one that the same process has had is cut.
    pub(crate) fn add(&mut self, name: ProcessName, attendee: Attendee) {
        self.replace(name);
        self.0.insert(name, attendee);
    }

    /// Cuts the stream that a process has had, since it has another.
    pub(crate) fn replace(&mut self, name: ProcessName) {
        if let Some(before) = self.0.remove(&name) {
            before.cut(Status::aborted("replaced by a second stream of the same process"));
        }
    }

    /// Removes a stream that has ended. False if it has been replaced before.
    pub(crate) fn remove(&mut self, name: ProcessName, stream: u64) -> bool {
        let current = self.is_current(name, stream);
        if current {
            self.0.remove(&name);
        }
        current
    }

    /// Ends a stream from this side. False if it has been replaced before.
    pub(crate) fn cut(&mut self, name: ProcessName, stream: u64, status: Status) -> bool {
        let current = self.is_current(name, stream);
        if current && let Some(attendee) = self.0.remove(&name) {
            attendee.cut(status);
        }
        current
    }

    /// Whether this is the present stream of a process.
    pub(crate) fn is_current(&self, name: ProcessName, stream: u64) -> bool {
        self.0.get(&name).is_some_and(|attendee| attendee.stream == stream)
    }

    /// Whether a process attends.
    pub(crate) fn attends(&self, name: ProcessName) -> bool {
        self.0.contains_key(&name)
    }

    /// The institutions of which a process attends.
    pub(crate) fn institutions(&self) -> BTreeSet<InstitutionId> {
        self.0.keys().map(|name| name.institution).collect()
    }

    /// Puts an instruction into the queue of every process of an institution that attends: its
    /// agent, or its MPC party. One whose queue is full is cut.
    pub(crate) fn send(&mut self, institution: InstitutionId, message: &[u8]) {
        for process in [Process::Agent, Process::Party] {
            let name = ProcessName { institution, process };
            let Some(attendee) = self.0.get(&name) else { continue };
            match attendee.outbox.try_send(Ok(AttendResponse { message: message.to_vec() })) {
                Ok(()) => {}
                // The end of the stream is noticed where it is read.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::warn!(%name, "an attendee takes no instructions and is cut");
                    let stream = attendee.stream;
                    let slow = format!("too slow: {QUEUE} instructions wait");
                    self.cut(name, stream, Status::resource_exhausted(slow));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(process: Process) -> ProcessName {
        ProcessName { institution: "BANKDEFF".parse().unwrap(), process }
    }

    fn message(item: Option<Item>) -> Result<u8, tonic::Code> {
        item.unwrap().map(|response| response.message[0]).map_err(|status| status.code())
    }

    fn bank() -> InstitutionId {
        name(Process::Agent).institution
    }

    #[tokio::test]
    async fn a_second_stream_replaces_the_first() {
        let (mut all, agent) = (Attendance::default(), name(Process::Agent));
        let (one, mut first) = Attendee::new(1, 2);
        let (two, mut second) = Attendee::new(2, 2);
        let replaced = one.replaced();
        all.add(agent, one);
        all.send(bank(), &[1]);
        all.send("OTHRDEFF".parse().unwrap(), &[9]);
        assert!(!replaced.is_cancelled());
        all.add(agent, two);
        assert!(replaced.is_cancelled());
        all.send(bank(), &[2]);
        assert_eq!(message(first.recv().await), Ok(1));
        assert_eq!(message(first.recv().await), Err(tonic::Code::Aborted));
        assert!(first.recv().await.is_none());
        assert_eq!(message(second.recv().await), Ok(2));
        // What is said about the first does not touch the second.
        assert!(!all.remove(agent, 1) && !all.cut(agent, 1, Status::aborted("")));
        assert!(all.is_current(agent, 2));
        assert_eq!(all.institutions(), [bank()].into());
        assert!(all.remove(agent, 2) && !all.attends(agent));
        assert!(all.institutions().is_empty());
    }

    #[tokio::test]
    async fn queues_are_bounded() {
        let (mut all, party) = (Attendance::default(), name(Process::Party));
        let (attendee, mut out) = Attendee::new(1, 3);
        all.add(party, attendee);
        for number in 0..3 {
            all.send(bank(), &[number]);
            assert!(all.attends(party));
        }
        all.send(bank(), &[3]);
        assert!(!all.attends(party));
        for number in 0..3 {
            assert_eq!(message(out.recv().await), Ok(number));
        }
        assert_eq!(message(out.recv().await), Err(tonic::Code::ResourceExhausted));
        assert!(out.recv().await.is_none());
    }
}
