//! What the checks tell an author.

use serde_json::{Value, json};
use state_language::{
    IntegrationPattern, JitterStrategy, Resource, State, StateMachine, Template, Transition,
    ValueOrExpression, WaitUntil, parse, parse_accepted,
};

/// A machine whose first state is the given one; `Done` follows where it is named.
fn machine_of(state: &Value) -> Value {
    let mut states = json!({"First": state});
    if state.to_string().contains("\"Done\"") {
        states["Done"] = json!({"Type": "Succeed"});
    }
    json!({"StartAt": "First", "QueryLanguage": "JSONata", "States": states})
}

fn accepted(definition: &Value) -> StateMachine {
    parse(&definition.to_string()).unwrap_or_else(|problems| panic!("{definition}\n{problems}"))
}

#[track_caller]
fn check_accepted(state: &Value) {
    accepted(&machine_of(state));
}

/// Exactly these problems, each told by a part of its line without the position.
#[track_caller]
fn check_problems(definition: &Value, expected: &[&str]) {
    let problems = parse(&definition.to_string()).expect_err(&definition.to_string());
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for part in expected {
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{part}\n{lines:#?}"
        );
    }
}

#[track_caller]
fn check_state(state: &Value, expected: &[&str]) {
    check_problems(&machine_of(state), expected);
}

const INVOKE: &str = "arn:aws:states:::lambda:invoke";

fn task(more: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": INVOKE, "End": true});
    for (field, value) in more.as_object().expect("an object") {
        if field == "Next" {
            state.as_object_mut().expect("an object").remove("End");
        }
        state[field] = value.clone();
    }
    state
}

#[test]
fn a_machine_with_everything_is_read() {
    let machine = accepted(&json!({
        "Comment": "all of it", "StartAt": "Call", "QueryLanguage": "JSONata", "TimeoutSeconds": 60, "Version": "1.0",
        "States": {
            "Call": {
                "Type": "Task", "Comment": "calls", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
                "Arguments": {"FunctionName": "classify", "Payload": {"text": "{% $states.input.text %}", "token": "{% $states.context.Task.Token %}"}},
                "TimeoutSeconds": "{% $states.input.timeout %}", "HeartbeatSeconds": 5,
                "Retry": [
                    {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 0, "BackoffRate": 1, "MaxDelaySeconds": 9, "JitterStrategy": "FULL"},
                    {"ErrorEquals": ["States.ALL"]}
                ],
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed", "Output": "{% $states.errorOutput %}", "Assign": {"why": "{% $states.errorOutput.Cause %}"}}],
                "Assign": {"label": "{% $states.result.Payload.label %}"}, "Output": "{% $states.result.Payload %}", "Next": "Choose"
            },
            "Choose": {"Type": "Choice", "Choices": [{"Condition": "{% $label = 'x' %}", "Next": "Both", "Assign": {"x": 1}, "Output": "{% $states.input %}"}, {"Condition": true, "Next": "Each"}], "Default": "Pause"},
            "Both": {"Type": "Parallel", "Branches": [{"StartAt": "Left", "States": {"Left": {"Type": "Pass", "End": true, "Output": "{% $label %}", "Assign": {"inner": 1}}}}], "Output": "{% $states.result %}", "Next": "Pause"},
            "Each": {"Type": "Map", "Items": "{% $states.input.list %}", "MaxConcurrency": 2, "ItemSelector": {"item": "{% $states.context.Map.Item.Value %}"},
                "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "One", "States": {"One": {"Type": "Succeed"}}}, "Next": "Pause"},
            "Pause": {"Type": "Wait", "Timestamp": "2030-01-31T12:00:00Z", "Next": "Done"},
            "Done": {"Type": "Succeed", "Output": {"label": "{% $label %}"}},
            "Failed": {"Type": "Fail", "Error": "{% 'Late' %}", "Cause": "{% $why %}"}
        }
    }));
    assert_eq!(
        (machine.timeout_seconds, machine.version.as_deref()),
        (Some(60), Some("1.0"))
    );
    let Some(State::Task(call)) = machine.find("Call") else {
        panic!()
    };
    assert!(
        matches!(&call.resource, Resource::Integration { pattern: IntegrationPattern::WaitForTaskToken, service, .. } if service == "lambda")
    );
    assert_eq!(call.transition, Transition::Next("Choose".to_owned()));
    assert_eq!(call.heartbeat_seconds, Some(ValueOrExpression::Value(5)));
    assert_eq!(
        (call.retry[0].max_attempts, call.retry[0].jitter_strategy),
        (0, JitterStrategy::Full)
    );
    let defaults = &call.retry[1];
    assert_eq!(
        (
            defaults.interval_seconds,
            defaults.max_attempts,
            defaults.max_delay_seconds
        ),
        (1, 3, None)
    );
    assert!((defaults.backoff_rate - 2.0).abs() < f64::EPSILON);
    let Some(State::Wait(pause)) = machine.find("Pause") else {
        panic!()
    };
    assert!(matches!(
        &pause.until,
        WaitUntil::Timestamp(ValueOrExpression::Value(_))
    ));
    let mut names = Vec::new();
    machine
        .flow
        .walk(&mut |name, state| names.push((name, state.type_name())));
    let order = [
        "Call", "Choose", "Both", "Left", "Each", "One", "Pause", "Done", "Failed",
    ];
    assert_eq!(
        names.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        order
    );
    let mut expressions = Vec::new();
    call.arguments
        .as_ref()
        .unwrap()
        .walk("Arguments", &mut |path, _| {
            expressions.push(path.to_owned());
        });
    assert_eq!(
        expressions,
        ["Arguments/Payload/text", "Arguments/Payload/token"]
    );
}

#[test]
fn text_that_is_no_definition_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "1:1: error: the definition: it is not JSON: EOF"),
        (
            "{\n  \"StartAt\": ,\n}",
            "2:14: error: the definition: it is not JSON: expected value",
        ),
        ("[]", "it is not a JSON object"),
        ("{} {}", "trailing characters"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let deep = "[".repeat(10_000);
    assert!(
        parse(&deep)
            .unwrap_err()
            .to_string()
            .contains("recursion limit")
    );
    let long = format!(
        "{{\"Comment\": \"{}\"}}",
        "x".repeat(state_language::MAX_DEFINITION_BYTES)
    );
    assert!(
        parse(&long)
            .unwrap_err()
            .to_string()
            .contains("at most 1048576")
    );
}

#[test]
fn problems_come_all_at_once_in_order_and_with_their_place() {
    let text = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "A",
  "States": {
    "A": {"Type": "Pass", "Nxet": "B",
      "Output": "{% $states.inptu %}"},
    "B": {"Type": "Succeed"},
    "B": {"Type": "Succeed"}
  }
}"#;
    assert_eq!(
        parse(text).unwrap_err().to_string(),
        "5:27: error: States.A.Nxet: a Pass state has no field \"Nxet\"; did you mean \"Next\"? [unknown-field]\n\
         6:21: error: States.A.Output: there is no $states.inptu; did you mean $states.input? [unknown-states-member]\n\
         8:5: error: States.B: this key is here already, and only the last one would count; rename or remove one [duplicate-key]"
    );
}

#[test]
fn jsonpath_machines_are_refused_once() {
    let states = json!({"A": {"Type": "Pass", "Result": 1, "Next": "B"}, "B": {"Type": "Task", "Resource": INVOKE, "Parameters": {}, "ResultPath": "$.x", "End": true}});
    check_problems(
        &json!({"StartAt": "A", "States": states}),
        &["only JSONata runs here; set \"QueryLanguage\": \"JSONata\""],
    );
    check_problems(
        &json!({"StartAt": "A", "States": states, "QueryLanguage": "JSONPath"}),
        &["QueryLanguage: its states are JSONPath"],
    );
    check_problems(
        &json!({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}, "QueryLanguage": "SQL"}),
        &["\"SQL\" is no query language"],
    );
    accepted(
        &json!({"StartAt": "A", "States": {"A": {"Type": "Succeed", "QueryLanguage": "JSONata"}}}),
    );
    let mixed = json!({"Type": "Pass", "QueryLanguage": "JSONPath", "End": true});
    check_state(&mixed, &["the state is JSONPath"]);
}

#[test]
fn jsonpath_fields_are_told_with_what_to_write_instead() {
    for (field, instead) in [
        ("InputPath", "$states.input in Arguments"),
        ("Parameters", "write Arguments"),
        ("ResultSelector", "write Output with $states.result"),
        ("ResultPath", "$merge([$states.input"),
        ("OutputPath", "write Output"),
        (
            "TimeoutSecondsPath",
            "write TimeoutSeconds with an expression",
        ),
        ("Resource.$", "write \"Resource\": \"{% … %}\""),
    ] {
        check_state(&task(&json!({field: "$.x"})), &[instead]);
    }
    check_state(
        &json!({"Type": "Pass", "End": true, "Result": 1}),
        &["Result belongs to JSONPath, and this is JSONata; write Output"],
    );
    check_state(
        &json!({"Type": "Wait", "End": true, "SecondsPath": "$.x"}),
        &["write Seconds with an expression"],
    );
    check_state(
        &json!({"Type": "Choice", "Choices": [{"Variable": "$.x", "StringEquals": "y", "Next": "Done"}]}),
        &["Variable belongs to JSONPath"],
    );
    check_state(
        &task(&json!({"Arguments": {"FunctionName": "f", "Payload": {"a.$": "$.b"}}})),
        &["the key \"a.$\" is JSONPath's"],
    );
}

#[test]
fn fields_are_checked_for_each_type() {
    check_state(
        &task(&json!({"Resorce": 1})),
        &["a Task state has no field \"Resorce\"; did you mean \"Resource\"?"],
    );
    check_state(
        &json!({"Type": "Pass", "End": true, "Retry": []}),
        &["it is for Task, Parallel, Map"],
    );
    check_state(
        &json!({"Type": "Pass", "End": true, "Blue": 1}),
        &["remove it, or use one of Type"],
    );
    check_state(
        &json!({"Type": "task", "End": true}),
        &["did you mean \"Task\"?"],
    );
    check_state(&json!({"End": true}), &["Type is missing"]);
    check_state(
        &json!({"Type": "Task", "End": true}),
        &["Resource is missing"],
    );
    check_state(
        &json!({"Type": "Task", "End": true, "Resource": "${Classify}"}),
        &["nothing has been put in the place of ${Classify}"],
    );
    check_state(
        &json!({"Type": "Task", "End": true, "Resource": "classify"}),
        &["is not an ARN"],
    );
    check_state(
        &json!({"Type": "Pass", "Next": "Done", "End": true}),
        &["both Next and End"],
    );
    check_state(
        &json!({"Type": "Pass", "End": false}),
        &["false is not true"],
    );
    check_state(
        &json!({"Type": "Choice", "Choices": []}),
        &["Choices is empty"],
    );
    check_state(
        &json!({"Type": "Wait", "Seconds": 1, "Timestamp": "2030-01-31T12:00:00Z", "End": true}),
        &["both Seconds and Timestamp"],
    );
    check_state(
        &json!({"Type": "Wait", "Timestamp": "tomorrow", "End": true}),
        &["RFC 3339"],
    );
    check_state(
        &json!({"Type": "Wait", "Seconds": -1, "End": true}),
        &["-1 is not an integer from 0 to 99999999, or an expression"],
    );
    check_state(&json!({"Type": "Fail", "Error": 1}), &["1 is not a string"]);
    check_state(
        &task(&json!({"TimeoutSeconds": 5, "HeartbeatSeconds": 5})),
        &["not within the timeout of 5 s"],
    );
    check_state(&task(&json!({"TimeoutSeconds": 0})), &["from 1 to"]);
    check_state(
        &json!({"Type": "Parallel", "End": true}),
        &["Branches is missing"],
    );
    check_state(
        &json!({"Type": "Map", "End": true}),
        &["ItemProcessor is missing"],
    );
    let processor = json!({"StartAt": "One", "States": {"One": {"Type": "Succeed"}}});
    check_state(
        &json!({"Type": "Map", "End": true, "ItemProcessor": processor, "ItemReader": {}, "Items": 3}),
        &["ItemReader needs a distributed Map", "3 is not an array"],
    );
    let distributed = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED"}, "StartAt": "One", "States": {"One": {"Type": "Succeed"}}});
    check_state(
        &json!({"Type": "Map", "End": true, "ItemProcessor": distributed}),
        &["ExecutionType is missing"],
    );
    check_state(
        &json!({"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "PARALLEL"}, "StartAt": "One", "States": {"One": {"Type": "Succeed"}}}}),
        &["write INLINE or DISTRIBUTED"],
    );
    check_accepted(
        &json!({"Type": "Map", "End": true, "Items": [1, "{% 2 %}"], "ItemProcessor": processor, "ToleratedFailurePercentage": 12.5}),
    );
}

#[test]
fn retriers_and_catchers_are_checked() {
    let retry = |retrier: Value| task(&json!({"Retry": [retrier]}));
    check_state(&retry(json!({})), &["ErrorEquals is missing"]);
    check_state(
        &retry(json!({"ErrorEquals": []})),
        &["ErrorEquals is empty"],
    );
    check_state(
        &retry(json!({"ErrorEquals": ["States.TaskFaild"]})),
        &["did you mean \"States.TaskFailed\"?"],
    );
    check_state(
        &retry(json!({"ErrorEquals": ["States.Nonsense"]})),
        &["does not begin with States."],
    );
    check_state(
        &retry(json!({"ErrorEquals": ["States.ALL", "Busy"]})),
        &["write it alone"],
    );
    for (field, value) in [
        ("MaxAttempts", json!(-1)),
        ("MaxAttempts", json!(1.5)),
        ("IntervalSeconds", json!(0)),
        ("BackoffRate", json!(0.5)),
        ("MaxDelaySeconds", json!(1)),
        ("JitterStrategy", json!("SOME")),
        ("MaxAttempts", json!("{% 3 %}")),
    ] {
        check_state(
            &retry(json!({"ErrorEquals": ["Busy"], field: value})),
            &[field],
        );
    }
    check_state(
        &task(&json!({"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["Busy"]}]})),
        &["move it to the end"],
    );
    check_state(
        &task(&json!({"Catch": [{"ErrorEquals": ["States.ALL"]}]})),
        &["Next is missing"],
    );
    check_state(
        &task(&json!({"Catch": [{"ErrorEquals": ["Busy"], "Next": "Done", "ResultPath": "$.e"}]})),
        &["write Output with $states.errorOutput"],
    );
    check_accepted(&task(
        &json!({"Retry": [{"ErrorEquals": ["States.Http.StatusCode.429", "Lambda.TooManyRequestsException"], "MaxAttempts": 0}]}),
    ));
}

#[test]
fn ways_are_checked() {
    let machine =
        |states: Value| json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": states});
    check_problems(
        &machine(json!({"B": {"Type": "Succeed"}})),
        &["StartAt: there is no state \"A\"; did you mean \"B\"?"],
    );
    check_problems(&machine(json!({})), &["there is no state; add one"]);
    check_problems(
        &machine(json!({"A": {"Type": "Pass", "Next": "Drafft"}, "Draft": {"Type": "Succeed"}})),
        &["did you mean \"Draft\"?"],
    );
    check_problems(
        &machine(json!({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}})),
        &["no state ends it"],
    );
    let long = "x".repeat(81);
    check_problems(
        &machine(json!({"A": {"Type": "Pass", "Next": long}, long.clone(): {"Type": "Succeed"}})),
        &["81 characters"],
    );
    let branch = |name: &str, next: Value| json!({"StartAt": name, "States": {name: {"Type": "Pass", "Next": next}}});
    check_problems(
        &machine(
            json!({"A": {"Type": "Parallel", "Branches": [branch("Inner", json!("Out"))], "Next": "Out"}, "Out": {"Type": "Succeed"}}),
        ),
        &["the state \"Out\" is in another scope: States.Out"],
    );
    check_problems(
        &machine(
            json!({"Out": {"Type": "Succeed"}, "A": {"Type": "Parallel", "Branches": [branch("Inner", json!("Out"))], "Next": "Out"}}),
        ),
        &["the state \"Out\" is in another scope: States.Out"],
    );
    let ending = |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Succeed"}}});
    check_problems(
        &machine(
            json!({"A": {"Type": "Parallel", "End": true, "Branches": [ending("Same"), ending("Same")]}}),
        ),
        &["another state has the name \"Same\": States.A.Branches[0].States.Same"],
    );
}

#[test]
fn states_that_nothing_leads_to_are_told() {
    let states = json!({"First": {"Type": "Succeed"}, "Lost": {"Type": "Pass", "Next": "Lost"}});
    check_problems(
        &json!({"StartAt": "First", "QueryLanguage": "JSONata", "States": states}),
        &["States.Lost: nothing leads to this state"],
    );
}

#[test]
fn expressions_are_checked() {
    let output = |source: &str| json!({"Type": "Pass", "End": true, "Output": {"deep": [source]}});
    for (source, expected) in [
        (
            "{% $states.input. %}",
            "States.First.Output.deep[0]: the JSONata cannot be read: S0207",
        ),
        ("{% 1 + ) * 2 %}", "at character 5: ) * 2"),
        ("{% 'open %}", "S0101"),
        ("{% %}", "the JSONata cannot be read"),
        ("{% 1", "has {% and lacks %}"),
        ("1 %}", "has %} and lacks {%"),
        (" {% 1 %}", "space around an expression"),
        (
            "{% $eval('1') %}",
            "Step Functions has no $eval; read JSON with $parse",
        ),
        ("{% $map(['1'], $eval) %}", "Step Functions has no $eval"),
        ("{% $states.result %}", "there is no $states.result here"),
        (
            "{% $states.errorOutput.Cause %}",
            "only Output and Assign of a catcher",
        ),
        (
            "{% $states.customer %}",
            "did you mean $states.input.customer?",
        ),
        ("{% $customer.name %}", "no state here assigns $customer"),
        ("{% $uppercas('x') %}", "did you mean $uppercase?"),
        (
            "{% $nowhere('x') %}",
            "there is no function $nowhere; define it",
        ),
        (
            "{% customer.name %}",
            "is read from nothing; write $states.input.customer",
        ),
        (
            "{% $.customer %}",
            "$ stands for nothing here; write $states.input",
        ),
        ("{% $$.customer %}", "$$ stands for nothing here"),
        ("{% ( $states := 1; 2 ) %}", "$states cannot be set"),
        ("{% uppercase('x') %}", "is called without $"),
    ] {
        check_state(&output(source), &[expected]);
    }
    for source in [
        "{% $map([1], function($v, $i) { $v + $i }) %}",
        "{% ( $double := function($x) { $x * 2 }; $double(2) ) %}",
        "{% $states.input.orders[price > 3].{'id': id, 'first': $} %}",
        "{% $states.input.orders@$order.{'id': $order.id} %}",
        "{% $states.input.orders#$index.{'n': $index} %}",
        "{% $map(['a'], $uppercase) %}",
        "{% $hash($uuid(), 'MD5') %}",
        "{% $states.input.orders^(>price).id %}",
        "{% $states.input ~> |customer|{'name': 'x'}| %}",
        "{% $states.input.orders{id: price} %}",
        "plain {% text",
    ] {
        check_accepted(&output(source));
    }
}

#[test]
fn variables_are_checked_by_scope() {
    let pass = |assign: Value, next: &str| json!({"Type": "Pass", "Assign": assign, "Next": next});
    check_state(
        &pass(json!({"$x": 1}), "Done"),
        &["write \"x\": $ is for reading it"],
    );
    check_state(
        &pass(json!({"states": 1}), "Done"),
        &["belongs to Step Functions"],
    );
    check_state(
        &pass(json!(["x"]), "Done"),
        &["not an object of variable names"],
    );
    check_state(
        &json!({"Type": "Succeed", "Output": "{% $custmer %}"}),
        &["set it with Assign: {\"custmer\": …}"],
    );
    let branches = |assign: Value, output: &str| {
        json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": {
            "A": pass(json!({"customer": "Ada"}), "B"),
            "B": {"Type": "Parallel", "Next": "C", "Branches": [{"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "Assign": assign, "End": true, "Output": "{% $customer %}"}}}]},
            "C": {"Type": "Succeed", "Output": output}
        }})
    };
    accepted(&branches(
        json!({"inner": "{% $customer %}"}),
        "{% $customer %}",
    ));
    check_problems(
        &branches(json!({"customer": 1}), ""),
        &["the variable $customer is assigned outside as well"],
    );
    check_problems(
        &branches(json!({"inner": 1}), "{% $inner %}"),
        &["$inner ends with the branch that assigns it"],
    );
    check_problems(
        &branches(json!({"inner": 1}), "{% $custommer %}"),
        &["did you mean $customer?"],
    );
}

#[test]
fn a_part_without_expressions_is_kept_as_it_is() {
    let machine = accepted(&machine_of(
        &json!({"Type": "Pass", "End": true, "Output": {"a": [1, {"b": "{ % }"}]}}),
    ));
    assert_eq!(
        machine.find("First").unwrap().output(),
        Some(&Template::Literal(json!({"a": [1, {"b": "{ % }"}]})))
    );
}

/// A run goes on by the definition it was started with, also under a program with more rules.
#[test]
fn what_was_accepted_once_is_read_as_long_as_it_can_be() {
    let definition = json!({"StartAt": "A", "QueryLanguage": "JSONata", "States": {
        "A": {"Type": "Pass", "Output": "{% $nobody %}", "Next": "B"},
        "B": {"Type": "Succeed"},
        "Unreached": {"Type": "Succeed"},
    }});
    check_problems(&definition, &["$nobody", "Unreached"]);
    let machine = parse_accepted(&definition.to_string()).unwrap();
    assert_eq!(machine.flow.states.len(), 3);
    let unreadable = parse_accepted(r#"{"StartAt": "A"}"#).unwrap_err();
    assert!(unreadable.to_string().contains("States"), "{unreadable}");
}
