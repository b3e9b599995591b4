//! One execution as the interpreter sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use state_language::{Flow, Scope, State, StateMachine};
use trace_model::Timestamp;

use super::frame::{Activity, Children, Doing, Frame, FrameId, FramePlace, InState};

/// An execution's identity and input, fixed at its start.
#[derive(Debug, Clone)]
pub(crate) struct ExecutionInfo {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) machine_arn: String,
    pub(crate) machine_name: String,
    pub(crate) role_arn: String,
    /// The row of the definition it goes by.
    pub(crate) revision: i64,
    /// As it was sent, which the history repeats.
    pub(crate) input_text: String,
    pub(crate) input: Value,
    pub(crate) started_at: Timestamp,
    pub(crate) redrive_count: u32,
    /// When it was redriven last.
    pub(crate) redriven_at: Option<Timestamp>,
    /// The error it had ended with when it was redriven.
    pub(crate) failed_with: Option<String>,
}

impl ExecutionInfo {
    /// From when on the machine's own timeout counts.
    pub(crate) fn running_since(&self) -> Timestamp {
        self.redriven_at.unwrap_or(self.started_at)
    }
}

/// What a running execution is: who it is, and where it stands.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) info: Arc<ExecutionInfo>,
    pub(crate) machine: Arc<StateMachine>,
    pub(crate) last_event_id: i64,
    pub(crate) next_frame_id: FrameId,
    /// Most runs have one, and a node of the map has room for many: hence the box.
    pub(crate) frames: BTreeMap<FrameId, Box<Frame>>,
    pub(crate) outcome: Outcome,
    /// Frames in [`Doing::Ready`], in turn.
    pub(crate) ready: VecDeque<FrameId>,
    /// Frames to write, and to remove, since the last [`Run::take_changed`].
    changed: BTreeSet<FrameId>,
}

/// How an execution stands, as `DescribeExecution` names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Running,
    Succeeded { output: Value },
    Failed(ErrorAndCause),
    TimedOut,
    Aborted(ErrorAndCause),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ErrorAndCause {
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
}

impl Outcome {
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded { .. } => "SUCCEEDED",
            Self::Failed(_) => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted(_) => "ABORTED",
        }
    }
}

impl Run {
    pub(crate) fn new(info: ExecutionInfo, machine: Arc<StateMachine>) -> Self {
        Self {
            info: Arc::new(info),
            machine,
            last_event_id: 0,
            next_frame_id: 0,
            frames: BTreeMap::new(),
            outcome: Outcome::Running,
            ready: VecDeque::new(),
            changed: BTreeSet::new(),
        }
    }

    /// A run as it was stored: scopes see the outer ones again, fan-outs know how far they are,
    /// and frames that were ready are ready again.
    pub(crate) fn resumed(
        info: ExecutionInfo,
        machine: Arc<StateMachine>,
        last_event_id: i64,
        next_frame_id: FrameId,
        mut frames: BTreeMap<FrameId, Box<Frame>>,
    ) -> Self {
        link_scopes(&mut frames);
        count_children(&mut frames);
        let is_ready = |frame: &Frame| {
            matches!(
                &frame.activity,
                Activity::InState(InState {
                    doing: Doing::Ready,
                    ..
                })
            )
        };
        let ready = frames
            .iter()
            .filter(|(_, frame)| is_ready(frame))
            .map(|(id, _)| *id)
            .collect();
        Self {
            last_event_id,
            next_frame_id,
            frames,
            ready,
            ..Self::new(info, machine)
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outcome != Outcome::Running
    }

    pub(crate) fn add_frame(
        &mut self,
        place: FramePlace,
        last_event_id: i64,
        scope: Scope,
    ) -> FrameId {
        let id = self.next_frame_id;
        self.next_frame_id += 1;
        let frame = Frame {
            place,
            last_event_id,
            generation: 0,
            scope,
            activity: Activity::Pending,
            failed_in: None,
        };
        self.frames.insert(id, Box::new(frame));
        self.changed.insert(id);
        id
    }

    pub(crate) fn remove_frame(&mut self, id: FrameId) {
        self.frames.remove(&id);
        self.changed.insert(id);
    }

    /// Removes all that is under a frame.
    pub(crate) fn remove_children(&mut self, id: FrameId) {
        let children = self.in_state(id).and_then(|state| state.doing.children());
        for child in children.into_iter().flat_map(Children::ids) {
            self.remove_children(child);
            self.remove_frame(child);
        }
    }

    pub(crate) fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(&id).map(Box::as_ref)
    }

    pub(crate) fn frame_mut(&mut self, id: FrameId) -> Option<&mut Frame> {
        self.changed.insert(id);
        self.frames.get_mut(&id).map(Box::as_mut)
    }

    pub(crate) fn in_state(&self, id: FrameId) -> Option<&InState> {
        match &self.frame(id)?.activity {
            Activity::InState(state) => Some(state),
            Activity::Pending | Activity::Finished(_) | Activity::Tolerated(_) => None,
        }
    }

    pub(crate) fn in_state_mut(&mut self, id: FrameId) -> Option<&mut InState> {
        match &mut self.frame_mut(id)?.activity {
            Activity::InState(state) => Some(state),
            Activity::Pending | Activity::Finished(_) | Activity::Tolerated(_) => None,
        }
    }

    /// A fan-out, to move its progress on. The frame is not stored again for that: it holds the
    /// state's whole input, and what the children's frames say is enough to go on from.
    pub(crate) fn fan_out_mut(&mut self, id: FrameId) -> Option<&mut Doing> {
        match &mut self.frames.get_mut(&id)?.activity {
            Activity::InState(state) => Some(&mut state.doing),
            Activity::Pending | Activity::Finished(_) | Activity::Tolerated(_) => None,
        }
    }

    /// The frame begins to do something else; answers with its new generation.
    pub(crate) fn begin(&mut self, id: FrameId, doing: Doing) -> u64 {
        let Some(frame) = self.frame_mut(id) else {
            return 0;
        };
        frame.generation += 1;
        let generation = frame.generation;
        if let Activity::InState(state) = &mut frame.activity {
            state.doing = doing;
        }
        generation
    }

    /// Frames from this one outwards to the root.
    pub(crate) fn outwards(&self, id: FrameId) -> impl Iterator<Item = &Frame> {
        std::iter::successors(self.frame(id), |frame| {
            frame.place.parent().and_then(|parent| self.frame(parent))
        })
    }

    /// Frames that changed or are gone since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<FrameId> {
        std::mem::take(&mut self.changed)
    }
}

/// An outer frame always has the lower id.
fn link_scopes(frames: &mut BTreeMap<FrameId, Box<Frame>>) {
    let mut linked: BTreeMap<FrameId, Arc<Scope>> = BTreeMap::new();
    for (id, frame) in frames.iter_mut() {
        if let Some(outer) = frame.place.parent().and_then(|parent| linked.get(&parent)) {
            frame.scope = std::mem::take(&mut frame.scope).within(Arc::clone(outer));
        }
        linked.insert(*id, Arc::new(frame.scope.clone()));
    }
}

/// How far each fan-out is, from its children.
fn count_children(frames: &mut BTreeMap<FrameId, Box<Frame>>) {
    let ids: Vec<FrameId> = frames.keys().copied().collect();
    for id in ids {
        count_children_of(frames, id);
    }
}

/// How far a fan-out is, from its children: those that ended stay until all have.
pub(super) fn count_children_of(frames: &mut BTreeMap<FrameId, Box<Frame>>, id: FrameId) {
    let Some(Activity::InState(state)) = frames.get(&id).map(|frame| &frame.activity) else {
        return;
    };
    let Some(children) = state.doing.children() else {
        return;
    };
    let activities: Vec<&Activity> = children
        .ids()
        .filter_map(|child| frames.get(&child).map(|frame| &frame.activity))
        .collect();
    let count = |is: fn(&Activity) -> bool| activities.iter().filter(|it| is(it)).count();
    let remaining = count(|it| !it.has_ended());
    let failed = count(|it| matches!(it, Activity::Tolerated(_)));
    let waiting = activities.iter().position(|it| **it == Activity::Pending);
    let next = waiting.unwrap_or(activities.len());
    let Some(Activity::InState(state)) = frames.get_mut(&id).map(|frame| &mut frame.activity)
    else {
        return;
    };
    match &mut state.doing {
        Doing::Parallel(children) => children.remaining = remaining,
        Doing::Map(children, progress) => {
            children.remaining = remaining;
            progress.next = next;
            progress.failed = failed;
        }
        Doing::Ready | Doing::Task(_) | Doing::Waiting { .. } | Doing::Backoff { .. } => {}
    }
}

/// The flow a frame runs: `None` if the frame is gone.
pub(crate) fn flow_of<'a>(machine: &'a StateMachine, run: &Run, id: FrameId) -> Option<&'a Flow> {
    let mut path = Vec::new();
    let mut frame = run.frame(id)?;
    while let Some(parent) = frame.place.parent() {
        path.push((&frame.place, parent));
        frame = run.frame(parent)?;
    }
    let mut flow = &machine.flow;
    for (place, parent) in path.into_iter().rev() {
        let state = flow.states.get(&run.in_state(parent)?.name)?;
        flow = match (place, state) {
            (FramePlace::Branch { index, .. }, State::Parallel(state)) => {
                state.branches.get(*index)?
            }
            (FramePlace::Iteration { .. }, State::Map(state)) => &state.item_processor.flow,
            _ => return None,
        };
    }
    Some(flow)
}

/// The state a frame is in, with its definition.
pub(crate) fn state_of<'a>(machine: &'a StateMachine, run: &Run, id: FrameId) -> Option<&'a State> {
    let name = &run.in_state(id)?.name;
    flow_of(machine, run, id)?.states.get(name)
}
