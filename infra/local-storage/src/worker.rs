//! One thread that owns one database: the engine's calls block, so they never run on a
//! thread of the async runtime, and everything written through it has one order.

use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::LocalStorageError;

type Job<State> = Box<dyn FnOnce(&mut State) + Send>;

/// An expression of DynamoDB's longest 4 KB may nest at every character, and the engine reads it
/// by recursion. Memory that is never touched costs nothing.
const STACK_BYTES: usize = 64 * 1024 * 1024;

pub(crate) struct Worker<State> {
    name: &'static str,
    /// `None` only while dropping.
    jobs: Option<mpsc::Sender<Job<State>>>,
    thread: Option<JoinHandle<()>>,
}

impl<State: 'static> Worker<State> {
    /// Starts the thread and waits until `open` has made its state.
    pub(crate) fn start(
        name: &'static str,
        open: impl FnOnce() -> Result<State, LocalStorageError> + Send + 'static,
    ) -> Result<Self, LocalStorageError> {
        let (jobs, queue) = mpsc::channel::<Job<State>>();
        let (opened, wait_until_open) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || match open() {
                Ok(mut state) => {
                    let _ = opened.send(Ok(()));
                    while let Ok(job) = queue.recv() {
                        job(&mut state);
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            })
            .map_err(|source| LocalStorageError::Thread {
                thread: name,
                source,
            })?;
        wait_until_open
            .recv()
            .map_err(|_| LocalStorageError::ThreadStopped { thread: name })??;
        Ok(Self {
            name,
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Queues `work` and waits for what it returns. Work that was queued runs even when
    /// the caller stops waiting.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> T + Send + 'static,
    ) -> Result<T, LocalStorageError> {
        let stopped = || LocalStorageError::ThreadStopped { thread: self.name };
        let (answer, answered) = oneshot::channel();
        let job: Job<State> = Box::new(move |state| {
            let _ = answer.send(work(state));
        });
        self.jobs
            .as_ref()
            .ok_or_else(stopped)?
            .send(job)
            .map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }
}

impl<State: 'static> Worker<State> {
    /// Queues `work` that nobody waits for.
    pub(crate) fn queue(
        &self,
        work: impl FnOnce(&mut State) + Send + 'static,
    ) -> Result<(), LocalStorageError> {
        let stopped = || LocalStorageError::ThreadStopped { thread: self.name };
        self.jobs
            .as_ref()
            .ok_or_else(stopped)?
            .send(Box::new(work))
            .map_err(|_| stopped())
    }
}

impl<State> Drop for Worker<State> {
    /// Waits for what is queued, so that the files are closed once the last handle is gone.
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
