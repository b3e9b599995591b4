//! Executions that ended badly and are redriven.

use aws_sdk_sfn::types::ExecutionStatus::{Aborted, Failed, Running, Succeeded, TimedOut};
use aws_sdk_sfn::types::{ExecutionRedriveFilter, ExecutionRedriveStatus};
use serde_json::{Value, json};

use crate::support::{Cloud, Ended, crashed, functions, invoke, machine};

const DAY: u64 = 24 * 60 * 60;

fn flow(states: &Value) -> Value {
    let start_at = states.as_object().unwrap().keys().next().unwrap();
    json!({"StartAt": start_at, "States": states})
}

/// A task that fails so often before it answers.
fn flaky(key: &str, failures: u64, fields: &Value) -> Value {
    let payload = json!({"key": key, "failures": failures, "error": "Busy"});
    invoke("flaky", &payload, fields)
}

impl Cloud {
    async fn redrive(&self, arn: &str) -> Ended {
        let redrive = self.client.redrive_execution().execution_arn(arn);
        redrive
            .send()
            .await
            .unwrap_or_else(|error| panic!("{:?}", error.into_service_error()));
        self.ended(arn).await
    }

    async fn refused(&self, arn: &str) -> String {
        let redrive = self.client.redrive_execution().execution_arn(arn);
        let refused = redrive.send().await.unwrap_err().into_service_error();
        assert!(refused.is_execution_not_redrivable(), "{refused:?}");
        refused.meta().message().unwrap().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_goes_on_from_the_state_that_failed() {
    let cloud = Cloud::start().await;
    let states = json!({
        "Set": {"Type": "Pass", "Assign": {"who": "Ada"}, "Output": {"n": 1}, "Next": "Ask"},
        "Ask": flaky("a", 1, &json!({
            "Output": {
                "who": "{% $who %}",
                "input": "{% $states.input %}",
                "count": "{% $states.context.Execution.RedriveCount %}",
                "time": "{% $states.context.Execution.RedriveTime %}",
            },
        })),
    });
    let failed = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (failed.status.clone(), failed.error.as_deref()),
        (Failed, Some("Busy"))
    );
    tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(
        ended.output,
        Some(json!({
            "who": "Ada", "input": {"n": 1}, "count": 1, "time": "2023-11-14T22:14:20.000Z",
        }))
    );
    assert_eq!(
        ended.links()[6..],
        [
            ("TaskFailed", 6),
            ("ExecutionFailed", 7),
            ("ExecutionRedriven", 8),
            ("TaskScheduled", 4),
            ("TaskStarted", 10),
            ("TaskSucceeded", 11),
            ("TaskStateExited", 12),
            ("ExecutionSucceeded", 13),
        ]
    );
    let details = ended.events[8].execution_redriven_event_details().unwrap();
    assert_eq!(details.redrive_count(), Some(1));

    let described = cloud.client.describe_execution().execution_arn(&ended.arn);
    let described = described.send().await.unwrap();
    assert_eq!(described.redrive_count(), Some(1));
    assert_eq!(described.redrive_date().unwrap().secs(), 1_700_000_060);
    assert_eq!(
        (
            described.redrive_status(),
            described.redrive_status_reason()
        ),
        (
            Some(&ExecutionRedriveStatus::NotRedrivable),
            Some("Execution is SUCCEEDED and cannot be redriven")
        )
    );
    assert!(cloud.refused(&ended.arn).await.contains("is SUCCEEDED"));
}

#[tokio::test(start_paused = true)]
async fn retries_begin_anew() {
    let cloud = Cloud::start().await;
    let retry = json!([{"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 2}]);
    let ask = flaky(
        "a",
        5,
        &json!({
            "Retry": retry,
            "Output": "{% $states.context.State.RetryCount %}",
        }),
    );
    let failed = cloud.run(&machine(&json!({"Ask": ask})), &json!({})).await;
    assert_eq!((failed.status.clone(), failed.seconds()), (Failed, 6));
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!((ended.status.clone(), ended.seconds()), (Succeeded, 12));
    assert_eq!(ended.output, Some(json!(2)));
}

#[tokio::test(start_paused = true)]
async fn only_branches_that_failed_or_were_stopped_run_again() {
    let cloud = Cloud::start().await;
    let states = json!({"Both": {
        "Type": "Parallel",
        "Branches": [
            flow(&json!({"Done": invoke("flaky", &json!({"key": "done", "failures": 0}), &json!({}))})),
            flow(&json!({"Fails": invoke("slow", &json!({"seconds": 5}), &json!({"Next": "Ask"})), "Ask": flaky("b", 1, &json!({}))})),
            flow(&json!({"Inner": {
                "Type": "Parallel",
                "Branches": [flow(&json!({"Sleep": {"Type": "Wait", "Seconds": 9, "Output": "slept", "End": true}}))],
                "End": true,
            }})),
        ],
        "End": true,
    }});
    let failed = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!((failed.status.clone(), failed.seconds()), (Failed, 5));
    let before = failed.events.len();
    assert_eq!(
        failed.types()[before - 6..],
        [
            "TaskFailed",
            "TaskStateAborted",
            "ParallelStateAborted",
            "WaitStateAborted",
            "ParallelStateFailed",
            "ExecutionFailed"
        ]
    );
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(
        ended.output,
        Some(json!([{"calls": 1}, {"calls": 2}, ["slept"]]))
    );
    let id_of = |name: &str| {
        let is_it = |event: &&aws_sdk_sfn::types::HistoryEvent| {
            let entered = event.state_entered_event_details();
            entered.is_some_and(|details| details.name() == name)
        };
        ended.events.iter().find(is_it).unwrap().id()
    };
    let last = i64::try_from(ended.events.len()).unwrap();
    assert_eq!(
        ended.links()[before..],
        [
            ("ExecutionRedriven", i64::try_from(before).unwrap()),
            ("TaskScheduled", id_of("Ask")),
            ("TaskStarted", last - 9),
            ("TaskSucceeded", last - 8),
            ("TaskStateExited", last - 7),
            ("WaitStateExited", id_of("Sleep")),
            ("ParallelStateSucceeded", last - 5),
            ("ParallelStateExited", last - 5),
            ("ParallelStateSucceeded", last - 3),
            ("ParallelStateExited", last - 3),
            ("ExecutionSucceeded", last - 1),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn iterations_run_again_within_the_concurrency() {
    let cloud = Cloud::start().await;
    let states = json!({"Each": {
        "Type": "Map",
        "MaxConcurrency": 2,
        "ToleratedFailureCount": 2,
        "ItemProcessor": flow(&json!({
            "Sleep": invoke("slow", &json!({"seconds": 1}), &json!({"Output": "{% $states.input %}", "Next": "Ask"})),
            "Ask": invoke(
                "flaky",
                &json!({
                    "key": "{% $states.input %}",
                    "failures": "{% $states.input in [1, 2, 3, 5] ? 1 : 0 %}",
                }),
                &json!({"Output": "{% $states.result.Payload.calls %}"}),
            ),
        })),
        "End": true,
    }});
    let failed = cloud
        .run(&machine(&states), &json!([0, 1, 2, 3, 4, 5]))
        .await;
    assert_eq!(
        failed.error.as_deref(),
        Some("States.ExceedToleratedFailureThreshold")
    );
    let before = failed.events.len();
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    let output = ended.output.clone().unwrap();
    assert_eq!(
        output.as_array().unwrap()[..4],
        [json!(1), json!(2), json!(2), json!(2)]
    );
    let mut running = 0;
    let mut most = 0;
    for name in &ended.types()[before..] {
        match *name {
            "TaskScheduled" => running += 1,
            "TaskSucceeded" | "TaskFailed" => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    assert_eq!(most, 2);
    // Iterations that had begun do not begin again.
    let begun = |types: &[&str]| {
        types
            .iter()
            .filter(|name| **name == "MapIterationStarted")
            .count()
    };
    assert_eq!(begun(&ended.types()), 6);
}

#[tokio::test(start_paused = true)]
async fn the_execution_s_own_timeout_counts_anew() {
    let cloud = Cloud::start().await;
    let mut definition = machine(
        &json!({"Sleep": {"Type": "Wait", "Seconds": 8, "Next": "Ask"}, "Ask": flaky("t", 1, &json!({"Next": "Again"})), "Again": {"Type": "Wait", "Seconds": 9, "End": true}}),
    );
    definition["TimeoutSeconds"] = json!(10);
    let failed = cloud.run(&definition, &json!({})).await;
    assert_eq!((failed.status.clone(), failed.seconds()), (Failed, 8));
    // The timer of the first run would ring after two seconds.
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!((ended.status.clone(), ended.seconds()), (Succeeded, 17));

    definition["States"]["Again"]["Seconds"] = json!(11);
    let late = cloud.run(&definition, &json!({})).await;
    assert_eq!(late.status, TimedOut);
    let again = cloud.redrive(&late.arn).await;
    assert_eq!((again.status.clone(), again.seconds()), (TimedOut, 20));
    assert_eq!(again.types().last(), Some(&"ExecutionTimedOut"));
}

#[tokio::test(start_paused = true)]
async fn what_was_stopped_goes_on_and_old_tokens_are_void() {
    let cloud = Cloud::start().await;
    let approve = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": "echo", "Payload": "{% $states.context.Task.Token %}"},
        "End": true,
    });
    let name = cloud
        .create("m", &machine(&json!({"Approve": approve})))
        .await;
    let arn = cloud.begin(&name, &json!({})).await;
    cloud.reached(&arn, "TaskSubmitted").await;
    let token = async || {
        let events = cloud.events(&arn).await;
        let mut scheduled = events
            .iter()
            .filter_map(|it| it.task_scheduled_event_details());
        let parameters: Value =
            serde_json::from_str(scheduled.next_back().unwrap().parameters()).unwrap();
        parameters["Payload"].as_str().unwrap().to_owned()
    };
    let old = token().await;
    let stop = cloud.client.stop_execution().execution_arn(&arn);
    stop.send().await.unwrap();
    assert_eq!(cloud.ended(&arn).await.status, Aborted);
    let redrive = cloud.client.redrive_execution().execution_arn(&arn);
    redrive.send().await.unwrap();
    while token().await == old {
        tokio::task::yield_now().await;
    }
    let send = |token: String| {
        let send = cloud.client.send_task_success().task_token(token);
        send.output("1").send()
    };
    assert!(
        send(old)
            .await
            .unwrap_err()
            .into_service_error()
            .is_task_timed_out()
    );
    send(token().await).await.unwrap();
    assert_eq!(cloud.ended(&arn).await.output, Some(json!(1)));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_of_what_was_redriven_with_the_token_is_the_same() {
    let cloud = Cloud::start().await;
    let states = json!({"Sleep": {"Type": "Wait", "Seconds": 7, "Next": "Ask"}, "Ask": flaky("t", 9, &json!({}))});
    let failed = cloud.run(&machine(&states), &json!({})).await;
    let redrive = cloud.client.redrive_execution().execution_arn(&failed.arn);
    let redrive = redrive.client_token("mine");
    let (first, second) = tokio::join!(redrive.clone().send(), redrive.clone().send());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.redrive_date(), second.redrive_date());
    let ended = cloud.ended(&failed.arn).await;
    assert_eq!(ended.status, Failed);
    let third = redrive.clone().send().await.unwrap();
    assert_eq!(first.redrive_date(), third.redrive_date());
    assert_eq!(cloud.events(&failed.arn).await.len(), ended.events.len());
    tokio::time::sleep(std::time::Duration::from_mins(16)).await;
    redrive.send().await.unwrap();
    let again = cloud.ended(&failed.arn).await;
    assert!(again.events.len() > ended.events.len());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_redriven_says_why() {
    let cloud = Cloud::start().await;
    let states = json!({"Sleep": {"Type": "Wait", "Seconds": 7, "End": true}});
    let sleep = cloud.create("sleep", &machine(&states)).await;
    let running = cloud.begin(&sleep, &json!({})).await;
    assert!(
        cloud
            .refused(&running)
            .await
            .contains("Execution is RUNNING")
    );
    let unknown = cloud.client.redrive_execution();
    let unknown = unknown.execution_arn(running.replace("sleep", "nobody"));
    let unknown = unknown.send().await.unwrap_err().into_service_error();
    assert!(unknown.is_execution_does_not_exist(), "{unknown:?}");

    let fail = cloud
        .create("fail", &machine(&json!({"Ask": flaky("x", 9, &json!({}))})))
        .await;
    let old = cloud.begin(&fail, &json!({})).await;
    cloud.ended(&old).await;
    let once = cloud.begin(&fail, &json!({})).await;
    cloud.ended(&once).await;
    cloud.redrive(&once).await;
    for (filter, expected) in [
        (ExecutionRedriveFilter::Redriven, &once),
        (ExecutionRedriveFilter::NotRedriven, &old),
    ] {
        let listed = cloud.client.list_executions().state_machine_arn(&fail);
        let listed = listed.redrive_filter(filter).send().await.unwrap();
        let [only] = listed.executions() else {
            panic!("{listed:?}")
        };
        assert_eq!(only.execution_arn(), expected);
        assert_eq!(only.redrive_count() == Some(1), expected == &once);
        assert_eq!(only.redrive_date().is_some(), expected == &once);
    }
    let described = async |arn: &str| {
        let described = cloud.client.describe_execution().execution_arn(arn);
        described.send().await.unwrap()
    };
    assert_eq!(
        described(&old).await.redrive_status(),
        Some(&ExecutionRedriveStatus::Redrivable)
    );
    tokio::time::sleep(std::time::Duration::from_secs(14 * DAY + 1)).await;
    assert!(
        cloud
            .refused(&old)
            .await
            .contains("Execution redrivable period exceeded")
    );
    assert_eq!(
        described(&old).await.redrive_status_reason(),
        Some("Execution redrivable period exceeded")
    );

    let newer = cloud.begin(&fail, &json!({})).await;
    cloud.ended(&newer).await;
    let delete = cloud.client.delete_state_machine().state_machine_arn(fail);
    delete.send().await.unwrap();
    assert!(
        cloud
            .refused(&newer)
            .await
            .contains("State machine is in DELETING status")
    );
}

#[tokio::test(start_paused = true)]
async fn a_redrive_goes_by_the_definition_of_the_first_run() {
    let cloud = Cloud::start().await;
    let states = |output: &str| machine(&json!({"Ask": flaky("u", 1, &json!({"Output": output}))}));
    let name = cloud.create("m", &states("first")).await;
    let arn = cloud.begin(&name, &json!({})).await;
    assert_eq!(cloud.ended(&arn).await.status, Failed);
    let update = cloud.client.update_state_machine().state_machine_arn(&name);
    let update = update.definition(states("second").to_string());
    update.send().await.unwrap();
    assert_eq!(cloud.redrive(&arn).await.output, Some(json!("first")));
    let new = cloud.begin(&name, &json!({})).await;
    assert_eq!(cloud.ended(&new).await.output, Some(json!("second")));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_failed_with_its_results_uses_them_again_unless_they_are_too_much() {
    let cloud = Cloud::start().await;
    let both = |output: &str, key: &str| {
        let once = flow(
            &json!({"Ask": flaky(key, 0, &json!({"Output": "{% $states.result.Payload.calls %}"}))}),
        );
        machine(&json!({"Both": {
            "Type": "Parallel", "Branches": [once], "Output": output, "End": true,
        }}))
    };
    let output =
        "{% $states.context.Execution.RedriveCount = 0 ? $error('not yet') : $states.result %}";
    let failed = cloud.run(&both(output, "r"), &json!({})).await;
    assert_eq!(failed.error.as_deref(), Some("States.QueryEvaluationError"));
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.output, Some(json!([1])), "{:?}", ended.cause);

    let output =
        "{% $states.context.Execution.RedriveCount = 0 ? $pad('', 300000, 'x') : $states.result %}";
    let failed = cloud.run(&both(output, "l"), &json!({})).await;
    assert_eq!(failed.error.as_deref(), Some("States.DataLimitExceeded"));
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.output, Some(json!([2])), "{:?}", ended.cause);
}

#[tokio::test(start_paused = true)]
async fn a_redrive_survives_crashes_before_and_in_it() {
    let functions = functions();
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open_with(folder, functions.clone()).await;
    let states = json!({"Both": {
        "Type": "Parallel",
        "Branches": [
            flow(&json!({"Set": {"Type": "Pass", "Assign": {"x": 4}, "Next": "Sleep"}, "Sleep": {"Type": "Wait", "Seconds": 30, "Output": "{% $x %}", "End": true}})),
            flow(&json!({"Nap": {"Type": "Wait", "Seconds": 3, "Next": "Ask"}, "Ask": flaky("c", 1, &json!({}))})),
        ],
        "End": true,
    }});
    let failed = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(failed.status, Failed);
    let second = crashed(&cloud, functions.clone()).await;
    let redrive = second.client.redrive_execution().execution_arn(&failed.arn);
    redrive.send().await.unwrap();
    second.reached(&failed.arn, "TaskSucceeded").await;
    let third = crashed(&second, functions).await;
    let described = third.client.describe_execution().execution_arn(&failed.arn);
    let described = described.send().await.unwrap();
    assert_eq!(
        (described.status(), described.redrive_count()),
        (&Running, Some(1))
    );
    let ended = third.ended(&failed.arn).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    assert_eq!(ended.output, Some(json!([4, {"calls": 2}])));
}

#[tokio::test(start_paused = true)]
async fn a_redriven_parent_starts_its_child_again() {
    let cloud = Cloud::start().await;
    let child = cloud
        .create(
            "child",
            &machine(&json!({"Ask": flaky("n", 1, &json!({}))})),
        )
        .await;
    let states = json!({"Go": {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": child},
        "Output": "{% $states.result.Output.calls %}",
        "End": true,
    }});
    let failed = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(failed.error.as_deref(), Some("States.TaskFailed"));
    assert!(
        failed
            .cause
            .unwrap()
            .contains("\"RedriveStatus\":\"REDRIVABLE\"")
    );
    let ended = cloud.redrive(&failed.arn).await;
    assert_eq!(ended.output, Some(json!(2)), "{:?}", ended.cause);
    let listed = cloud.client.list_executions().state_machine_arn(&child);
    assert_eq!(listed.send().await.unwrap().executions().len(), 2);
}

/// The tables as version 1 of them was, with a run that waits and one that had failed.
#[tokio::test(start_paused = true)]
async fn a_folder_of_the_first_version_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("step-functions.db")).unwrap();
    let definition = machine(&json!({"Sleep": {"Type": "Wait", "Seconds": 30, "End": true}}));
    let arn = |name: &str| format!("arn:aws:states:us-east-1:000000000000:execution:m:{name}");
    let started: i64 = 1_700_000_000_000_000_000;
    let until = started + 30_000_000_000;
    database
        .execute_batch(include_str!("version_1.sql"))
        .unwrap();
    database
        .execute(
            "INSERT INTO revisions VALUES (1, 'r-1', 'm', ?1, 'arn:aws:iam::1:role/r', '{}', ?2)",
            rusqlite::params![definition.to_string(), started],
        )
        .unwrap();
    database
        .execute("INSERT INTO machines VALUES ('m', 1, ?1, '{}')", [started])
        .unwrap();
    for (id, name, status, events) in [(1, "waits", "RUNNING", 2), (2, "failed", "FAILED", 2)] {
        database
            .execute(
                "INSERT INTO executions VALUES (?1, ?2, ?3, 'm', 1, ?4, '{}', NULL, NULL, NULL, ?5, ?6, ?7, 1)",
                rusqlite::params![id, arn(name), name, status, started, (status == "FAILED").then_some(started), events],
            )
            .unwrap();
        for (event, event_type) in [(1, "ExecutionStarted"), (2, "WaitStateEntered")] {
            let details = match event {
                1 => json!({"input": "{}", "roleArn": "arn:aws:iam::1:role/r"}),
                _ => json!({"name": "Sleep", "input": "{}"}),
            };
            database
                .execute(
                    "INSERT INTO events VALUES (?1, ?2, 0, ?3, ?4, ?5)",
                    rusqlite::params![id, event, started, event_type, details.to_string()],
                )
                .unwrap();
        }
    }
    let frame = json!({
        "place": "Root", "last_event_id": 2, "generation": 2, "variables": {},
        "activity": {"InState": {
            "name": "Sleep", "input": {}, "entered_event_id": 2, "before_event_id": 0,
            "entered_at": started, "retry_count": 0, "doing": {"Waiting": {"until": until}},
        }},
    });
    database
        .execute("INSERT INTO frames VALUES (1, 0, ?1)", [frame.to_string()])
        .unwrap();
    drop(database);

    let cloud = Cloud::open(folder).await;
    let ended = cloud.ended(&arn("waits")).await;
    assert_eq!((ended.status.clone(), ended.seconds()), (Succeeded, 30));
    let refused = cloud.refused(&arn("failed")).await;
    assert!(
        refused.contains("before the launch of RedriveExecution"),
        "{refused}"
    );
    // It opens again, as the present version.
    crashed(&cloud, functions()).await;
}
