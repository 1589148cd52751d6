//! The core's thread, the way to it, and work that is done elsewhere.

use std::sync::Arc;
use std::time::Duration;

use quittance_storage::StorageError;
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
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

    /// Computes on another thread, at most as many at a time as there are processors.
    pub(crate) fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(&mut Self, T) -> Result<(), Failure> + Send + 'static,
    ) {
        let processors = self.tasks.processors.clone();
        let work = async move {
            let _permit = processors.acquire_owned().await;
            let result = tokio::task::spawn_blocking(work).await;
            result.inspect_err(|error| tracing::error!(%error, "a computation has failed")).ok()
        };
        self.tasks.run(work, then);
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
