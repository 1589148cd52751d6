//! The core's thread, the way to it, and work that is done elsewhere.

use std::sync::Arc;
use std::time::Duration;

use quittance_storage::StorageError;
use thiserror::Error;
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Core, Failure};

/// Steps that wait for the core. Whoever sends more waits.
const WAITING: usize = 1024;

type Step = Box<dyn FnOnce(&mut Core) -> Result<(), Failure> + Send>;

/// The way to a core. It ends when nobody has one any more.
#[derive(Clone)]
pub(crate) struct Handle(mpsc::Sender<Step>);

impl Handle {
    /// Has the core take `step`, and answers with what it returns. `UNAVAILABLE` if the core has
    /// ended, before the step or by it.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Core) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let step: Step = Box::new(move |core| {
            let result = match step(core) {
                Ok(value) => Ok(value),
                Err(Failure::Refused(status)) => Err(*status),
                Err(fatal) => return Err(fatal),
            };
            // The caller may have gone; what was done stays done.
            let _ = reply.send(result);
            Ok(())
        });
        let ended = || Status::unavailable("the agent is stopping");
        self.0.send(step).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// What a core starts outside of its thread.
#[derive(Clone)]
pub(crate) struct Tasks {
    runtime: runtime::Handle,
    core: mpsc::WeakSender<Step>,
    stopping: CancellationToken,
    /// Processors for proofs and signatures.
    processors: Arc<Semaphore>,
}

/// Starts the thread of the core that `open` makes. The second result is what it ends with, once
/// no handle is left or it has failed.
pub(crate) fn spawn<E: Send + 'static>(
    stopping: CancellationToken,
    open: impl FnOnce(Tasks) -> Result<Core, E>,
) -> Result<(Handle, Core, Steps), E> {
    let (sender, steps) = mpsc::channel(WAITING);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let tasks = Tasks {
        runtime: runtime::Handle::current(),
        core: sender.downgrade(),
        stopping,
        processors: Arc::new(Semaphore::new(processors)),
    };
    Ok((Handle(sender), open(tasks)?, Steps(steps)))
}

/// What waits for a core.
pub(crate) struct Steps(mpsc::Receiver<Step>);

impl Steps {
    /// Does one step after the other, on this thread, until no handle is left. An error means that
    /// the agent must end: what the failed step has done is not on the disk.
    pub(crate) fn run(mut self, mut core: Core) -> Result<(), StorageError> {
        // Steps may make timers and clients.
        let runtime = core.tasks.runtime.clone();
        let _within = runtime.enter();
        while let Some(step) = self.0.blocking_recv() {
            match step(&mut core) {
                Ok(()) => {}
                Err(Failure::Storage(error)) => return Err(error),
                Err(Failure::Refused(status)) => {
                    tracing::warn!(reason = %status.message(), "a step was not done");
                }
            }
        }
        Ok(())
    }
}

/// A computation has panicked: a defect, of which whoever waits for it is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a computation has panicked: {0}")]
pub(crate) struct Panicked(String);

impl Panicked {
    /// Nothing if the computation was dropped because the process ends.
    fn of(error: JoinError) -> Option<Self> {
        let said = error.try_into_panic().ok()?;
        let text = said.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| said.downcast_ref::<String>().cloned());
        Some(Self(text.unwrap_or_else(|| "without words".to_owned())))
    }
}

/// Computes on a thread for what blocks, once one of the processors is free.
async fn computed<T: Send + 'static>(
    processors: Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<Result<T, Panicked>> {
    let _permit = processors.acquire_owned().await;
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Some(Ok(result)),
        Err(error) => {
            tracing::error!(%error, "a computation has failed");
            Panicked::of(error).map(Err)
        }
    }
}

impl Tasks {
    /// Runs `work`, unless the agent stops; `then` gets its result.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Option<T>> + Send + 'static,
        then: impl FnOnce(&mut Core, T) -> Result<(), Failure> + Send + 'static,
    ) {
        let (core, stopping) = (self.core.clone(), self.stopping.clone());
        self.runtime.spawn(async move {
            let result = tokio::select! {
                result = work => result,
                () = stopping.cancelled() => None,
            };
            if let (Some(result), Some(core)) = (result, core.upgrade()) {
                // Fails only if the core has ended.
                let _ = core.send(Box::new(move |core| then(core, result))).await;
            }
        });
    }
}

impl Core {
    /// Runs `work` as a task; `then` gets its result as a step of the core.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut Self, T) -> Result<(), Failure> + Send + 'static,
    ) {
        self.tasks.run(async move { Some(work.await) }, then);
    }

    /// Computes on another thread, at most as many at a time as there are processors. `then` is
    /// told of a panic, too, so that nothing waits for ever for what will not come.
    pub(crate) fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, Result<T, Panicked>) -> Result<(), Failure> + Send + 'static,
    ) {
        self.tasks.run(computed(self.tasks.processors.clone(), work), then);
    }

    /// Takes a step after some time.
    pub(crate) fn after(
        &self,
        delay: Duration,
        then: impl FnOnce(&mut Self) -> Result<(), Failure> + Send + 'static,
    ) {
        // The timer is made on the runtime: the core's own thread has none.
        self.spawn(async move { tokio::time::sleep(delay).await }, |core, ()| then(core));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    use super::*;

    /// As many as there are processors meet; never more are there at a time.
    #[tokio::test]
    async fn computations_run_side_by_side_but_not_more_than_there_are_processors() {
        const PROCESSORS: usize = 3;
        let processors = Arc::new(Semaphore::new(PROCESSORS));
        let meeting = Arc::new(Barrier::new(PROCESSORS));
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let computations = (0..4 * PROCESSORS).map(|number| {
            let (meeting, running, most) = (meeting.clone(), running.clone(), most.clone());
            let work = move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                meeting.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                number
            };
            tokio::spawn(computed(processors.clone(), work))
        });
        for (number, computation) in computations.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(computation.await.unwrap(), Some(Ok(number)));
        }
        assert_eq!(most.load(Ordering::SeqCst), PROCESSORS);
    }

    #[tokio::test]
    async fn a_panic_is_told_in_its_words_and_takes_no_processor_with_it() {
        let processors = Arc::new(Semaphore::new(1));
        let words: [(fn(), &str); 3] = [
            (|| panic!("no table"), "a computation has panicked: no table"),
            (|| panic!("no row {}", 7), "a computation has panicked: no row 7"),
            (|| std::panic::panic_any(7), "a computation has panicked: without words"),
        ];
        for (work, expected) in words {
            let told = computed(processors.clone(), work).await.unwrap().unwrap_err();
            assert_eq!(told.to_string(), expected);
        }
        assert_eq!(computed(processors, || 5).await, Some(Ok(5)));
    }
}
