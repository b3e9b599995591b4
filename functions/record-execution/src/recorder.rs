use std::collections::HashMap;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use trace_model::{
    ExecutionArn, RunStatus, Span, SpanId, SpanKind, TenantId, Timestamp, TraceId, conventions,
};

use crate::attempt::{AttemptEnd, Scheduled};
use crate::failure::Failure;
use crate::tenant::TenantEvidence;
use crate::tree::{
    Closing, NodeId, Outcome, Shape, StateProgress, Tree, add_content, span_of_event,
};
use crate::{flags, parameters};

/// Turns one execution's history into its run, state, iteration and attempt spans.
///
/// It may be fed as the history grows: the spans do not depend on where the history was cut,
/// and an event that comes again changes nothing. What a span is part of is found by following
/// `previousEventId`, for the events of parallel branches interleave.
#[derive(Debug)]
pub struct HistoryRecorder {
    pub(crate) arn: ExecutionArn,
    pub(crate) trace_id: TraceId,
    pub(crate) tree: Tree,
    pub(crate) tenants: TenantEvidence,
    options: RecorderOptions,
    run: Option<NodeId>,
    outline: Option<RunOutline>,
    positions: HashMap<i64, Position>,
    /// States that left through a Choice or a Catch, by the id of their exit event: they end
    /// when the next event says where to.
    leaving: HashMap<i64, Leaving>,
    last_event_id: i64,
}

#[derive(Clone, Debug, Default)]
pub struct RecorderOptions {
    /// Whose run it is when neither its input nor its parameters say so.
    pub default_tenant: TenantId,
    /// The state machine's ARN; without it, it is made from the execution's.
    pub state_machine_arn: Option<String>,
}

/// The run as far as the history tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutline {
    pub status: RunStatus,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// The error name of a run that did not succeed; not masked.
    pub error: Option<String>,
}

/// Where a chain of events has come to: inside `node`, or between two states of a Parallel
/// state's `branch`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub node: NodeId,
    pub branch: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Leaving {
    node: NodeId,
    at: Timestamp,
}

impl HistoryRecorder {
    pub fn new(arn: ExecutionArn, options: RecorderOptions) -> Self {
        Self {
            trace_id: TraceId::of_execution(&arn),
            arn,
            tree: Tree::default(),
            tenants: TenantEvidence::new(options.default_tenant.clone()),
            options,
            run: None,
            outline: None,
            positions: HashMap::new(),
            leaving: HashMap::new(),
            last_event_id: 0,
        }
    }

    /// Takes the next events, in the order of their ids. Answers with the latest telling of
    /// each span that opened, changed or finished, in the order in which they opened; an open
    /// span has no end and a revision that its end will outrank.
    pub fn feed(&mut self, events: &[HistoryEvent]) -> Vec<Span> {
        let mut fresh: Vec<&HistoryEvent> = events
            .iter()
            .filter(|event| event.id > self.last_event_id)
            .collect();
        fresh.sort_by_key(|event| event.id);
        fresh.dedup_by_key(|event| event.id);
        for event in fresh {
            let position = self.apply(event);
            self.positions.insert(event.id, position);
            self.last_event_id = event.id;
        }
        self.tree.take_changed()
    }

    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    pub const fn execution_arn(&self) -> &ExecutionArn {
        &self.arn
    }

    /// `None` while the history so far leaves it open: its input named no tenant and no task
    /// has been scheduled yet.
    pub const fn tenant(&self) -> Option<&TenantId> {
        self.tenants.decided()
    }

    /// Settles for the default tenant, for when no more events are to come.
    pub fn decide_tenant(&mut self) {
        self.tenants.decide();
    }

    /// `None` before the first event.
    pub const fn outline(&self) -> Option<&RunOutline> {
        self.outline.as_ref()
    }

    /// What a reader of the run should know; not masked.
    pub fn notices(&self) -> &[String] {
        self.tenants.notices()
    }

    /// The highest event id seen; 0 before the first.
    pub const fn last_event_id(&self) -> i64 {
        self.last_event_id
    }

    fn apply(&mut self, event: &HistoryEvent) -> Position {
        let at = timestamp(event);
        let run = self.run(event, at);
        let from = self
            .positions
            .get(&event.previous_event_id)
            .copied()
            .unwrap_or(Position::inside(run));
        if let Some(state_type) = event.r#type.as_str().strip_suffix("StateEntered") {
            return self.state_entered(event, at, from, state_type);
        }
        if event.r#type.as_str().ends_with("StateExited") {
            return self.state_exited(event, at, from);
        }
        if let Some(state_type) = event.r#type.as_str().strip_suffix("StateAborted") {
            return self.state_aborted(at, from, state_type);
        }
        if let Some(scheduled) = Scheduled::of(event) {
            return self.attempt_scheduled(event, at, from, &scheduled);
        }
        if let Some(end) = AttemptEnd::of(event) {
            return self.attempt_ended(at, from, end);
        }
        match &event.r#type {
            Type::TaskStarted | Type::LambdaFunctionStarted | Type::ActivityStarted => {
                self.attempt_started(at, from)
            }
            Type::TaskSubmitted => self.attempt_submitted(event, from),
            Type::ParallelStateStarted => self.round_started(at, from, "Parallel"),
            Type::MapStateStarted => {
                let position = self.round_started(at, from, "Map");
                if let Some(details) = &event.map_state_started_event_details {
                    let span = &mut self.tree.node_mut(position.node).span;
                    span.set(MAP_LENGTH, i64::from(details.length));
                }
                position
            }
            Type::ParallelStateFailed => self.round_failed(at, from, "Parallel", None),
            Type::MapStateFailed => self.round_failed(at, from, "Map", None),
            Type::MapRunFailed => {
                let details = event.map_run_failed_event_details.as_ref();
                let failure = details.map(|d| Failure::new(d.error.as_deref(), d.cause.as_deref()));
                self.round_failed(at, from, "Map", failure)
            }
            Type::ParallelStateSucceeded => self.nearest_state(from, "Parallel"),
            Type::MapStateSucceeded | Type::MapRunSucceeded | Type::MapRunAborted => {
                self.nearest_state(from, "Map")
            }
            Type::MapRunStarted | Type::MapRunRedriven => self.map_run_started(event, from),
            Type::MapIterationStarted => self.iteration_started(event, at, from),
            Type::MapIterationSucceeded => {
                self.iteration_ended(event, at, from, IterationEnd::Succeeded)
            }
            Type::MapIterationFailed => self.iteration_ended(event, at, from, IterationEnd::Failed),
            Type::MapIterationAborted => {
                self.iteration_ended(event, at, from, IterationEnd::Aborted)
            }
            Type::EvaluationFailed => self.evaluation_failed(event, at, from),
            Type::ExecutionRedriven => self.execution_redriven(event, run, from),
            Type::ExecutionSucceeded
            | Type::ExecutionFailed
            | Type::ExecutionTimedOut
            | Type::ExecutionAborted => {
                self.execution_ended(event, at, run, from);
                from
            }
            // `ExecutionStarted`, whose span is open by now; or a type that came after this
            // program: nothing to show of it, and the chain goes on.
            _ => from,
        }
    }

    /// The run's own span, opened by the first event there is.
    fn run(&mut self, event: &HistoryEvent, at: Timestamp) -> NodeId {
        if let Some(run) = self.run {
            return run;
        }
        let root = SpanId::of_execution(&self.arn);
        let workflow = self.arn.workflow().to_owned();
        let mut span = Span::open(self.trace_id, root, None, workflow, SpanKind::Run, at);
        self.describe(&mut span);
        span.set(conventions::EXECUTION_ARN, self.arn.as_str());
        span.set(conventions::STATE_MACHINE_ARN, self.state_machine_arn());
        if let Some(details) = &event.execution_started_event_details {
            if let Some(input) = &details.input {
                let read = serde_json::from_str::<serde_json::Value>(input).ok();
                let said = read.as_ref().and_then(parameters::tenant_of);
                self.tenants.saw(said, "the execution's input");
                add_content(&mut span, conventions::INPUT, input);
            }
            if details
                .input_details
                .as_ref()
                .is_some_and(|details| details.truncated)
            {
                span.flag(flags::TRUNCATED);
            }
            if let Some(version) = &details.state_machine_version_arn {
                span.set(STATE_MACHINE_VERSION_ARN, version.as_str());
            }
        }
        let run = self.tree.open(span, None, None, Shape::Run);
        self.run = Some(run);
        self.outline = Some(RunOutline {
            status: RunStatus::Running,
            started_at: at,
            finished_at: None,
            error: None,
        });
        run
    }

    fn state_entered(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        state_type: &str,
    ) -> Position {
        let details = event.state_entered_event_details.as_ref();
        let name = details.map_or("", |details| details.name.as_str());
        if let Some(leaving) = self.leaving.remove(&event.previous_event_id) {
            self.leave(leaving, Some(name));
        }
        let (parent, branch) = self.container(from, at);
        let mut span = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            name.to_owned(),
            SpanKind::State,
            at,
        );
        self.describe(&mut span);
        span.parent_span_id = Some(self.tree.node(parent).span.span_id);
        span.set(conventions::WORKFLOW_STATE, name);
        span.set(conventions::WORKFLOW_STATE_TYPE, state_type);
        if let Some(branch) = branch {
            span.set(conventions::WORKFLOW_BRANCH, branch);
            if let Shape::State(progress) = &self.tree.node(parent).shape
                && progress.rounds > 1
            {
                span.set(ROUND, progress.rounds);
            }
        }
        if let Some(input) = details.and_then(|details| details.input.as_deref()) {
            add_content(&mut span, conventions::INPUT, input);
        }
        let progress = StateProgress {
            state_type: state_type.to_owned(),
            ..StateProgress::default()
        };
        Position::inside(
            self.tree
                .open(span, Some(parent), branch, Shape::State(progress)),
        )
    }

    /// What a state that is entered from here is part of.
    fn container(&mut self, from: Position, at: Timestamp) -> (NodeId, Option<u32>) {
        if from.branch.is_some() {
            return (from.node, from.branch);
        }
        let mut id = from.node;
        loop {
            let node = self.tree.node_mut(id);
            let (parent, branch) = (node.parent, node.branch);
            match &mut node.shape {
                Shape::State(progress) if progress.state_type == "Parallel" && !progress.failed => {
                    let branch = progress.branches;
                    progress.branches += 1;
                    return (id, Some(branch));
                }
                Shape::State(progress) if progress.state_type == "Map" && !progress.failed => {
                    return (id, None);
                }
                Shape::Run | Shape::Iteration { .. } => return (id, None),
                Shape::State(_) => {
                    // It was left without an exit: after a redrive, or in a cut history.
                    self.tree
                        .close(id, at, Outcome::Succeeded, Closing::ForGood);
                    let Some(parent) = parent else {
                        return (id, None);
                    };
                    if branch.is_some() {
                        return (parent, branch);
                    }
                    id = parent;
                }
                Shape::Attempt => {
                    let Some(parent) = parent else {
                        return (id, None);
                    };
                    id = parent;
                }
            }
        }
    }

    fn state_exited(&mut self, event: &HistoryEvent, at: Timestamp, from: Position) -> Position {
        let details = event.state_exited_event_details.as_ref();
        let name = details.map_or("", |details| details.name.as_str());
        let found = self
            .tree
            .upwards(from.node)
            .find(|id| self.state(*id).is_some() && self.tree.node(*id).span.name == name);
        let Some(id) = found else { return from };
        let node = self.tree.node_mut(id);
        let output = details.and_then(|details| details.output.as_deref());
        if let Some(output) = output {
            add_content(&mut node.span, conventions::OUTPUT, output);
            if let Some(failure) = &mut node.failure
                && !failure.is_told()
                && let Some(told) = Failure::from_error_output(output)
            {
                *failure = told;
            }
        }
        let failure = node.failure.clone();
        let caught = failure.is_some();
        let is_choice =
            matches!(&node.shape, Shape::State(progress) if progress.state_type == "Choice");
        let after = Position {
            node: node.parent.unwrap_or(id),
            branch: node.branch,
        };
        let leaving = Leaving { node: id, at };
        if caught || is_choice {
            self.tree.close_below(
                id,
                at,
                "the state was left",
                failure.as_ref(),
                Closing::ForGood,
            );
            self.leaving.insert(event.id, leaving);
        } else {
            self.leave(leaving, None);
        }
        after
    }

    fn leave(&mut self, leaving: Leaving, next: Option<&str>) {
        let node = self.tree.node_mut(leaving.node);
        if let Some(next) = next {
            node.span.set(conventions::WORKFLOW_NEXT, next);
        }
        let outcome = match node.failure.take() {
            Some(failure) => Outcome::Caught(failure),
            None => Outcome::Succeeded,
        };
        self.tree
            .close(leaving.node, leaving.at, outcome, Closing::ForGood);
    }

    fn state_aborted(&mut self, at: Timestamp, from: Position, state_type: &str) -> Position {
        let found = self.tree.upwards(from.node).find(|id| {
            self.state(*id)
                .is_some_and(|state| state.state_type == state_type)
        });
        let Some(id) = found else { return from };
        let reason = "Step Functions ended it with what it was part of".to_owned();
        self.tree
            .close(id, at, Outcome::Aborted { reason }, Closing::UntilRedriven);
        let node = self.tree.node(id);
        Position {
            node: node.parent.unwrap_or(id),
            branch: node.branch,
        }
    }

    fn evaluation_failed(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let Some(details) = &event.evaluation_failed_event_details else {
            return from;
        };
        let is_it = |id: &NodeId| {
            self.state(*id).is_some() && self.tree.node(*id).span.name == details.state
        };
        // A state's first expression fails with an event that links past the state's own entry,
        // to what came before it: there the state is a child, and not on the way up.
        let above = self.tree.upwards(from.node).find(is_it);
        let named = above.or_else(|| self.tree.newest_unsettled_child(from.node, is_it));
        let Some(id) = named else { return from };
        self.tree.reopen(id);
        if above.is_some() {
            // It fails with what failed inside it.
            self.fail_chain(at, from.node, id);
        }
        let node = self.tree.node_mut(id);
        node.failure = Some(Failure::new(
            details.error.as_deref(),
            details.cause.as_deref(),
        ));
        if let Some(location) = &details.location {
            node.span.set(ERROR_LOCATION, location.as_str());
        }
        Position::inside(id)
    }

    fn round_started(&mut self, at: Timestamp, from: Position, state_type: &str) -> Position {
        let position = self.nearest_state(from, state_type);
        self.tree.reopen(position.node);
        self.tree.close_below(
            position.node,
            at,
            "the state was retried",
            None,
            Closing::ForGood,
        );
        let node = self.tree.node_mut(position.node);
        node.failure = None;
        if let Shape::State(progress) = &mut node.shape {
            progress.rounds += 1;
            progress.branches = 0;
            progress.failed = false;
        }
        position
    }

    /// A Map or Parallel state failed with what failed inside it, or with a failure of its own.
    fn round_failed(
        &mut self,
        at: Timestamp,
        from: Position,
        state_type: &str,
        own: Option<Failure>,
    ) -> Position {
        let found = self.tree.upwards(from.node).find(|id| {
            self.state(*id)
                .is_some_and(|state| state.state_type == state_type && !state.failed)
        });
        let Some(id) = found else { return from };
        let inside = self.fail_chain(at, from.node, id);
        let node = self.tree.node_mut(id);
        let failure = own.or(inside).or(node.failure.take()).unwrap_or_default();
        node.failure = Some(failure);
        if let Shape::State(progress) = &mut node.shape {
            progress.failed = true;
        }
        Position::inside(id)
    }

    /// Ends what is open between `from` and `above` (not ended itself) as failed, with the
    /// innermost failure, which is the answer.
    fn fail_chain(&mut self, at: Timestamp, from: NodeId, above: NodeId) -> Option<Failure> {
        let chain: Vec<NodeId> = self
            .tree
            .upwards(from)
            .take_while(|id| *id != above)
            .collect();
        let mut failure: Option<Failure> = None;
        for id in chain {
            let known = self.tree.node(id).failure.clone();
            failure = failure.filter(Failure::is_told).or(known);
            self.fail(id, at, failure.as_ref());
        }
        failure
    }

    /// Ends a span as failed, once it is known why.
    fn fail(&mut self, id: NodeId, at: Timestamp, failure: Option<&Failure>) {
        match failure.filter(|failure| failure.is_told()) {
            Some(failure) => {
                let outcome = Outcome::Failed(failure.clone());
                self.tree.close(id, at, outcome, Closing::UntilRedriven);
            }
            None => {
                self.tree.node_mut(id).failed_at.get_or_insert(at);
            }
        }
    }

    fn map_run_started(&mut self, event: &HistoryEvent, from: Position) -> Position {
        let position = self.nearest_state(from, "Map");
        let started = event.map_run_started_event_details.as_ref();
        let redriven = event.map_run_redriven_event_details.as_ref();
        let arn = started
            .and_then(|details| details.map_run_arn.as_deref())
            .or_else(|| redriven.and_then(|details| details.map_run_arn.as_deref()));
        if let Some(arn) = arn {
            self.tree.node_mut(position.node).span.set(MAP_RUN_ARN, arn);
        }
        position
    }

    fn iteration_started(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
    ) -> Position {
        let details = event.map_iteration_started_event_details.as_ref();
        let index = details.map_or(0, |details| details.index);
        let map = self.nearest_state(from, "Map").node;
        let node = self.tree.node(map);
        let name = format!("{} iteration {index}", node.span.name);
        let state = node.span.name.clone();
        let parent = node.span.span_id;
        let rounds = self.state(map).map_or(1, |state| state.rounds);
        let mut span = span_of_event(
            &self.arn,
            self.trace_id,
            event.id,
            name,
            SpanKind::Iteration,
            at,
        );
        self.describe(&mut span);
        span.parent_span_id = Some(parent);
        span.set(conventions::WORKFLOW_STATE, state);
        span.set(conventions::WORKFLOW_ITERATION, index);
        if rounds > 1 {
            span.set(ROUND, rounds);
        }
        Position::inside(
            self.tree
                .open(span, Some(map), None, Shape::Iteration { index }),
        )
    }

    fn iteration_ended(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        from: Position,
        end: IterationEnd,
    ) -> Position {
        let details = match end {
            IterationEnd::Succeeded => &event.map_iteration_succeeded_event_details,
            IterationEnd::Failed => &event.map_iteration_failed_event_details,
            IterationEnd::Aborted => &event.map_iteration_aborted_event_details,
        };
        let index = details.as_ref().map(|details| details.index);
        let name = details.as_ref().and_then(|details| details.name.as_deref());
        let Some(id) = self.iteration(from, index, name) else {
            return from;
        };
        let map = self.tree.node(id).parent.unwrap_or(id);
        match end {
            IterationEnd::Succeeded => {
                self.tree
                    .close(id, at, Outcome::Succeeded, Closing::ForGood);
            }
            IterationEnd::Aborted => {
                let reason = "another iteration failed, or the Map state was ended".to_owned();
                self.tree
                    .close(id, at, Outcome::Aborted { reason }, Closing::UntilRedriven);
            }
            IterationEnd::Failed => {
                let failure = self.fail_chain(at, from.node, id);
                self.fail(id, at, failure.as_ref());
                self.tree.node_mut(map).failure = Some(failure.unwrap_or_default());
            }
        }
        Position::inside(map)
    }

    /// The iteration that an event is about: up the chain, or an open one of a Map on the way.
    fn iteration(&self, from: Position, index: Option<i32>, map: Option<&str>) -> Option<NodeId> {
        let is_it = |id: &NodeId| match &self.tree.node(*id).shape {
            Shape::Iteration { index: found } => {
                let parent = self.tree.node(*id).parent;
                let map_name = parent.map(|map| self.tree.node(map).span.name.as_str());
                index.is_none_or(|index| index == *found)
                    && (map.is_none() || map_name.is_none() || map == map_name)
            }
            _ => false,
        };
        self.tree.upwards(from.node).find(is_it).or_else(|| {
            self.tree
                .upwards(from.node)
                .find_map(|id| self.tree.open_children(id).find(is_it))
        })
    }

    fn execution_redriven(
        &mut self,
        event: &HistoryEvent,
        run: NodeId,
        from: Position,
    ) -> Position {
        self.tree.reopen(run);
        let details = event.execution_redriven_event_details.as_ref();
        if let Some(count) = details.and_then(|details| details.redrive_count) {
            self.tree.node_mut(run).span.set(REDRIVE_COUNT, count);
        }
        if let Some(outline) = &mut self.outline {
            outline.status = RunStatus::Running;
            outline.finished_at = None;
            outline.error = None;
        }
        from
    }

    fn execution_ended(
        &mut self,
        event: &HistoryEvent,
        at: Timestamp,
        run: NodeId,
        from: Position,
    ) {
        let mut leaving: Vec<Leaving> = self.leaving.drain().map(|(_, leaving)| leaving).collect();
        leaving.sort_by_key(|leaving| leaving.node);
        for leaving in leaving {
            self.leave(leaving, None);
        }
        self.tenants.decide();
        let ending = Ending::of(event);
        if ending.status == RunStatus::Failed {
            let chain: Vec<NodeId> = self
                .tree
                .upwards(from.node)
                .take_while(|id| *id != run)
                .collect();
            for id in chain {
                let own = self.tree.node(id).failure.clone();
                let failure = own
                    .filter(Failure::is_told)
                    .unwrap_or_else(|| ending.failure.clone());
                let at = self.tree.node(id).failed_at.unwrap_or(at);
                self.tree
                    .close(id, at, Outcome::Failed(failure), Closing::UntilRedriven);
            }
        }
        self.tree.close_below(
            run,
            at,
            ending.reason,
            Some(&ending.failure),
            Closing::UntilRedriven,
        );
        let outcome = if ending.status == RunStatus::Succeeded {
            if let Some(output) = &ending.output {
                add_content(
                    &mut self.tree.node_mut(run).span,
                    conventions::OUTPUT,
                    output,
                );
            }
            Outcome::Succeeded
        } else {
            Outcome::Failed(ending.failure.clone())
        };
        self.tree.close(run, at, outcome, Closing::UntilRedriven);
        if let Some(outline) = &mut self.outline {
            outline.status = ending.status;
            outline.finished_at = Some(at);
            outline.error = ending.failure.error;
        }
    }

    /// The innermost state of that type around a position; the position itself when there is
    /// none, as in a cut history.
    fn nearest_state(&self, from: Position, state_type: &str) -> Position {
        let found = self.tree.upwards(from.node).find(|id| {
            self.state(*id)
                .is_some_and(|state| state.state_type == state_type)
        });
        found.map_or(from, Position::inside)
    }

    pub(crate) fn state(&self, id: NodeId) -> Option<&StateProgress> {
        match &self.tree.node(id).shape {
            Shape::State(progress) => Some(progress),
            _ => None,
        }
    }

    /// What every span of the execution says of itself.
    pub(crate) fn describe(&self, span: &mut Span) {
        span.set(conventions::WORKFLOW_NAME, self.arn.workflow());
        span.scope = (
            env!("CARGO_PKG_NAME").to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        );
        let (region, account) = self.arn.region_and_account();
        for (key, value) in [
            ("service.name", self.arn.workflow()),
            ("cloud.provider", "aws"),
            ("cloud.region", region),
            ("cloud.account.id", account),
        ] {
            span.resource.insert(key.to_owned(), value.into());
        }
    }

    fn state_machine_arn(&self) -> String {
        self.options.state_machine_arn.clone().unwrap_or_else(|| {
            let (region, account) = self.arn.region_and_account();
            let partition = self.arn.as_str().split(':').nth(1).unwrap_or("aws");
            let workflow = self.arn.workflow();
            format!("arn:{partition}:states:{region}:{account}:stateMachine:{workflow}")
        })
    }
}

/// How many items a Map state has.
pub const MAP_LENGTH: &str = "workflow.map.length";
/// Which try of a retried Map or Parallel state an iteration or branch belongs to, from 1.
pub const ROUND: &str = "workflow.state.round";
/// Which field's expression failed.
pub const ERROR_LOCATION: &str = "workflow.error.location";
pub const REDRIVE_COUNT: &str = "workflow.redrive_count";
pub const MAP_RUN_ARN: &str = "aws.step_functions.map_run.arn";
pub const STATE_MACHINE_VERSION_ARN: &str = "aws.step_functions.state_machine.version_arn";

#[derive(Clone, Copy, Debug)]
enum IterationEnd {
    Succeeded,
    Failed,
    Aborted,
}

/// How an execution ended.
struct Ending {
    status: RunStatus,
    failure: Failure,
    output: Option<String>,
    /// Why what was still open ended.
    reason: &'static str,
}

impl Ending {
    fn of(event: &HistoryEvent) -> Self {
        let failure = |error: &Option<String>, cause: &Option<String>, otherwise: &str| {
            let mut failure = Failure::new(error.as_deref(), cause.as_deref());
            failure.error.get_or_insert_with(|| otherwise.to_owned());
            failure
        };
        let (status, failure, reason) = match &event.r#type {
            Type::ExecutionFailed => {
                let details = event
                    .execution_failed_event_details
                    .clone()
                    .unwrap_or_else(|| {
                        aws_sdk_sfn::types::ExecutionFailedEventDetails::builder().build()
                    });
                let failure = Failure::new(details.error.as_deref(), details.cause.as_deref());
                (RunStatus::Failed, failure, "the execution failed")
            }
            Type::ExecutionTimedOut => {
                let details = event.execution_timed_out_event_details.as_ref();
                let (error, cause) = details
                    .map(|details| (details.error.clone(), details.cause.clone()))
                    .unwrap_or_default();
                let failure = failure(&error, &cause, "States.Timeout");
                (RunStatus::TimedOut, failure, "the execution timed out")
            }
            Type::ExecutionAborted => {
                let details = event.execution_aborted_event_details.as_ref();
                let (error, cause) = details
                    .map(|details| (details.error.clone(), details.cause.clone()))
                    .unwrap_or_default();
                let failure = failure(&error, &cause, "Aborted");
                (RunStatus::Aborted, failure, "the execution was aborted")
            }
            _ => (
                RunStatus::Succeeded,
                Failure::default(),
                "the execution had succeeded",
            ),
        };
        let details = event.execution_succeeded_event_details.as_ref();
        Self {
            status,
            failure,
            output: details.and_then(|details| details.output.clone()),
            reason,
        }
    }
}

impl Position {
    pub(crate) const fn inside(node: NodeId) -> Self {
        Self { node, branch: None }
    }
}

/// To the microsecond: the service sends seconds as a floating-point number, whose last digits
/// are noise.
pub(crate) fn timestamp(event: &HistoryEvent) -> Timestamp {
    time_of(&event.timestamp)
}

pub(crate) fn time_of(time: &aws_sdk_sfn::primitives::DateTime) -> Timestamp {
    let micros = (time.as_nanos() + 500) / 1_000;
    Timestamp::from_unix_nanos(u64::try_from(micros.max(0) * 1_000).unwrap_or(u64::MAX))
}
