//! Executions that tasks start, wait for and speak to.

use aws_sdk_sfn::types::ExecutionStatus::{Aborted, Failed, Running, Succeeded, TimedOut};
use aws_sdk_sfn::types::HistoryEvent;
use serde_json::{Value, json};

use crate::support::{Cloud, crashed, functions, invoke, machine};

const START: &str = "arn:aws:states:::states:startExecution";

fn calling(resource: &str, arguments: &Value, fields: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": resource, "Arguments": arguments});
    let fields = fields.as_object().unwrap().clone();
    if !fields.contains_key("Next") {
        state["End"] = json!(true);
    }
    state.as_object_mut().unwrap().extend(fields);
    state
}

fn starting(pattern: &str, child: &str, fields: &Value) -> Value {
    let arguments = json!({
        "StateMachineArn": child,
        "Name": "{% $states.context.Execution.Name & '-child' %}",
        "Input": {
            "n": "{% $states.input %}",
            "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "{% $states.context.Execution.Id %}",
        },
    });
    calling(&format!("{START}{pattern}"), &arguments, fields)
}

async fn doubling(cloud: &Cloud) -> String {
    let double =
        json!({"Type": "Pass", "Output": {"twice": "{% $states.input.n * 2 %}"}, "End": true});
    cloud
        .create("child", &machine(&json!({"Double": double})))
        .await
}

async fn sleeping(cloud: &Cloud) -> String {
    let sleep = json!({"Type": "Wait", "Seconds": 60, "End": true});
    cloud
        .create("child", &machine(&json!({"Sleep": sleep})))
        .await
}

async fn failing(cloud: &Cloud) -> String {
    let fail = json!({"Type": "Fail", "Error": "Sad", "Cause": "really"});
    cloud
        .create("child", &machine(&json!({"Fail": fail})))
        .await
}

fn child_arn(parent_arn: &str) -> String {
    let name = parent_arn.rsplit(':').next().unwrap();
    format!("arn:aws:states:us-east-1:000000000000:execution:child:{name}-child")
}

fn output_of(event: &HistoryEvent) -> Value {
    let output = event
        .task_succeeded_event_details()
        .and_then(|details| details.output());
    let output = output.or_else(|| event.task_submitted_event_details()?.output());
    serde_json::from_str(output.unwrap()).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn request_response_goes_on_with_the_start_s_answer() {
    let cloud = Cloud::start().await;
    let child = sleeping(&cloud).await;
    let states = json!({"Go": starting("", &child, &json!({}))});
    let ended = cloud.run(&machine(&states), &json!(7)).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    let output = ended.output.clone().unwrap();
    assert_eq!(
        keys(&output),
        [
            "ExecutionArn",
            "SdkHttpMetadata",
            "SdkResponseMetadata",
            "StartDate"
        ]
    );
    assert_eq!(output["ExecutionArn"], json!(child_arn(&ended.arn)));
    assert_eq!(output["StartDate"], json!(1_700_000_000_000_i64));
    assert_eq!(output["SdkHttpMetadata"]["HttpStatusCode"], json!(200));
    assert_eq!(
        ended.types(),
        [
            "ExecutionStarted",
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
            "ExecutionSucceeded"
        ]
    );
    let scheduled = ended.events[2].task_scheduled_event_details().unwrap();
    assert_eq!(
        (scheduled.resource_type(), scheduled.resource()),
        ("states", "startExecution")
    );
    let started = cloud.ended(&child_arn(&ended.arn)).await;
    assert_eq!(
        started.output,
        Some(json!({"n": 7, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": ended.arn}))
    );
}

#[tokio::test(start_paused = true)]
async fn sync_waits_and_gives_the_description() {
    let cloud = Cloud::start().await;
    let child = doubling(&cloud).await;
    for (pattern, text) in [(".sync", true), (".sync:2", false)] {
        let states = json!({"Go": starting(pattern, &child, &json!({}))});
        let ended = cloud.run(&machine(&states), &json!(7)).await;
        assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
        assert_eq!(
            ended.links()[2..],
            [
                ("TaskScheduled", 2),
                ("TaskStarted", 3),
                ("TaskSubmitted", 4),
                ("TaskSucceeded", 5),
                ("TaskStateExited", 6),
                ("ExecutionSucceeded", 7),
            ]
        );
        let submitted = ended.events[4].task_submitted_event_details().unwrap();
        assert_eq!(submitted.resource(), format!("startExecution{pattern}"));
        let child_arn = child_arn(&ended.arn);
        assert_eq!(
            output_of(&ended.events[4])["ExecutionArn"],
            json!(child_arn)
        );
        let description = output_of(&ended.events[5]);
        assert_eq!(
            keys(&description),
            [
                "ExecutionArn",
                "Input",
                "InputDetails",
                "Name",
                "Output",
                "OutputDetails",
                "RedriveCount",
                "RedriveStatus",
                "RedriveStatusReason",
                "StartDate",
                "StateMachineArn",
                "Status",
                "StopDate",
            ]
        );
        let output = json!({"twice": 14});
        let output = if text {
            json!(output.to_string())
        } else {
            output
        };
        assert_eq!(description["Output"], output);
        assert_eq!(description["Input"].is_string(), text);
        assert_eq!(description["InputDetails"], json!({"Included": true}));
        assert_eq!(description["Status"], json!("SUCCEEDED"));
        assert_eq!(description["StateMachineArn"], json!(child));
        assert_eq!(description["StopDate"], json!(1_700_000_000_000_i64));
        assert_eq!(ended.output, Some(description));
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_badly_fails_the_task_with_its_description() {
    let cloud = Cloud::start().await;
    let child = failing(&cloud).await;
    let catch = json!([
        {"ErrorEquals": ["Sad", "States.Timeout"], "Next": "ByName"},
        {"ErrorEquals": ["States.TaskFailed"], "Next": "AsTaskFailed"},
    ]);
    let go = starting(".sync:2", &child, &json!({"Catch": catch}));
    let states = json!({"Go": go, "ByName": {"Type": "Fail"}, "AsTaskFailed": {"Type": "Succeed"}});
    let ended = cloud.run(&machine(&states), &json!(7)).await;
    assert_eq!(ended.status, Succeeded);
    let output = ended.output.unwrap();
    assert_eq!(output["Error"], json!("States.TaskFailed"));
    let cause: Value = serde_json::from_str(output["Cause"].as_str().unwrap()).unwrap();
    assert_eq!(
        keys(&cause)[..5],
        ["Cause", "Error", "ExecutionArn", "Input", "InputDetails"]
    );
    assert_eq!(
        (&cause["Error"], &cause["Cause"], &cause["Status"]),
        (&json!("Sad"), &json!("really"), &json!("FAILED"))
    );
    assert!(cause["Input"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_refused_fails_the_task_by_its_exception() {
    let cloud = Cloud::start().await;
    let child = doubling(&cloud).await;
    let fixed =
        |arn: &str, name: &str| json!({"StateMachineArn": arn, "Name": name, "Input": {"n": 1}});
    let unknown = child.replace("child", "nobody");
    let first =
        json!({"Go": calling(&format!("{START}.sync"), &fixed(&child, "once"), &json!({}))});
    let first = cloud.run(&machine(&first), &json!({})).await;
    assert_eq!(first.status, Succeeded);
    for (resource, arguments, error, cause) in [
        (
            START.to_owned(),
            fixed(&child, "once"),
            "StepFunctions.ExecutionAlreadyExistsException",
            "(Service: AWSStepFunctions; Status Code: 400; Error Code: ExecutionAlreadyExists; Request ID: ",
        ),
        (
            format!("{START}.sync:2"),
            fixed(&unknown, "x"),
            "StepFunctions.StateMachineDoesNotExistException",
            "State Machine Does Not Exist: 'arn:aws:states:us-east-1:000000000000:stateMachine:nobody' (Service",
        ),
        (
            START.to_owned(),
            fixed(&child, "a b"),
            "StepFunctions.InvalidNameException",
            "Invalid Name",
        ),
        (
            START.to_owned(),
            // Computed: written out, it is refused before.
            json!("{% {'Input': 1} %}"),
            "StepFunctions.ValidationException",
            "stateMachineArn",
        ),
        (
            "arn:aws:states:::aws-sdk:sfn:startExecution".to_owned(),
            fixed(&child, "once"),
            "Sfn.ExecutionAlreadyExistsException",
            "(Service: Sfn, Status Code: 400, Request ID: ",
        ),
    ] {
        let states = json!({"Go": calling(&resource, &arguments, &json!({}))});
        let ended = cloud.run(&machine(&states), &json!({})).await;
        assert_eq!(
            (ended.status.clone(), ended.error.as_deref()),
            (Failed, Some(error))
        );
        assert!(
            ended.cause.as_deref().unwrap().contains(cause),
            "{:?}",
            ended.cause
        );
        assert_eq!(ended.types()[4], "TaskFailed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_can_send_its_parent_s_token_back() {
    let cloud = Cloud::start().await;
    let send = calling(
        "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
        &json!({"TaskToken": "{% $states.input.token %}", "Output": {"fine": true}}),
        &json!({}),
    );
    let child = cloud
        .create("child", &machine(&json!({"Send": send})))
        .await;
    let arguments = json!({
        "StateMachineArn": child,
        "Input": {"token": "{% $states.context.Task.Token %}"},
    });
    let states =
        json!({"Go": calling(&format!("{START}.waitForTaskToken"), &arguments, &json!({}))});
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        ended.output,
        Some(json!({"fine": true})),
        "{:?}",
        ended.cause
    );
    assert!(ended.types().contains(&"TaskSubmitted"));
    let arn = output_of(&ended.events[4])["ExecutionArn"].clone();
    let child = cloud.ended(arn.as_str().unwrap()).await;
    assert_eq!((child.status, child.output), (Succeeded, Some(json!({}))));
}

#[tokio::test(start_paused = true)]
async fn the_sdk_form_answers_with_capitals_and_iso_dates() {
    let cloud = Cloud::start().await;
    let child = sleeping(&cloud).await;
    let call = |api: &str, arguments: Value, next: &str| {
        calling(
            &format!("arn:aws:states:::aws-sdk:sfn:{api}"),
            &arguments,
            &json!({"Next": next, "Assign": {api: "{% $states.result %}"}}),
        )
    };
    let arn = "{% $startExecution.ExecutionArn %}";
    let states = json!({
        "Start": call("startExecution", json!({"StateMachineArn": child, "Input": "{\"a\": 1}"}), "Look"),
        "Look": call("describeExecution", json!({"ExecutionArn": arn}), "Stop"),
        "Stop": call("stopExecution", json!({"ExecutionArn": arn, "Error": "Enough", "Cause": "of it"}), "Again"),
        "Again": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sfn:describeExecution",
            "Arguments": {"ExecutionArn": arn},
            "Output": {
                "started": "{% $startExecution %}",
                "running": "{% $describeExecution %}",
                "stopped": "{% $stopExecution %}",
                "ended": "{% $states.result %}",
            },
            "End": true,
        },
    });
    let ended = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(ended.status, Succeeded, "{:?}", ended.cause);
    let output = ended.output.unwrap();
    let now = json!("2023-11-14T22:13:20Z");
    assert_eq!(keys(&output["started"]), ["ExecutionArn", "StartDate"]);
    assert_eq!(output["started"]["StartDate"], now);
    assert_eq!(output["running"]["Status"], json!("RUNNING"));
    assert_eq!(output["running"]["Input"], json!("{\"a\": 1}"));
    assert_eq!(output["stopped"], json!({"StopDate": now}));
    assert_eq!(
        (&output["ended"]["Status"], &output["ended"]["Error"]),
        (&json!("ABORTED"), &json!("Enough"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_ends_stops_what_it_waits_for() {
    let cloud = Cloud::start().await;
    let child = sleeping(&cloud).await;
    let status = async |arn: &str| cloud.ended(&child_arn(arn)).await.status;
    let wait = json!({"Go": starting(".sync:2", &child, &json!({}))});

    let stopped = cloud.create("stopped", &machine(&wait)).await;
    let stopped = cloud.begin(&stopped, &json!({})).await;
    cloud.reached(&stopped, "TaskSubmitted").await;
    let stop = cloud.client.stop_execution().execution_arn(&stopped);
    stop.send().await.unwrap();
    assert_eq!(status(&stopped).await, Aborted);

    let mut limited = machine(&wait);
    limited["TimeoutSeconds"] = json!(5);
    let late = cloud.run(&limited, &json!({})).await;
    assert_eq!(
        (late.status.clone(), status(&late.arn).await),
        (TimedOut, Aborted)
    );

    let impatient = starting(".sync:2", &child, &json!({"TimeoutSeconds": 5}));
    let late = cloud
        .run(&machine(&json!({"Go": impatient})), &json!({}))
        .await;
    assert_eq!(late.error.as_deref(), Some("States.Timeout"));
    assert_eq!(status(&late.arn).await, Aborted);

    let branch = |name: &str, state: &Value| json!({"StartAt": name, "States": {name: state}});
    let both = json!({"Both": {
        "Type": "Parallel",
        "Branches": [
            branch("Go", &wait["Go"]),
            branch("Fail", &invoke("slow", &json!({"seconds": 1}), &json!({"Output": "{% $error('no') %}"}))),
        ],
        "End": true,
    }});
    let failed = cloud.run(&machine(&both), &json!({})).await;
    assert_eq!((failed.status.clone(), failed.seconds()), (Failed, 1));
    assert_eq!(status(&failed.arn).await, Aborted);

    // A request-response parent has nothing more to do with what it started.
    let forget = json!({"Go": starting("", &child, &json!({}))});
    let done = cloud.run(&machine(&forget), &json!({})).await;
    assert_eq!(status(&done.arn).await, Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_stopped_before_its_first_step_has_a_whole_history() {
    let cloud = Cloud::start().await;
    let child = sleeping(&cloud).await;
    let stop = calling(
        "arn:aws:states:::aws-sdk:sfn:stopExecution",
        &json!({"ExecutionArn": "{% $states.context.Execution.Id %}", "Error": "Me"}),
        &json!({}),
    );
    let branch = |name: &str, state: &Value| json!({"StartAt": name, "States": {name: state}});
    let states = json!({"Both": {
        "Type": "Parallel",
        "Branches": [
            branch("Go", &starting(".sync", &child, &json!({}))),
            branch("Stop", &stop),
        ],
        "End": true,
    }});
    let stopped = cloud.run(&machine(&states), &json!({})).await;
    assert_eq!(
        (stopped.status.clone(), stopped.error.as_deref()),
        (Aborted, Some("Me"))
    );
    let child = cloud.ended(&child_arn(&stopped.arn)).await;
    assert_eq!(child.status, Aborted);
    assert_eq!(
        child.types(),
        ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_parent_waits_on_after_a_crash_and_starts_no_second_child() {
    let cloud = Cloud::start().await;
    let child = sleeping(&cloud).await;
    let states = json!({"Go": starting(".sync:2", &child, &json!({}))});
    let arn = cloud
        .begin(&cloud.create("m", &machine(&states)).await, &json!({}))
        .await;
    cloud.reached(&arn, "TaskSubmitted").await;
    let again = crashed(&cloud, functions()).await;
    let ended = again.ended(&arn).await;
    assert_eq!((ended.status.clone(), ended.seconds()), (Succeeded, 60));
    assert_eq!(ended.links(), cloud.ended(&arn).await.links());
    let listed = again.client.list_executions().state_machine_arn(&child);
    assert_eq!(listed.send().await.unwrap().executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_starts_itself_leaves_room_for_others() {
    let cloud = Cloud::start().await;
    let itself = "arn:aws:states:us-east-1:000000000000:stateMachine:itself";
    for pattern in ["", ".sync"] {
        let arguments = json!({"StateMachineArn": itself});
        let states = json!({"Go": calling(&format!("{START}{pattern}"), &arguments, &json!({}))});
        let endless = cloud.create("itself", &machine(&states)).await;
        let first = cloud.begin(&endless, &json!({})).await;
        let other = json!({"Ask": invoke("echo", &json!(1), &json!({}))});
        let other = cloud.run(&machine(&other), &json!({})).await;
        assert_eq!(other.status, Succeeded);
        cloud
            .client
            .delete_state_machine()
            .state_machine_arn(endless)
            .send()
            .await
            .unwrap();
        let first = cloud.ended(&first).await;
        assert_ne!(first.status, Running);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_served_is_refused_in_words() {
    let cloud = Cloud::start().await;
    for resource in [
        "arn:aws:states:::aws-sdk:sfn:listExecutions",
        "arn:aws:states:::states:stopExecution",
    ] {
        let states = json!({"Go": calling(resource, &json!({}), &json!({}))});
        let made = cloud
            .client
            .create_state_machine()
            .name("m")
            .role_arn("arn:aws:iam::1:role/r")
            .definition(machine(&states).to_string());
        let refused = made.send().await.unwrap_err().into_service_error();
        let message = refused.meta().message().unwrap();
        assert!(message.contains("at /States/Go/Resource"), "{message}");
        assert!(message.contains("states:startExecution"), "{message}");
    }
}
