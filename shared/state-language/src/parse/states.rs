//! The state types; Map has a file of its own.

use serde_json::Value;

use crate::evaluation::timestamp;
use crate::fields;
use crate::layout::{item, member};
use crate::spelling::nearest;
use crate::{
    ChoiceRule, ChoiceState, FailState, ParallelState, PassState, Rule, State, SucceedState,
    Transition, WaitState, WaitUntil,
};

use super::expressions::Moment;
use super::reader::{Holder, Object, Reader, Sight, misspelt};
pub(super) use crate::evaluation::MAX_SECONDS;

impl Reader {
    pub(super) fn state(&mut self, object: &Object<'_>) -> Option<State> {
        const WHAT: &str = "Task, Pass, Choice, Wait, Succeed, Fail, Parallel or Map";
        let Some(type_name) = self.required_text(object, "Type", WHAT) else {
            self.note_unknown_way();
            return None;
        };
        let Some((type_name, own)) = fields::STATES.iter().find(|(name, _)| *name == type_name)
        else {
            let names = fields::STATES.iter().map(|(name, _)| *name);
            let advice = nearest(&type_name, names).map_or(format!("use {WHAT}"), |meant| {
                format!("did you mean {meant:?}?")
            });
            self.note_unknown_way();
            if self.is_open(&Value::from(type_name.as_str())) {
                return None;
            }
            self.problem(
                Rule::UnknownStateType,
                &object.member("Type"),
                &format!("{type_name:?} is no state type"),
                &advice,
            );
            return None;
        };
        if !self.is_jsonata(object) {
            self.note_ways_of_jsonpath(object);
            return None;
        }
        let known: Vec<&str> = fields::COMMON.iter().chain(*own).copied().collect();
        self.known_fields(
            object,
            Holder::state(&format!("a {type_name} state")),
            &known,
        );
        match *type_name {
            "Task" => self.task(object).map(State::Task),
            "Pass" => self.pass(object).map(State::Pass),
            "Choice" => self.choice(object).map(State::Choice),
            "Wait" => self.wait(object).map(State::Wait),
            "Succeed" => Some(State::Succeed(self.succeed(object))),
            "Fail" => Some(State::Fail(self.fail(object))),
            "Parallel" => self.parallel(object).map(State::Parallel),
            _ => self.map(object).map(State::Map),
        }
    }

    fn pass(&mut self, object: &Object<'_>) -> Option<PassState> {
        let comment = self.text(object, "Comment");
        let output = self.template_field(object, "Output", Moment::Entered);
        let assign = self.assign(object, Moment::Entered);
        Some(PassState {
            comment,
            output,
            assign,
            transition: self.transition(object)?,
        })
    }

    fn choice(&mut self, object: &Object<'_>) -> Option<ChoiceState> {
        let comment = self.text(object, "Comment");
        let choices = self.required(
            object,
            "Choices",
            "an array of rules with Condition and Next",
        );
        let choices = choices.map(|_| {
            self.list(object, "Choices", |reader, rule| {
                reader.known_fields(&rule, Holder::named("a choice rule"), fields::CHOICE_RULE);
                let comment = reader.text(&rule, "Comment");
                // Told as JSONPath's, they are a condition.
                let is_jsonpath =
                    |field: &String| fields::instead_of(field, "a choice rule").is_some();
                if !rule.fields.keys().any(is_jsonpath) {
                    reader.required(&rule, "Condition", "true, false or an expression {% … %}");
                }
                let condition = reader.value_or_expression(
                    &rule,
                    "Condition",
                    Rule::WrongType,
                    "true, false",
                    Value::as_bool,
                );
                let next = reader.required_text(&rule, "Next", "the name of a state");
                match &next {
                    Some(next) => reader.note_target(next, &rule.member("Next"), &[&rule]),
                    None => reader.note_unknown_way(),
                }
                let assign = reader.assign(&rule, Moment::Entered);
                let output = reader.template_field(&rule, "Output", Moment::Entered);
                Some(ChoiceRule {
                    comment,
                    condition: condition?,
                    next: next?,
                    assign,
                    output,
                })
            })
        });
        let default = self.text(object, "Default");
        match &default {
            Some(default) => self.note_target(default, &object.member("Default"), &[object]),
            None if object.fields.contains_key("Default") => self.note_unknown_way(),
            None => {}
        }
        let rules = object.fields.get("Choices").and_then(Value::as_array);
        if rules.is_none_or(|rules| rules.is_empty() || !rules.iter().all(Value::is_object)) {
            self.note_unknown_way();
        }
        let assign = self.assign(object, Moment::Entered);
        let output = self.template_field(object, "Output", Moment::Entered);
        Some(ChoiceState {
            comment,
            choices: choices?,
            default,
            assign,
            output,
        })
    }

    fn wait(&mut self, object: &Object<'_>) -> Option<WaitState> {
        let comment = self.text(object, "Comment");
        let seconds = self.integer_or_expression(object, "Seconds", 0..=MAX_SECONDS);
        let timestamp = self.value_or_expression(
            object,
            "Timestamp",
            Rule::InvalidTimestamp,
            "an RFC 3339 timestamp, such as \"2030-01-31T12:00:00Z\"",
            |value| timestamp(value.as_str()?),
        );
        let given = ["Seconds", "Timestamp"]
            .iter()
            .filter(|field| object.fields.contains_key(**field))
            .count();
        if given != 1 {
            let (path, message) = if given == 0 {
                (object.path.clone(), "it does not say how long")
            } else {
                (
                    object.member("Timestamp"),
                    "it has both Seconds and Timestamp",
                )
            };
            let advice = "write either Seconds or Timestamp";
            let is_jsonpath = ["SecondsPath", "TimestampPath"]
                .iter()
                .any(|field| object.fields.contains_key(*field));
            // A JSONPath field that says it has been told.
            if given > 0 || !is_jsonpath {
                self.problem(Rule::WaitDuration, &path, message, advice);
            }
        }
        let output = self.template_field(object, "Output", Moment::Entered);
        let assign = self.assign(object, Moment::Entered);
        let transition = self.transition(object);
        let until = seconds
            .map(WaitUntil::Seconds)
            .or(timestamp.map(WaitUntil::Timestamp));
        Some(WaitState {
            comment,
            until: until?,
            output,
            assign,
            transition: transition?,
        })
    }

    fn succeed(&mut self, object: &Object<'_>) -> SucceedState {
        self.note_end();
        let output = self.template_field(object, "Output", Moment::Entered);
        SucceedState {
            comment: self.text(object, "Comment"),
            output,
        }
    }

    fn fail(&mut self, object: &Object<'_>) -> FailState {
        self.note_end();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let error = self.value_or_expression(object, "Error", Rule::WrongType, "a string", text);
        let cause = self.value_or_expression(object, "Cause", Rule::WrongType, "a string", text);
        FailState {
            comment: self.text(object, "Comment"),
            error,
            cause,
        }
    }

    fn parallel(&mut self, object: &Object<'_>) -> Option<ParallelState> {
        let comment = self.text(object, "Comment");
        let transition = self.transition(object);
        let branches = self.required(
            object,
            "Branches",
            "an array of {\"StartAt\": …, \"States\": {…}}",
        );
        let branches = branches.map(|_| {
            self.list(object, "Branches", |reader, branch| {
                reader.known_fields(&branch, Holder::named("a branch"), fields::BRANCH);
                reader.nested_flow(&branch, Sight::Outwards)
            })
        });
        let arguments = self.template_field(object, "Arguments", Moment::Entered);
        let output = self.template_field(object, "Output", Moment::Finished);
        let assign = self.assign(object, Moment::Finished);
        let retry = self.retry(object);
        let catch = self.catch(object);
        Some(ParallelState {
            comment,
            branches: branches?,
            arguments,
            output,
            assign,
            transition: transition?,
            retry,
            catch,
        })
    }

    pub(super) fn transition(&mut self, object: &Object<'_>) -> Option<Transition> {
        let next = object.fields.get("Next");
        let end = object.fields.get("End");
        let transition = match (next, end) {
            (Some(_), None | Some(Value::Bool(false))) => {
                self.text(object, "Next").map(Transition::Next)
            }
            (Some(_), Some(_)) => {
                self.problem(
                    Rule::NextOrEnd,
                    &object.member("End"),
                    "it has both Next and End",
                    "keep one of them",
                );
                None
            }
            (None, Some(Value::Bool(true))) => Some(Transition::End),
            (None, Some(other)) => {
                self.wrong_type(&object.member("End"), other, "true");
                None
            }
            (None, None) => {
                let advice = "add \"Next\": \"…\", or \"End\": true";
                let message = "it does not say what comes next";
                // A misspelt one has been told.
                let is_misspelt = ["Next", "End"]
                    .iter()
                    .any(|field| misspelt(object, field).is_some());
                if !is_misspelt {
                    self.problem(Rule::NextOrEnd, &object.path, message, advice);
                }
                None
            }
        };
        match &transition {
            Some(Transition::Next(next)) => {
                self.note_target(next, &object.member("Next"), &[object]);
            }
            Some(Transition::End) => self.note_end(),
            None => self.note_unknown_way(),
        }
        transition
    }

    /// Whether the state is JSONata, by its own word or the machine's.
    fn is_jsonata(&mut self, object: &Object<'_>) -> bool {
        match object.fields.get("QueryLanguage") {
            None => {
                self.has_jsonpath_states |= !self.machine_is_jsonata;
                self.machine_is_jsonata
            }
            Some(Value::String(language)) if language == "JSONata" => true,
            Some(Value::String(language)) if language == "JSONPath" => {
                let message = "the state is JSONPath, and only JSONata runs here";
                self.problem(
                    Rule::QueryLanguage,
                    &object.member("QueryLanguage"),
                    message,
                    "remove the field and write the state in JSONata",
                );
                false
            }
            Some(other) => {
                let path = object.member("QueryLanguage");
                self.unexpected(Rule::QueryLanguage, &path, other, "\"JSONata\"");
                true
            }
        }
    }

    /// Of a JSONPath state only where it leads, so that its neighbours are judged fairly.
    fn note_ways_of_jsonpath(&mut self, object: &Object<'_>) {
        let entries = ["Choices", "Catch"]
            .iter()
            .filter_map(|field| Some((*field, object.fields.get(*field)?.as_array()?)));
        let nested: Vec<(String, &Value)> = entries
            .flat_map(|(field, entries)| {
                let path = object.member(field);
                entries
                    .iter()
                    .enumerate()
                    .map(move |(index, entry)| (item(&path, index), entry))
            })
            .collect();
        for (path, entry) in nested {
            if let Some(next) = entry.get("Next").and_then(Value::as_str) {
                self.note_target(next, &member(&path, "Next"), &[]);
            }
        }
        for field in ["Next", "Default"] {
            if let Some(next) = object.fields.get(field).and_then(Value::as_str) {
                self.note_target(next, &object.member(field), &[]);
            }
        }
        let ends = ["Succeed", "Fail"].map(|name| Some(Value::from(name)));
        if object.fields.get("End") == Some(&Value::Bool(true))
            || ends.contains(&object.fields.get("Type").cloned())
        {
            self.note_end();
        }
    }
}
