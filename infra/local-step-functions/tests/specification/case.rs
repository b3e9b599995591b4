//! The form of a case, and reading files of them. What does not fit the form
//! is an error: a misspelled field would be a test that checks nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chapter {
    #[serde(rename = "chapter")]
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The rule.
    pub(crate) says: String,
    pub(crate) source: Option<String>,
    states: Option<Value>,
    definition: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    input: Option<Value>,
    input_text: Option<String>,
    machine_name: Option<String>,
    pub(crate) execution_name: Option<String>,
    #[serde(default)]
    pub(crate) signals: Vec<Signal>,
    #[serde(default)]
    pub(crate) machines: IndexMap<String, Value>,
    #[serde(default)]
    pub(crate) expect: Expect,
    pub(crate) history: Option<Vec<Event>>,
    /// From the first event to the last, in the engine's time.
    pub(crate) seconds: Option<f64>,
    /// What another implementation is known to do instead.
    pub(crate) elsewhere: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    status: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) output: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) error: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) cause: Option<Value>,
    #[serde(default)]
    pub(crate) cause_contains: Vec<String>,
    /// Words of the problems `CreateStateMachine` refuses the definition for.
    pub(crate) refused: Option<Vec<String>>,
    /// The exception of `CreateStateMachine`, where it is not about the definition.
    pub(crate) create_refused: Option<String>,
    /// The exception of `StartExecution`.
    pub(crate) start_refused: Option<String>,
}

/// Something that is done while the execution runs, one after the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signal {
    pub(crate) after: Reached,
    #[serde(default)]
    pub(crate) wait_seconds: u64,
    pub(crate) send: Sent,
    #[serde(default, deserialize_with = "present")]
    pub(crate) output: Option<Value>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) refused: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sent {
    Success,
    Failure,
    Heartbeat,
    Stop,
    Redrive,
}

/// An event that the history has come to, the first or a later one of its type.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Reached {
    Type(String),
    Count(Counted),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counted {
    #[serde(rename = "type")]
    event_type: String,
    count: usize,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Event {
    Type(String),
    Detailed(DetailedEvent),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetailedEvent {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    pub(crate) previous: Option<i64>,
    pub(crate) details: Option<Value>,
}

impl Case {
    pub(crate) fn definition(&self) -> String {
        match (&self.definition, &self.states) {
            (Some(Value::String(text)), _) => text.clone(),
            (Some(definition), _) => repeated(definition).to_string(),
            (None, states) => {
                let states = states.as_ref().map(repeated).unwrap_or_default();
                let start_at = states.as_object().and_then(|states| states.keys().next());
                json!({"QueryLanguage": "JSONata", "StartAt": start_at, "States": states})
                    .to_string()
            }
        }
    }

    pub(crate) fn input(&self) -> String {
        match (&self.input_text, &self.input) {
            (Some(text), _) => text.clone(),
            (None, Some(input)) => repeated(input).to_string(),
            (None, None) => "{}".to_owned(),
        }
    }

    pub(crate) fn machine_name(&self) -> &str {
        self.machine_name.as_deref().unwrap_or("machine")
    }

    fn problems(&self) -> Vec<&'static str> {
        let expect = &self.expect;
        let expects_end = expect.expects_end() || self.history.is_some() || self.seconds.is_some();
        let refusals = [
            expect.refused.is_some(),
            expect.create_refused.is_some(),
            expect.start_refused.is_some(),
        ];
        let refusals = refusals.iter().filter(|refusal| **refusal).count();
        let ends = usize::from(expects_end);
        let rules = [
            (self.says.is_empty(), "`says` is empty"),
            (
                self.states.is_some() == self.definition.is_some(),
                "it needs either `states` or `definition`",
            ),
            (
                self.input.is_some() && self.input_text.is_some(),
                "it has both `input` and `input_text`",
            ),
            (refusals + ends == 0, "it expects nothing"),
            (
                refusals + ends > 1,
                "it expects a refusal and something else, which cannot both be",
            ),
            (
                refusals > 0 && !self.signals.is_empty(),
                "there is no execution for its signals",
            ),
            (
                self.elsewhere.as_deref() == Some(""),
                "`elsewhere` is empty",
            ),
        ];
        let broken = rules.into_iter().filter(|(broken, _)| *broken);
        broken.map(|(_, problem)| problem).collect()
    }
}

impl Expect {
    /// As the case says, or as what else it expects implies.
    pub(crate) fn status(&self) -> Option<&str> {
        let fails = self.error.is_some() || self.cause.is_some() || !self.cause_contains.is_empty();
        match &self.status {
            Some(status) => Some(status),
            None if self.output.is_some() => Some("SUCCEEDED"),
            None if fails => Some("FAILED"),
            None => None,
        }
    }

    fn expects_end(&self) -> bool {
        self.status().is_some()
    }
}

impl Event {
    pub(crate) fn event_type(&self) -> &str {
        match self {
            Self::Type(name) => name,
            Self::Detailed(detailed) => &detailed.event_type,
        }
    }
}

impl Reached {
    pub(crate) fn event_type(&self) -> &str {
        match self {
            Self::Type(name) => name,
            Self::Count(counted) => &counted.event_type,
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Type(_) => 1,
            Self::Count(counted) => counted.count,
        }
    }
}

/// Every chapter of the folder, or everything that is wrong with its files.
pub(crate) fn read_chapters(folder: &Path) -> Result<Vec<Chapter>, Vec<String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.insert(path.clone(), std::fs::read_to_string(path).unwrap());
        }
    }
    let mut chapters = Vec::new();
    let mut problems = Vec::new();
    for (path, text) in files {
        match read_chapter(&text) {
            Ok(chapter) => chapters.push(chapter),
            Err(found) => {
                let located = found.iter().map(|it| format!("{}: {it}", path.display()));
                problems.extend(located);
            }
        }
    }
    if problems.is_empty() {
        Ok(chapters)
    } else {
        Err(problems)
    }
}

/// One file's text.
pub(crate) fn read_chapter(text: &str) -> Result<Chapter, Vec<String>> {
    let chapter: Chapter = serde_json::from_str(text).map_err(|error| vec![error.to_string()])?;
    let mut names = HashSet::new();
    let mut problems = Vec::new();
    for case in &chapter.cases {
        let mut problem = |message: &str| problems.push(format!("{:?}: {message}", case.name));
        if !names.insert(&case.name) {
            problem("there is another case of that name");
        }
        case.problems().into_iter().for_each(problem);
    }
    if chapter.cases.is_empty() {
        problems.push("it has no cases".to_owned());
    }
    if problems.is_empty() {
        Ok(chapter)
    } else {
        Err(problems)
    }
}

/// The value with every `{"$repeat": [text, times]}` written out.
fn repeated(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Array(repeat)) = fields.get("$repeat")
                && let [Value::String(text), times] = repeat.as_slice()
                && let Some(times) = times.as_u64()
            {
                return Value::String(text.repeat(usize::try_from(times).unwrap()));
            }
            let fields = fields.iter();
            fields
                .map(|(name, field)| (name.clone(), repeated(field)))
                .collect()
        }
        Value::Array(items) => items.iter().map(repeated).collect(),
        other => other.clone(),
    }
}

/// Tells a `null` from a field that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
