//! What a state's fields cost: `cargo bench -p state-language`.

use chrono::DateTime;
use serde_json::{Value, json};
use state_language::{
    Environment, Evaluation, Scope, State, StateVisit, StatesVariable, ValueOrExpression, parse,
};

fn main() {
    divan::main();
}

const DEFINITION: &str = r#"{"StartAt": "Call", "QueryLanguage": "JSONata", "States": {
  "Call": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
    "Arguments": {"FunctionName": "classify", "Payload": {
      "text": "{% $states.input.document.text %}",
      "first": "{% $states.input.documents[0].name %}",
      "headers": {"traceparent": "{% '00-' & $hash($states.context.Execution.Id, 'MD5') & '-' & $substring($replace($uuid(), '-', ''), 0, 16) & '-01' %}"}}}},
  "Unused": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.count > 3 %}", "Next": "Unused"}], "Default": "Call"}}}"#;

fn definition() -> String {
    DEFINITION.replace("\"StartAt\": \"Call\"", "\"StartAt\": \"Unused\"")
}

fn input(documents: usize) -> Value {
    let document = |index| json!({"name": format!("document {index}"), "tags": ["a", "b", "c"], "size": index});
    json!({"count": 4, "document": {"text": "a text"}, "documents": (0..documents).map(document).collect::<Vec<_>>()})
}

fn evaluate<T>(input: &Value, run: impl Fn(&Evaluation<'_>) -> T) -> T {
    let context =
        json!({"Execution": {"Id": "arn:aws:states:us-east-1:000000000000:execution:m:e"}});
    let states = StatesVariable {
        input,
        result: None,
        error_output: None,
        context: &|| context.clone(),
    };
    let environment = Environment {
        now: DateTime::UNIX_EPOCH,
        random_seed: [1; 32],
    };
    let visit = StateVisit {
        name: "Call",
        entered_event_id: 1,
    };
    run(&Evaluation::new(visit, states, &Scope::new(), environment))
}

#[divan::bench(args = [1, 100, 1000])]
fn task_arguments(bencher: divan::Bencher<'_, '_>, documents: usize) {
    let machine = parse(&definition()).expect("the definition is right");
    let Some(State::Task(task)) = machine.find("Call") else {
        return;
    };
    let Some(arguments) = &task.arguments else {
        return;
    };
    let input = input(documents);
    bencher.bench(|| {
        evaluate(&input, |evaluation| {
            evaluation.template("Arguments", arguments)
        })
    });
}

#[divan::bench(args = [1, 1000])]
fn choice_condition(bencher: divan::Bencher<'_, '_>, documents: usize) {
    let machine = parse(&definition()).expect("the definition is right");
    let Some(State::Choice(choice)) = machine.find("Unused") else {
        return;
    };
    let condition: &ValueOrExpression<bool> = &choice.choices[0].condition;
    let input = input(documents);
    bencher.bench(|| {
        evaluate(&input, |evaluation| {
            evaluation.boolean("Condition", condition)
        })
    });
}

#[divan::bench]
fn definition_parsed() -> bool {
    parse(divan::black_box(&definition())).is_ok()
}
