//! Machines of any depth, with payloads of every kind, written in several ways.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) text: String,
    pub(crate) is_jsonata: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Jsonata,
    JsonPath,
}

pub(crate) fn machine() -> impl Strategy<Value = Case> {
    prop_oneof![Just(Language::Jsonata), Just(Language::JsonPath)].prop_flat_map(|language| {
        let written = prop_oneof![
            Just(Written::Compact),
            Just(Written::Indented("  ", "\n")),
            Just(Written::Indented("\t", "\n")),
            Just(Written::Indented("    ", "\r\n")),
        ];
        (flow(language), written).prop_map(move |(mut machine, written)| {
            let is_jsonata = language == Language::Jsonata;
            rename(&mut machine, &mut 0);
            if is_jsonata {
                machine["QueryLanguage"] = json!("JSONata");
            }
            Case {
                text: written.text(&machine),
                is_jsonata,
            }
        })
    })
}

#[derive(Clone, Copy, Debug)]
enum Written {
    Compact,
    Indented(&'static str, &'static str),
}

impl Written {
    fn text(self, value: &Value) -> String {
        match self {
            Self::Compact => value.to_string(),
            Self::Indented(step, newline) => {
                let mut bytes = Vec::new();
                let formatter = serde_json::ser::PrettyFormatter::with_indent(step.as_bytes());
                let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
                serde::Serialize::serialize(value, &mut serializer).unwrap();
                String::from_utf8(bytes).unwrap().replace('\n', newline)
            }
        }
    }
}

fn flow(language: Language) -> BoxedStrategy<Value> {
    let task = prop_oneof![
        integration(language),
        function(language),
        Just(json!({"Type": "Pass"})),
        Just(json!({"Type": "Wait", "Seconds": 1})),
    ];
    chain(task.boxed())
        .prop_recursive(3, 12, 2, move |inner| {
            let processor = match language {
                Language::Jsonata => "ItemProcessor",
                Language::JsonPath => "Iterator",
            };
            let each = inner
                .clone()
                .prop_map(move |flow| json!({"Type": "Map", processor: flow}));
            let both = prop::collection::vec(inner, 1..=2)
                .prop_map(|flows| json!({"Type": "Parallel", "Branches": flows}));
            chain(prop_oneof![each, both, integration(language)].boxed())
        })
        .boxed()
}

/// Names are unique over the whole machine.
fn rename(flow: &mut Value, count: &mut usize) {
    let Value::Object(states) = flow["States"].take() else {
        return;
    };
    let first = *count;
    *count += states.len();
    let name = |old: &str, index: usize| json!(format!("{old} {}", first + index));
    let old: Vec<String> = states.keys().cloned().collect();
    let mut renamed = Map::new();
    for (index, (_, mut state)) in states.into_iter().enumerate() {
        if let Some(next) = old.get(index + 1) {
            state["Next"] = name(next, index + 1);
        }
        for field in ["Iterator", "ItemProcessor"] {
            if let Some(inner) = state.get_mut(field) {
                rename(inner, count);
            }
        }
        if let Some(Value::Array(branches)) = state.get_mut("Branches") {
            for branch in branches {
                rename(branch, count);
            }
        }
        let new = name(&old[index], index);
        renamed.insert(new.as_str().unwrap().to_owned(), state);
    }
    flow["StartAt"] = name(&old[0], 0);
    flow["States"] = Value::Object(renamed);
}

/// One state after the other.
fn chain(state: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    const NAMES: [&str; 3] = ["Plain", "With space é", "With.dot {%"];
    prop::collection::vec(state, 1..=NAMES.len())
        .prop_map(|mut flow| {
            let count = flow.len();
            let mut states = Map::new();
            for (index, mut state) in flow.drain(..).enumerate() {
                match NAMES.get(index + 1).filter(|_| index + 1 < count) {
                    Some(next) => state["Next"] = json!(next),
                    None => state["End"] = json!(true),
                }
                states.insert(NAMES[index].to_owned(), state);
            }
            json!({"StartAt": NAMES[0], "States": states})
        })
        .boxed()
}

fn integration(language: Language) -> BoxedStrategy<Value> {
    let resource = prop_oneof![
        Just("arn:aws:states:::lambda:invoke"),
        Just("arn:aws-us-gov:states:::lambda:invoke.waitForTaskToken"),
        Just("arn:aws:states:::aws-sdk:lambda:invoke"),
        Just("arn:aws:states:::sqs:sendMessage"),
    ];
    (resource, prop::option::of(payload(language)))
        .prop_map(move |(resource, payload)| {
            let queue = json!({"QueueUrl": "https://example.com/queue", "MessageBody": "text"});
            let mut arguments = if resource.contains("sqs") {
                queue
            } else {
                json!({"FunctionName": "${FunctionArn}"})
            };
            if let Some((name, payload)) = payload.filter(|_| !resource.contains("sqs")) {
                arguments[format!("Payload{name}")] = payload;
            }
            json!({"Type": "Task", "Resource": resource, field(language): arguments})
        })
        .boxed()
}

fn function(language: Language) -> BoxedStrategy<Value> {
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:one";
    prop::option::of(payload(language))
        .prop_map(move |payload| {
            let mut state = json!({"Type": "Task", "Resource": arn});
            if let Some(("", payload)) = payload {
                state[field(language)] = payload;
            }
            state
        })
        .boxed()
}

fn field(language: Language) -> &'static str {
    match language {
        Language::Jsonata => "Arguments",
        Language::JsonPath => "Parameters",
    }
}

/// What its key ends in, and what it is.
fn payload(language: Language) -> BoxedStrategy<(&'static str, Value)> {
    let object = (fields(), prop::option::of(headers(language)), stepscope()).prop_map(
        |(mut fields, headers, stepscope)| {
            if let Some((name, headers)) = headers {
                fields[format!("headers{name}")] = headers;
            }
            if let Some(stepscope) = stepscope {
                fields["stepscope"] = stepscope;
            }
            ("", fields)
        },
    );
    let computed = match language {
        Language::Jsonata => prop_oneof![
            Just(("", json!("{% $states.input %}"))),
            Just(("", json!("{%$states.input.a ~> $string%}"))),
            Just(("", json!("{% ( $a := {'b': 1}; $a /* é \" */ ) %}"))),
        ],
        Language::JsonPath => prop_oneof![
            Just((".$", json!("$"))),
            Just((".$", json!("$.a['b \"c\"']"))),
            Just((".$", json!("States.StringToJson($.a)"))),
        ],
    };
    prop_oneof![4 => object, 2 => computed, 1 => Just(("", json!("text")))].boxed()
}

fn headers(language: Language) -> BoxedStrategy<(&'static str, Value)> {
    let object = fields().prop_map(|fields| ("", fields));
    let traced = Just(("", json!({"traceparent": "00-1-2-01"})));
    let computed = match language {
        Language::Jsonata => ("", json!("{% $states.input.headers %}")),
        Language::JsonPath => (".$", json!("$.headers")),
    };
    prop_oneof![object, traced, Just(computed)].boxed()
}

fn stepscope() -> BoxedStrategy<Option<Value>> {
    prop_oneof![
        2 => Just(None),
        1 => Just(Some(json!({}))),
        1 => Just(Some(json!({"tenant": "globex"}))),
    ]
    .boxed()
}

fn fields() -> BoxedStrategy<Value> {
    let value = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\u{1f600}]{0,8}"
            .prop_filter("no expression", |text| !text.contains(['%', '$']))
            .prop_map(Value::from),
        Just(json!([1, {"a": []}])),
        Just(json!({})),
    ];
    prop::collection::btree_map("[a-d]{1,2}", value, 0..3)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        .boxed()
}
