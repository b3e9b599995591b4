//! Amazon States Language: the model of a state machine, the checks an author
//! needs before a run, the JSONata expressions a run evaluates, and the rules
//! by which errors match retriers and catchers.
//!
//! It does no IO: it reads no clock, draws no random numbers and calls nothing.
//! What a run needs of the world comes in through [`Environment`]. It does not
//! execute anything either, and it does not say which resources can be run:
//! that is the engine's. JSONPath machines are refused, in words.
//!
//! An expression comes from a definition that may be anyone's: it is stopped
//! after two seconds, and when it builds more than some megabytes of text.

mod bounds;
mod environment;
pub mod error;
pub mod evaluation;
pub mod expression;
mod fields;
mod functions;
mod inspection;
mod integrations;
mod json;
mod layout;
pub mod model;
mod parse;
mod problem;
pub mod resource;
mod rule;
pub mod scope;
mod spelling;
mod step_functions;
mod substitution;
mod template;

pub use environment::Environment;
pub use error::{StateError, StateVisit};
pub use evaluation::{Evaluation, StatesVariable};
pub use expression::Expression;
pub use layout::{line_and_column, member};
pub use model::{
    Assign, Catcher, ChoiceRule, ChoiceState, ExecutionType, FailState, Flow, ItemProcessor,
    JitterStrategy, MapState, ParallelState, PassState, ProcessorConfig, ProcessorMode, Retrier,
    State, StateMachine, SucceedState, TaskState, Transition, ValueOrExpression, WaitState,
    WaitUntil,
};
pub use parse::{Checked, MAX_DEFINITION_BYTES, Substitutions, check, parse, parse_accepted};
pub use problem::{Problem, Problems};
pub use resource::{IntegrationPattern, Resource};
pub use rule::{Rule, Severity};
pub use scope::Scope;
pub use substitution::{MissingSubstitution, MissingSubstitutions, substitute};
pub use template::Template;
