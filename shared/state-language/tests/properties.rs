//! What holds for any text.

use proptest::prelude::*;
use serde_json::{Value, json};
use state_language::{
    Environment, Evaluation, Expression, Scope, StateVisit, StatesVariable, parse, substitute,
};

const DEFINITION: &str = r#"{"StartAt":"A","QueryLanguage":"JSONata","TimeoutSeconds":9,"States":{
"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Arguments":{"x":"{% $states.input.a[b > 1].{'c': $uuid()} %}"},
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

fn evaluate(source: &str, input: &Value) -> Option<Value> {
    let expression = Expression::parse(source).ok()?;
    let states = StatesVariable {
        input,
        result: None,
        error_output: None,
        context: &Value::Null,
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

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
