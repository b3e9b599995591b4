//! A state machine as types: what [`crate::parse`] makes of a definition it
//! found no problem in. A field's default is already filled in.

use chrono::{DateTime, FixedOffset};
use indexmap::IndexMap;

use crate::layout::{item, member};
use crate::{Expression, Resource, Template};

/// A whole definition. It has no query language of its own: one that parses is JSONata throughout.
#[derive(Debug, Clone, PartialEq)]
pub struct StateMachine {
    pub flow: Flow,
    /// Seconds after which the execution ends as `TIMED_OUT`.
    pub timeout_seconds: Option<u64>,
    pub version: Option<String>,
}

impl StateMachine {
    /// The state of that name wherever it is nested: names are unique over the machine.
    pub fn find(&self, name: &str) -> Option<&State> {
        self.flow.find(name)
    }
}

/// States and where to start: the machine itself, a branch of a Parallel, the processor of a Map.
/// Transitions never leave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    pub comment: Option<String>,
    /// Always a key of `states`.
    pub start_at: String,
    pub states: IndexMap<String, State>,
}

impl Flow {
    /// The state of that name in this flow or in one nested in it.
    pub fn find(&self, name: &str) -> Option<&State> {
        self.states.get(name).or_else(|| {
            self.states
                .values()
                .flat_map(State::nested_flows)
                .find_map(|flow| flow.find(name))
        })
    }

    /// As [`Self::walk`], with the path of each state, such as `States.Both.Branches[0].States.Left`;
    /// `path` is the flow's own, which is empty for the machine.
    pub fn walk_places<'a>(&'a self, path: &str, visit: &mut dyn FnMut(&str, &'a str, &'a State)) {
        let states = member(path, "States");
        for (name, state) in &self.states {
            let path = member(&states, name);
            visit(&path, name, state);
            match state {
                State::Parallel(parallel) => {
                    let branches = member(&path, "Branches");
                    for (index, branch) in parallel.branches.iter().enumerate() {
                        branch.walk_places(&item(&branches, index), visit);
                    }
                }
                State::Map(map) => {
                    let processor = member(&path, "ItemProcessor");
                    map.item_processor.flow.walk_places(&processor, visit);
                }
                _ => {}
            }
        }
    }

    /// Every state with its name, outer before inner, in the order they are written.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a State)) {
        for (name, state) in &self.states {
            visit(name, state);
            for flow in state.nested_flows() {
                flow.walk(visit);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "states are few, stay in their flow and are read through a reference"
)]
pub enum State {
    Task(TaskState),
    Pass(PassState),
    Choice(ChoiceState),
    Wait(WaitState),
    Succeed(SucceedState),
    Fail(FailState),
    Parallel(ParallelState),
    Map(MapState),
}

impl State {
    /// The value of `Type`, as it is in the definition and in history event names.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Task(_) => "Task",
            Self::Pass(_) => "Pass",
            Self::Choice(_) => "Choice",
            Self::Wait(_) => "Wait",
            Self::Succeed(_) => "Succeed",
            Self::Fail(_) => "Fail",
            Self::Parallel(_) => "Parallel",
            Self::Map(_) => "Map",
        }
    }

    pub fn comment(&self) -> Option<&str> {
        match self {
            Self::Task(state) => state.comment.as_deref(),
            Self::Pass(state) => state.comment.as_deref(),
            Self::Choice(state) => state.comment.as_deref(),
            Self::Wait(state) => state.comment.as_deref(),
            Self::Succeed(state) => state.comment.as_deref(),
            Self::Fail(state) => state.comment.as_deref(),
            Self::Parallel(state) => state.comment.as_deref(),
            Self::Map(state) => state.comment.as_deref(),
        }
    }

    /// The state's own `Next` or `End`. `None` for Choice (its rules decide), Succeed and Fail.
    pub fn transition(&self) -> Option<&Transition> {
        match self {
            Self::Task(state) => Some(&state.transition),
            Self::Pass(state) => Some(&state.transition),
            Self::Wait(state) => Some(&state.transition),
            Self::Parallel(state) => Some(&state.transition),
            Self::Map(state) => Some(&state.transition),
            Self::Choice(_) | Self::Succeed(_) | Self::Fail(_) => None,
        }
    }

    /// The state's own `Output`; a catcher or a choice rule may have another.
    pub fn output(&self) -> Option<&Template> {
        match self {
            Self::Task(state) => state.output.as_ref(),
            Self::Pass(state) => state.output.as_ref(),
            Self::Choice(state) => state.output.as_ref(),
            Self::Wait(state) => state.output.as_ref(),
            Self::Succeed(state) => state.output.as_ref(),
            Self::Parallel(state) => state.output.as_ref(),
            Self::Map(state) => state.output.as_ref(),
            Self::Fail(_) => None,
        }
    }

    /// The state's own `Assign`; a catcher or a choice rule may have another.
    pub fn assign(&self) -> Option<&Assign> {
        match self {
            Self::Task(state) => state.assign.as_ref(),
            Self::Pass(state) => state.assign.as_ref(),
            Self::Choice(state) => state.assign.as_ref(),
            Self::Wait(state) => state.assign.as_ref(),
            Self::Parallel(state) => state.assign.as_ref(),
            Self::Map(state) => state.assign.as_ref(),
            Self::Succeed(_) | Self::Fail(_) => None,
        }
    }

    /// Retriers in order; empty for a state type that has none.
    pub fn retry(&self) -> &[Retrier] {
        match self {
            Self::Task(state) => &state.retry,
            Self::Parallel(state) => &state.retry,
            Self::Map(state) => &state.retry,
            _ => &[],
        }
    }

    /// Catchers in order; empty for a state type that has none.
    pub fn catch(&self) -> &[Catcher] {
        match self {
            Self::Task(state) => &state.catch,
            Self::Parallel(state) => &state.catch,
            Self::Map(state) => &state.catch,
            _ => &[],
        }
    }

    /// The branches of a Parallel, the processor of a Map, else nothing.
    pub fn nested_flows(&self) -> Vec<&Flow> {
        match self {
            Self::Parallel(state) => state.branches.iter().collect(),
            Self::Map(state) => vec![&state.item_processor.flow],
            _ => Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The name of a state of the same [`Flow`].
    Next(String),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TaskState {
    pub comment: Option<String>,
    pub resource: Resource,
    /// `None`: the state's input is what the task gets.
    pub arguments: Option<Template>,
    /// `None`: the task's result is the state's output.
    pub output: Option<Template>,
    pub assign: Option<Assign>,
    pub transition: Transition,
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
    /// `None`: as long as a state may take, 99,999,999 seconds.
    pub timeout_seconds: Option<ValueOrExpression<u64>>,
    pub heartbeat_seconds: Option<ValueOrExpression<u64>>,
    /// The role to assume for the task: `{"RoleArn": …}`.
    pub credentials: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PassState {
    pub comment: Option<String>,
    /// `None`: the state's input is its output.
    pub output: Option<Template>,
    pub assign: Option<Assign>,
    pub transition: Transition,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceState {
    pub comment: Option<String>,
    /// At least one, tried in order.
    pub choices: Vec<ChoiceRule>,
    /// Where to go when no rule holds; without it the state fails with `States.NoChoiceMatched`.
    pub default: Option<String>,
    /// Used when the default is taken.
    pub assign: Option<Assign>,
    /// Used when the default is taken, and by a rule without an output of its own.
    pub output: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceRule {
    pub comment: Option<String>,
    pub condition: ValueOrExpression<bool>,
    pub next: String,
    pub assign: Option<Assign>,
    pub output: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WaitState {
    pub comment: Option<String>,
    pub until: WaitUntil,
    pub output: Option<Template>,
    pub assign: Option<Assign>,
    pub transition: Transition,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WaitUntil {
    /// So many seconds after the state was entered, at most 99,999,999.
    Seconds(ValueOrExpression<u64>),
    /// A moment; one in the past does not wait.
    Timestamp(ValueOrExpression<DateTime<FixedOffset>>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct SucceedState {
    pub comment: Option<String>,
    pub output: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FailState {
    pub comment: Option<String>,
    pub error: Option<ValueOrExpression<String>>,
    pub cause: Option<ValueOrExpression<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ParallelState {
    pub comment: Option<String>,
    /// At least one.
    pub branches: Vec<Flow>,
    /// What every branch gets as input; `None`: the state's input.
    pub arguments: Option<Template>,
    pub output: Option<Template>,
    pub assign: Option<Assign>,
    pub transition: Transition,
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MapState {
    pub comment: Option<String>,
    /// `None`: the state's input, which must then be an array.
    pub items: Option<Template>,
    /// What an iteration gets; `None`: the item itself. It alone sees
    /// `$states.context.Map.Item`.
    pub item_selector: Option<Template>,
    pub item_processor: ItemProcessor,
    /// 0 is no limit, which is also the default.
    pub max_concurrency: ValueOrExpression<u64>,
    pub tolerated_failure_count: Option<ValueOrExpression<u64>>,
    /// From 0 to 100.
    pub tolerated_failure_percentage: Option<ValueOrExpression<f64>>,
    /// Distributed only.
    pub item_reader: Option<Template>,
    /// Distributed only.
    pub item_batcher: Option<Template>,
    /// Distributed only.
    pub result_writer: Option<Template>,
    /// Distributed only: the prefix of the child executions' machine name.
    pub label: Option<String>,
    pub output: Option<Template>,
    pub assign: Option<Assign>,
    pub transition: Transition,
    pub retry: Vec<Retrier>,
    pub catch: Vec<Catcher>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ItemProcessor {
    pub config: ProcessorConfig,
    pub flow: Flow,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessorConfig {
    pub mode: ProcessorMode,
    /// Distributed only, and there required.
    pub execution_type: Option<ExecutionType>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProcessorMode {
    #[default]
    Inline,
    Distributed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionType {
    Standard,
    Express,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retrier {
    pub comment: Option<String>,
    /// At least one.
    pub error_equals: Vec<String>,
    /// Seconds before the first retry: 1 or more, by default 1.
    pub interval_seconds: u32,
    /// Retries, not attempts; 0 never retries. By default 3.
    pub max_attempts: u32,
    /// By what the delay is multiplied at each further retry: 1 or more, by default 2.
    pub backoff_rate: f64,
    /// The delay's ceiling in seconds.
    pub max_delay_seconds: Option<u32>,
    pub jitter_strategy: JitterStrategy,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JitterStrategy {
    /// Anywhere between no delay and the whole of it.
    Full,
    #[default]
    None,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Catcher {
    pub comment: Option<String>,
    /// At least one.
    pub error_equals: Vec<String>,
    pub next: String,
    /// `None`: the error output is the next state's input.
    pub output: Option<Template>,
    pub assign: Option<Assign>,
}

/// Variables to set, by name without `$`. All are evaluated before any is set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assign(pub IndexMap<String, Template>);

/// A field that is either written out or computed.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueOrExpression<T> {
    Value(T),
    Expression(Expression),
}
