//! Where a run stands: a tree of frames, one for the machine itself, one for
//! each branch of a Parallel and each iteration of a Map. All of it can be
//! written to disk and read back.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use state_language::Scope;
use trace_model::Timestamp;

/// Within one execution; never used twice.
pub(crate) type FrameId = i64;

/// The frame of the machine's own states.
pub(crate) const ROOT: FrameId = 0;

/// One flow of states being run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) place: FramePlace,
    /// What the next event of this frame names as its previous one.
    pub(crate) last_event_id: i64,
    /// Goes up whenever the frame begins to do something else, so that a late timer or
    /// task result is told from the present one.
    pub(crate) generation: u64,
    /// Variables assigned in this scope; those of outer scopes are in the outer frames.
    #[serde(default, rename = "variables", with = "own_variables")]
    pub(crate) scope: Scope,
    pub(crate) activity: Activity,
    /// Of an iteration that failed: where a redrive goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed_in: Option<Box<InState>>,
}

impl Frame {
    /// The attempt the frame's task is at, if it is in a task that has begun.
    pub(crate) fn task_attempt(&self) -> Option<&TaskAttempt> {
        match &self.activity {
            Activity::InState(InState {
                doing: Doing::Task(attempt),
                ..
            }) => Some(attempt),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum FramePlace {
    Root,
    Branch {
        parent: FrameId,
        index: usize,
    },
    Iteration {
        parent: FrameId,
        index: usize,
        item: Value,
    },
}

impl FramePlace {
    pub(crate) fn parent(&self) -> Option<FrameId> {
        match self {
            Self::Root => None,
            Self::Branch { parent, .. } | Self::Iteration { parent, .. } => Some(*parent),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Activity {
    /// A Map iteration whose turn has not come.
    Pending,
    InState(InState),
    /// Done; the output waits for the siblings.
    Finished(Value),
    /// An iteration that failed within its Map's tolerance, with the error as its output.
    Tolerated(Value),
}

impl Activity {
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Tolerated(_))
    }
}

/// A state that was entered and not yet left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct InState {
    pub(crate) name: String,
    pub(crate) input: Value,
    pub(crate) entered_event_id: i64,
    /// What `…StateEntered` named as its previous event.
    pub(crate) before_event_id: i64,
    pub(crate) entered_at: Timestamp,
    /// Retries used up, by the position of the retrier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) retries: Vec<u32>,
    /// Retries over all retriers: `$states.context.State.RetryCount`.
    pub(crate) retry_count: u32,
    pub(crate) doing: Doing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Doing {
    /// Its turn comes in the present step, or in the next if that is full.
    Ready,
    Task(TaskAttempt),
    Waiting {
        until: Timestamp,
    },
    /// Between a failed attempt and its retry.
    Backoff {
        until: Timestamp,
    },
    Parallel(Children),
    Map(Children, MapProgress),
}

impl Doing {
    /// The frames of a fan-out.
    pub(crate) fn children(&self) -> Option<Children> {
        match self {
            Self::Parallel(children) | Self::Map(children, _) => Some(*children),
            Self::Ready | Self::Task(_) | Self::Waiting { .. } | Self::Backoff { .. } => None,
        }
    }
}

/// Contiguous frames: the id of the child at `index` is `first + index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Children {
    pub(crate) first: FrameId,
    pub(crate) count: usize,
    /// Children that have not ended. As stored it may be behind: `Run::resumed` counts anew.
    pub(crate) remaining: usize,
    /// `ParallelStateStarted` or `MapStateStarted`.
    pub(crate) started_event_id: i64,
}

impl Children {
    pub(crate) fn ids(self) -> impl DoubleEndedIterator<Item = FrameId> {
        (0..self.count).map(move |index| self.id(index))
    }

    pub(crate) fn id(self, index: usize) -> FrameId {
        self.first + i64::try_from(index).unwrap_or(i64::MAX)
    }
}

/// `next` and `failed` may be behind as they are stored: `Run::resumed` counts them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MapProgress {
    /// No item before this one is still to be started.
    pub(crate) next: usize,
    /// Iterations that failed within the tolerance, and the one that went beyond it.
    pub(crate) failed: usize,
    /// More failures than this fail the state.
    pub(crate) tolerated_failures: usize,
    pub(crate) max_concurrency: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskAttempt {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeat: Option<Heartbeat>,
    /// Set for `.waitForTaskToken`: the attempt ends when somebody sends it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// Set once the call itself is over and only the token or the execution is awaited.
    #[serde(default)]
    pub(crate) call: Call,
    /// Set for `.sync`: the execution that was started, whose end ends the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) execution: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) seconds: u64,
    pub(crate) deadline: Timestamp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    #[default]
    UnderWay,
    Returned,
}

/// A scope is stored without the outer ones; `Run::resumed` links them again.
mod own_variables {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::{Map, Value};
    use state_language::Scope;

    pub(super) fn serialize<S: Serializer>(
        scope: &Scope,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(scope.own())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Scope, D::Error> {
        Ok(Map::<String, Value>::deserialize(deserializer)?
            .into_iter()
            .collect())
    }
}
