//! The walk over a state machine, at any depth.

use std::collections::HashSet;

use jsonc_parser::ast::{Object, Value};
use state_language::{line_and_column, member};

use super::insertions::Insertions;
use super::payload::{Language, Task};
use super::resource::Call;
use super::{Instrumented, Options, StateReport};

/// What is known of the input that a flow starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// An object as far as anyone can see: the run's input, or what a state gave.
    Usual,
    /// The bare item of a Map, which is often a string or a number.
    BareItem,
}

struct Walk<'t> {
    text: &'t str,
    options: &'t Options,
    /// Of every state that does not say its own.
    language: Language,
    insertions: Insertions<'t>,
    states: Vec<StateReport>,
    tenantless: bool,
}

pub(crate) fn instrument(text: &str, machine: &Object<'_>, options: &Options) -> Instrumented {
    let mut walk = Walk {
        text,
        options,
        language: Language::of(machine).unwrap_or(Language::JsonPath),
        insertions: Insertions::new(text, machine),
        states: Vec::new(),
        tenantless: false,
    };
    walk.flow(machine, "", Input::Usual);
    let text = walk.insertions.apply();
    let mut notes = Vec::new();
    if walk.tenantless {
        notes.push(
            "JSONPath cannot take the tenant from a run's input, where it may be missing: without \
             --tenant the functions' spans go to the tenant that is each function's default"
                .to_owned(),
        );
    }
    if text.len() > state_language::MAX_DEFINITION_BYTES {
        notes.push(format!(
            "it has {} bytes now, and Step Functions takes at most {}: split it",
            text.len(),
            state_language::MAX_DEFINITION_BYTES
        ));
    }
    Instrumented {
        text,
        states: walk.states,
        notes,
    }
}

impl Walk<'_> {
    fn flow(&mut self, flow: &Object<'_>, path: &str, input: Input) {
        let Some(states) = flow.get_object("States") else {
            return;
        };
        let path = member(path, "States");
        let with_the_item = match input {
            Input::Usual => HashSet::new(),
            Input::BareItem => reached_unchanged(flow, states),
        };
        for property in &states.properties {
            let (name, Value::Object(state)) = (property.name.as_str(), &property.value) else {
                continue;
            };
            let input = if with_the_item.contains(name) {
                Input::BareItem
            } else {
                Input::Usual
            };
            self.state(state, name, (&path, property.range.start), input);
        }
    }

    fn state(&mut self, state: &Object<'_>, name: &str, place: (&str, usize), input: Input) {
        let path = member(place.0, name);
        let language = Language::of(state).unwrap_or(self.language);
        match text_of(state, "Type") {
            Some("Task") => self.task(state, name, &path, place.1, language, input),
            Some("Parallel") => {
                let input = input_within(state, input, &["Parameters", "Arguments"]);
                let branches = state.get_array("Branches");
                let branches = branches.into_iter().flat_map(|array| &array.elements);
                for (index, branch) in branches.enumerate() {
                    if let Value::Object(branch) = branch {
                        let path = format!("{}[{index}]", member(&path, "Branches"));
                        self.flow(branch, &path, input);
                    }
                }
            }
            Some("Map") => {
                let shaping = ["ItemSelector", "Parameters", "ItemBatcher"];
                let input = input_within(state, Input::BareItem, &shaping);
                for field in ["ItemProcessor", "Iterator"] {
                    if let Some(flow) = state.get_object(field) {
                        self.flow(flow, &member(&path, field), input);
                    }
                }
            }
            _ => {}
        }
    }

    fn task(
        &mut self,
        state: &Object<'_>,
        name: &str,
        path: &str,
        offset: usize,
        language: Language,
        input: Input,
    ) {
        let call = Call::of(text_of(state, "Resource").unwrap_or_default());
        if call == Call::Other {
            return;
        }
        let (line, column) = line_and_column(self.text, offset);
        let mut report = StateReport {
            path: path.to_owned(),
            line,
            column,
            ..StateReport::default()
        };
        let mut task = Task {
            text: self.text,
            options: self.options,
            language,
            name,
            input,
            insertions: &mut self.insertions,
            report: &mut report,
            tenantless: false,
        };
        if let Err(left) = task.instrument(state, call) {
            task.report.left = Some(left);
        }
        self.tenantless |= task.tenantless;
        self.states.push(report);
    }
}

/// A string among an object's members.
pub(crate) fn text_of<'o>(object: &'o Object<'_>, name: &str) -> Option<&'o str> {
    object.get_string(name).map(|text| text.value.as_ref())
}

fn input_within(state: &Object<'_>, input: Input, shaping: &[&str]) -> Input {
    if shaping.iter().any(|field| state.get(field).is_some()) {
        Input::Usual
    } else {
        input
    }
}

/// The states whose input is still the flow's own: the first one, and what comes behind
/// states that hand their input on.
fn reached_unchanged<'o>(flow: &'o Object<'_>, states: &'o Object<'_>) -> HashSet<&'o str> {
    let mut reached = HashSet::new();
    let mut pending: Vec<&str> = text_of(flow, "StartAt").into_iter().collect();
    while let Some(name) = pending.pop() {
        if !reached.insert(name) {
            continue;
        }
        let Some(state) = states.get_object(name) else {
            continue;
        };
        let hands_on = match text_of(state, "Type") {
            Some("Choice" | "Wait") => true,
            Some("Pass") => ["Result", "Parameters", "Output"]
                .iter()
                .all(|field| state.get(field).is_none()),
            _ => false,
        };
        if !hands_on {
            continue;
        }
        let choices = state.get_array("Choices");
        let choices = choices.into_iter().flat_map(|array| &array.elements);
        pending.extend(choices.filter_map(|choice| text_of(choice.as_object()?, "Next")));
        pending.extend(
            ["Next", "Default"]
                .iter()
                .filter_map(|field| text_of(state, field)),
        );
    }
    reached
}
