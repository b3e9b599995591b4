//! Parallel and Map: frames that run side by side and come together again.

use serde_json::{Value, json};
use state_language::{MapState, ParallelState, Scope, State, error};

use super::evaluation::{Field, Given};
use super::frame::{Activity, Children, Doing, FrameId, FramePlace, MapProgress};
use super::run::state_of;
use super::transition::Failure;
use super::{Interpreter, events};
use crate::history::EventType;

/// Iterations of an inline Map that run at a time, at most: Step Functions' quota.
const INLINE_MAP_CONCURRENCY: usize = 40;

impl Interpreter<'_> {
    pub(super) fn start_branches(
        &mut self,
        id: FrameId,
        parallel: &ParallelState,
    ) -> Result<(), Failure> {
        let input = match &parallel.arguments {
            Some(template) => {
                self.evaluate(id, template, Field::Own("Arguments"), &Given::Nothing)?
            }
            None => self.default_output(id, Given::Nothing),
        };
        let started_event_id = self.append(id, EventType::ParallelStateStarted, Value::Null);
        let outer = self.scope_of(id);
        let first = self.run.next_frame_id;
        for index in 0..parallel.branches.len() {
            let place = FramePlace::Branch { parent: id, index };
            let scope = Scope::nested(std::sync::Arc::clone(&outer));
            self.run.add_frame(place, started_event_id, scope);
        }
        let children = Children {
            first,
            count: parallel.branches.len(),
            remaining: parallel.branches.len(),
            started_event_id,
        };
        self.run.begin(id, Doing::Parallel(children));
        for (branch, child) in parallel.branches.iter().zip(children.ids()) {
            self.enter(child, &branch.start_at, input.clone());
        }
        Ok(())
    }

    pub(super) fn start_iterations(&mut self, id: FrameId, map: &MapState) -> Result<(), Failure> {
        let (items, max_concurrency, count, percentage) =
            self.with_evaluation(id, &Given::Nothing, |evaluation| {
                let items = evaluation.items(map.items.as_ref())?;
                let max = evaluation.integer("MaxConcurrency", &map.max_concurrency)?;
                let count = map.tolerated_failure_count.as_ref();
                let count = count
                    .map(|count| evaluation.integer("ToleratedFailureCount", count))
                    .transpose()?;
                let percentage = map.tolerated_failure_percentage.as_ref();
                let percentage = percentage
                    .map(|value| evaluation.percentage("ToleratedFailurePercentage", value))
                    .transpose()?;
                Ok((items, max, count, percentage))
            })?;
        let length = items.len();
        let started_event_id =
            self.append(id, EventType::MapStateStarted, json!({"length": length}));
        let outer = self.scope_of(id);
        let first = self.run.next_frame_id;
        for (index, item) in items.into_iter().enumerate() {
            let place = FramePlace::Iteration {
                parent: id,
                index,
                item,
            };
            let scope = Scope::nested(std::sync::Arc::clone(&outer));
            self.run.add_frame(place, started_event_id, scope);
        }
        let children = Children {
            first,
            count: length,
            remaining: length,
            started_event_id,
        };
        let max_concurrency = match usize::try_from(max_concurrency) {
            Ok(0) | Err(_) => INLINE_MAP_CONCURRENCY,
            Ok(wanted) => wanted.min(INLINE_MAP_CONCURRENCY),
        };
        let progress = MapProgress {
            next: 0,
            failed: 0,
            tolerated_failures: tolerated_failures(length, count, percentage),
            max_concurrency,
        };
        self.run.begin(id, Doing::Map(children, progress));
        if length == 0 {
            self.join(id, children, started_event_id);
            return Ok(());
        }
        self.begin_iterations(id, map, max_concurrency, started_event_id)
    }

    /// Announces as many iterations as may run side by side, then begins them.
    pub(super) fn begin_iterations(
        &mut self,
        id: FrameId,
        map: &MapState,
        max_concurrency: usize,
        because_of: i64,
    ) -> Result<(), Failure> {
        let announced: Vec<FrameId> =
            std::iter::from_fn(|| self.announce_iteration(id, because_of))
                .take(max_concurrency)
                .collect();
        for child in announced {
            if let Err(failure) = self.begin_iteration(id, map, child) {
                // Those before it have begun, and the state is about to fail under them.
                self.stop_children(id, because_of);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Writes `MapIterationStarted` for the next item, which its first state then links to.
    fn announce_iteration(&mut self, id: FrameId, previous: i64) -> Option<FrameId> {
        let name = self.run.in_state(id)?.name.clone();
        let (child, index) = self.take_next(id)?;
        if self.run.frame(child)?.failed_in.is_some() {
            // It was announced when it began, before the redrive.
            return Some(child);
        }
        let details = events::iteration(&name, index);
        let event = self.append_after(previous, EventType::MapIterationStarted, details);
        self.run.frame_mut(child)?.last_event_id = event;
        Some(child)
    }

    /// The first iteration whose turn has not come; now it has.
    fn take_next(&mut self, id: FrameId) -> Option<(FrameId, usize)> {
        let Doing::Map(children, progress) = self.run.in_state(id)?.doing else {
            return None;
        };
        let is_waiting = |index: &usize| {
            let frame = self.run.frame(children.id(*index));
            frame.is_some_and(|frame| frame.activity == Activity::Pending)
        };
        let found = (progress.next..children.count).find(is_waiting);
        if let Some(Doing::Map(_, progress)) = self.run.fan_out_mut(id) {
            progress.next = found.map_or(children.count, |index| index + 1);
        }
        found.map(|index| (children.id(index), index))
    }

    fn begin_iteration(
        &mut self,
        id: FrameId,
        map: &MapState,
        child: FrameId,
    ) -> Result<(), Failure> {
        if let Some(failed_in) = self
            .run
            .frame_mut(child)
            .and_then(|frame| frame.failed_in.take())
        {
            self.resume_iteration(child, *failed_in);
            return Ok(());
        }
        let input = match &map.item_selector {
            Some(selector) => self.evaluate_at(id, child, &Given::Nothing, |evaluation| {
                evaluation.template("ItemSelector", selector)
            })?,
            None => match self.run.frame(child).map(|frame| &frame.place) {
                Some(FramePlace::Iteration { item, .. }) => item.clone(),
                _ => Value::Null,
            },
        };
        self.enter(child, &map.item_processor.flow.start_at, input);
        Ok(())
    }

    pub(super) fn finish_branch(&mut self, parent: FrameId, id: FrameId, output: Value) {
        self.settle(id, Activity::Finished(output));
        let Some(Doing::Parallel(children)) = self.run.fan_out_mut(parent) else {
            return;
        };
        children.remaining -= 1;
        let children = *children;
        if children.remaining == 0 {
            let last = self.last_event(id);
            self.join(parent, children, last);
        }
    }

    pub(super) fn fail_branch(&mut self, parent: FrameId, id: FrameId, failure: Failure) {
        let last = self.last_event(id);
        self.stop_children(parent, last);
        self.fail(parent, failure);
    }

    pub(super) fn finish_iteration(
        &mut self,
        parent: FrameId,
        id: FrameId,
        index: usize,
        output: Value,
    ) {
        let details = self.iteration_details(parent, index);
        self.append_after(
            self.last_event(id),
            EventType::MapIterationSucceeded,
            details,
        );
        self.iteration_ended(parent, id, Activity::Finished(output));
    }

    pub(super) fn fail_iteration(
        &mut self,
        parent: FrameId,
        id: FrameId,
        index: usize,
        output: Value,
        failure: Failure,
    ) {
        let details = self.iteration_details(parent, index);
        let last = self.last_event(id);
        self.append_after(last, EventType::MapIterationFailed, details);
        let Some(Doing::Map(_, progress)) = self.run.fan_out_mut(parent) else {
            return;
        };
        progress.failed += 1;
        let progress = *progress;
        if progress.failed <= progress.tolerated_failures {
            return self.iteration_ended(parent, id, Activity::Tolerated(output));
        }
        self.stop_children(parent, last);
        if progress.tolerated_failures == 0 {
            return self.fail(parent, failure);
        }
        let cause = format!(
            "{} iterations failed, {} were tolerated",
            progress.failed, progress.tolerated_failures
        );
        let name = error::name::EXCEED_TOLERATED_FAILURE_THRESHOLD;
        self.fail(parent, Failure::named(name, cause));
    }

    /// An iteration is over, well or tolerably: the next begins, or the Map is done.
    fn iteration_ended(&mut self, parent: FrameId, id: FrameId, ended: Activity) {
        self.settle(id, ended);
        let Some(Doing::Map(children, _)) = self.run.fan_out_mut(parent) else {
            return;
        };
        children.remaining -= 1;
        let children = *children;
        let last = self.last_event(id);
        if children.remaining == 0 {
            return self.join(parent, children, last);
        }
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(State::Map(map)) = state_of(&machine, self.run, parent) else {
            return;
        };
        if let Some(child) = self.announce_iteration(parent, last)
            && let Err(failure) = self.begin_iteration(parent, map, child)
        {
            self.stop_children(parent, last);
            self.fail(parent, failure);
        }
    }

    /// All children are over: their outputs are the state's result.
    pub(super) fn join(&mut self, id: FrameId, children: Children, last_event_id: i64) {
        let machine = std::sync::Arc::clone(&self.machine);
        let Some(state) = state_of(&machine, self.run, id) else {
            return;
        };
        let ended = children.ids().filter_map(|child| self.run.frame(child));
        let outputs = ended.filter_map(|frame| match &frame.activity {
            Activity::Finished(output) | Activity::Tolerated(output) => Some(output.clone()),
            Activity::Pending | Activity::InState(_) => None,
        });
        let result = Value::Array(outputs.collect());
        // `…StateExited` links to the last child's last event, not to `…StateSucceeded`.
        if let Some(frame) = self.run.frame_mut(id) {
            frame.last_event_id = last_event_id;
        }
        let succeeded = match state {
            State::Map(_) => EventType::MapStateSucceeded,
            _ => EventType::ParallelStateSucceeded,
        };
        self.append_after(last_event_id, succeeded, Value::Null);
        let done = self
            .check_size(id, "result", &result.to_string())
            .and_then(|()| self.leave_by_state(id, state, Given::Result(result)));
        if let Err(failure) = done {
            self.fail(id, failure);
        }
    }

    /// Ends everything under a frame, because of the event given.
    pub(super) fn stop_children(&mut self, id: FrameId, because_of: i64) {
        let Some(in_state) = self.run.in_state(id) else {
            return;
        };
        let Some(children) = in_state.doing.children() else {
            return;
        };
        let name = in_state.name.clone();
        for child in children.ids() {
            self.stop_frame(child, &name, because_of);
        }
        if let Some(frame) = self.run.frame_mut(id) {
            frame.last_event_id = because_of;
        }
    }

    fn stop_frame(&mut self, id: FrameId, around: &str, because_of: i64) {
        let Some(frame) = self.run.frame(id) else {
            return;
        };
        if !self.stopped.insert(id) {
            return;
        }
        let place = frame.place.clone();
        let failed_itself = frame.last_event_id == because_of;
        if self.run.in_state(id).is_some() {
            // From the outside in, as AWS writes it.
            if let FramePlace::Iteration { index, .. } = place
                && !failed_itself
            {
                let details = events::iteration(around, index);
                self.append_after(because_of, EventType::MapIterationAborted, details);
            }
            let machine = std::sync::Arc::clone(&self.machine);
            let state = state_of(&machine, self.run, id);
            let has_told = failed_itself && state.is_some_and(tells_of_its_failure);
            if let Some(aborted) = state.and_then(events::aborted).filter(|_| !has_told) {
                self.append_after(because_of, aborted, Value::Null);
            }
        }
        self.stop_children(id, because_of);
    }

    fn settle(&mut self, id: FrameId, ended: Activity) {
        if let Some(frame) = self.run.frame_mut(id) {
            let before = std::mem::replace(&mut frame.activity, ended);
            if let (Activity::Tolerated(_), Activity::InState(state)) = (&frame.activity, before) {
                frame.failed_in = Some(Box::new(state));
            }
        }
    }

    fn last_event(&self, id: FrameId) -> i64 {
        self.run.frame(id).map_or(0, |frame| frame.last_event_id)
    }

    fn iteration_details(&self, parent: FrameId, index: usize) -> Value {
        let name = self.run.in_state(parent).map(|state| state.name.as_str());
        events::iteration(name.unwrap_or_default(), index)
    }
}

/// Whether the state's own failure is an event. That of a task is only its last attempt's, so
/// the state is aborted with what it was in.
fn tells_of_its_failure(state: &State) -> bool {
    matches!(state, State::Parallel(_) | State::Map(_))
}

/// The larger allowance wins where both are given: either one alone would let it pass.
fn tolerated_failures(length: usize, count: Option<u64>, percentage: Option<f64>) -> usize {
    let by_count = count.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of at most the whole length, from 0 to 100 percent"
    )]
    let by_percentage = percentage.map_or(0, |share| (length as f64 * share / 100.0) as usize);
    by_count.max(by_percentage)
}
