//! What holds for any text.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use state_language::{
    Environment, Evaluation, Expression, Rule, Scope, StateVisit, StatesVariable, Substitutions,
    check, parse, substitute,
};

const DEFINITION: &str = r#"{"StartAt":"A","QueryLanguage":"JSONata","TimeoutSeconds":9,"States":{
"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"FunctionName":"f","Payload":"{% $states.input.a[b > 1].{'c': $uuid()} %}"},
"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":2,"BackoffRate":1.5}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"D"}],"Assign":{"v":"{% $states.result %}"},"Next":"B"},
"B":{"Type":"Choice","Choices":[{"Condition":"{% $v = 1 %}","Next":"C"}],"Default":"D"},
"C":{"Type":"Map","Items":[1],"ItemProcessor":{"StartAt":"I","States":{"I":{"Type":"Wait","Seconds":1,"End":true}}},"End":true},
"D":{"Type":"Fail","Error":"é"}}}"#;

const PIECES: &[&str] = &[
    "$states",
    ".",
    "input",
    "$",
    "$$",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "'a'",
    ":",
    ":=",
    ";",
    "1",
    "0",
    "-",
    "+",
    "/",
    "*",
    "**",
    "%",
    "~>",
    "|",
    "^",
    "<",
    "?",
    "@$v",
    "#$i",
    "$v",
    "function($x)",
    "$map",
    "$sum",
    "$parse",
    "$range",
    "$partition",
    "$hash",
    "$uuid()",
    "$now",
    "$string",
    ",",
    " ",
    "\"",
    "`",
    "\\",
    "é",
    "null",
    "true",
    "..",
    "&",
    "=",
    "!=",
    "in",
    "and",
    "$reduce",
    "$shuffle",
    "e",
    "99999999",
];

/// Values that are put in the place of others.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1.5",
    "1e300",
    "99999999",
    "100000000",
    "\"\"",
    "\"x\"",
    "\"A\"",
    "\"I\"",
    "\"Nowhere\"",
    "[]",
    "[1]",
    "[{}]",
    "{}",
    "{\"x\":1}",
    "\"States.ALL\"",
    "\"${Name}\"",
    "\"{% 1 %}\"",
    "\"{% $v %}\"",
    "\"{% $w.x %}\"",
    "\"{% $states.result %}\"",
    "\"{% $states.errorOutput.x %}\"",
    "\"{% $states.context.Task.Token %}\"",
    "\"{% $states.nope %}\"",
    "\"{% $length() %}\"",
    "\"{% $eval('1') %}\"",
    "\"{% $ %}\"",
    "\"{% 'é\\u00e9\\n' & $nope %}\"",
    "\"{% (\"",
    "\"%}\"",
    "\" {% 1 %}\"",
    "\"arn:aws:states:::sqs:x.sync:2\"",
    "[{\"ErrorEquals\":[\"States.ALL\",\"A\",\"A\"],\"Next\":\"D\"},{\"ErrorEquals\":[\"States.Runtime\"]}]",
];

/// Names that fields and states are given.
const NAMES: &[&str] = &[
    "A",
    "I",
    "Type",
    "Next",
    "Nxet",
    "End",
    "Default",
    "Catch",
    "Retry",
    "Assign",
    "Output",
    "Arguments",
    "Items",
    "QueryLanguage",
    "InputPath",
    "a b",
    "é.\"",
    "",
    "x.$",
    "v",
    "states",
    "States",
    "StartAt",
    "Comment",
];

/// How one part of a definition is changed.
#[derive(Debug, Clone)]
enum Change {
    Delete,
    Retype(&'static str),
    Rename(&'static str),
    /// The key comes a second time, with this value.
    Repeat(&'static str),
    Insert(&'static str, &'static str),
}

fn change() -> impl Strategy<Value = (prop::sample::Index, Change)> {
    let value = || prop::sample::select(VALUES);
    let name = || prop::sample::select(NAMES);
    let change = prop_oneof![
        Just(Change::Delete),
        value().prop_map(Change::Retype),
        value().prop_map(Change::Retype),
        name().prop_map(Change::Rename),
        value().prop_map(Change::Repeat),
        (name(), value()).prop_map(|(name, value)| Change::Insert(name, value)),
    ];
    (any::<prop::sample::Index>(), change)
}

/// JSON whose objects may have a key twice.
#[derive(Debug, Clone)]
enum Text {
    Leaf(String),
    Array(Vec<Text>),
    Object(Vec<(String, Text)>),
}

impl Text {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(fields) => {
                let fields = fields.iter();
                Self::Object(
                    fields
                        .map(|(name, value)| (name.clone(), Self::of(value)))
                        .collect(),
                )
            }
            leaf => Self::Leaf(leaf.to_string()),
        }
    }

    fn members(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Array(items) => items.iter().map(|item| 1 + item.members()).sum(),
            Self::Object(fields) => fields.iter().map(|(_, value)| 1 + value.members()).sum(),
        }
    }

    /// Changes the member of that number, counted in the order of the text.
    fn change(&mut self, number: &mut usize, change: &Change) {
        let mut index = 0;
        while index < self.len() {
            if *number == 0 {
                *number = usize::MAX;
                return self.change_at(index, change);
            }
            *number -= 1;
            match self {
                Self::Leaf(_) => {}
                Self::Array(items) => items[index].change(number, change),
                Self::Object(fields) => fields[index].1.change(number, change),
            }
            if *number == usize::MAX {
                return;
            }
            index += 1;
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Array(items) => items.len(),
            Self::Object(fields) => fields.len(),
        }
    }

    fn change_at(&mut self, index: usize, change: &Change) {
        let leaf = |text: &str| Self::Leaf(text.to_owned());
        match (self, change) {
            (Self::Leaf(_), _) => {}
            (Self::Array(items), Change::Delete) => {
                items.remove(index);
            }
            (Self::Array(items), Change::Retype(value)) => items[index] = leaf(value),
            (Self::Array(items), _) => items.push(items[index].clone()),
            (Self::Object(fields), Change::Delete) => {
                fields.remove(index);
            }
            (Self::Object(fields), Change::Retype(value)) => fields[index].1 = leaf(value),
            (Self::Object(fields), Change::Rename(name)) => {
                (*name).clone_into(&mut fields[index].0);
            }
            (Self::Object(fields), Change::Repeat(value)) => {
                let name = fields[index].0.clone();
                fields.push((name, leaf(value)));
            }
            (Self::Object(fields), Change::Insert(name, value)) => {
                fields.insert(index, ((*name).to_owned(), leaf(value)));
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { ",\n" } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if index > 0 { ",\n" } else { "" });
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Whether the path leads to a part of the definition, or to a member that a part of it lacks.
fn resolves(definition: &Value, path: &str) -> bool {
    let mut value = definition;
    let mut rest = path;
    while !rest.is_empty() {
        let (name, index, behind) = if let Some(quoted) = rest.strip_prefix("[\"") {
            let mut end = 0;
            while !quoted[end..].starts_with("\"]") {
                end += if quoted[end..].starts_with('\\') {
                    2
                } else {
                    quoted[end..].chars().next().unwrap().len_utf8()
                };
            }
            let name: String = serde_json::from_str(&format!("\"{}\"", &quoted[..end])).unwrap();
            (Some(name), None, &quoted[end + 2..])
        } else if let Some(number) = rest.strip_prefix('[') {
            let (number, behind) = number.split_once(']').unwrap();
            (None, Some(number.parse::<usize>().unwrap()), behind)
        } else {
            let plain = rest.strip_prefix('.').unwrap_or(rest);
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            (Some(plain[..end].to_owned()), None, &plain[end..])
        };
        let next = match (&name, index) {
            (Some(name), _) => value.get(name.as_str()),
            (None, Some(index)) => value.get(index),
            (None, None) => None,
        };
        match next {
            Some(next) => value = next,
            None => return behind.is_empty(),
        }
        rest = behind;
    }
    true
}

fn evaluate(source: &str, input: &Value) -> Option<Value> {
    let expression = Expression::parse(source).ok()?;
    let states = StatesVariable {
        input,
        result: None,
        error_output: None,
        context: &|| Value::Null,
    };
    let scope: Scope = [("v".to_owned(), json!([1, {"a": 2}]))]
        .into_iter()
        .collect();
    let environment = Environment {
        now: chrono::DateTime::UNIX_EPOCH,
        random_seed: [1; 32],
    };
    let visit = StateVisit {
        name: "A",
        entered_event_id: 1,
    };
    Evaluation::new(visit, states, &scope, environment)
        .expression("Output", &expression)
        .ok()
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c]", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same thousand cases each time; as many others as `STEPSCOPE_SOAK` says in a soak.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test runs is no part of the product's configuration"
)]
fn config() -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var("STEPSCOPE_SOAK") {
        Ok(cases) => (cases.parse().unwrap(), RngSeed::Random),
        Err(_) => (1_000, RngSeed::Fixed(1_000)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_mutated_definition_never_panics(at in 0..DEFINITION.len(), length in 0usize..12, put in prop::sample::select(vec![
        "", "\"", "{", "}", "[", "]", ",", ":", "null", "0", "-1", "1e999", "{}", "\"{% $x %}\"", "\"{%", "%}", "é", "\\u0000", "\"States\":{}", "\"\":",
    ])) {
        let start = DEFINITION.floor_char_boundary(at);
        let end = DEFINITION.ceil_char_boundary((start + length).min(DEFINITION.len()));
        let text = format!("{}{put}{}", &DEFINITION[..start], &DEFINITION[end..]);
        if let Err(problems) = parse(&text) {
            prop_assert!(problems.iter().count() > 0);
            prop_assert!(problems.iter().all(|problem| problem.line > 0 && problem.column > 0));
        }
    }

    #[test]
    fn every_problem_of_a_changed_definition_has_its_place(changes in prop::collection::vec(change(), 1..5)) {
        let mut tree = Text::of(&serde_json::from_str(DEFINITION).unwrap());
        for (index, change) in &changes {
            let members = tree.members();
            if members > 0 {
                tree.change(&mut index.index(members), change);
            }
        }
        let mut text = String::new();
        tree.write(&mut text);
        let definition: Value = serde_json::from_str(&text).unwrap();
        let lines = text.lines().count();
        for substitutions in [Substitutions::Done, Substitutions::Open] {
            let checked = check(&text, substitutions);
            prop_assert!(substitutions == Substitutions::Open || checked.machine.is_some() != checked.has_errors());
            for problem in &checked.problems {
                prop_assert!((1..=lines).contains(&problem.line) && problem.column > 0, "{problem}\n{text}");
                // A repeated key may be in a value that the repetition of a key around it has replaced.
                let is_there = problem.rule == Rule::DuplicateKey || resolves(&definition, &problem.path);
                prop_assert!(is_there, "{problem}\n{text}");
                prop_assert!(!problem.message.is_empty() && !problem.advice.is_empty(), "{problem}");
            }
            let ordered = checked.problems.is_sorted_by_key(|problem| (problem.line, problem.column));
            prop_assert!(ordered, "{:#?}", checked.problems);
        }
    }

    #[test]
    fn any_json_is_parsed_or_refused(value in json_value(), field in prop::sample::select(vec![
        "Type", "Resource", "Arguments", "Retry", "Catch", "Choices", "Branches", "ItemProcessor", "Items", "Assign", "Next", "End", "Seconds", "Output",
    ]), state in 0usize..4) {
        let mut definition: Value = serde_json::from_str(DEFINITION).unwrap();
        definition["States"]["ABCD".get(state..=state).unwrap()][field] = value;
        if let Err(problems) = parse(&definition.to_string()) {
            prop_assert!(problems.iter().count() > 0);
        }
    }

    #[test]
    fn any_expression_is_evaluated_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        evaluate(&pieces.concat(), &json!({"a": [{"b": 1}, {"b": [2, 3]}], "c": "x"}));
    }

    #[test]
    fn walking_down_objects_gives_what_the_evaluator_gives(value in json_value(), path in prop::collection::vec(r"[a-c](\[[0-2]\])?", 0..4)) {
        let input = json!({"a": value});
        let plain = path.iter().fold("$states.input".to_owned(), |plain, field| format!("{plain}.{field}"));
        // A block is no plain path, so it goes the long way.
        prop_assert_eq!(evaluate(&plain, &input), evaluate(&format!("({plain})"), &input), "{}", plain);
    }

    #[test]
    fn reading_a_part_gives_what_reading_the_whole_gives(value in json_value(), path in prop::collection::vec("[a-c]", 0..4), index in 0usize..3) {
        let input = json!({"a": value});
        let fields = path.iter().fold(String::new(), |fields, field| format!("{fields}.{field}"));
        let part = format!("[$states.input{fields}[{index}]]");
        let whole = format!("( $whole := $states.input; [$whole{fields}[{index}]] )");
        prop_assert_eq!(evaluate(&part, &input), evaluate(&whole, &input), "{}", part);
    }

    #[test]
    fn substitution_touches_only_what_it_knows(text in ".{0,60}", value in "[^\"\\\\\\x00-\\x1f$]{0,8}") {
        let values = [("Name".to_owned(), value.clone())].into();
        if !text.contains("${") {
            prop_assert_eq!(substitute(&text, &values), Ok(text.clone()));
            let around = format!("{text}${{Name}}{text}");
            prop_assert_eq!(substitute(&around, &values), Ok(format!("{text}{value}{text}")));
        }
    }
}
