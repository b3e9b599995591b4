//! The engine: one task that takes what happened, has the interpreter work it
//! out and commits it, then lets the world know and calls the functions. It
//! sleeps until the next timer when there is nothing to do.

mod core;
mod request;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use trace_model::{Clock, Timestamp};

use self::core::{Core, Effects};
pub(crate) use self::request::{Request, Start};
use crate::history::HistoryEvent;
use crate::interpreter::{ErrorAndCause, FrameId, Invocation};
use crate::invoke::FunctionInvoker;
use crate::store::{self, Order, Page, Reader, RowId};
use crate::{AwsError, Error, Place};

/// Inputs of one commit, at most: a full queue is worked off in pieces that stay short.
const BATCH_LIMIT: usize = 512;

/// Growth notices a slow subscriber may lag behind before it misses some.
const GROWTH_BACKLOG: usize = 1_024;

/// How the engine is to run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of `step-functions.db`; made when it is not there.
    pub data: PathBuf,
    /// Region and account of every ARN.
    pub place: Place,
    /// The time. A manual clock goes with tokio's own, which a test may pause.
    pub clock: Clock,
    pub functions: FunctionInvoker,
}

/// An execution's history has grown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    pub execution_arn: Arc<str>,
    /// Everything up to this event can be read.
    pub last_event_id: i64,
}

/// The running engine. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct LocalStepFunctions {
    inputs: mpsc::UnboundedSender<Input>,
    growth: broadcast::Sender<Growth>,
    pub(crate) reader: Reader,
    pub(crate) place: Arc<Place>,
    pub(crate) clock: Clock,
    engine: Arc<tokio::sync::Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Debug)]
enum Input {
    Request(Box<Request>, oneshot::Sender<Result<Value, AwsError>>),
    CallEnded {
        run: RowId,
        frame: FrameId,
        generation: u64,
        result: Result<Value, ErrorAndCause>,
    },
    ShutDown,
}

impl LocalStepFunctions {
    /// Opens the data folder and goes on with every execution that had not ended. Calls that were
    /// under way when the last process stopped count as failed with `Lambda.Unknown`, which the
    /// state's `Retry` and `Catch` see.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let Config {
            data,
            place,
            clock,
            functions,
        } = config;
        let place = Arc::new(place);
        let open = {
            let (place, clock) = (Arc::clone(&place), clock.clone());
            move || {
                let (writer, reader) = store::open(&data)?;
                let core = Core::recover(writer, reader.clone(), place, clock)?;
                Ok((core, reader))
            }
        };
        let opened = tokio::task::spawn_blocking(open)
            .await
            .map_err(Error::Thread)?;
        let (core, reader) = opened?;
        let described_by = clock.clone();
        let (inputs, received) = mpsc::unbounded_channel();
        let (growth, _) = broadcast::channel(GROWTH_BACKLOG);
        let engine = Engine {
            received,
            results: inputs.clone(),
            growth: growth.clone(),
            functions: Arc::new(functions),
            clock,
            calls: JoinSet::new(),
        };
        Ok(Self {
            inputs,
            growth,
            reader,
            place,
            clock: described_by,
            engine: Arc::new(tokio::sync::Mutex::new(Some(tokio::spawn(
                engine.run(core),
            )))),
        })
    }

    /// Tells whose history has grown. Lossy: who lags reads on from the last event read,
    /// with [`Self::events_after`].
    pub fn subscribe(&self) -> broadcast::Receiver<Growth> {
        self.growth.subscribe()
    }

    /// Events after the one given (0 for all), oldest first, `limit` at most.
    pub async fn events_after(
        &self,
        execution_arn: &str,
        event_id: i64,
        limit: usize,
    ) -> Result<Vec<HistoryEvent>, AwsError> {
        let arn = execution_arn.to_owned();
        let events = self.reader.run(move |reading| {
            let Some(execution) = reading.execution(&arn)? else {
                return Ok(None);
            };
            let page = Page {
                limit,
                after: Some(event_id),
            };
            reading
                .events(execution.id, page, Order::OldestFirst)
                .map(Some)
        });
        events
            .await?
            .ok_or_else(|| AwsError::no_execution(execution_arn))
    }

    /// Takes no more work and waits until what was taken is on disk. Calls under way are dropped;
    /// the next start treats them as [`Self::start`] says.
    pub async fn shutdown(&self) {
        let mut engine = self.engine.lock().await;
        if let Some(running) = engine.take() {
            // An engine that has ended already has nothing left to do.
            let _ = self.inputs.send(Input::ShutDown);
            if let Err(error) = running.await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the engine ended badly"
                );
            }
        }
    }

    pub(crate) async fn request(&self, request: Request) -> Result<Value, AwsError> {
        let (reply, answer) = oneshot::channel();
        self.inputs
            .send(Input::Request(Box::new(request), reply))
            .map_err(|_| Error::ShutDown)?;
        answer.await.map_err(|_| Error::ShutDown)?
    }
}

struct Engine {
    received: mpsc::UnboundedReceiver<Input>,
    results: mpsc::UnboundedSender<Input>,
    growth: broadcast::Sender<Growth>,
    functions: Arc<FunctionInvoker>,
    clock: Clock,
    calls: JoinSet<()>,
}

/// What the engine could do without being told.
#[derive(Clone, Copy)]
enum Work {
    Ready,
    /// When the next timer rings, if there is one.
    Due(Option<Timestamp>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    On,
    Down,
}

impl Engine {
    async fn run(mut self, mut core: Core) {
        let mut ticked = Instant::now();
        loop {
            let work = if core.has_ready() {
                Work::Ready
            } else {
                Work::Due(core.next_due())
            };
            let (inputs, going) = self.next_inputs(work).await;
            // Nothing for the system's clock; a manual one goes with tokio's.
            self.clock.advance(ticked.elapsed());
            ticked = Instant::now();
            let processed = tokio::task::spawn_blocking(move || {
                let effects = core.process(inputs);
                (core, effects)
            });
            let effects = match processed.await {
                Ok((returned, Ok(effects))) => {
                    core = returned;
                    effects
                }
                Ok((_, Err(error))) => {
                    // What is in memory cannot be kept, so nothing may build on it.
                    tracing::error!(error = &error as &dyn std::error::Error, "the engine stops");
                    return;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the engine stops");
                    return;
                }
            };
            self.perform(effects);
            if going == Going::Down {
                let closed = tokio::task::spawn_blocking(move || core.close()).await;
                if let Ok(Err(error)) = closed {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "not closed cleanly"
                    );
                }
                return;
            }
        }
    }

    /// Waits for something to do, and takes all there is of it.
    async fn next_inputs(&mut self, work: Work) -> (Vec<Input>, Going) {
        let mut inputs = Vec::new();
        let first = match work {
            Work::Ready => None,
            Work::Due(None) => self.received.recv().await,
            Work::Due(Some(due)) => match due.since(self.clock.now()) {
                Duration::ZERO => None,
                wait => tokio::time::timeout(wait, self.received.recv())
                    .await
                    .ok()
                    .flatten(),
            },
        };
        let mut next = first;
        loop {
            match next.take().or_else(|| self.received.try_recv().ok()) {
                Some(Input::ShutDown) => return (inputs, Going::Down),
                Some(input) => inputs.push(input),
                None => return (inputs, Going::On),
            }
            if inputs.len() >= BATCH_LIMIT {
                return (inputs, Going::On);
            }
        }
    }

    /// After the commit: nobody hears of what could still be lost.
    fn perform(&mut self, effects: Effects) {
        for (reply, answer) in effects.replies {
            // A caller that has gone away does not need its answer.
            let _ = reply.send(answer);
        }
        for growth in effects.growth {
            // Without a subscriber there is nobody to tell.
            let _ = self.growth.send(growth);
        }
        for (run, invocation) in effects.invocations {
            self.call(run, invocation);
        }
        while self.calls.try_join_next().is_some() {}
    }

    fn call(&mut self, run: RowId, invocation: Invocation) {
        let (frame, generation) = (invocation.frame, invocation.generation);
        let (functions, results) = (Arc::clone(&self.functions), self.results.clone());
        let clock = self.clock.clone();
        self.calls.spawn(async move {
            let result = functions.call(invocation, &clock).await;
            // Once the engine has stopped, its next start settles the attempt.
            let _ = results.send(Input::CallEnded {
                run,
                frame,
                generation,
                result,
            });
        });
    }
}
