use std::collections::HashMap;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Type};
use trace_model::{
    ExecutionArn, RunStatus, Span, SpanId, SpanKind, TenantId, Timestamp, TraceId, conventions,
};

use crate::attempt::{AttemptEnd, Scheduled};
use crate::failure::Failure;
use crate::rounds::IterationEnd;
use crate::tenant::TenantEvidence;
use crate::tree::{NodeId, Shape, StateProgress, Tree, add_content, add_link_to_execution};
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
    pub(crate) outline: Option<RunOutline>,
    positions: HashMap<i64, Position>,
    /// States that left through a Choice or a Catch, by the id of their exit event: they end
    /// when the next event says where to.
    pub(crate) leaving: HashMap<i64, Leaving>,
    last_event_id: i64,
}

#[derive(Clone, Debug, Default)]
pub struct RecorderOptions {
    /// Whose run it is when neither its input nor its parameters say so.
    pub default_tenant: TenantId,
    /// The state machine's ARN; without it, it is made from the execution's.
    pub state_machine_arn: Option<String>,
    /// Of a child of a distributed Map.
    pub map_run: Option<MapRun>,
}

/// The run of a distributed Map that started an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRun {
    pub arn: String,
    /// The execution whose Map it is; `None` where Step Functions did not say.
    pub parent: Option<ExecutionArn>,
}

/// The run as far as the history tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutline {
    pub status: RunStatus,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// How often the execution was taken up again.
    pub redrives: u32,
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
pub(crate) struct Leaving {
    pub node: NodeId,
    pub at: Timestamp,
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
        self.take_up(events, i64::MAX);
        self.tree.take_changed()
    }

    /// Takes the next events up to one, of which everything has been told before.
    pub fn pass_over(&mut self, events: &[HistoryEvent], up_to: i64) {
        self.take_up(events, up_to);
        self.tree.take_changed();
    }

    fn take_up(&mut self, events: &[HistoryEvent], up_to: i64) {
        let mut fresh: Vec<&HistoryEvent> = events
            .iter()
            .filter(|event| event.id > self.last_event_id && event.id <= up_to)
            .collect();
        fresh.sort_by_key(|event| event.id);
        fresh.dedup_by_key(|event| event.id);
        for event in fresh {
            let position = self.apply(event);
            self.positions.insert(event.id, position);
            self.last_event_id = event.id;
        }
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
            return self.attempt_ended(event, at, from, end);
        }
        match &event.r#type {
            Type::TaskStarted | Type::LambdaFunctionStarted | Type::ActivityStarted => {
                self.attempt_started(at, from)
            }
            Type::TaskSubmitted => self.attempt_submitted(event, at, from),
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
            Type::ExecutionRedriven => self.execution_redriven(event, at, run, from),
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
                let parent = read.as_ref().and_then(parameters::started_by);
                if let Some(parent) = parent.filter(|parent| *parent != self.arn) {
                    add_parent(&mut span, &parent);
                }
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
        if let Some(map_run) = &self.options.map_run {
            span.set(MAP_RUN_ARN, map_run.arn.as_str());
            if let Some(parent) = &map_run.parent {
                add_parent(&mut span, parent);
            }
        }
        let run = self.tree.open(span, None, None, Shape::Run);
        self.run = Some(run);
        self.outline = Some(RunOutline {
            status: RunStatus::Running,
            started_at: at,
            finished_at: None,
            redrives: 0,
            error: None,
        });
        run
    }

    /// The innermost state of that type around a position; the position itself when there is
    /// none, as in a cut history.
    pub(crate) fn nearest_state(&self, from: Position, state_type: &str) -> Position {
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
pub const MAP_RUN_ARN: &str = "aws.step_functions.map_run.arn";
pub const STATE_MACHINE_VERSION_ARN: &str = "aws.step_functions.state_machine.version_arn";

impl Position {
    pub(crate) const fn inside(node: NodeId) -> Self {
        Self { node, branch: None }
    }
}

fn add_parent(span: &mut Span, parent: &ExecutionArn) {
    span.set(conventions::PARENT_EXECUTION_ARN, parent.as_str());
    add_link_to_execution(span, parent);
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
