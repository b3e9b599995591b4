//! What each state does, and what the history says of it.

use aws_sdk_sfn::types::ExecutionStatus::{Failed, Succeeded};
use serde_json::{Value, json};

use crate::support::{Cloud, invoke, machine};

#[track_caller]
fn check(
    states: &Value,
    input: &Value,
    expected: &Value,
    events: &[(&str, i64)],
) -> impl Future<Output = ()> {
    let (states, input, expected) = (states.clone(), input.clone(), expected.clone());
    let events: Vec<(String, i64)> = events
        .iter()
        .map(|(name, previous)| ((*name).to_owned(), *previous))
        .collect();
    async move {
        let cloud = Cloud::start().await;
        let ended = cloud.run(&machine(&states), &input).await;
        assert_eq!(
            ended.status, Succeeded,
            "{:?} {:?}",
            ended.error, ended.cause
        );
        assert_eq!(ended.output, Some(expected));
        let links: Vec<(String, i64)> = ended
            .links()
            .into_iter()
            .map(|(name, id)| (name.to_owned(), id))
            .collect();
        assert_eq!(links, events);
        cloud.engine.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn pass_task_and_choice_run_to_the_end() {
    check(
        &json!({
            "Prepare": {"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}"}, "Next": "Ask"},
            "Ask": invoke("echo", &json!({"doubled": "{% $states.input.n * 2 %}"}), &json!({"Next": "Large?"})),
            "Large?": {
                "Type": "Choice",
                "Choices": [{"Condition": "{% $states.input.doubled > 5 %}", "Next": "Large"}],
                "Default": "Small",
            },
            "Large": {"Type": "Succeed", "Output": "large"},
            "Small": {"Type": "Succeed", "Output": "small"},
        }),
        &json!({"n": 2}),
        &json!("large"),
        &[
            ("ExecutionStarted", 0),
            ("PassStateEntered", 0),
            ("PassStateExited", 2),
            ("TaskStateEntered", 3),
            ("TaskScheduled", 4),
            ("TaskStarted", 5),
            ("TaskSucceeded", 6),
            ("TaskStateExited", 7),
            ("ChoiceStateEntered", 8),
            ("ChoiceStateExited", 9),
            ("SucceedStateEntered", 10),
            ("SucceedStateExited", 11),
            ("ExecutionSucceeded", 12),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_function_by_its_arn_has_events_of_its_own() {
    check(
        &json!({"Call": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:000000000000:function:echo",
            "End": true,
        }}),
        &json!({"hello": "you"}),
        &json!({"hello": "you"}),
        &[
            ("ExecutionStarted", 0),
            ("TaskStateEntered", 0),
            ("LambdaFunctionScheduled", 2),
            ("LambdaFunctionStarted", 3),
            ("LambdaFunctionSucceeded", 4),
            ("TaskStateExited", 5),
            ("ExecutionSucceeded", 6),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_details_of_a_task_are_what_aws_writes() {
    let cloud = Cloud::start().await;
    let states = json!({"Ask": {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "echo", "Payload": {"a": 1}},
        "TimeoutSeconds": 20,
        "HeartbeatSeconds": 10,
        "Assign": {"seen": "{% $states.result.Payload.a %}"},
        "End": true,
    }});
    let ended = cloud.run(&machine(&states), &json!({"in": 1})).await;
    let [
        started,
        entered,
        scheduled,
        task_started,
        succeeded,
        exited,
        _,
    ] = &ended.events[..]
    else {
        panic!("{:?}", ended.types());
    };
    let details = started.execution_started_event_details().unwrap();
    assert_eq!(details.input(), Some(r#"{"in":1}"#));
    assert_eq!(details.role_arn(), Some("arn:aws:iam::1:role/r"));
    let details = entered.state_entered_event_details().unwrap();
    assert_eq!(
        (details.name(), details.input()),
        ("Ask", Some(r#"{"in":1}"#))
    );
    assert!(!details.input_details().unwrap().truncated());
    let details = scheduled.task_scheduled_event_details().unwrap();
    assert_eq!(
        (details.resource_type(), details.resource()),
        ("lambda", "invoke")
    );
    assert_eq!(details.region(), "us-east-1");
    assert_eq!(
        details.parameters(),
        r#"{"FunctionName":"echo","Payload":{"a":1}}"#
    );
    assert_eq!(details.timeout_in_seconds(), Some(20));
    assert_eq!(details.heartbeat_in_seconds(), Some(10));
    let details = task_started.task_started_event_details().unwrap();
    assert_eq!(
        (details.resource_type(), details.resource()),
        ("lambda", "invoke")
    );
    let details = succeeded.task_succeeded_event_details().unwrap();
    let output: Value = serde_json::from_str(details.output().unwrap()).unwrap();
    assert_eq!(output["Payload"], json!({"a": 1}));
    assert_eq!(output["StatusCode"], 200);
    assert_eq!(output["ExecutedVersion"], "$LATEST");
    assert!(!details.output_details().unwrap().truncated());
    let details = exited.state_exited_event_details().unwrap();
    assert_eq!(details.assigned_variables().unwrap()["seen"], "1");
    assert_eq!(
        details.output(),
        succeeded.task_succeeded_event_details().unwrap().output()
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_its_seconds() {
    let cloud = Cloud::start().await;
    for (wait, seconds) in [
        (json!({"Seconds": "{% $states.input.wait %}"}), 90),
        (json!({"Seconds": 0}), 0),
        (
            json!({"Timestamp": "{% $fromMillis($toMillis($states.context.Execution.StartTime) + 5000) %}"}),
            5,
        ),
        (json!({"Timestamp": "2001-01-01T00:00:00Z"}), 0),
    ] {
        let mut state = json!({"Type": "Wait", "End": true});
        state
            .as_object_mut()
            .unwrap()
            .extend(wait.as_object().unwrap().clone());
        let ended = cloud
            .run(&machine(&json!({"W": state})), &json!({"wait": 90}))
            .await;
        assert_eq!(ended.status, Succeeded, "{wait} {:?}", ended.cause);
        assert_eq!(ended.seconds(), seconds, "{wait}");
        assert_eq!(
            ended.types(),
            [
                "ExecutionStarted",
                "WaitStateEntered",
                "WaitStateExited",
                "ExecutionSucceeded"
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn variables_are_seen_by_later_states_and_inner_scopes_only() {
    check(
        &json!({
            "Set": {"Type": "Pass", "Assign": {"who": "Ada", "n": "{% $states.input.n %}"}, "Next": "Both"},
            "Both": {
                "Type": "Parallel",
                "Branches": [{
                    "StartAt": "Inner",
                    "States": {
                        "Inner": {"Type": "Pass", "Assign": {"mine": "{% $n + 1 %}"}, "Next": "Tell"},
                        "Tell": {"Type": "Pass", "Output": "{% $who & ' ' & $string($mine) %}", "End": true},
                    },
                }],
                "Assign": {"who": "{% $states.result[0] %}"},
                "Next": "Say",
            },
            "Say": {"Type": "Pass", "Output": "{% $who %}", "End": true},
        }),
        &json!({"n": 1}),
        &json!("Ada 2"),
        &[
            ("ExecutionStarted", 0),
            ("PassStateEntered", 0),
            ("PassStateExited", 2),
            ("ParallelStateEntered", 3),
            ("ParallelStateStarted", 4),
            ("PassStateEntered", 5),
            ("PassStateExited", 6),
            ("PassStateEntered", 7),
            ("PassStateExited", 8),
            ("ParallelStateSucceeded", 9),
            ("ParallelStateExited", 9),
            ("PassStateEntered", 11),
            ("PassStateExited", 12),
            ("ExecutionSucceeded", 13),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_context_object_tells_who_runs() {
    let cloud = Cloud::start().await;
    let states = json!({"Tell": {"Type": "Pass", "Output": "{% $states.context %}", "End": true}});
    let ended = cloud.run(&machine(&states), &json!({"x": 1})).await;
    let context = ended.output.unwrap();
    let name = ended.arn.rsplit(':').next().unwrap();
    assert_eq!(context["Execution"]["Id"], ended.arn);
    assert_eq!(context["Execution"]["Name"], name);
    assert_eq!(context["Execution"]["Input"], json!({"x": 1}));
    assert_eq!(
        context["Execution"]["StartTime"],
        "2023-11-14T22:13:20.000Z"
    );
    assert_eq!(context["State"]["Name"], "Tell");
    assert_eq!(context["State"]["RetryCount"], Value::Null);
    let machine_name = context["StateMachine"]["Name"].as_str().unwrap();
    assert!(ended.arn.contains(machine_name));
    let machine_id = context["StateMachine"]["Id"].as_str().unwrap();
    assert!(machine_id.ends_with(&format!(":stateMachine:{machine_name}")));
}

#[tokio::test(start_paused = true)]
async fn fail_and_unmatched_choices_end_the_run() {
    let cloud = Cloud::start().await;
    for (state, error, cause, last) in [
        (
            json!({"Type": "Fail", "Error": "{% 'No' & 'Good' %}", "Cause": "told so"}),
            "NoGood",
            "told so",
            vec!["FailStateEntered", "ExecutionFailed"],
        ),
        (
            json!({"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "Other"}]}),
            "States.NoChoiceMatched",
            "'First'",
            vec!["ChoiceStateEntered", "ExecutionFailed"],
        ),
        (
            json!({"Type": "Pass", "Output": "{% $states.input.missing %}", "Next": "Other"}),
            "States.QueryEvaluationError",
            "'First'",
            vec!["PassStateEntered", "EvaluationFailed", "ExecutionFailed"],
        ),
    ] {
        let states = json!({"First": state, "Other": {"Type": "Succeed"}});
        let mut states = states;
        if state["Type"] == "Fail" {
            states.as_object_mut().unwrap().remove("Other");
        }
        let ended = cloud.run(&machine(&states), &json!({})).await;
        assert_eq!(ended.status, Failed);
        assert_eq!(ended.error.as_deref(), Some(error));
        assert!(
            ended.cause.as_deref().unwrap().contains(cause),
            "{:?}",
            ended.cause
        );
        assert_eq!(ended.types()[1..], last);
    }
    let states = json!({"First": {"Type": "Pass", "Output": {"a": "{% $states.input.missing %}"}, "End": true}});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    let details = ended.events[2].evaluation_failed_event_details().unwrap();
    assert_eq!(details.location(), Some("Output/a"));
    assert_eq!(details.state(), "First");
    assert_eq!(
        ended.links()[1..],
        [
            ("PassStateEntered", 0),
            ("EvaluationFailed", 0),
            ("ExecutionFailed", 3)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_invocation_is_not_waited_for() {
    let cloud = Cloud::start().await;
    for (arguments, status, output, error) in [
        (
            json!({"FunctionName": "never", "InvocationType": "Event"}),
            Succeeded,
            Some(json!(202)),
            None,
        ),
        (
            json!({"FunctionName": "echo", "InvocationType": "DryRun"}),
            Failed,
            None,
            Some("States.Runtime"),
        ),
        (
            json!({"FunctionName": "{% 7 %}"}),
            Failed,
            None,
            Some("States.Runtime"),
        ),
    ] {
        let mut state = invoke(
            "",
            &json!({}),
            &json!({"Output": "{% $states.result.StatusCode %}"}),
        );
        state["Arguments"] = arguments;
        let ended = cloud
            .run(&machine(&json!({"Ask": state})), &json!({}))
            .await;
        assert_eq!(ended.status, status, "{:?}", ended.cause);
        assert_eq!((ended.output, ended.error.as_deref()), (output, error));
    }
}
