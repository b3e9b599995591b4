//! Parallel and Map.

use aws_sdk_sfn::types::ExecutionStatus::{Failed, Succeeded};
use serde_json::{Value, json};

use crate::support::{Cloud, invoke, machine};

fn flow(states: &Value) -> Value {
    let start_at = states.as_object().unwrap().keys().next().unwrap();
    json!({"StartAt": start_at, "States": states})
}

#[tokio::test(start_paused = true)]
async fn branches_run_side_by_side() {
    let cloud = Cloud::start().await;
    let branch = |name: &str, seconds: u64| {
        flow(&json!({name: invoke("slow", &json!({"seconds": seconds}), &json!({}))}))
    };
    let states = json!({"Both": {
        "Type": "Parallel", "Branches": [branch("A", 9), branch("B", 4)], "End": true,
    }});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.output, Some(json!([{"seconds": 9}, {"seconds": 4}])));
    assert_eq!(ended.seconds(), 9);
    assert_eq!(
        ended.links(),
        [
            ("ExecutionStarted", 0),
            ("ParallelStateEntered", 0),
            ("ParallelStateStarted", 2),
            ("TaskStateEntered", 3),
            ("TaskStateEntered", 3),
            ("TaskScheduled", 4),
            ("TaskStarted", 6),
            ("TaskScheduled", 5),
            ("TaskStarted", 8),
            ("TaskSucceeded", 9),
            ("TaskStateExited", 10),
            ("TaskSucceeded", 7),
            ("TaskStateExited", 12),
            ("ParallelStateSucceeded", 13),
            ("ParallelStateExited", 13),
            ("ExecutionSucceeded", 15),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_branch_stops_the_others() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Both": {
            "Type": "Parallel",
            "Branches": [
                flow(&json!({"Stays": invoke("never", &json!({}), &json!({}))})),
                flow(&json!({"Sleeps": {"Type": "Wait", "Seconds": 500, "End": true}})),
                flow(&json!({"Fails": invoke("fail", &json!({"error": "Gone"}), &json!({}))})),
            ],
            "Catch": [{"ErrorEquals": ["Gone"], "Output": "caught", "Next": "On"}],
            "Next": "On",
        },
        "On": {"Type": "Succeed"},
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (ended.output.clone(), ended.seconds()),
        (Some(json!("caught")), 0)
    );
    let failed = ended
        .types()
        .iter()
        .position(|name| *name == "TaskFailed")
        .unwrap();
    let failed_id = i64::try_from(failed).unwrap() + 1;
    assert_eq!(
        ended.links()[failed + 1..],
        [
            ("TaskStateAborted", failed_id),
            ("WaitStateAborted", failed_id),
            // The one that failed: its attempt has, the state is still entered.
            ("TaskStateAborted", failed_id),
            ("ParallelStateFailed", failed_id),
            ("ParallelStateExited", failed_id + 4),
            ("SucceedStateEntered", failed_id + 5),
            ("SucceedStateExited", failed_id + 6),
            ("ExecutionSucceeded", failed_id + 7),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_parallel_is_retried_as_a_whole() {
    let cloud = Cloud::start().await;
    let fails = flow(&json!({"Fails": {"Type": "Fail", "Error": "Sad", "Cause": "really"}}));
    let retry = json!([{"ErrorEquals": ["Sad"], "MaxAttempts": 1, "IntervalSeconds": 3}]);
    let states =
        json!({"Both": {"Type": "Parallel", "Branches": [fails], "Retry": retry, "End": true}});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (
            ended.status.clone(),
            ended.error.as_deref(),
            ended.seconds()
        ),
        (Failed, Some("Sad"), 3)
    );
    assert_eq!(
        ended.links()[1..],
        [
            ("ParallelStateEntered", 0),
            ("ParallelStateStarted", 2),
            ("FailStateEntered", 3),
            ("ParallelStateStarted", 4),
            ("FailStateEntered", 5),
            ("ParallelStateFailed", 6),
            ("ExecutionFailed", 7),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_runs_one_after_the_other_when_told() {
    let cloud = Cloud::start().await;
    let states = json!({"Each": {
        "Type": "Map",
        "Items": "{% $states.input.words %}",
        "ItemSelector": {"n": "{% $states.context.Map.Item.Index %}", "word": "{% $states.context.Map.Item.Value %}"},
        "MaxConcurrency": 1,
        "ItemProcessor": flow(&json!({
            "Join": {"Type": "Pass", "Output": "{% $states.input.word & $string($states.input.n) %}", "End": true},
        })),
        "End": true,
    }});
    let ended = cloud
        .run(&machine(&states), &json!({"words": ["a", "b"]}))
        .await;
    assert_eq!(ended.output, Some(json!(["a0", "b1"])), "{:?}", ended.cause);
    assert_eq!(
        ended.links()[1..],
        [
            ("MapStateEntered", 0),
            ("MapStateStarted", 2),
            ("MapIterationStarted", 3),
            ("PassStateEntered", 4),
            ("PassStateExited", 5),
            ("MapIterationSucceeded", 6),
            ("MapIterationStarted", 6),
            ("PassStateEntered", 8),
            ("PassStateExited", 9),
            ("MapIterationSucceeded", 10),
            ("MapStateSucceeded", 10),
            ("MapStateExited", 10),
            ("ExecutionSucceeded", 13),
        ]
    );
    assert_eq!(
        ended.events[2]
            .map_state_started_event_details()
            .unwrap()
            .length(),
        2
    );
    let iteration = ended.events[7]
        .map_iteration_started_event_details()
        .unwrap();
    assert_eq!((iteration.name(), iteration.index()), (Some("Each"), 1));
}

#[tokio::test(start_paused = true)]
async fn a_map_announces_what_runs_side_by_side_first() {
    let cloud = Cloud::start().await;
    let states = json!({"Each": {
        "Type": "Map",
        "ItemProcessor": flow(&json!({
            "Sleep": invoke("slow", &json!({"seconds": "{% $states.input %}"}), &json!({})),
        })),
        "End": true,
    }});
    let ended = cloud.run(&machine(&states), &json!([7, 3, 5])).await;
    assert_eq!(
        ended.output,
        Some(json!([{"seconds": 7}, {"seconds": 3}, {"seconds": 5}]))
    );
    assert_eq!(ended.seconds(), 7);
    assert_eq!(
        ended.links()[3..8],
        [
            ("MapIterationStarted", 3),
            ("MapIterationStarted", 3),
            ("MapIterationStarted", 3),
            ("TaskStateEntered", 4),
            ("TaskStateEntered", 5),
        ]
    );
    let empty = cloud.run(&machine(&states), &json!([])).await;
    assert_eq!(empty.output, Some(json!([])));
    let wrong = cloud
        .run(&machine(&states), &json!({"not": "an array"}))
        .await;
    assert_eq!(wrong.error.as_deref(), Some("States.QueryEvaluationError"));
    assert_eq!(
        wrong.links()[1..],
        [
            ("MapStateEntered", 0),
            ("EvaluationFailed", 0),
            ("MapStateFailed", 3),
            ("ExecutionFailed", 4)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_iteration_stops_the_map_unless_tolerated() {
    let cloud = Cloud::start().await;
    let map = |tolerated: u64| {
        machine(&json!({"Each": {
            "Type": "Map",
            "ToleratedFailureCount": tolerated,
            "ItemProcessor": flow(&json!({
                "Odd?": {
                    "Type": "Choice",
                    "Choices": [{"Condition": "{% $states.input = 2 %}", "Next": "Bad"}],
                    "Default": "Sleep",
                },
                "Bad": {"Type": "Fail", "Error": "Two", "Cause": "is bad"},
                "Sleep": {"Type": "Wait", "Seconds": 9, "End": true},
            })),
            "End": true,
        }}))
    };
    let ended = cloud.run(&map(0), &json!([1, 2, 3])).await;
    assert_eq!(
        (ended.status.clone(), ended.error.as_deref()),
        (Failed, Some("Two"))
    );
    let at = ended
        .types()
        .iter()
        .position(|name| *name == "MapIterationFailed")
        .unwrap();
    let bad = ended.links()[at].1;
    assert_eq!(
        ended.links()[at..],
        [
            ("MapIterationFailed", bad),
            ("MapIterationAborted", bad),
            ("WaitStateAborted", bad),
            ("MapIterationAborted", bad),
            ("WaitStateAborted", bad),
            ("MapStateFailed", bad),
            ("ExecutionFailed", i64::try_from(at).unwrap() + 6),
        ]
    );
    let ended = cloud.run(&map(1), &json!([1, 2, 3])).await;
    assert_eq!(
        ended.output,
        Some(json!([1, {"Error": "Two", "Cause": "is bad"}, 3]))
    );
    let ended = cloud.run(&map(1), &json!([2, 2, 3])).await;
    assert_eq!(
        ended.error.as_deref(),
        Some("States.ExceedToleratedFailureThreshold")
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_selected_stops_those_before_it() {
    let cloud = Cloud::start().await;
    let value = "$states.context.Map.Item.Value";
    let states = json!({
        "Each": {
            "Type": "Map",
            "ItemSelector": {"n": format!("{{% {value} = 2 ? $error('no two') : {value} %}}")},
            "ItemProcessor": flow(&json!({"Nap": {"Type": "Wait", "Seconds": 5, "End": true}})),
            "Catch": [{
                "ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "On",
            }],
            "End": true,
        },
        "On": {"Type": "Wait", "Seconds": 20, "End": true},
    });
    let ended = cloud.run(&machine(&states), &json!([1, 2, 3])).await;
    assert_eq!(
        (ended.output.clone(), ended.seconds()),
        (Some(json!("caught")), 20),
        "{:?}",
        ended.cause
    );
    assert_eq!(
        ended.types()[6..],
        [
            "WaitStateEntered",
            "MapIterationAborted",
            "WaitStateAborted",
            "EvaluationFailed",
            "MapStateFailed",
            "MapStateExited",
            "WaitStateEntered",
            "WaitStateExited",
            "ExecutionSucceeded",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_inside_a_parallel_inside_a_map_comes_together() {
    let cloud = Cloud::start().await;
    let inner = json!({"Inner": {
        "Type": "Map",
        "Items": "{% $range(1, $states.input, 1) %}",
        "ItemProcessor": flow(&json!({"Ask": invoke("echo", &json!({"n": "{% $states.input * $factor %}"}), &json!({}))})),
        "Output": "{% $sum($states.result.n) %}",
        "End": true,
    }});
    let states = json!({
        "Set": {"Type": "Pass", "Assign": {"factor": 10}, "Next": "Outer"},
        "Outer": {
            "Type": "Map",
            "ItemProcessor": flow(&json!({"Split": {
                "Type": "Parallel",
                "Branches": [flow(&inner), flow(&json!({"Plain": {"Type": "Pass", "End": true}}))],
                "End": true,
            }})),
            "End": true,
        },
    });
    let ended = cloud.run(&machine(&states), &json!([2, 3])).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(ended.output, Some(json!([[30, 2], [60, 3]])));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_iterations_keep_to_their_concurrency() {
    let cloud = Cloud::start().await;
    let states = json!({"Each": {
        "Type": "Map",
        "MaxConcurrency": 20,
        "Items": "{% $range(1, 1000, 1) %}",
        "ItemProcessor": flow(&json!({"Ask": invoke("slow", &json!({"seconds": 1}), &json!({}))})),
        "Output": "{% $count($states.result) %}",
        "End": true,
    }});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.output, Some(json!(1_000)), "{:?}", ended.cause);
    assert_eq!(ended.seconds(), 50);
    let mut running = 0_i32;
    for name in ended.types() {
        match name {
            "MapIterationStarted" => running += 1,
            "MapIterationSucceeded" => running -= 1,
            _ => {}
        }
        assert!(running <= 20);
    }
}
