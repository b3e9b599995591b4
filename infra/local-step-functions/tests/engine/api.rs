//! The API's own rules: names, repeats, pages, refusals.

use std::sync::Arc;

use aws_sdk_sfn::types::{
    ExecutionStatus, HistoryEvent, Tag, ValidateStateMachineDefinitionResultCode,
};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Cloud, invoke, machine};

fn sleeper() -> Value {
    machine(&json!({"Sleep": {"Type": "Wait", "Seconds": 1_000, "End": true}}))
}

fn passer() -> Value {
    machine(&json!({"Go": {"Type": "Pass", "End": true}}))
}

#[tokio::test(start_paused = true)]
async fn a_name_starts_one_execution() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("named", &sleeper()).await;
    let start = cloud
        .client
        .start_execution()
        .state_machine_arn(&machine)
        .name("one");
    let first = start.clone().input("{}").send().await.unwrap();
    assert_eq!(
        first.execution_arn(),
        "arn:aws:states:us-east-1:000000000000:execution:named:one"
    );
    let again = start.clone().input("{}").send().await.unwrap();
    assert_eq!(
        (first.execution_arn(), first.start_date()),
        (again.execution_arn(), again.start_date())
    );
    let other = start
        .clone()
        .input("[]")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(other.is_execution_already_exists(), "{other:?}");
    cloud
        .client
        .stop_execution()
        .execution_arn(first.execution_arn())
        .send()
        .await
        .unwrap();
    let ended = start
        .input("{}")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(ended.is_execution_already_exists(), "{ended:?}");
    assert_eq!(cloud.events(first.execution_arn()).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn fifty_concurrent_starts_of_a_name_are_one() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("named", &sleeper()).await;
    let starts = (0..50).map(|_| {
        let start = cloud
            .client
            .start_execution()
            .state_machine_arn(&machine)
            .name("one");
        start.input("{}").send()
    });
    for started in futures::future::join_all(starts).await {
        started.unwrap();
    }
    let listed = cloud
        .client
        .list_executions()
        .state_machine_arn(&machine)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn machines_are_made_changed_and_deleted() {
    let cloud = Cloud::start().await;
    let arn = cloud.create("m", &sleeper()).await;
    assert_eq!(cloud.create("m", &sleeper()).await, arn);
    let other = cloud.client.create_state_machine().name("m").role_arn("r");
    let other = other
        .definition(passer().to_string())
        .send()
        .await
        .unwrap_err();
    assert!(other.into_service_error().is_state_machine_already_exists());

    let running = cloud.begin(&arn, &json!({})).await;
    let update = cloud.client.update_state_machine().state_machine_arn(&arn);
    update
        .definition(passer().to_string())
        .send()
        .await
        .unwrap();
    let described = cloud
        .client
        .describe_state_machine()
        .state_machine_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(described.definition(), passer().to_string());
    assert_eq!(described.role_arn(), "arn:aws:iam::1:role/r");
    // An execution keeps the definition it started with.
    let kept = cloud
        .client
        .describe_state_machine_for_execution()
        .execution_arn(&running);
    assert_eq!(
        kept.send().await.unwrap().definition(),
        sleeper().to_string()
    );

    cloud
        .client
        .delete_state_machine()
        .state_machine_arn(&arn)
        .send()
        .await
        .unwrap();
    let gone = cloud
        .client
        .describe_state_machine()
        .state_machine_arn(&arn)
        .send()
        .await;
    assert!(
        gone.unwrap_err()
            .into_service_error()
            .is_state_machine_does_not_exist()
    );
    assert_eq!(cloud.ended(&running).await.status, ExecutionStatus::Aborted);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_is_refused_when_it_is_made() {
    let cloud = Cloud::start().await;
    let task = |resource: &str| {
        machine(&json!({"T": {"Type": "Task", "Resource": resource, "End": true}}))
    };
    for (definition, words) in [
        (json!({"StartAt": "x"}), "SCHEMA_VALIDATION_FAILED"),
        (
            task("arn:aws:states:::sqs:sendMessage"),
            "sqs:sendMessage cannot be served locally",
        ),
        (
            task("arn:aws:states:us-east-1:1:activity:a"),
            "cannot be served locally",
        ),
        (task("arn:aws:states:::lambda:invoke.sync"), "lambda:invoke"),
    ] {
        let made = cloud.client.create_state_machine().name("no").role_arn("r");
        let refused = made
            .definition(definition.to_string())
            .send()
            .await
            .unwrap_err();
        let refused = refused.into_service_error();
        assert!(refused.is_invalid_definition(), "{refused:?}");
        assert!(
            refused.to_string().contains(words) || format!("{refused:?}").contains(words),
            "{refused:?}"
        );
        let check = cloud.client.validate_state_machine_definition();
        let checked = check
            .definition(definition.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(
            checked.result(),
            &ValidateStateMachineDefinitionResultCode::Fail
        );
        assert!(!checked.diagnostics().is_empty());
    }
    let check = cloud
        .client
        .validate_state_machine_definition()
        .definition(passer().to_string());
    assert_eq!(
        check.send().await.unwrap().result(),
        &ValidateStateMachineDefinitionResultCode::Ok
    );
}

#[tokio::test(start_paused = true)]
async fn refusals_have_awss_names() {
    let cloud = Cloud::start().await;
    let client = &cloud.client;
    let machine = "arn:aws:states:us-east-1:000000000000:stateMachine:none";
    let execution = "arn:aws:states:us-east-1:000000000000:execution:none:none";
    let start = client
        .start_execution()
        .state_machine_arn(machine)
        .send()
        .await
        .unwrap_err();
    assert!(start.into_service_error().is_state_machine_does_not_exist());
    let describe = client
        .describe_execution()
        .execution_arn(execution)
        .send()
        .await
        .unwrap_err();
    assert!(describe.into_service_error().is_execution_does_not_exist());
    let history = client
        .get_execution_history()
        .execution_arn("nonsense")
        .send()
        .await
        .unwrap_err();
    assert!(history.into_service_error().is_invalid_arn());
    let stop = client
        .stop_execution()
        .execution_arn(execution)
        .send()
        .await
        .unwrap_err();
    assert!(stop.into_service_error().is_execution_does_not_exist());
    let list = client
        .list_executions()
        .state_machine_arn(machine)
        .send()
        .await
        .unwrap_err();
    assert!(list.into_service_error().is_state_machine_does_not_exist());
    let made = cloud.create("m", &passer()).await;
    let input = client
        .start_execution()
        .state_machine_arn(made)
        .input("{nonsense")
        .send()
        .await;
    assert!(
        input
            .unwrap_err()
            .into_service_error()
            .is_invalid_execution_input()
    );
    let name = client
        .create_state_machine()
        .name("a b")
        .definition("{}")
        .role_arn("r")
        .send()
        .await;
    assert!(name.unwrap_err().into_service_error().is_invalid_name());
}

#[tokio::test(start_paused = true)]
async fn lists_and_histories_come_in_pages() {
    let cloud = Cloud::start().await;
    let machine = cloud.create("m", &passer()).await;
    let mut arns = Vec::new();
    for index in 0..5 {
        let arn = cloud.begin(&machine, &json!(index)).await;
        cloud.ended(&arn).await;
        arns.insert(0, arn);
    }
    let list = cloud.client.list_executions().state_machine_arn(&machine);
    let list = list
        .status_filter(ExecutionStatus::Succeeded)
        .max_results(2);
    let listed: Result<Vec<_>, _> = list.into_paginator().items().send().collect().await;
    let listed: Vec<String> = listed
        .unwrap()
        .into_iter()
        .map(|item| item.execution_arn)
        .collect();
    assert_eq!(listed, arns);
    let none = cloud.client.list_executions().state_machine_arn(&machine);
    let none = none
        .status_filter(ExecutionStatus::Failed)
        .send()
        .await
        .unwrap();
    assert!(none.executions().is_empty());

    let history = cloud
        .client
        .get_execution_history()
        .execution_arn(&arns[0])
        .max_results(3);
    let first = history.clone().send().await.unwrap();
    assert_eq!(first.events().len(), 3);
    let rest = history
        .clone()
        .next_token(first.next_token().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(
        rest.events()
            .iter()
            .map(HistoryEvent::id)
            .collect::<Vec<_>>(),
        [4]
    );
    assert_eq!(rest.next_token(), None);
    let reversed = history
        .clone()
        .reverse_order(true)
        .include_execution_data(false);
    let reversed = reversed.send().await.unwrap();
    assert_eq!(
        reversed
            .events()
            .iter()
            .map(HistoryEvent::id)
            .collect::<Vec<_>>(),
        [4, 3, 2]
    );
    let succeeded = reversed.events()[0]
        .execution_succeeded_event_details()
        .unwrap();
    assert_eq!(succeeded.output(), None);
    let foreign = history.next_token("before-9").send().await.unwrap_err();
    assert!(foreign.into_service_error().is_invalid_token());

    cloud.create("n", &passer()).await;
    let machines = cloud
        .client
        .list_state_machines()
        .max_results(1)
        .into_paginator()
        .items();
    let machines: Result<Vec<_>, _> = machines.send().collect().await;
    let names: Vec<String> = machines
        .unwrap()
        .into_iter()
        .map(|item| item.name)
        .collect();
    assert_eq!(names, ["m", "n"]);
}

#[tokio::test(start_paused = true)]
async fn history_is_read_on_while_the_run_goes_on() {
    let cloud = Cloud::start().await;
    let states = json!({
        "First": invoke("slow", &json!({"seconds": 5}), &json!({"Next": "Second"})),
        "Second": invoke("slow", &json!({"seconds": 5}), &json!({})),
    });
    let machine = cloud.create("m", &machine(&states)).await;
    let mut growth = cloud.engine.subscribe();
    let arn = cloud.begin(&machine, &json!({})).await;
    let mut read = Vec::new();
    while read.last() != Some(&"ExecutionSucceeded".to_owned()) {
        let grown = growth.recv().await.unwrap();
        assert_eq!(grown.execution_arn, Arc::from(arn.as_str()));
        let after = i64::try_from(read.len()).unwrap();
        let events = cloud.engine.events_after(&arn, after, 100).await.unwrap();
        assert!(events.len() >= usize::try_from(grown.last_event_id - after).unwrap());
        read.extend(
            events
                .iter()
                .map(|event| event.event_type.as_str().to_owned()),
        );
    }
    assert_eq!(read.len(), 12);
    let missing = cloud
        .engine
        .events_after("arn:none", 0, 1)
        .await
        .unwrap_err();
    assert_eq!(missing.code, "ExecutionDoesNotExist");
}

#[tokio::test(start_paused = true)]
async fn tags_are_kept() {
    let cloud = Cloud::start().await;
    let arn = cloud.create("m", &passer()).await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let add = cloud
        .client
        .tag_resource()
        .resource_arn(&arn)
        .tags(tag("a", "1"))
        .tags(tag("b", "2"));
    add.send().await.unwrap();
    cloud
        .client
        .untag_resource()
        .resource_arn(&arn)
        .tag_keys("a")
        .send()
        .await
        .unwrap();
    let tags = cloud
        .client
        .list_tags_for_resource()
        .resource_arn(&arn)
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tags(), [tag("b", "2")]);
}

#[tokio::test(start_paused = true)]
async fn the_router_speaks_the_same_protocol() {
    let cloud = Cloud::start().await;
    let post = |target: Option<&str>, body: &str| {
        let mut request = Request::post("/");
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let request = request
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        let router = cloud.engine.router();
        async move {
            let response = router.oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            (
                parts.status,
                serde_json::from_slice::<Value>(&body).unwrap(),
            )
        }
    };
    for (target, body, status, code) in [
        (
            Some("AWSStepFunctions.ListStateMachines"),
            "{}",
            StatusCode::OK,
            Value::Null,
        ),
        (
            Some("AWSStepFunctions.ListStateMachines"),
            "",
            StatusCode::OK,
            Value::Null,
        ),
        (
            Some("AWSStepFunctions.ListStateMachines"),
            "{",
            StatusCode::BAD_REQUEST,
            json!("SerializationException"),
        ),
        (
            Some("AWSStepFunctions.StartExecution"),
            "{}",
            StatusCode::BAD_REQUEST,
            json!("ValidationException"),
        ),
        (
            Some("AWSStepFunctions.CreateActivity"),
            "{}",
            StatusCode::BAD_REQUEST,
            json!("UnknownOperationException"),
        ),
        (
            None,
            "{}",
            StatusCode::BAD_REQUEST,
            json!("UnknownOperationException"),
        ),
    ] {
        let answer = post(target, body).await;
        assert_eq!(
            (answer.0, &answer.1["__type"]),
            (status, &code),
            "{target:?} {body}"
        );
    }
}
