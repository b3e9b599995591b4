//! A redrive: every state that did not succeed goes on, with the input and the
//! variables it had. What succeeded is not run again.

use serde_json::json;
use state_language::{State, error};

use super::Interpreter;
use super::frame::{Activity, Children, Doing, FrameId, InState, MapProgress, ROOT};
use super::run::{count_children_of, state_of};
use crate::history::EventType;

impl Interpreter<'_> {
    pub(super) fn redrive(&mut self) {
        let details = json!({"redriveCount": self.run.info.redrive_count});
        self.append_after(
            self.run.last_event_id,
            EventType::ExecutionRedriven,
            details,
        );
        self.set_execution_timeout();
        self.redrive_frame(ROOT);
    }

    /// An iteration whose turn has come again, in the state in which it failed or was stopped.
    pub(super) fn resume_iteration(&mut self, id: FrameId, failed_in: InState) {
        if let Some(frame) = self.run.frame_mut(id) {
            frame.activity = Activity::InState(failed_in);
        }
        self.redrive_frame(id);
    }

    fn redrive_frame(&mut self, id: FrameId) {
        let Some(frame) = self.run.frame_mut(id) else {
            return;
        };
        let Activity::InState(in_state) = &mut frame.activity else {
            return;
        };
        in_state.retries.clear();
        in_state.retry_count = 0;
        // The next event links to the state's entry, as on AWS.
        frame.last_event_id = in_state.entered_event_id;
        match in_state.doing.clone() {
            Doing::Parallel(children) => {
                frame.last_event_id = children.started_event_id;
                self.redrive_branches(id, children);
            }
            Doing::Map(children, progress) => {
                frame.last_event_id = children.started_event_id;
                self.redrive_iterations(id, children, progress);
            }
            Doing::Ready | Doing::Task(_) | Doing::Waiting { .. } | Doing::Backoff { .. } => {
                self.make_ready(id);
            }
        }
    }

    fn redrive_branches(&mut self, id: FrameId, children: Children) {
        let unsuccessful: Vec<FrameId> = children
            .ids()
            .filter(|child| self.run.in_state(*child).is_some())
            .collect();
        if unsuccessful.is_empty() {
            return self.redrive_joined(id, children);
        }
        self.run.begin(id, Doing::Parallel(children));
        count_children_of(&mut self.run.frames, id);
        for child in unsuccessful {
            self.redrive_frame(child);
        }
    }

    /// Iterations that failed or were stopped wait for their turn like those that have not begun,
    /// so that no more run side by side than may.
    fn redrive_iterations(&mut self, id: FrameId, children: Children, progress: MapProgress) {
        for child in children.ids() {
            let activity = self.run.frame(child).map(|frame| &frame.activity);
            if let Some(Activity::InState(_) | Activity::Tolerated(_)) = activity
                && let Some(frame) = self.run.frame_mut(child)
                && let Activity::InState(in_state) =
                    std::mem::replace(&mut frame.activity, Activity::Pending)
            {
                frame.failed_in = Some(Box::new(in_state));
            }
        }
        self.run.begin(id, Doing::Map(children, progress));
        count_children_of(&mut self.run.frames, id);
        let waiting = self.run.in_state(id).map(|state| state.doing.clone());
        if let Some(Doing::Map(counted, _)) = waiting
            && counted.remaining == 0
        {
            return self.redrive_joined(id, children);
        }
        let machine = std::sync::Arc::clone(&self.machine);
        if let Some(State::Map(map)) = state_of(&machine, self.run, id) {
            let (limit, because_of) = (progress.max_concurrency, children.started_event_id);
            if let Err(failure) = self.begin_iterations(id, map, limit, because_of) {
                self.fail(id, failure);
            }
        }
    }

    /// All children had succeeded, and the state failed with their results: too much of them is
    /// run again, anything else is tried again with the results there are.
    fn redrive_joined(&mut self, id: FrameId, children: Children) {
        if self.run.info.failed_with.as_deref() == Some(error::name::DATA_LIMIT_EXCEEDED) {
            self.run.remove_children(id);
            if let Some(frame) = self.run.frame_mut(id)
                && let Activity::InState(in_state) = &frame.activity
            {
                frame.last_event_id = in_state.entered_event_id;
            }
            return self.make_ready(id);
        }
        let last = children.ids().filter_map(|child| self.run.frame(child));
        let last = last.map(|frame| frame.last_event_id).max();
        self.join(id, children, last.unwrap_or(children.started_event_id));
    }
}
