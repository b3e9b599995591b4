//! Adds `headers.traceparent` and `stepscope` to the payload of every Lambda task of a state
//! machine, so that the functions' spans join the run's trace.
//!
//! It only inserts: every byte of the definition stays, in its place. What it has added before it
//! finds again, so a second run inserts nothing. It does no IO, and it does not check the state
//! machine: what it cannot read it leaves alone and says so.

mod document;
mod insertions;
mod jsonata;
mod jsonpath;
mod machine;
mod payload;
mod resource;

use trace_model::TenantId;

pub(crate) use document::Malformed;

/// What the author decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Written as `stepscope.tenant`; without it the run's input says whose run it is.
    pub tenant: Option<TenantId>,
    pub path_payloads: PathPayloads,
    pub input_fields: InputFields,
}

/// Payloads of JSONPath states that are a path. Fields can be added to an object only, and
/// nothing but the author knows what a path leads to: for anything else the state would fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PathPayloads {
    #[default]
    Leave,
    /// The author says that they are objects.
    AssumeObjects,
}

/// `headers` and `stepscope` that a JSONPath payload has from the input already: JSONPath merges
/// only the topmost level, so either they stay as they are or they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InputFields {
    /// Nothing the function gets today is lost.
    #[default]
    Keep,
    /// Right where functions hand their event on, with the `headers` of an earlier attempt.
    Replace,
}

#[derive(Debug)]
pub(crate) struct Instrumented {
    /// The whole definition.
    pub text: String,
    /// Every Lambda task, in the order of the text.
    pub states: Vec<StateReport>,
    /// What concerns more than one state.
    pub notes: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct StateReport {
    /// From the root, such as `States.Each.ItemProcessor.States.Summarise`.
    pub path: String,
    /// Both from 1, of the state's name in the definition as it was.
    pub line: usize,
    pub column: usize,
    /// Paths in the state of what was added.
    pub added: Vec<String>,
    /// What the author should know of it.
    pub notes: Vec<String>,
    /// Why it stays as it is, and what to do about that.
    pub left: Option<Left>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub reason: String,
    pub advice: String,
}

impl Instrumented {
    pub(crate) fn is_changed(&self) -> bool {
        self.states.iter().any(|state| !state.added.is_empty())
    }
}

impl Left {
    fn new(reason: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            advice: advice.into(),
        }
    }
}

pub(crate) fn instrument(text: &str, options: &Options) -> Result<Instrumented, Malformed> {
    let document = document::parse(text)?;
    Ok(machine::instrument(text, &document, options))
}
