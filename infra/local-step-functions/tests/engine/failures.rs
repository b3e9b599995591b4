//! Retry, Catch, timeouts: what happens when a task does not succeed.

use aws_sdk_sfn::types::ExecutionStatus::{Aborted, Failed, Succeeded, TimedOut};
use serde_json::{Value, json};

use crate::support::{Cloud, invoke, machine};

const ATTEMPT: [&str; 3] = ["TaskScheduled", "TaskStarted", "TaskFailed"];

#[tokio::test(start_paused = true)]
async fn a_retry_waits_longer_each_time() {
    let cloud = Cloud::start().await;
    let retry = json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 3}]);
    let payload = json!({"key": "a", "failures": 3, "error": "Busy"});
    let states = json!({"Ask": invoke("flaky", &payload, &json!({"Retry": retry}))});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.status, Succeeded);
    assert_eq!(ended.output, Some(json!({"calls": 4})));
    assert_eq!(ended.seconds(), 2 + 6 + 18);
    let mut expected = vec!["ExecutionStarted", "TaskStateEntered"];
    expected.extend([ATTEMPT, ATTEMPT, ATTEMPT].as_flattened());
    expected.extend([
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]);
    assert_eq!(ended.types(), expected);
    let links: Vec<i64> = ended
        .links()
        .into_iter()
        .map(|(_, previous)| previous)
        .collect();
    assert_eq!(
        links[1..],
        (0..1)
            .chain(2..i64::try_from(links.len()).unwrap())
            .collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn retries_end_and_the_last_error_stays() {
    let cloud = Cloud::start().await;
    let retry = json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1, "JitterStrategy": "FULL"}]);
    let payload = json!({"error": "Gone", "message": "for good"});
    let states = json!({"Ask": invoke("fail", &payload, &json!({"Retry": retry}))});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (ended.status.clone(), ended.error.as_deref()),
        (Failed, Some("Gone"))
    );
    let cause: Value = serde_json::from_str(ended.cause.as_deref().unwrap()).unwrap();
    assert_eq!(
        cause,
        json!({"errorType": "Gone", "errorMessage": "for good"})
    );
    assert_eq!(
        ended
            .types()
            .iter()
            .filter(|name| **name == "TaskFailed")
            .count(),
        2
    );
    let failed = ended
        .events
        .last()
        .unwrap()
        .execution_failed_event_details()
        .unwrap();
    assert_eq!(
        (failed.error(), failed.cause()),
        (Some("Gone"), ended.cause.as_deref())
    );
}

#[tokio::test(start_paused = true)]
async fn a_catch_goes_on_with_the_error() {
    let cloud = Cloud::start().await;
    let catch = json!([
        {"ErrorEquals": ["Other"], "Next": "Wrong"},
        {
            "ErrorEquals": ["States.TaskFailed"],
            "Assign": {"what": "{% $states.errorOutput.Error %}"},
            "Output": {"input": "{% $states.input %}"},
            "Next": "Right",
        },
    ]);
    let states = json!({
        "Ask": invoke("fail", &json!({"error": "Gone"}), &json!({"Catch": catch})),
        "Wrong": {"Type": "Fail"},
        "Right": {"Type": "Pass", "Output": "{% $merge([$states.input, {'what': $what}]) %}", "End": true},
    });
    let ended = cloud.run(&machine(&states), &json!({"a": 1})).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(
        ended.output,
        Some(json!({"input": {"a": 1}, "what": "Gone"}))
    );
    assert_eq!(
        ended.links()[2..],
        [
            ("TaskScheduled", 2),
            ("TaskStarted", 3),
            ("TaskFailed", 4),
            ("TaskStateExited", 5),
            ("PassStateEntered", 6),
            ("PassStateExited", 7),
            ("ExecutionSucceeded", 8),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_output_a_catcher_gives_the_error_on() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Ask": invoke("never", &json!({}), &json!({
            "TimeoutSeconds": 5,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
        })),
        "Late": {"Type": "Succeed"},
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        ended.output,
        Some(json!({"Error": "States.Timeout", "Cause": ""}))
    );
    assert_eq!(ended.seconds(), 5);
    let timed_out = ended.events[4].task_timed_out_event_details().unwrap();
    assert_eq!(
        (timed_out.resource_type(), timed_out.error()),
        ("lambda", Some("States.Timeout"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_missed_heartbeat_can_be_told_from_a_timeout() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Ask": invoke("never", &json!({}), &json!({
            "TimeoutSeconds": 60,
            "HeartbeatSeconds": 7,
            "Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "Output": "silent", "Next": "Late"}],
        })),
        "Late": {"Type": "Succeed"},
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (ended.output.clone(), ended.seconds()),
        (Some(json!("silent")), 7)
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_result_changes_nothing() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Ask": invoke("slow", &json!({"seconds": 30}), &json!({
            "TimeoutSeconds": 5,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Output": "late", "Next": "Stay"}],
        })),
        "Stay": {"Type": "Wait", "Seconds": 60, "End": true},
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (ended.output.clone(), ended.seconds()),
        (Some(json!("late")), 65)
    );
    assert!(!ended.types().contains(&"TaskSucceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_function_that_panics_or_is_unknown_fails_its_task_only() {
    let cloud = Cloud::start().await;
    for (function, error, cause) in [
        (
            "panics",
            "Lambda.Unknown",
            "the function panics panicked: no way out",
        ),
        (
            "nobody",
            "Lambda.ResourceNotFoundException",
            "--lambda-endpoint",
        ),
    ] {
        let states = json!({"Ask": invoke(function, &json!({}), &json!({}))});
        let ended = cloud.run(&machine(&states), &json!({})).await;
        assert_eq!(ended.error.as_deref(), Some(error));
        assert!(
            ended.cause.as_deref().unwrap().contains(cause),
            "{:?}",
            ended.cause
        );
    }
    let states = json!({"Ask": invoke("echo", &json!(1), &json!({}))});
    assert_eq!(
        cloud.run(&machine(&states), &json!({})).await.status,
        Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_has_a_time_limit_too() {
    let cloud = Cloud::start().await;
    let mut definition = machine(&json!({"Sleep": {"Type": "Wait", "Seconds": 100, "End": true}}));
    definition["TimeoutSeconds"] = json!(12);
    let ended = cloud.run(&definition, &json!({})).await;
    assert_eq!((ended.status.clone(), ended.seconds()), (TimedOut, 12));
    assert_eq!(
        ended.types(),
        ["ExecutionStarted", "WaitStateEntered", "ExecutionTimedOut"]
    );
}

#[tokio::test(start_paused = true)]
async fn stopping_aborts_and_stays() {
    let cloud = Cloud::start().await;
    let definition = machine(&json!({"Ask": invoke("never", &json!({}), &json!({}))}));
    let machine = cloud.create("stopped", &definition).await;
    let arn = cloud.begin(&machine, &json!({})).await;
    let stop = cloud
        .client
        .stop_execution()
        .execution_arn(&arn)
        .error("Enough")
        .cause("of it");
    let first = stop.clone().send().await.unwrap();
    let again = stop.send().await.unwrap();
    assert_eq!(first.stop_date(), again.stop_date());
    let ended = cloud.ended(&arn).await;
    assert_eq!(
        (ended.status.clone(), ended.error.as_deref()),
        (Aborted, Some("Enough"))
    );
    assert_eq!(ended.links()[4..], [("ExecutionAborted", 0)]);
    let details = ended.events[4].execution_aborted_event_details().unwrap();
    assert_eq!(
        (details.error(), details.cause()),
        (Some("Enough"), Some("of it"))
    );
}
