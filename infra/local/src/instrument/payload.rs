//! One task: where its payload is, what is in it already, and what goes in.

use jsonc_parser::ast::{Object, ObjectProp, StringLit, Value};

use super::insertions::{Added, Insertions, quoted};
use super::jsonata::{self, Guard};
use super::machine::{Input, text_of};
use super::resource::Call;
use super::{Left, Options, PathPayloads, StateReport, jsonpath};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Jsonata,
    JsonPath,
}

pub(crate) struct Task<'w, 't> {
    pub text: &'t str,
    pub options: &'w Options,
    pub language: Language,
    pub name: &'w str,
    pub input: Input,
    pub insertions: &'w mut Insertions<'t>,
    pub report: &'w mut StateReport,
    /// It got a `stepscope` that names no tenant.
    pub tenantless: bool,
}

type Outcome = Result<(), Left>;
type Members = Vec<(String, Added)>;

const TO_JSONATA: &str =
    "write this state in JSONata, with \"QueryLanguage\": \"JSONata\", and run this again";

impl Language {
    /// What a machine or a state says of itself.
    pub(crate) fn of(object: &Object<'_>) -> Option<Self> {
        match text_of(object, "QueryLanguage")? {
            "JSONata" => Some(Self::Jsonata),
            "JSONPath" => Some(Self::JsonPath),
            _ => None,
        }
    }

    const fn arguments(self) -> &'static str {
        match self {
            Self::Jsonata => "Arguments",
            Self::JsonPath => "Parameters",
        }
    }
}

impl Task<'_, '_> {
    pub(crate) fn instrument(&mut self, state: &Object<'_>, call: Call) -> Outcome {
        let field = self.language.arguments();
        let arguments = state.get(field).map(|property| &property.value);
        match (call, arguments) {
            (Call::Unknown(left), _) => Err(left),
            (Call::Other, _) => Ok(()),
            (Call::Integration, Some(Value::Object(arguments))) => {
                self.payload_among(arguments, state)
            }
            (Call::Function, Some(Value::Object(payload))) => self.fields(payload, field),
            (Call::Integration, Some(Value::StringLit(text))) if self.is_expression(text) => {
                let guard = jsonata::arguments_guard(self.options.tenant.as_ref());
                self.guard(text, &guard, field)
            }
            (Call::Function, Some(Value::StringLit(text))) if self.is_expression(text) => {
                self.payload_guard(text, field)
            }
            (Call::Function, None) => self.whole_input(state),
            (Call::Integration, None) => Err(Left::new(
                format!("it has no {field}, so that it names no function"),
                format!("add {field} with FunctionName and Payload"),
            )),
            (_, Some(other)) => Err(no_object(field, other)),
        }
    }

    /// `lambda:invoke`.
    fn payload_among(&mut self, arguments: &Object<'_>, state: &Object<'_>) -> Outcome {
        let path = format!("{}.Payload", self.language.arguments());
        match (arguments.get("Payload"), arguments.get("Payload.$")) {
            (Some(property), _) => match &property.value {
                Value::Object(payload) => self.fields(payload, &path),
                Value::StringLit(text) if self.is_expression(text) => {
                    self.payload_guard(text, &path)
                }
                other => Err(no_object(&path, other)),
            },
            (None, Some(property)) if self.language == Language::JsonPath => {
                self.path_payload(&property.value, &format!("{path}.$"), state)
            }
            (None, _) => {
                // Without one the function gets an empty object.
                let members = vec![self.headers_member(), self.stepscope_member()];
                let payload = ("Payload".to_owned(), Added::Object(members));
                self.insertions.add_members(arguments, &[payload]);
                self.report.added.push(path);
                Ok(())
            }
        }
    }

    /// A function's own ARN without arguments: it gets the state's input.
    fn whole_input(&mut self, state: &Object<'_>) -> Outcome {
        if self.language == Language::JsonPath {
            return Err(Left::new(
                "its payload is its whole input, and JSONPath can add nothing to that of a function's own ARN",
                format!("write Parameters that are an object, or {TO_JSONATA}"),
            ));
        }
        let Guard { before, after } = jsonata::payload_guard(self.options.tenant.as_ref());
        let expression = format!("{{%{before}$states.input{after}%}}");
        let arguments = ("Arguments".to_owned(), Added::Text(expression));
        self.insertions.add_members(state, &[arguments]);
        self.report.added.push("Arguments".to_owned());
        Ok(())
    }

    fn payload_guard(&mut self, text: &StringLit<'_>, path: &str) -> Outcome {
        let guard = jsonata::payload_guard(self.options.tenant.as_ref());
        self.guard(text, &guard, path)
    }

    fn guard(&mut self, text: &StringLit<'_>, guard: &Guard, path: &str) -> Outcome {
        let raw = &self.text[text.range.start..text.range.end];
        match jsonata::examine(raw, &text.value) {
            jsonata::Found::Guarded => Ok(()),
            jsonata::Found::ByHand => {
                self.note(format!("{path} sees to its own traceparent: it stays"));
                Ok(())
            }
            jsonata::Found::Unreadable(reason) => Err(Left::new(
                format!("{path}: {reason}"),
                "correct it: one expression, as in \"{% $states.input %}\"",
            )),
            jsonata::Found::Free => {
                let inside = (text.range.start + 3, text.range.end - 3);
                self.insertions
                    .surround(inside, &guard.before, &guard.after);
                self.report
                    .added
                    .push(format!("{path} (around its expression)"));
                Ok(())
            }
        }
    }

    /// `Payload.$`.
    fn path_payload(&mut self, value: &Value<'_>, path: &str, state: &Object<'_>) -> Outcome {
        let Value::StringLit(text) = value else {
            return Err(no_object(path, value));
        };
        let found = jsonpath::examine(&text.value);
        let input_path = state.get("InputPath").map(|property| &property.value);
        let narrowed = matches!(input_path, Some(Value::StringLit(path)) if path.value != "$");
        match found {
            jsonpath::Found::Merged => return Ok(()),
            jsonpath::Found::ByHand => {
                self.note(format!("{path} sees to its own traceparent: it stays"));
                return Ok(());
            }
            jsonpath::Found::Intrinsic => {
                return Err(Left::new(
                    format!(
                        "{path} is an intrinsic function, and no field holds as many as are needed"
                    ),
                    format!("write Payload as an object, or {TO_JSONATA}"),
                ));
            }
            jsonpath::Found::Unreadable => {
                return Err(Left::new(
                    format!("{path} is no path"),
                    "write a path that begins with $",
                ));
            }
            jsonpath::Found::WholeInput if self.input == Input::Usual && !narrowed => {
                self.note(format!(
                    "{path} must lead to an object from now on: for anything else States.JsonMerge fails the state"
                ));
            }
            jsonpath::Found::WholeInput | jsonpath::Found::Path => {
                let what = if found == jsonpath::Found::Path || narrowed {
                    "a path"
                } else {
                    "the bare item of a Map"
                };
                self.assume_object(path, what)?;
            }
        }
        let merge = jsonpath::payload_merge(
            self.name,
            self.options.tenant.as_ref(),
            self.options.input_fields,
        );
        self.tenantless |= self.options.tenant.is_none();
        self.merge(text, &merge);
        self.report.added.push(format!("{path} (merged with it)"));
        Ok(())
    }

    fn assume_object(&self, path: &str, what: &str) -> Outcome {
        match self.options.path_payloads {
            PathPayloads::AssumeObjects => Ok(()),
            PathPayloads::Leave => Err(Left::new(
                format!(
                    "{path} is {what}, and if that is no object, JSONPath fails the state where it adds to it"
                ),
                format!("if it always is one, run this with --assume-objects; else {TO_JSONATA}"),
            )),
        }
    }

    fn merge(&mut self, text: &StringLit<'_>, (before, after): &(String, String)) {
        let escaped = |text: &str| {
            let quoted = quoted(text);
            quoted[1..quoted.len() - 1].to_owned()
        };
        let inside = (text.range.start + 1, text.range.end - 1);
        self.insertions
            .surround(inside, &escaped(before), &escaped(after));
    }

    /// A payload that is an object in the definition.
    fn fields(&mut self, payload: &Object<'_>, path: &str) -> Outcome {
        let mut members = Members::new();
        let headers_path = format!("{path}.headers");
        match self.member(payload, "headers") {
            None => {
                members.push(self.headers_member());
                self.report
                    .added
                    .push(format!("{headers_path}.traceparent"));
            }
            Some(property) => self.headers(property, &headers_path)?,
        }
        let stepscope_path = format!("{path}.stepscope");
        match self.member(payload, "stepscope") {
            None => {
                members.push(self.stepscope_member());
                self.report.added.push(stepscope_path);
            }
            Some(property) => self.stepscope(property, &stepscope_path),
        }
        self.insertions.add_members(payload, &members);
        Ok(())
    }

    fn headers(&mut self, property: &ObjectProp<'_>, path: &str) -> Outcome {
        let computed = property.name.as_str() != "headers";
        match &property.value {
            Value::Object(headers) if !computed => {
                self.traceparent(headers, path);
                Ok(())
            }
            Value::StringLit(text) if self.is_expression(text) => {
                self.guard(text, &jsonata::headers_guard(), path)
            }
            Value::StringLit(text) if computed => {
                let path = format!("{path}.$");
                match jsonpath::examine(&text.value) {
                    jsonpath::Found::Merged => Ok(()),
                    jsonpath::Found::ByHand => {
                        self.note(format!("{path} sees to its own traceparent: it stays"));
                        Ok(())
                    }
                    jsonpath::Found::Path | jsonpath::Found::WholeInput => {
                        self.assume_object(&path, "a path")?;
                        self.merge(text, &jsonpath::headers_merge());
                        self.report.added.push(format!("{path} (merged with it)"));
                        Ok(())
                    }
                    jsonpath::Found::Intrinsic | jsonpath::Found::Unreadable => Err(Left::new(
                        format!("{path} is no path that traceparent could be added to"),
                        format!("write headers as an object, or {TO_JSONATA}"),
                    )),
                }
            }
            other => Err(no_object(path, other)),
        }
    }

    fn traceparent(&mut self, headers: &Object<'_>, path: &str) {
        let written = headers.properties.iter().find(|property| {
            let name = property.name.as_str();
            let name = match self.language {
                Language::Jsonata => name,
                Language::JsonPath => name.strip_suffix(".$").unwrap_or(name),
            };
            name.eq_ignore_ascii_case("traceparent")
        });
        let (name, ours) = self.traceparent_member();
        match written {
            None => {
                self.insertions
                    .add_members(headers, &[(name, Added::Text(ours))]);
                self.report.added.push(format!("{path}.traceparent"));
            }
            Some(property) => {
                let value = property.value.as_string_lit().map(|text| &*text.value);
                if value != Some(ours.as_str()) {
                    self.note(format!("{path}.traceparent was there already: it stays"));
                }
            }
        }
    }

    /// What it has stays, the tenant above all; what is missing comes in.
    fn stepscope(&mut self, property: &ObjectProp<'_>, path: &str) {
        let Value::Object(stepscope) = &property.value else {
            self.note(format!("{path} was there already: it stays"));
            return;
        };
        if property.name.as_str() != "stepscope" {
            self.note(format!("{path} was there already: it stays"));
            return;
        }
        let missing: Members = self
            .stepscope_members()
            .into_iter()
            .filter(|(name, _)| {
                let name = name.strip_suffix(".$").unwrap_or(name);
                self.member(stepscope, name).is_none()
            })
            .collect();
        for (name, _) in &missing {
            let name = name.strip_suffix(".$").unwrap_or(name);
            self.report.added.push(format!("{path}.{name}"));
        }
        self.insertions.add_members(stepscope, &missing);
        match self.member(stepscope, "tenant") {
            None => self.tenantless |= self.options.tenant.is_none(),
            Some(written) => {
                let text = written.value.as_string_lit().map(|text| &*text.value);
                let wanted = self.options.tenant.as_ref();
                if wanted.is_some_and(|tenant| text != Some(tenant.as_str())) {
                    self.note(format!("{path}.tenant was there already: it stays"));
                }
            }
        }
    }

    fn headers_member(&self) -> (String, Added) {
        let (name, value) = self.traceparent_member();
        let members = vec![(name, Added::Text(value))];
        ("headers".to_owned(), Added::Object(members))
    }

    fn traceparent_member(&self) -> (String, String) {
        match self.language {
            Language::Jsonata => (
                "traceparent".to_owned(),
                jsonata::delimited(jsonata::TRACEPARENT),
            ),
            Language::JsonPath => ("traceparent.$".to_owned(), jsonpath::traceparent()),
        }
    }

    fn stepscope_member(&mut self) -> (String, Added) {
        self.tenantless |= self.language == Language::JsonPath && self.options.tenant.is_none();
        let members = self.stepscope_members();
        ("stepscope".to_owned(), Added::Object(members))
    }

    fn stepscope_members(&self) -> Members {
        let tenant = self.options.tenant.as_ref();
        let member = |(name, text): (&str, String)| (name.to_owned(), Added::Text(text));
        match (self.language, tenant) {
            (Language::JsonPath, _) => jsonpath::stepscope(tenant)
                .into_iter()
                .map(member)
                .collect(),
            (Language::Jsonata, _) => jsonata::stepscope(tenant)
                .into_iter()
                .map(|(name, expression)| match tenant {
                    Some(tenant) if name == "tenant" => member((name, tenant.to_string())),
                    _ => member((name, jsonata::delimited(&expression))),
                })
                .collect(),
        }
    }

    /// A member by its name, or in JSONPath by the name that says its value is computed.
    fn member<'o, 'a>(&self, object: &'o Object<'a>, name: &str) -> Option<&'o ObjectProp<'a>> {
        object.get(name).or_else(|| match self.language {
            Language::Jsonata => None,
            Language::JsonPath => object.get(&format!("{name}.$")),
        })
    }

    fn is_expression(&self, text: &StringLit<'_>) -> bool {
        self.language == Language::Jsonata && jsonata::is_expression(&text.value)
    }

    fn note(&mut self, note: String) {
        self.report.notes.push(note);
    }
}

fn no_object(path: &str, value: &Value<'_>) -> Left {
    let what = match value {
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "a boolean",
        Value::Array(_) => "an array",
        Value::NullKeyword(_) => "null",
        Value::Object(_) => "computed",
    };
    Left::new(
        format!("{path} is {what}, and fields can be added to an object only"),
        "make it an object with what it is now as one of its fields",
    )
}
