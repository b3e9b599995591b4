//! Expressions as a run evaluates them.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use state_language::{
    Assign, Environment, Evaluation, Expression, Scope, StateError, StateVisit, StatesVariable,
    Template, ValueOrExpression,
};

const VISIT: StateVisit<'static> = StateVisit {
    name: "Look up",
    entered_event_id: 6,
};

fn environment() -> Environment {
    let now: DateTime<Utc> = "2030-01-31T12:00:00.250Z".parse().expect("RFC 3339");
    Environment {
        now,
        random_seed: [7; 32],
    }
}

fn input() -> Value {
    json!({
        "customer": {"name": "Ada", "email": "ada@example.com", "tags": ["a", "b"], "one": ["x"], "none": []},
        "orders": [{"id": 1, "price": 2.5}, {"id": 2, "price": 4}],
        "count": 3, "whole": 1.0, "large": 9_007_199_254_740_993_i64, "nothing": null, "yes": true,
        "nested": [[1], [2, 3]], "text": "{\"a\": [1, {\"b\": null}]}",
    })
}

fn scope() -> Scope {
    [
        ("limit".to_owned(), json!(10)),
        (
            "region".to_owned(),
            json!({"name": "eu", "zones": ["a", "b"]}),
        ),
    ]
    .into_iter()
    .collect()
}

fn with_evaluation<T>(run: impl FnOnce(&Evaluation<'_>) -> T) -> T {
    let (input, result, error_output) = (
        input(),
        json!({"ok": [1]}),
        json!({"Error": "Busy", "Cause": "later"}),
    );
    let context = json!({"Execution": {"Name": "run-1"}, "State": {"RetryCount": 0}});
    let scope = scope();
    let states = StatesVariable {
        input: &input,
        result: Some(&result),
        error_output: Some(&error_output),
        context: &|| context.clone(),
    };
    run(&Evaluation::new(VISIT, states, &scope, environment()))
}

fn evaluate(source: &str) -> Result<Value, StateError> {
    let expression = Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    with_evaluation(|evaluation| evaluation.expression("Output", &expression))
}

#[track_caller]
fn check(source: &str, expected: &Value) {
    let value = evaluate(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    // As text, since 1 and 1.0 are different JSON and compare unequal only so.
    assert_eq!(value.to_string(), expected.to_string(), "{source}");
}

#[track_caller]
fn check_fails(source: &str, said: &str) {
    let error = evaluate(source).expect_err(source);
    assert_eq!(error.error, "States.QueryEvaluationError", "{source}");
    assert!(error.cause.contains(said), "{source}: {}", error.cause);
    assert!(
        error.cause.contains("'Look up'") && error.cause.contains("'Output'"),
        "{}",
        error.cause
    );
}

#[test]
fn states_and_variables_are_read() {
    check("$states.input.customer.name", &json!("Ada"));
    check("$states.input.orders.price", &json!([2.5, 4]));
    check("$states.input.orders[id = 2].price", &json!(4));
    check("$states.input.orders[1].price", &json!(4));
    check("$states.input.orders[0]", &json!({"id": 1, "price": 2.5}));
    check("$states.input.customer[0].name", &json!("Ada"));
    check("$states.input.nested[1]", &json!([2, 3]));
    check("$states.result.ok", &json!([1]));
    check(
        "$states.errorOutput.Error & ': ' & $states.errorOutput.Cause",
        &json!("Busy: later"),
    );
    check("$states.context.Execution.Name", &json!("run-1"));
    check("$limit + 1", &json!(11));
    check("$region.zones", &json!(["a", "b"]));
    check("$count($keys($states))", &json!(4));
    check("$states.input.customer.**[$ = 'b']", &json!("b"));
    check(
        "( $total := $sum($states.input.orders.price); $total > 6 ? 'large' : 'small' )",
        &json!("large"),
    );
    check(
        "$map($states.input.orders, function($order) { $order.id + $limit })",
        &json!([11, 12]),
    );
    check(
        "$states.input.orders.{'id': id, 'of': %.customer.name}",
        &json!([{"id": 1, "of": "Ada"}, {"id": 2, "of": "Ada"}]),
    );
    check(
        "$merge([$states.input.customer, {'name': 'Bo'}]).name",
        &json!("Bo"),
    );
    check("$states.input.nothing", &json!(null));
    check("{'a': $states.input.missing, 'b': 1}", &json!({"b": 1}));
}

#[test]
fn integers_stay_integers() {
    check("$states.input.count", &json!(3));
    check("$states.input.whole", &json!(1));
    check("$states.input", &{
        let mut input = input();
        input["whole"] = json!(1);
        input
    });
    check("$states.input.count * 2", &json!(6));
    check("6 / 4", &json!(1.5));
    check("6 / 3", &json!(2));
    check("[1..3]", &json!([1, 2, 3]));
    check(
        "{'n': 10, 'half': 0.5, 'minus': -0}",
        &json!({"n": 10, "half": 0.5, "minus": 0}),
    );
    check("9007199254740991", &json!(9_007_199_254_740_991_i64));
    // Passed through untouched; computed with, it is a double as in JavaScript.
    check("$states.input.large", &json!(9_007_199_254_740_993_i64));
}

#[test]
fn lone_and_empty_arrays_stay_arrays_when_passed_through() {
    check("$states.input.customer.one", &json!(["x"]));
    check("$states.input.customer.none", &json!([]));
    check("$states.input.nested", &json!([[1], [2, 3]]));
    check("$states.input.customer.(one)", &json!(["x"]));
}

#[test]
fn undefined_functions_and_failures_are_errors_that_say_where() {
    check_fails(
        "$states.input.missing",
        "'$states.input.missing' specified for the field 'Output' returned nothing (undefined).",
    );
    check_fails("$states.input.orders[2].price", "returned nothing");
    check_fails("$states.input.customer[1].name", "returned nothing");
    check_fails("$states.input.customer.name.deeper", "returned nothing");
    check_fails("$unknown", "returned nothing");
    check_fails("function($x) { $x }", "unsupported result type");
    check_fails("$sum", "unsupported result type");
    check_fails("{'f': function($x) { $x }}", "unsupported result type");
    check_fails(
        "$states.input.customer + 1",
        "threw an error during evaluation. T2001",
    );
    check_fails("$error('no stock')", "no stock");
    check_fails("1 / 0", "not finite");
    check_fails(
        "( $f := function($n) { 1 + $f($n + 1) }; $f(0) )",
        "threw an error",
    );
    check_fails("[1..2000000]", "threw an error");
    check_fails(
        "$reduce([1..500], function($deep, $n) { {'deep': $deep} }, {})",
        "nested too deeply",
    );
    let error = evaluate("$states.input.missing").unwrap_err();
    assert_eq!(
        error.cause,
        "An error occurred while executing the state 'Look up' (entered at the event id #6). The JSONata expression \
         '$states.input.missing' specified for the field 'Output' returned nothing (undefined)."
    );
}

#[test]
fn an_endless_loop_is_stopped() {
    check_fails("( $f := function($n) { $f($n + 1) }; $f(0) )", "D1012");
}

#[test]
fn step_functions_own_functions() {
    check(
        "$partition([1, 2, 3, 4, 5], 2)",
        &json!([[1, 2], [3, 4], [5]]),
    );
    check("$partition([], 2)", &json!([]));
    check("$range(0, 10, 2)", &json!([0, 2, 4, 6, 8, 10]));
    check("$range(3, 1, -1)", &json!([3, 2, 1]));
    check("$range(0, 5, 3)", &json!([0, 3]));
    check("$range(5, 1, 1)", &json!([]));
    check(
        "$hash('hello', 'MD5')",
        &json!("5d41402abc4b2a76b9719d911017c592"),
    );
    check(
        "$hash('hello', 'SHA-1')",
        &json!("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"),
    );
    check(
        "$hash('hello', 'SHA-256')",
        &json!("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
    );
    check("$length($hash('é', 'SHA-384'))", &json!(96));
    check("$length($hash('', 'SHA-512'))", &json!(128));
    check(
        "$parse($states.input.text)",
        &json!({"a": [1, {"b": null}]}),
    );
    check("$parse($states.input.text).a[0] + 1", &json!(2));
    check("$random(42) = $random(42)", &json!(true));
    check("$random(42) = $random(43)", &json!(false));
    check("($r := $random(); $r >= 0 and $r < 1)", &json!(true));
    check("$random() = $random()", &json!(false));
    check(
        "$map([1, 2], function($seed) { $random($seed) = $random($seed) })",
        &json!([true, true]),
    );
    check("$uuid() = $uuid()", &json!(false));
    check(
        "$contains($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)",
        &json!(true),
    );
    check(
        "$length($substring($replace($uuid(),'-',''),0,16))",
        &json!(16),
    );
    check("$sort($shuffle([3, 1, 2]))", &json!([1, 2, 3]));
    check(
        "([1..3].$hash($string($), 'MD5'))[0]",
        &json!("c4ca4238a0b923820dcc509a6f75849b"),
    );
}

#[test]
fn step_functions_own_functions_say_what_is_wrong() {
    check_fails("$partition([1], 0)", "at least 1");
    check_fails("$partition([1], 1.5)", "an integer");
    check_fails("$partition('a', 1)", "an array");
    check_fails("$partition([1])", "takes 2 arguments");
    check_fails("$range(0, 1, 0)", "not 0");
    check_fails("$range(0, 9999999, 1)", "at most");
    check_fails("$range(0, 1.5, 1)", "an integer");
    check_fails("$hash('x', 'MD4')", "knows the algorithms");
    check_fails("$hash({}, 'MD5')", "needs a string");
    check_fails("$parse('{')", "not JSON");
    check_fails("$parse(1)", "a string of JSON");
    check_fails("$random('x')", "an integer");
    check_fails("$random(1, 2)", "were given");
    check_fails("$uuid(1)", "takes 0 arguments");
    check_fails("$hash($states.input.missing, 'MD5')", "returned nothing");
}

#[test]
fn time_and_randomness_come_from_the_environment() {
    check("$now()", &json!("2030-01-31T12:00:00.250Z"));
    check("$now('[Y0001]-[M01]-[D01]')", &json!("2030-01-31"));
    check(
        "$now('[H01]:[m01] [z]', '+0200')",
        &json!("14:00 GMT+02:00"),
    );
    check("$millis()", &json!(1_896_091_200_250_i64));
    check("$fromMillis($millis())", &json!("2030-01-31T12:00:00.250Z"));
    for source in [
        "$uuid()",
        "$random()",
        "$shuffle([1..20])",
        "$map([1..3], $uuid)",
    ] {
        assert_eq!(evaluate(source), evaluate(source), "{source}");
    }
}

#[test]
fn a_templates_parts_keep_their_types_and_names() {
    let definition = json!({
        "StartAt": "Shape", "QueryLanguage": "JSONata",
        "States": {"Shape": {"Type": "Pass", "End": true, "Output": {
            "plain": "text", "name": "{% $states.input.customer.name %}", "list": [1, "{% 1 + 1 %}", {"deep": "{% true %}"}], "untouched": {"n": 1.50},
        }}}
    });
    let machine = state_language::parse(&definition.to_string()).unwrap();
    let template = machine.find("Shape").unwrap().output().unwrap();
    let value = with_evaluation(|evaluation| evaluation.template("Output", template)).unwrap();
    let expected = json!({"plain": "text", "name": "Ada", "list": [1, 2, {"deep": true}], "untouched": {"n": 1.5}});
    assert_eq!(value, expected);
    let broken = Template::Array(vec![Template::Expression(
        Expression::parse("$states.input.missing").unwrap(),
    )]);
    let error =
        with_evaluation(|evaluation| evaluation.template("Arguments", &broken)).unwrap_err();
    assert!(error.cause.contains("'Arguments/0'"), "{}", error.cause);
}

#[test]
fn assign_sees_only_the_old_values() {
    let mut scope: Scope = [("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]
        .into_iter()
        .collect();
    let swap = ["a", "b"].map(|name| {
        let other = if name == "a" { "$b" } else { "$a" };
        (
            name.to_owned(),
            Template::Expression(Expression::parse(other).unwrap()),
        )
    });
    let assign = Assign(swap.into_iter().collect());
    let nothing = Value::Null;
    let states = StatesVariable {
        input: &nothing,
        result: None,
        error_output: None,
        context: &|| nothing.clone(),
    };
    let values = Evaluation::new(VISIT, states, &scope, environment())
        .assign("Assign", &assign)
        .unwrap();
    scope.assign(VISIT, values).unwrap();
    assert_eq!(
        (scope.get("a"), scope.get("b")),
        (Some(&json!(2)), Some(&json!(1)))
    );
}

fn expression<T>(source: &str) -> ValueOrExpression<T> {
    ValueOrExpression::Expression(Expression::parse(source).expect(source))
}

#[test]
fn fields_hold_to_their_types() {
    with_evaluation(|evaluation| {
        assert_eq!(
            evaluation.integer("MaxConcurrency", &ValueOrExpression::Value(4)),
            Ok(4)
        );
        assert_eq!(
            evaluation.integer("MaxConcurrency", &expression("$states.input.count")),
            Ok(3)
        );
        assert_eq!(
            evaluation.integer("MaxConcurrency", &expression("$states.input.whole")),
            Ok(1)
        );
        assert_eq!(
            evaluation.boolean("Condition", &expression("$limit > 5")),
            Ok(true)
        );
        assert_eq!(
            evaluation.string("Cause", &expression("'no ' & 'stock'")),
            Ok("no stock".to_owned())
        );
        assert_eq!(
            evaluation.percentage("ToleratedFailurePercentage", &expression("12.5")),
            Ok(12.5)
        );
        let moment = DateTime::parse_from_rfc3339("2030-02-01T00:00:00Z").unwrap();
        assert_eq!(
            evaluation.timestamp("Timestamp", &expression("'2030-02-01T00:00:00Z'")),
            Ok(moment)
        );
        let items = Template::Expression(Expression::parse("$states.input.orders.id").unwrap());
        assert_eq!(evaluation.items(Some(&items)), Ok(vec![json!(1), json!(2)]));
    });
}

#[track_caller]
fn check_type(outcome: Result<String, StateError>, said: &str) {
    let error = outcome.expect_err(said);
    assert_eq!(error.error, "States.QueryEvaluationError");
    assert!(error.cause.contains(said), "{}", error.cause);
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_came() {
    with_evaluation(|evaluation| {
        let integer = |source| {
            evaluation
                .integer("MaxConcurrency", &expression(source))
                .map(|value| value.to_string())
        };
        check_type(
            integer("'5'"),
            "Expected 'non-negative integer', but was 'string' for value: \"5\"",
        );
        check_type(integer("-1"), "but was 'number' for value: -1");
        check_type(integer("1.5"), "for value: 1.5");
        for source in ["0", "100000000", "1.5"] {
            let source = expression(source);
            let seconds = evaluation.seconds("TimeoutSeconds", &source, 1);
            check_type(
                seconds.map(|value| value.to_string()),
                "Expected 'integer from 1 to 99999999', but was 'number'",
            );
        }
        let boolean = |source| {
            evaluation
                .boolean("Choices/0/Condition", &expression(source))
                .map(|value| value.to_string())
        };
        check_type(
            boolean("$states.input.count"),
            "'Choices/0/Condition' returned an unexpected result type. Expected 'boolean'",
        );
        check_type(boolean("'true'"), "but was 'string'");
        check_type(
            evaluation.string("Error", &expression("null")),
            "but was 'null'",
        );
        let timestamp = |source: &str| {
            evaluation
                .timestamp("Timestamp", &expression(source))
                .map(|value| value.to_string())
        };
        for text in [
            "tomorrow",
            "2030-02-01t00:00:00Z",
            "2030-02-01T00:00:00z",
            "2030-02-01 00:00:00Z",
        ] {
            check_type(
                timestamp(&format!("'{text}'")),
                &format!("date-time format string: {text}"),
            );
        }
        check_type(timestamp("$millis()"), "but was 'number'");
        let items = |template: Option<&Template>| {
            evaluation.items(template).map(|value| format!("{value:?}"))
        };
        let object = Template::Expression(Expression::parse("$states.input.customer").unwrap());
        check_type(items(Some(&object)), "Expected 'array', but was 'object'");
        check_type(items(None), "Map state input must be an array but was: {");
        check_type(
            evaluation
                .percentage("P", &expression("101"))
                .map(|value| value.to_string()),
            "from 0 to 100",
        );
    });
}

/// Each of them would take gigabytes, or years.
#[test]
fn an_expression_builds_no_more_than_some_megabytes() {
    for source in [
        "$length($pad('x', 1000000000))",
        "$length('x' ~> $pad(-1000000000, 'ab'))",
        "$length($reduce([1..40], function($text, $n) { $text & $text }, 'x'))",
        "$length($join([1..1000000].$pad('x', 1000)))",
        "$count([1..10000].$pad('x', 100000))",
        "$length($replace($pad('', 1000000, 'a'), 'a', $pad('', 1000000)))",
        "$length($replace($pad('', 1000000, 'a'), /a/, $pad('', 1000000)))",
        "$length($string($reduce([1..60], function($list, $n) { [[$list, $list]] }, [1])))",
        "$length('' & $reduce([1..60], function($list, $n) { [[$list, $list]] }, [1]))",
        "$reduce([1..60], function($list, $n) { [[$list, $list]] }, [1])",
        "$count([1..1000].[[1..1000000]])",
    ] {
        with_evaluation(|evaluation| {
            let expression = Expression::parse(source).unwrap();
            let error = evaluation.expression("Output", &expression).unwrap_err();
            let words = [
                "the expression builds more than",
                "too large for a state",
                "D2015",
            ];
            assert!(
                words.iter().any(|words| error.cause.contains(words)),
                "{source}: {error}"
            );
        });
    }
}

#[test]
fn what_is_bounded_gives_what_it_gave() {
    for (source, expected) in [
        ("$pad('x', 3) & $pad('y', -3, '#')", json!("x  ##y")),
        ("'x' ~> $pad(3) ~> $uppercase()", json!("X  ")),
        ("['a', 'b'].($ & '-' & $string(1))", json!(["a-1", "b-1"])),
        (
            "$join($map([1, 2], function($n) { 'n' & $n }), ', ')",
            json!("n1, n2"),
        ),
        ("$replace('a.b.c', '.', '-', 1)", json!("a-b.c")),
        (
            "$replace('abc', /b/, function($m) { $m.match & '!' })",
            json!("ab!c"),
        ),
        ("{'a': [1]} & [] & null", json!("{\"a\":[1]}[]null")),
        ("[$count([1..3])..5]", json!([3, 4, 5])),
        ("[1..3].[1..$]", json!([[1], [1, 2], [1, 2, 3]])),
        ("$map(['a'], $pad(?, 3))", json!("a  ")),
        ("('a').$pad(3)", json!("a  ")),
        ("($nothing & 'a') & $string($nothing)", json!("a")),
    ] {
        with_evaluation(|evaluation| {
            let expression = Expression::parse(source).unwrap();
            assert_eq!(
                evaluation.expression("Output", &expression),
                Ok(expected),
                "{source}"
            );
        });
    }
}
